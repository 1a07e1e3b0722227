# The programs that the demo and, with them, building and testing use, and the Debian or Ubuntu packages that bring
# them. To be sourced by bash, after report.sh.

# One a line: the program, library or, with a slash, file that must be there, and its package.
demo_programs() {
  cat <<'LIST'
gcc gcc
/usr/include/stdio.h libc6-dev
fusermount3 fuse3
unshare util-linux
losetup mount
mkfs.ext4 e2fsprogs
openssl openssl
runc runc
podman podman
docker-registry docker-registry
LIST
}

# Newer releases call libfuse2 libfuse2t64, but know the old name; the npm package fuse-native needs it.
test_programs() {
  cat <<'LIST'
make make
git git
python3 python3
libfuse.so.2 libfuse2
ps procps
ip iproute2
getfattr attr
gdb gdb
strace strace
fio fio
rsync rsync
keyctl keyutils
jose jose
/usr/lib/python3/dist-packages/prometheus_client/parser.py python3-prometheus-client
ssh-keygen openssh-client
age age
softhsm2-util softhsm2
pkcs11-tool opensc
p11-kit p11-kit
certutil libnss3-tools
javac default-jdk-headless
systemd-analyze systemd
zstd zstd
busybox busybox
bsdtar libarchive-tools
zsh zsh
pykmip-server python3-pykmip
swtpm swtpm
/usr/lib/python3/dist-packages/swift/__init__.py python3-swift
LIST
}

# shellcheck disable=SC2154 # setup sets purpose
needed_programs() {
  demo_programs
  [ "$purpose" = demo ] || test_programs
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

# Seconds to wait for another apt-get or dpkg: a fresh cloud machine installs updates by itself at first.
lock_wait=300

# apt_get ARGUMENT...: apt-get, with bounds, once no other process holds a lock that it needs. Only one of its locks,
# dpkg's, has an option to wait for.
apt_get() {
  local deadline=$((SECONDS + lock_wait)) output
  while :; do
    output=$(DEBIAN_FRONTEND=noninteractive bounded 1800 apt-get -o DPkg::Lock::Timeout="$lock_wait" \
      -o Acquire::Retries=3 -o Acquire::http::Timeout=60 "$@" 2>&1) && break
    case $output in
      *'Could not get lock'*) ;;
      *)
        printf '%s\n' "$output"
        return 1
        ;;
    esac
    if ((SECONDS >= deadline)); then
      printf '%s\nAnother program installs packages; waited %s seconds for it.\n' "$output" "$lock_wait"
      return 1
    fi
    sleep 3
  done
  printf '%s\n' "$output"
}

# What apt-get says it will fetch and take, as "27 packages, 52.4 MB to fetch, 207 MB on disk".
apt_size() {
  apt-get -y --no-install-recommends --print-uris install "$@" 2>/dev/null | sed -n '
    s/^.* \([0-9]*\) newly installed.*/\1 packages/p
    s/^Need to get \(.*[kMG]\?B\) of archives.*/, \1 to fetch/p
    s/^After this operation, \(.*B\) of additional.*/, \1 on disk/p' | tr -d '\n'
}

# apt_install PACKAGE...
apt_install() {
  quietly "apt-get update" apt_get -qq update || return
  quietly "apt-get install $* ($(apt_size "$@"))" apt_get -qq -y --no-install-recommends install "$@"
}

# advice PACKAGE...: how a person gets them, in the words of this system.
advice() {
  if command -v apt-get >/dev/null; then
    echo "as root: apt-get install $*"
  else
    echo "install what your system calls the Debian package $*"
  fi
}

# Whether an installation failed, for the reason that was printed.
apt_failed=no

set_up_packages() {
  local packages package
  mapfile -t packages < <(missing_packages)
  [ ${#packages[@]} -gt 0 ] || return 0
  if may_install && ! apt_install "${packages[@]}"; then apt_failed=yes; fi
  mapfile -t packages < <(missing_packages)
  if [ "$apt_failed" = yes ] && [ ${#packages[@]} -gt 0 ]; then
    # One line and not one for each: they have one cause, which stands above.
    missing "what could not be installed: ${packages[*]}" "apt-get failed, see above; then run this again"
    return
  fi
  for package in "${packages[@]}"; do
    missing "$(needed_programs | awk -v p="$package" '$2 == p { print $1; exit }')" "$(advice "$package")"
  done
}

set_up_fuse() {
  [ -e /dev/fuse ] || [ "$check_only" = yes ] || modprobe fuse 2>/dev/null || true
  [ -e /dev/fuse ] || missing /dev/fuse "modprobe fuse; in a container: start it with --device /dev/fuse"
}
