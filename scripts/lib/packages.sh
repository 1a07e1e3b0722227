# The programs that building, testing and the demo use, and the Debian or Ubuntu packages that bring them.
# To be sourced by bash, after report.sh.

# One a line: the program, library or, with a slash, file that must be there, and its package. Newer releases call
# libfuse2 libfuse2t64, but know the old name; the npm package fuse-native needs it.
needed_programs() {
  cat <<'LIST'
gcc gcc
/usr/include/stdio.h libc6-dev
make make
git git
python3 python3
fusermount3 fuse3
libfuse.so.2 libfuse2
unshare util-linux
losetup mount
ps procps
ip iproute2
mkfs.ext4 e2fsprogs
getfattr attr
gdb gdb
strace strace
fio fio
rsync rsync
openssl openssl
runc runc
podman podman
javac default-jdk-headless
LIST
}

library_exists() {
  ldconfig -p | awk -v name="$1" '$1 == name { found = 1 } END { exit !found }'
}

missing_packages() {
  local program package
  while read -r program package; do
    case $program in
      /*) [ -e "$program" ] || echo "$package" ;;
      lib*.so.*) library_exists "$program" || echo "$package" ;;
      *) command -v "$program" >/dev/null || echo "$package" ;;
    esac
  done < <(needed_programs) | sort -u
}

# Whether this script may install Debian packages.
may_install() {
  [ "$check_only" = no ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

# apt_install PACKAGE...
apt_install() {
  quietly "apt-get update" apt-get -qq update || return
  quietly "apt-get install $*" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y --no-install-recommends install "$@"
}

# advice PACKAGE...: how a person gets them, in the words of this system.
advice() {
  if command -v apt-get >/dev/null; then
    echo "as root: apt-get install $*"
  else
    echo "install what your system calls the Debian package $*"
  fi
}

set_up_packages() {
  local packages package
  mapfile -t packages < <(missing_packages)
  [ ${#packages[@]} -gt 0 ] || return 0
  if may_install; then apt_install "${packages[@]}" || true; fi
  mapfile -t packages < <(missing_packages)
  for package in "${packages[@]}"; do
    missing "$(needed_programs | awk -v p="$package" '$2 == p { print $1; exit }')" "$(advice "$package")"
  done
}

set_up_fuse() {
  [ -e /dev/fuse ] || [ "$check_only" = yes ] || modprobe fuse 2>/dev/null || true
  [ -e /dev/fuse ] || missing /dev/fuse "modprobe fuse; in a container: start it with --device /dev/fuse"
}
