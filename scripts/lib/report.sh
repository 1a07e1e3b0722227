# What setup says: one line for each thing that is missing, nothing else. To be sourced by bash.

missing_count=0

# missing WHAT HOW: counts it and says how to get it.
missing() {
  printf 'missing: %s (%s)\n' "$1" "$2" >&2
  missing_count=$((missing_count + 1))
}

# broken WHAT: says that something is there and does not work.
broken() {
  printf 'does not work: %s\n' "$1" >&2
}

# quietly DESCRIPTION COMMAND...: announces and runs; the command's output is shown only when it fails.
quietly() {
  local description=$1 log status=0
  shift
  log=$(mktemp)
  printf 'setup: %s\n' "$description"
  "$@" >"$log" 2>&1 || status=$?
  if [ "$status" != 0 ]; then
    printf 'setup: failed: %s\n' "$description" >&2
    # The reason stands at the top or at the end of it; what lies between is seldom worth reading.
    if [ "$(wc -l <"$log")" -le 60 ]; then
      cat "$log" >&2
    else
      head -n 20 "$log" >&2
      echo ... >&2
      tail -n 20 "$log" >&2
    fi
  fi
  rm -f "$log"
  return "$status"
}
