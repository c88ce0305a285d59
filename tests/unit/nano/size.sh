#!/bin/sh
# size.sh CC ROOT GENERATED LIMIT: code and constants that the nano client brings into a program with all its calls, its
# part of the engine and nanopb included, in bytes; no more than LIMIT. And what it asks of the C library.
set -eu
cc=$1 root=$2 generated=$3 limit=$4
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
here=$root/tests/unit/nano
echo 'int main(void) { return 0; }' >"$out/empty.c"
"$cc" -Os "$out/empty.c" -o "$out/empty"
# Sections are not collected: whoever links the archive need not ask for that.
"$cc" -std=c11 -Os -D_GNU_SOURCE -ffunction-sections -fdata-sections \
    -I"$root/src" -I"$root/src/client/nano/include" -I"$root/src/common/rpc/include" -isystem "$generated" \
    "$here/minimal.c" "$root"/src/client/nano/*.c \
    "$root/src/common/rpc/envelope.c" "$root/src/common/rpc/frame.c" "$root/src/common/rpc/nano.c" \
    "$root/src/common/rpc/wire.c" "$generated"/flocks/v1/*.c "$generated"/google/protobuf/*.c \
    -lprotobuf-nanopb -o "$out/minimal"
text_of() { size "$1" | awk 'NR == 2 { print $1 }'; }
bytes=$(($(text_of "$out/minimal") - $(text_of "$out/empty")))
echo "nano client: $bytes bytes of code and constants, $limit allowed"
# Debian's nanopb holds calls of realloc and free for pointer fields, of which there are none: that they are never made
# is shown by the tests that abort in them.
if nm -u "$out/minimal" | grep -E ' (m|c)alloc| [a-z_]*printf| f?puts| fopen| (std(in|out|err))'; then
    echo "the nano client must do without that" >&2
    exit 1
fi
[ "$bytes" -le "$limit" ]
