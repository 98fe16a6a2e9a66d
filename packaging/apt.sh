# What `prepare` and `build-deb` share: Debian packages that are missing, installed. To be sourced.

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
is_installed() { [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
update_once() { as_root apt-get --quiet=2 update; update_once() { :; }; }

install_missing() {
  local package missing=()
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  update_once
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get --quiet=2 --yes --no-install-recommends install "${missing[@]}" </dev/null
}
