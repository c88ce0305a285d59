#!/bin/sh
# refuse.sh PROTOC PLUGIN OPTIONS EXPECTED PROTO IMPORTS: the plugin must refuse PROTO, together with the files
# beside it that are named NAME+*.proto, with exactly the words of EXPECTED.
set -eu
protoc=$1 plugin=$2 options=$3 expected=$4 proto=$5 imports=$6
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
dir=$(dirname "$proto")
files=$(cd "$dir" && find . -name "$(basename "$proto" .proto)+*.proto" | sed 's,^\./,,' | sort)
# shellcheck disable=SC2086 # file names without blanks
if "$protoc" "--plugin=protoc-gen-crpc=$plugin" "-I$dir" "-I$imports" \
    "--crpc_out=$options:$out" $files "$(basename "$proto")" 2>"$out/said"; then
    echo "$proto was not refused" >&2
    exit 1
fi
grep -v ': warning: ' "$out/said" | sed '1s/^--crpc_out: //' | diff -u "$expected" -
