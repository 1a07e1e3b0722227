# A newer release's criu, unpacked with its own libraries and loader beside the system. To be sourced by bash, after
# packages.sh.

# shellcheck disable=SC2154 # criu.sh sets criu_cache, setup sets purpose
# One line: the kernel on which the newest criu was tried, and which criu that was.
criu_downloaded=$criu_cache/downloaded

# The packages to unpack; the demo needs criu alone.
criu_packages() {
  echo criu
  [ "$purpose" = demo ] || echo python3-pycriu checkpointctl
}

criu_is_unpacked() {
  [ -e "$criu_downloaded" ] && { [ "$purpose" = demo ] || [ -e "$criu_cache/system/usr/bin/checkpointctl" ]; }
}

# Whether a download would bring nothing new: there was one on this kernel, not longer ago than a week.
newest_criu_is_here() {
  criu_is_unpacked && [ -n "$(find "$criu_downloaded" -mtime -7)" ] &&
    [ "$(cut -d ' ' -f 1 "$criu_downloaded")" = "$(uname -r)" ]
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
  local apt=(bounded 900 apt-get -qq -y --no-install-recommends
    -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
    -o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::State::extended_states=$work/auto"
    -o "Dir::Cache=$work/cache" -o APT::Sandbox::User= -o Acquire::Languages=none)
  # shellcheck disable=SC2046 # one word for each package
  "${apt[@]}" update && "${apt[@]}" install --download-only $(criu_packages) || return
  for directory in bin sbin lib lib64; do ln -s "usr/$directory" "$work/system/$directory"; done
  for package in "$work"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work/system" --keep-directory-symlink || return
  done
  rm -rf "$work/lists" "$work/cache" "$work/status" "$work/auto"
}

# Puts the newest criu that the distribution has into $criu_cache/system.
download_criu() {
  local origin site suite suites=(trixie stable)
  # Without package lists (container images come so) apt knows the mirror, but not whose it is.
  [ -n "$(distribution_mirror)" ] || quietly "apt-get update" apt_get -qq update || return
  read -r origin site < <(distribution_mirror) || return
  # Ubuntu's releases of these years have no criu; its development suite has.
  [ "$origin" = Debian ] || suites=(devel)
  for suite in "${suites[@]}"; do
    if quietly "criu of $origin $suite, unpacked into the cache" unpack_criu "$origin" "$site" "$suite"; then
      rm -rf "$criu_cache/system"
      mv "$criu_cache/new/system" "$criu_cache/system"
      echo "$(uname -r) criu of $origin $suite" >"$criu_downloaded"
      rm -rf "$criu_cache/new"
      return
    fi
  done
  rm -rf "$criu_cache/new"
  return 1
}
