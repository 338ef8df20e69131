#!/bin/sh
# Installs conc for this user: downloads the release for this machine, verifies its checksum, puts it into
# ~/.local/bin. No root, no other change.
#
#   CONC_INSTALL_DIR    where to put it (default ~/.local/bin)
#   CONC_DOWNLOAD_BASE  where releases are (default: the latest one)
set -eu

base=${CONC_DOWNLOAD_BASE:-https://github.com/conc/conc/releases/latest/download}
directory=${CONC_INSTALL_DIR:-$HOME/.local/bin}

fail() {
  echo "install: $1" >&2
  exit 1
}

case "$(uname -s)-$(uname -m)" in
Linux-x86_64) target=x86_64-unknown-linux-gnu ;;
Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-gnu ;;
Darwin-x86_64) target=x86_64-apple-darwin ;;
Darwin-arm64) target=aarch64-apple-darwin ;;
*) fail "no release for $(uname -s) on $(uname -m): compile it from source, as the README shows" ;;
esac
file=conc-$target

download() {
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location --output "$2" "$1"
  elif command -v wget >/dev/null; then
    wget --quiet --output-document="$2" "$1"
  else
    fail "neither curl nor wget is there: install one of them"
  fi || fail "cannot download $1: check the address and the network"
}

checksum() {
  if command -v sha256sum >/dev/null; then
    sha256sum "$1"
  else
    shasum -a 256 "$1"
  fi | cut -d ' ' -f 1
}

mkdir -p "$directory" || fail "cannot make $directory: CONC_INSTALL_DIR names another place"
temporary=$(mktemp -d "$directory/.conc-install.XXXXXX") || fail "cannot write to $directory: CONC_INSTALL_DIR names another place"
trap 'rm -rf "$temporary"' EXIT
trap 'exit 1' HUP INT TERM

download "$base/$file" "$temporary/conc"
download "$base/$file.sha256" "$temporary/conc.sha256"
expected=$(cut -d ' ' -f 1 "$temporary/conc.sha256")
[ "$(checksum "$temporary/conc")" = "$expected" ] ||
  fail "the checksum of $file is wrong: it was not installed; try again, or report it"
chmod 755 "$temporary/conc"
mv "$temporary/conc" "$directory/conc"

echo "installed $directory/conc"
case ":$PATH:" in
*":$directory:"*) ;;
*) echo "add it to your PATH: export PATH=\"$directory:\$PATH\"" ;;
esac
