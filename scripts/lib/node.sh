# Node.js and everything that npm brings. To be sourced by bash, after packages.sh.

oldest_node=20.19.0
recommended_node=24

node_is_new_enough() {
  command -v node >/dev/null && node -e '
    const [have, want] = [process.versions.node, process.argv[1]].map((v) => v.split(".").map(Number));
    const at = have.findIndex((n, i) => n !== want[i]);
    process.exit(at < 0 || have[at] > want[at] ? 0 : 1)' "$oldest_node"
}

# The npm registry carries Node's own binaries, one package per platform: a way for systems whose package is too old.
node_from_npm() {
  local platform
  case $(uname -m) in
    x86_64) platform=linux-x64 ;;
    aarch64) platform=linux-arm64 ;;
    *) return 1 ;;
  esac
  mkdir -p "$ckptfs_cache/node"
  quietly "npm install node-$platform@$recommended_node (this system's Node.js is too old)" \
    bounded 300 npm install --silent --no-audit --no-fund --no-save --prefix "$ckptfs_cache/node" \
    "node-$platform@$recommended_node" || return
  mkdir -p "$ckptfs_cache/node/bin"
  ln -sf "../node_modules/node-$platform/bin/node" "$ckptfs_cache/node/bin/node"
  hash -r
  . "$scripts/lib/env.sh"
}

set_up_node() {
  if ! node_is_new_enough || ! command -v npm >/dev/null; then
    if may_install; then
      command -v node >/dev/null && command -v npm >/dev/null || apt_install nodejs npm || true
      node_is_new_enough || ! command -v npm >/dev/null || node_from_npm || true
    fi
  fi
  node_is_new_enough || missing "Node.js $oldest_node or newer" "version $recommended_node is best: https://nodejs.org"
  command -v npm >/dev/null || missing npm "it comes with Node.js, or $(advice npm)"
}

# npm leaves an optional package out where its library was missing at that time, and calls that complete.
fuse_native_is_missing() {
  [ "$(uname -m)" = x86_64 ] && library_exists libfuse.so.2 && [ ! -d node_modules/fuse-native ]
}

# A connection to the registry that stalls keeps npm waiting for many minutes: better to begin again.
npm_ci() {
  quietly "npm ci" bounded 300 npm ci --loglevel=error --logs-max=0 --no-audit --no-fund
}

benchmark_is_installed() {
  [ "$purpose" = demo ] || node scripts/bench/install.js --check
}

dependencies_are_installed() {
  [ -d node_modules ] && npm ls --all --silent >/dev/null 2>&1 && ! fuse_native_is_missing
}

built_is_current() {
  [ -e dist/bundle/ckptfs.js ] &&
    [ -z "$(find src tsconfig.json tsconfig.build.json package.json -newer dist/bundle/ckptfs.js -print -quit)" ]
}

set_up_project() {
  node_is_new_enough && command -v npm >/dev/null || return 0
  if ! dependencies_are_installed; then
    if [ "$check_only" = no ]; then
      npm_ci || npm_ci || true
    fi
    dependencies_are_installed || missing "the npm packages" "npm ci"
  fi
  if ! benchmark_is_installed; then
    [ "$check_only" = yes ] ||
      quietly "npm ci in scripts/bench" bounded 660 node scripts/bench/install.js || true
    benchmark_is_installed || missing "the npm packages of scripts/bench" "node scripts/bench/install.js"
  fi
  if ! built_is_current; then
    if [ "$check_only" = no ] && dependencies_are_installed; then quietly "npm run build" bounded 300 npm run --silent build || true; fi
    built_is_current || missing "dist/, the built program" "npm run build"
  fi
}
