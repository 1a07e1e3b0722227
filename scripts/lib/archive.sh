# Packages of another release of the distribution, had without touching the system. To be sourced by bash, after
# report.sh. apt checks the archive's signatures with the host's keys.

# The host's own mirror, as apt knows it; nothing about it is written down here.
distribution_mirror() {
  apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(LABEL) $(SITE)' |
    awk '$1 == "Packages" && ($2 == "Debian" || $2 == "Ubuntu") && $3 == $2 { print $2, $4; exit }'
}

# prepare_archive WORK ORIGIN SITE SUITE: makes an empty directory for lists and packages of one archive.
prepare_archive() {
  local work=$1 origin=$2 site=$3 suite=$4 components=main keyring signed=''
  [ "$origin" = Debian ] || components='main universe'
  keyring=/usr/share/keyrings/${origin,,}-archive-keyring.gpg
  [ ! -e "$keyring" ] || signed="[signed-by=$keyring] "
  rm -rf "$work"
  mkdir -p "$work"/{lists,cache/archives}/partial
  echo "deb $signed$site $suite $components" >"$work/sources.list"
  : >"$work/status"
}

# archive_apt WORK ARGUMENT...: apt-get on that archive alone, on which nothing is installed.
archive_apt() {
  local work=$1
  shift
  bounded 900 apt-get -qq -y --no-install-recommends \
    -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
    -o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status" \
    -o "Dir::State::extended_states=$work/auto" \
    -o "Dir::Cache=$work/cache" -o APT::Sandbox::User= -o Acquire::Languages=none "$@"
}
