# What setup says: what it does, and one line for each thing that is missing. To be sourced by bash.

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

# bounded SECONDS COMMAND...: ends a program that takes longer, by SIGTERM, and by SIGKILL where that does not help.
bounded() {
  timeout --kill-after=30 "$@"
}

# Runs beside a long command: a line every 20 seconds, as long as this shell lives.
tell_that_it_goes_on() {
  local seconds=0
  while sleep 20 </dev/null >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
    seconds=$((seconds + 20))
    printf 'setup: %s: %s seconds\n' "$1" "$seconds"
  done
}

# quietly DESCRIPTION COMMAND...: announces and runs; the command's output is shown only when it fails.
quietly() {
  local description=$1 log ticker status=0
  shift
  log=$(mktemp)
  printf 'setup: %s\n' "$description"
  tell_that_it_goes_on "$description" &
  ticker=$!
  "$@" >"$log" 2>&1 || status=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  if [ "$status" != 0 ]; then
    printf 'setup: failed: %s\n' "$description" >&2
    # The reason is at the top or at the end of it; the rest is seldom worth reading.
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
