#!/bin/sh
# run.sh install|cmake|make BUILD_DIR WORK_DIR: one step of the consumers' tests, with the compiler and the flags of
# CC, CXX and CFLAGS. `install` puts COMPONENTS into WORK_DIR/prefix; the others build and run the project in
# PROJECT against it, in WORK_DIR.
set -eu
step=$1 build=$2 work=$3
source_dir=$(cd "$(dirname "$0")" && pwd)
prefix=$work/prefix
# Nothing that is installed on this machine, and no other copy of ours.
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
case $step in
install)
    rm -rf "$prefix"
    for component in $COMPONENTS; do
        cmake --install "$build" --prefix "$prefix" --component "$component" >/dev/null
    done
    ;;
cmake)
    rm -rf "${work:?}/$PROJECT"
    cmake -G Ninja -S "$source_dir/$PROJECT" -B "$work/$PROJECT" "-DCMAKE_PREFIX_PATH=$prefix" \
        "-DCMAKE_C_FLAGS=$CFLAGS" "-DCMAKE_CXX_FLAGS=$CFLAGS" >"$work/$PROJECT.log"
    cmake --build "$work/$PROJECT" --parallel 2 >>"$work/$PROJECT.log" || {
        cat "$work/$PROJECT.log"
        exit 1
    }
    ctest --test-dir "$work/$PROJECT" --output-on-failure --no-tests=error
    ;;
make)
    rm -rf "${work:?}/$PROJECT"
    mkdir -p "$work/$PROJECT"
    cp "$source_dir/$PROJECT/Makefile" "$work/$PROJECT"
    make -s -C "$work/$PROJECT" "SOURCE=$source_dir/crpc" "CFLAGS=$CFLAGS"
    "$work/$PROJECT/depot"
    "$work/$PROJECT/depot-static"
    ;;
esac
