#!/bin/sh
# select.sh PROTOC PLUGIN PATHS...: a method that the files do not have is named, and nothing is written.
set -eu
protoc=$1 plugin=$2
shift 2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$protoc" "$@" --include_imports "--descriptor_set_out=$out/set" crpc/part/v1/part.proto
if "$plugin" --select crpc.part.v1.PartService.Look crpc.part.v1.PartService.Lock <"$out/set" >"$out/part.set" 2>"$out/said"; then
    echo "a method that is not there was selected" >&2
    exit 1
fi
grep -q 'there is no method crpc.part.v1.PartService.Lock' "$out/said"
test ! -s "$out/part.set"
