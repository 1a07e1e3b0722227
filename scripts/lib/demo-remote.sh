# The part of scripts/demo with a registry: an image is pushed there, removed here, and mounted from there. To be
# sourced by bash, by scripts/demo.

# start_registry: docker-registry on a free port of the loopback interface. Sets $registry to host and port.
start_registry() {
  cat >"$work/registry.yml" <<CONFIG
version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: '127.0.0.1:0'}
CONFIG
  docker-registry serve "$work/registry.yml" </dev/null >"$work/log/registry.log" 2>&1 &
  registry_process=$!
  disown
  until registry=$(grep --only-matching --max-count 1 '127\.0\.0\.1:[0-9]*' "$work/log/registry.log"); do
    kill -0 "$registry_process" 2>/dev/null || fail "docker-registry: $(tail -n 3 "$work/log/registry.log")"
    sleep 0.05
  done
}

# restore_remotely URL: mounts the image that is there, has criu restore from it, and prints what was fetched for that.
restore_remotely() {
  ckptfs mount "$1" "$work/mnt" --private-key "$ram/restore-host.key" --remote-cache "$work/cache"
  criu_or_fail restore criu restore -d -D "$work/mnt" -W "$work/log" -o restore.log
  counts_on
  tell <"$state"
  ckptfs status "$work/mnt"
  grep --only-matching 'fetched [^ ]* [a-zA-Z]*' "$work/log/ckptfs.log" | tell
  ckptfs umount "$work/mnt"
  end_process
}
