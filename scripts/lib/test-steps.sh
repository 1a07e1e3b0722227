# The steps of scripts/test. To be sourced by bash, with `reports` set: the directory that scripts/lib/test-summary.js
# reads.

# step NAME COMMAND...: runs a command, prints its output when it has ended, and leaves that and its exit code in
# `reports`.
step() {
  local name=$1 left=$reports/${1//\//-} start=$SECONDS code=0
  shift
  echo "-- $name"
  echo started >"$left.status"
  local TIMEFORMAT='%U + %S' spent
  { time "$@" </dev/null >"$left.log" 2>&1; } 2>"$left.time" || code=$?
  spent=$(tail -n 1 "$left.time")
  echo "$code" >"$left.status"
  # The output of one step at a time.
  (
    flock 9
    echo "== $name: $((SECONDS - start)) seconds, of processor time $spent"
    cat "$left.log"
  ) 9<"$reports"
}

# suite NAME VERSION VITEST-ARGUMENTS...: a step that runs vitest with the Node that is `reports`/VERSION/node.
# `isolated` is the path of scripts/lib/isolated where the suite is to run in that. On other versions than `this` the
# mount namespace is then not that of the first process, as in many containers: daemons start in another way there.
suite() {
  local name="$1 on $2" node=$reports/$2 within=()
  [ -z "${isolated-}" ] || within=("$isolated")
  [ -z "${isolated-}" ] || [ "$2" = "$this" ] || within+=(unshare --mount)
  shift 2
  # What vitest makes of a module, one suite after another would make again.
  local cached=(--experimental.fsModuleCache "--experimental.fsModuleCachePath=$reports/modules")
  # A suite that ends well without a report has shown nothing.
  : >"$reports/${name//\//-}.json"
  PATH=$node:$PATH step "$name" timeout --foreground --kill-after=30 5400 "${within[@]}" \
    "$node/node" node_modules/vitest/vitest.mjs run --reporter=default --reporter=json \
    --outputFile.json="$reports/${name//\//-}.json" "${cached[@]}" "$@"
}
