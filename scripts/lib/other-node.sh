#!/usr/bin/env bash
# Prints the path of a Node binary of the given major line (20, 22, 24), taken from the npm registry when it is not in
# the cache yet.
set -euo pipefail
line=$1
case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) echo "no Node binary package for $(uname -m)" >&2; exit 1 ;;
esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ckptfs/node-$line
binary=$cache/node_modules/node-linux-$arch/bin/node
if [ ! -x "$binary" ]; then
  mkdir -p "$cache"
  fetch() { timeout --kill-after=30 300 npm install --silent --no-save --no-package-lock --prefix "$cache" "node-linux-$arch@$line" >&2; }
  # A connection to the registry that stalls keeps npm waiting for many minutes: better to begin again.
  fetch || fetch
fi
"$binary" --version >/dev/null
echo "$binary"
