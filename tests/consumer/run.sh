#!/bin/sh
# run.sh install|cmake|make|flocks BUILD_DIR WORK_DIR: one step of the consumers' tests, with the compiler and the flags of
# CC, CXX and CFLAGS. `install` puts COMPONENTS into an empty WORK_DIR/prefix; the others build and run the project in
# PROJECT against it, in WORK_DIR; `flocks` does so beside a running instance, with COMPONENTS in a
# prefix of its own.
set -eu
step=$1 build=$2 work=$3
source_dir=$(cd "$(dirname "$0")" && pwd)
prefix=$work/prefix
[ "$step" != flocks ] || prefix=$work/$PROJECT-prefix
# Nothing that is installed on this machine, and no other copy of ours.
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"

install_components() {
    rm -rf "$prefix"
    for component in $COMPONENTS; do
        cmake --install "$build" --prefix "$prefix" --component "$component" >/dev/null
    done
}

run_cmake_project() {
    rm -rf "${work:?}/$PROJECT"
    cmake -G Ninja -S "$source_dir/$PROJECT" -B "$work/$PROJECT" "-DCMAKE_PREFIX_PATH=$prefix" \
        "-DCMAKE_C_FLAGS=$CFLAGS" "-DCMAKE_CXX_FLAGS=$CFLAGS" >"$work/$PROJECT.log"
    cmake --build "$work/$PROJECT" --parallel 2 >>"$work/$PROJECT.log" || {
        cat "$work/$PROJECT.log"
        exit 1
    }
    ctest --test-dir "$work/$PROJECT" --output-on-failure --no-tests=error
}

# In /tmp: a socket's path must be short.
start_flocks() {
    FLOCKS_ROOT=$(mktemp -d /tmp/flocks-consumer.XXXXXX)
    export FLOCKS_ROOT
    trap '"$prefix/bin/flocks" stop >/dev/null; rm -rf "$FLOCKS_ROOT"' EXIT
    printf 'services:\n  sleeper:\n    command: [sleep, "1000"]\n' >"$FLOCKS_ROOT/flocks.yaml"
    "$prefix/bin/flocks" start --no-browser
    export FLOCKS_SOCKET="$FLOCKS_ROOT/run/flocksd.sock"
}

case $step in
install)
    install_components
    ;;
cmake)
    run_cmake_project
    ;;
flocks)
    install_components
    start_flocks
    run_cmake_project
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
