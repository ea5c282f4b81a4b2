#!/bin/sh
# Installs the library to a folder of its own and uses it from outside: through the CMake package and through pkg-config,
# as C and, where there is a compiler, as C++.
# usage: run.sh MODE SOURCE BUILD WORK CC CXX FLAGS
#   MODE    shared: install BUILD as it is; static: build a static library first
#   CXX     path, or empty; FLAGS: of compiling and linking (sanitizers), may be empty
set -eu
mode=$1 source=$2 build=$3 work=$4 cc=$5 cxx=$6 flags=$7
cmake=${CMAKE_COMMAND:-cmake}
here=$source/tests/consumer
prefix=$work/prefix

rm -rf "$work"
mkdir -p "$work"
if [ "$mode" = static ]; then
    build=$work/static
    "$cmake" -S "$source" -B "$build" -G Ninja -DCMAKE_C_COMPILER="$cc" -DCMAKE_BUILD_TYPE=Debug -DBUILD_SHARED_LIBS=OFF \
        -DLFM2_BUILD_TESTS=OFF >"$work/log" || { cat "$work/log"; exit 1; }
    "$cmake" --build "$build" --parallel 2 >"$work/log" || { cat "$work/log"; exit 1; }
fi
"$cmake" --install "$build" --prefix "$prefix" >"$work/log" || { cat "$work/log"; exit 1; }

# Moved after the install: nothing in the package files may depend on where it first was.
mv "$prefix" "$work/moved"
prefix=$work/moved
pc=$(find "$prefix" -name lfm2.pc)
lib=$(dirname "$(dirname "$pc")")

echo "CMake package:"
"$cmake" -S "$here" -B "$work/by-cmake" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
    ${cxx:+-DCMAKE_CXX_COMPILER="$cxx"} -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" >"$work/log" \
    || { cat "$work/log"; exit 1; }
"$cmake" --build "$work/by-cmake" >"$work/log" || { cat "$work/log"; exit 1; }
"$work/by-cmake/consumer"
if [ -n "$cxx" ]; then "$work/by-cmake/consumer_cpp"; fi

echo "pkg-config:"
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046,SC2086 # flags are words
"$cc" -std=c11 -Wall -Wextra -Werror $flags "$here/consumer.c" -o "$work/consumer" $(pkg-config --cflags --libs lfm2) \
    -Wl,-rpath,"$lib"
"$work/consumer"
if [ -n "$cxx" ]; then
    # shellcheck disable=SC2046,SC2086
    "$cxx" -std=c++17 -Wall -Wextra -Werror $flags -x c++ "$here/consumer.c" -x none -o "$work/consumer_cpp" \
        $(pkg-config --cflags --libs lfm2) -Wl,-rpath,"$lib"
    "$work/consumer_cpp"
fi

if [ -x "$prefix/bin/lfm2-model" ]; then
    echo "installed command:"
    "$prefix/bin/lfm2-model" --version
fi
