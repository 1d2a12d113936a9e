#!/usr/bin/env bash
# Builds the release binary in two folders of different names and lengths, from nothing, and compares them bit by
# bit. What is compared is the tree as it lies here, changes included.
set -eu -o pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
one=$scratch/one two="$scratch/a folder/with another name"
for folder in "$one" "$two"; do
    mkdir -p "$folder"
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
        tar --null -T - -c | tar -x -C "$folder"
    (cd "$folder" && env -u CARGO_TARGET_DIR make --no-print-directory build 2>"$scratch/log") ||
        { tail -20 "$scratch/log"; exit 1; }
done
sha256sum "$one/target/tinysvc" "$two/target/tinysvc" | sed "s|$scratch/||"
if cmp "$one/target/tinysvc" "$two/target/tinysvc"; then
    echo "reproducible: two builds in two folders are the same, bit by bit"
else
    echo "reproducible: the builds differ"
    exit 1
fi
