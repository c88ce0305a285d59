#!/bin/sh
# help.sh PROTOC PLUGIN PROTO MAN: every parameter that the plugin knows is in its --help and in its manual page.
set -eu
protoc=$1 plugin=$2 proto=$3 man=$4
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$plugin" --help >"$out/help"
"$protoc" "--plugin=protoc-gen-crpc=$plugin" "-I$(dirname "$proto")" "--crpc_out=unknown:$out" \
    "$(basename "$proto")" 2>"$out/said" && exit 1
# "... known are prefix=NAME, nano, ..."
sed -n 's/.*known are //p' "$out/said" | tr ',' '\n' | sed 's/^ *//' >"$out/known"
test "$(wc -l <"$out/known")" -gt 5
mandoc -T ascii "$man" | col -b | tr -s ' \t\n' ' ' >"$out/page"
while read -r parameter; do
    grep -q "^  $parameter " "$out/help" || {
        echo "--help lacks $parameter" >&2
        exit 1
    }
    grep -qi " $parameter " "$out/page" || {
        echo "the manual page lacks $parameter" >&2
        exit 1
    }
done <"$out/known"
