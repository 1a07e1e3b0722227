# The part of scripts/demo with podman: a container is checkpointed on one host and restored on another. To be sourced
# by bash, by scripts/demo.

# on_host NAME FUNCTION: runs a part of the demo on a host of its own: other processes, mounts, memory and storage of
# podman. The disk, on which the image is, is that of both; so is the directory that the container's volume is.
on_host() {
  local namespaces=(--pid --mount --fork --kill-child --mount-proc)
  canary=$canary unshare "${namespaces[@]}" "$scripts/demo" on-host "$work" "$2" "$1" || exit 1
}

# podman ARGUMENT...: real podman, with storage on the disk of this host.
podman() {
  CONTAINERS_CONF=$ram/containers.conf command podman --root "$work/$host/store" --runroot "$memory/run" \
    --tmpdir "$memory/tmp" --storage-driver vfs --cgroup-manager cgroupfs --runtime runc "$@"
}

podman_or_fail() {
  show podman "$@"
  podman "$@" >"$work/log/podman.log" 2>&1 || fail "podman: $(tail -n 5 "$work/log/podman.log")"
}

# Memory of a host, and the image that its containers are made of.
begin_host() {
  host=$1 memory=$work/memory
  mount -t tmpfs -o mode=700 tmpfs "$memory"
  mount -t tmpfs tmpfs /dev/shm
  mkdir "$memory/tmp"
  export TMPDIR=$memory/tmp
  podman import --signature-policy "$ram/policy.json" "$ram/counter.tar" counter \
    >"$work/log/podman.log" 2>&1 || fail "podman import: $(tail -n 5 "$work/log/podman.log")"
  show mount -t tmpfs -o mode=700 tmpfs "$work/$host/store/vfs-containers"
  mount -t tmpfs -o mode=700 tmpfs "$work/$host/store/vfs-containers"
}

prepare_podman() {
  mkdir "$ram/fs" "$ram/volume" "$work/memory"
  gcc -O2 -static -o "$ram/fs/counter" "$scripts/../test/fixtures/counter.c"
  tar -C "$ram/fs" -cf "$ram/counter.tar" .
  echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$ram/policy.json"
  # A network of its own needs iptables in criu, and limits beyond this machine's cannot be set.
  cat >"$ram/containers.conf" <<'CONF'
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
seccomp_profile = "unconfined"
[engine]
events_logger = "none"
CONF
  # The container's file, not an argument: podman keeps those in a data base.
  echo "$canary" >"$ram/volume/secret"
}

checkpoint_container() {
  begin_host "$1"
  podman_or_fail run -d --name counter -v "$ram/volume:/volume" counter /counter /volume/state 16 @/volume/secret
  until [ -e "$state" ]; do sleep 0.05; done
  counts_on
  tell <"$state"
  local checkpoint=(podman container checkpoint --export=/dev/fd/3 counter)
  local encrypt=(ckptfs encrypt - "$work/safe/container" --recipient "$work/restore-host.crt")
  printf '    $ %s 3>&1 >/dev/null |\n        %s\n' "${checkpoint[*]}" "${encrypt[*]//"$work/"/}"
  { "${checkpoint[@]}" 3>&1 >/dev/null 2>"$work/log/podman.log" |
    program "${encrypt[@]:1}" >"$work/log/ckptfs.log" 2>&1; } ||
    fail "podman: $(tail -n 5 "$work/log/podman.log") ckptfs: $(tail -n 5 "$work/log/ckptfs.log")"
  podman rm -f counter >"$work/log/podman.log" 2>&1
}

restore_container() {
  begin_host "$1"
  tell <"$state"
  ckptfs export "$work/safe/container" -o "$memory/checkpoint.tar" --private-key "$ram/restore-host.key"
  # The search above finds nothing on the disk, and this shows that there was something to be found.
  local search=(grep --count --text --null-data "$canary" "$memory/checkpoint.tar")
  show "${search[@]}"
  "${search[@]}" | tell
  podman_or_fail container restore --import="$memory/checkpoint.tar"
  rm "$memory/checkpoint.tar"
  counts_on
  tell <"$state"
  podman rm -f -t 0 counter >"$work/log/podman.log" 2>&1
}
