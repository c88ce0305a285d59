#!/bin/sh
# refuse.sh PROTOC PLUGIN OPTIONS EXPECTED PROTO IMPORTS: the plugin must refuse PROTO with exactly the words
# of EXPECTED.
set -eu
protoc=$1 plugin=$2 options=$3 expected=$4 proto=$5 imports=$6
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
if "$protoc" "--plugin=protoc-gen-crpc=$plugin" "-I$(dirname "$proto")" "-I$imports" \
    "--crpc_out=$options:$out" "$(basename "$proto")" 2>"$out/said"; then
    echo "$proto was not refused" >&2
    exit 1
fi
grep -v ': warning: ' "$out/said" | sed '1s/^--crpc_out: //' | diff -u "$expected" -
