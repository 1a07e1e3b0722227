# A newer release's criu, unpacked with its own libraries and loader beside the system. To be sourced by bash, after
# packages.sh and archive.sh.

# shellcheck disable=SC2154 # criu.sh sets criu_cache, setup sets purpose
# One line: the kernel on which the newest criu was tried, and which criu that was.
criu_downloaded=$criu_cache/downloaded

# The packages to unpack; the demo needs criu alone.
criu_packages() {
  echo criu
  [ "$purpose" = demo ] || echo python3-pycriu checkpointctl crun libcriu2
}

criu_is_unpacked() {
  local bin=$criu_cache/system/usr/bin
  [ -e "$criu_downloaded" ] && { [ "$purpose" = demo ] || { [ -e "$bin/checkpointctl" ] && [ -e "$bin/crun" ]; }; }
}

# Whether a download would bring nothing new: there was one on this kernel, not longer ago than a week.
newest_criu_is_here() {
  criu_is_unpacked && [ -n "$(find "$criu_downloaded" -mtime -7)" ] &&
    [ "$(cut -d ' ' -f 1 "$criu_downloaded")" = "$(uname -r)" ]
}

# unpack_criu ORIGIN SITE SUITE: makes $criu_cache/new/system.
unpack_criu() {
  local origin=$1 site=$2 suite=$3 work=$criu_cache/new package directory
  prepare_archive "$work" "$origin" "$site" "$suite"
  mkdir -p "$work"/system/usr/{bin,sbin,lib,lib64}
  # shellcheck disable=SC2046 # one word for each package
  archive_apt "$work" update && archive_apt "$work" install --download-only $(criu_packages) || return
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
      # Away by a rename: others may start a criu from it meanwhile.
      rm -rf "$criu_cache/old"
      [ ! -e "$criu_cache/system" ] || mv "$criu_cache/system" "$criu_cache/old"
      mv "$criu_cache/new/system" "$criu_cache/system"
      rm -rf "$criu_cache/old"
      echo "$(uname -r) criu of $origin $suite" >"$criu_downloaded"
      rm -rf "$criu_cache/new"
      return
    fi
  done
  rm -rf "$criu_cache/new"
  return 1
}
