# OpenSSL's FIPS provider as Debian packages it, for the tests alone: unpacked into the cache with a configuration that
# makes Node use it. To be sourced by bash, after report.sh, packages.sh and archive.sh.

# shellcheck disable=SC2154 # env.sh sets ckptfs_cache
fips_cache=$ckptfs_cache/fips

# unpack_fips SITE: makes $fips_cache/new with fips.so and openssl.cnf.
unpack_fips() {
  local work=$fips_cache/new module
  prepare_archive "$work" Debian "$1" trixie
  archive_apt "$work" update && (cd "$work" && archive_apt "$work" download openssl-provider-fips) || return
  dpkg-deb --extract "$work"/openssl-provider-fips_*.deb "$work/system" || return
  module=$(find "$work/system" -name fips.so)
  [ -n "$module" ] || return
  mv "$module" "$work/fips.so"
  configure_fips "$work" || return
  rm -rf "$work"/{lists,cache,status,auto,system,sources.list} "$work"/*.deb
}

# configure_fips DIRECTORY: tests the module, and writes openssl.cnf. It will be in $fips_cache/module.
configure_fips() {
  openssl fipsinstall -quiet -module "$1/fips.so" -out "$1/fipsmodule.cnf" || return
  cat >"$1/openssl.cnf" <<CONF
config_diagnostics = 1
nodejs_conf = openssl_init
[openssl_init]
providers = providers
alg_section = algorithms
[providers]
fips = fips_sect
base = base_sect
[base_sect]
activate = 1
[algorithms]
default_properties = fips=yes
$(sed "s|^\[fips_sect\]|&\nmodule = $fips_cache/module/fips.so|" "$1/fipsmodule.cnf")
CONF
  rm "$1/fipsmodule.cnf"
}

set_up_fips() {
  local origin site
  if [ "$purpose" = demo ] || [ -e "$fips_cache/module/openssl.cnf" ]; then return 0; fi
  # Other distributions have it under other terms, or not at all.
  grep -q '^ID=debian' /etc/os-release 2>/dev/null || return 0
  if [ "$check_only" = no ] && command -v apt-get >/dev/null; then
    [ -n "$(distribution_mirror)" ] || quietly "apt-get update" apt_get -qq update || true
    read -r origin site < <(distribution_mirror) || true
    if [ "${origin:-}" = Debian ] &&
      quietly "OpenSSL's FIPS provider of Debian trixie, unpacked into the cache" unpack_fips "$site"; then
      mv "$fips_cache/new" "$fips_cache/module"
      return
    fi
    rm -rf "$fips_cache/new"
  fi
  missing "OpenSSL's FIPS provider" "run scripts/setup with the archive of Debian in reach"
}
