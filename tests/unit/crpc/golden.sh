#!/bin/sh
# golden.sh EXPECTED GENERATED [update]: every file of EXPECTED must be in GENERATED, byte by byte; with
# `update` it is made so.
set -eu
expected=$1 generated=$2 mode=${3:-compare}
cd "$expected"
find . -type f | sort >"$generated/golden.list"
while read -r file; do
    if [ "$mode" = update ]; then
        cp "$generated/$file" "$file"
    else
        diff -u "$file" "$generated/$file" || {
            echo "after a wanted change: cmake --build DIR --target golden_update, then read the difference" >&2
            exit 1
        }
    fi
done <"$generated/golden.list"
