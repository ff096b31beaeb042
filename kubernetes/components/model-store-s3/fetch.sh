#!/bin/sh
# usage: fetch.sh STORE SHA256SUMS FOLDER
#
# Copies the archives that SHA256SUMS names from an rclone remote into FOLDER. Any that is missing or
# has another checksum fails the whole, and nothing is left to be served.
set -eu
store=$1 sums=$2 folder=$3
names=$(mktemp)
sed -n 's/^[0-9a-f]\{64\} [ *]\([^/]*\.mar\)$/\1/p' "$sums" >"$names"

refuse() {
    rm -f "$folder"/*.mar
    echo "model store: $1" >&2
    exit 1
}

wanted=$(grep -c . "$names" || true)
[ "$wanted" -gt 0 ] || refuse "SHA256SUMS names no archive; sha256sum *.mar writes it"
[ "$wanted" -eq "$(grep -c . "$sums")" ] ||
    refuse "SHA256SUMS has a line that is not a checksum, two spaces and the name of a .mar file"
rclone --config '' copy --files-from-raw "$names" "$store" "$folder" || refuse "cannot copy from $store"
(cd "$folder" && sha256sum -c "$sums") || refuse "an archive is missing or is not the one expected"
