# A criu that works on this kernel, with crit, checkpointctl and crun. To be sourced by bash, after report.sh and
# packages.sh.
#
# The host's own criu is used where it works. Where it does not (Debian 12's criu 3.17 fails on kernels from 6.x on),
# a newer release's criu is unpacked into the user's cache, without touching the system. What a criu needs to work here
# is in a wrapper in the cache's bin directory, which is first in PATH (see env.sh): runc and podman start the
# `criu` that they find in PATH, so it reaches them as well. Debian 12's crun is built without criu.

# shellcheck disable=SC2154 # env.sh sets ckptfs_cache
criu_cache=$ckptfs_cache/criu
. "$scripts/lib/criu-download.sh"

# Without hardware breakpoints, which some virtual machines do not deliver, criu has to single-step system calls.
single_steps='CRIU_FAULT="${CRIU_FAULT:-130}"'

# One line for each criu that was tried: which, and why it does not work.
criu_failures=()

# criu_works WHICH PROGRAM
criu_works() {
  local reason
  reason=$("$scripts/lib/criu-probe" "$2") && return
  criu_failures+=("$1: $reason")
  return 1
}

# Whether everything is in PATH; the demo needs criu alone.
criu_tools_are_there() {
  command -v criu >/dev/null || return
  [ "$purpose" = demo ] || { command -v crit && command -v checkpointctl && crun --version | grep -F +CRIU; } &>/dev/null
}

# Prints PATH without the wrappers that were kept before.
path_of_the_host() {
  local path=":$PATH:"
  while [[ $path == *":$criu_cache/bin:"* ]]; do path=${path/":$criu_cache/bin:"/:}; done
  path=${path#:}
  echo "${path%:}"
}

# wrapper NAME ENVIRONMENT COMMAND: makes a new wrapper that runs the command, which is shell text.
wrapper() {
  printf '#!/bin/sh\n%sexec %s "$@"\n' "${2:+export $2; }" "$3" >"$new_wrappers/$1"
  chmod 755 "$new_wrappers/$1"
}

# keep_criu WHICH ENVIRONMENT COMMAND: leaves a wrapper when criu works by it.
keep_criu() {
  wrapper criu "$2" "$3"
  criu_works "$1${2:+, with CRIU_FAULT=130}" "$new_wrappers/criu" && return
  rm "$new_wrappers/criu"
  return 1
}

keep_criu_of_the_host() {
  local program which
  program=$(command -v criu) || return
  which="criu $("$program" --version 2>/dev/null | sed -n 's/^Version: //p') ($program)"
  criu_works "$which" "$program" || keep_criu "$which" "$single_steps" "\"$program\""
}

# unpacked_command NAME PROGRAM: shell text that runs the program, itself shell text, with the unpacked loader. The
# kernel calls a process after the file that is executed, and mounts of ckptfs tell criu by that name: the loader is
# executed by a link called NAME.
unpacked_command() {
  local loader named=$criu_cache/named/$1
  loader=$(find "$criu_cache/system/usr/lib" -name 'ld-linux*.so.*' -print -quit)
  mkdir -p "${named%/*}" && ln -sfn "$loader" "$named"
  printf '"%s" --argv0 %s --library-path "%s" %s' "$named" "$1" "${loader%/*}" "$2"
}

keep_unpacked_criu() {
  local root=$criu_cache/system which command python
  criu_is_unpacked || return
  which="$(cut -d ' ' -f 2- "$criu_downloaded") (unpacked)"
  command=$(unpacked_command criu "\"$root/usr/sbin/criu\"")
  keep_criu "$which" '' "$command" || keep_criu "$which" "$single_steps" "$command" || return
  [ "$purpose" != demo ] || return 0
  wrapper crun '' "$(unpacked_command crun "\"$root/usr/bin/crun\"")"
  python=$(find "$root/usr/bin" -name 'python3.*' -type f -print -quit)
  wrapper checkpointctl '' "$(unpacked_command checkpointctl "\"$root/usr/bin/checkpointctl\"")"
  wrapper crit "PYTHONHOME=\"$root/usr\" PYTHONDONTWRITEBYTECODE=1" "$(unpacked_command crit "\"$python\" -m crit")"
}

# Finds a criu that works, and how. What was kept before is not asked: it failed.
find_criu() {
  local -x PATH=$1
  if criu_tools_are_there && keep_criu_of_the_host; then return; fi
  if keep_unpacked_criu; then return; fi
  may_install && ! newest_criu_is_here && download_criu && keep_unpacked_criu
}

# Each wrapper takes the place of the one before in one step: a program that looks for criu meanwhile finds one of them.
replace_wrappers() {
  local name
  mkdir -p "$criu_cache/bin"
  # The host's own criu needs none where it works as it is.
  [ -e "$new_wrappers/criu" ] || rm -f "$criu_cache/bin/criu"
  for name in criu crit checkpointctl crun; do
    [ ! -e "$new_wrappers/$name" ] || mv -f "$new_wrappers/$name" "$criu_cache/bin/$name"
  done
}

choose_criu() {
  local found=no
  criu_failures=()
  new_wrappers=$(mktemp -d "$criu_cache/wrappers.XXXXXX") || return
  if find_criu "$(path_of_the_host)"; then
    replace_wrappers
    found=yes
  fi
  rm -r "$new_wrappers"
  hash -r
  . "$scripts/lib/env.sh"
  [ "$found" = yes ]
}

# Earlier set-ups left wrappers by which the kernel calls criu after the loader.
criu_has_its_own_name() {
  ! grep -q '/ld-linux[^/"]*" --argv0' "$(command -v criu)"
}

kept_criu_works() {
  criu_tools_are_there && criu_has_its_own_name && criu_works "$(command -v criu)" criu
}

# alone COMMAND...: runs it while no other set-up with this cache looks for a criu.
# After half an hour it goes on all the same: two set-ups then do the same work, and each puts its wrappers in place by
# rename from a directory of its own.
alone() {
  local lock status=0
  mkdir -p "$criu_cache"
  exec {lock}>"$criu_cache/lock"
  flock --wait 1800 "$lock" || printf 'setup: another set-up holds %s for half an hour: going on\n' "$criu_cache/lock"
  . "$scripts/lib/env.sh"
  "$@" || status=$?
  flock --unlock "$lock"
  exec {lock}>&-
  return "$status"
}

keep_or_choose_criu() {
  kept_criu_works || choose_criu
}

set_up_criu() {
  local failure
  if [ "$(id -u)" != 0 ]; then
    missing "a criu that works" "only root can use it: run scripts/setup as root"
    return
  fi
  if [ "$check_only" = yes ]; then
    if kept_criu_works; then return; fi
  else
    if alone keep_or_choose_criu; then return; fi
  fi
  for failure in "${criu_failures[@]}"; do broken "$failure"; done
  if [ "${#criu_failures[@]}" != 0 ]; then
    missing "a criu that works on this kernel" "what was tried stands above; docs/engines.md says what criu needs of a machine"
  else
    missing "criu, with crit, checkpointctl and a crun that uses it" \
      "packages criu, python3-pycriu, checkpointctl, crun and libcriu2 of Debian 13 or newer"
  fi
}
