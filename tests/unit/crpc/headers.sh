#!/bin/sh
# headers.sh HEADER... -- COMPILER OPTION...: each header must compile alone, as C++.
set -eu
headers=
while [ "$1" != -- ]; do
    headers="$headers $1"
    shift
done
shift
for header in $headers; do
    printf '#include "%s"\n' "$header" | "$@" -x c++ -
done
