# A criu that works on this kernel, with crit and checkpointctl. To be sourced by bash, after report.sh.
#
# The host's own criu is used where it works. Where it does not (Debian 12's criu 3.17 fails on kernels from 6.x on),
# a newer release's criu is unpacked with its own libraries and loader into the user's cache, beside the system and
# without touching it; three wrappers in the cache's bin directory then stand first in PATH (see env.sh).

# shellcheck disable=SC2154 # env.sh sets ckptfs_cache
criu_cache=$ckptfs_cache/criu

# Dumps and restores a sleeping process in namespaces of its own: only that shows that a criu works on this kernel.
# Descriptors that this script inherited are closed first: they may belong to a mount that criu cannot see.
criu_restores_a_process() {
  local images status=0
  images=$(mktemp -d)
  timeout 30 unshare --pid --mount --fork --kill-child --mount-proc bash -c '
    for fd in /proc/self/fd/*; do fd=${fd##*/}; if ((fd > 2)); then exec {fd}>&-; fi; done
    umount --lazy --all --types fuse,fuse.ckptfs
    cd /
    setsid sleep 5 </dev/null >/dev/null 2>&1 &
    until [ "$(ps -o sid= -p $! | tr -d " ")" = $! ]; do sleep 0.01; done
    criu dump --tree $! --images-dir "$1" -o dump.log && wait $!
    criu restore --restore-detached --images-dir "$1" -o restore.log && kill -0 $! && kill -9 $!
  ' - "$images" </dev/null >/dev/null 2>&1 || status=1
  rm -rf "$images"
  return "$status"
}

criu_works() {
  command -v criu >/dev/null && command -v crit >/dev/null && command -v checkpointctl >/dev/null || return
  case $(criu --version 2>/dev/null | sed -n 's/^Version: //p') in
    '' | [0-3].*) return 1 ;;
  esac
  criu_restores_a_process
}

# The host's own mirror, as apt knows it; nothing about it is written down here.
distribution_mirror() {
  apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(LABEL) $(SITE)' |
    awk '$1 == "Packages" && ($2 == "Debian" || $2 == "Ubuntu") && $3 == $2 { print $2, $4; exit }'
}

# unpack_criu ORIGIN SITE SUITE: makes $criu_cache/new/system. apt checks the archive's signatures with the host's keys.
unpack_criu() {
  local origin=$1 site=$2 suite=$3 work=$criu_cache/new components=main keyring signed='' package directory
  [ "$origin" = Debian ] || components='main universe'
  keyring=/usr/share/keyrings/${origin,,}-archive-keyring.gpg
  [ ! -e "$keyring" ] || signed="[signed-by=$keyring] "
  rm -rf "$work"
  mkdir -p "$work"/{lists,cache/archives}/partial "$work"/system/usr/{bin,sbin,lib,lib64}
  echo "deb $signed$site $suite $components" >"$work/sources.list"
  : >"$work/status"
  local apt=(apt-get -qq -y --no-install-recommends
    -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
    -o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::State::extended_states=$work/auto"
    -o "Dir::Cache=$work/cache" -o APT::Sandbox::User= -o Acquire::Languages=none)
  "${apt[@]}" update && "${apt[@]}" install --download-only criu python3-pycriu checkpointctl || return
  for directory in bin sbin lib lib64; do ln -s "usr/$directory" "$work/system/$directory"; done
  for package in "$work"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work/system" --keep-directory-symlink || return
  done
  rm -rf "$work/lists" "$work/cache" "$work/status" "$work/auto"
}

# wrapper NAME ENVIRONMENT PROGRAM [ARGUMENT...]: $criu_cache/bin/NAME runs it with the unpacked loader and libraries.
wrapper() {
  local name=$1 environment=$2 loader
  shift 2
  loader=$(find "$criu_cache/system/usr/lib" -name 'ld-linux*.so.*' -print -quit)
  printf '#!/bin/sh\n%sexec "%s" --argv0 %s --library-path "%s" %s "$@"\n' \
    "${environment:+export $environment; }" "$loader" "$name" "${loader%/*}" "$*" >"$criu_cache/bin/$name"
  chmod 755 "$criu_cache/bin/$name"
}

write_wrappers() {
  local root=$criu_cache/system python
  python=$(find "$root/usr/bin" -name 'python3.*' -type f -print -quit)
  mkdir -p "$criu_cache/bin"
  wrapper criu '' "\"$root/usr/sbin/criu\""
  wrapper checkpointctl '' "\"$root/usr/bin/checkpointctl\""
  wrapper crit "PYTHONHOME=\"$root/usr\" PYTHONDONTWRITEBYTECODE=1" "\"$python\" -m crit"
}

install_criu() {
  local origin site suite suites=(trixie stable)
  # Without package lists (container images come so) apt knows the mirror, but not whose it is.
  [ -n "$(distribution_mirror)" ] || quietly "apt-get update" apt-get -qq update || return
  read -r origin site < <(distribution_mirror) || return
  # Ubuntu's releases of these years have no criu; its development suite has.
  [ "$origin" = Debian ] || suites=(devel)
  for suite in "${suites[@]}"; do
    if quietly "criu of $origin $suite, unpacked into the cache" unpack_criu "$origin" "$site" "$suite"; then
      rm -rf "$criu_cache/system"
      mv "$criu_cache/new/system" "$criu_cache/system"
      write_wrappers
      break
    fi
  done
  rm -rf "$criu_cache/new"
  hash -r
  . "$scripts/lib/env.sh"
}

set_up_criu() {
  local advice='version 4 or newer; packages criu, python3-pycriu and checkpointctl of Debian 13 have it'
  if [ "$(id -u)" != 0 ]; then
    missing "a criu that works" "only root can use it: run scripts/setup as root"
    return
  fi
  criu_works && return
  if may_install; then install_criu || true; fi
  criu_works || missing "a criu that works on this kernel, with crit and checkpointctl" "$advice"
}
