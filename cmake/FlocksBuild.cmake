# How every target of this project is compiled. Warnings are PRIVATE to our own targets, so generated
# code is exempt; sanitizers come from the preset, for the whole build, generated code included.

option(FLOCKS_WERROR "Warnings are errors" OFF)
option(FLOCKS_BUILD_TESTS "Build the tests" ON)
option(FLOCKS_BUILD_FUZZERS "Build the libFuzzer targets (clang)" OFF)
option(FLOCKS_BUILD_BENCH "Build the benchmarks of tools/bench" ON)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# assert() stays on in release: a broken invariant must not run on.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")

# Programs stand together, as they do after installation, so that each finds the others beside itself.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

include(CheckCSourceCompiles)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4.1)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2>=1.52)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)

# flocks_prefer_archive(TARGET ARCHIVE): links the archive where the machine has it. A shared object more is
# a tenth of what `flocks status` may cost, and a part of what every take-over waits for.
function(flocks_prefer_archive target archive)
  find_library(${archive}_PATH ${archive})
  mark_as_advanced(${archive}_PATH)
  if(${archive}_PATH)
    set_property(TARGET ${target} PROPERTY INTERFACE_LINK_LIBRARIES "${${archive}_PATH}" ${CMAKE_DL_LIBS})
  endif()
endfunction()
flocks_prefer_archive(PkgConfig::PROTOBUF_C libprotobuf-c.a)
flocks_prefer_archive(PkgConfig::UV libuv_a.a)
# Of servers alone; from the archive a client takes nothing.
flocks_prefer_archive(PkgConfig::NGHTTP2 libnghttp2.a)

find_package(nanopb REQUIRED)
find_program(PROTOC protoc REQUIRED)
find_program(PROTOC_GEN_C protoc-gen-c REQUIRED)
if(FLOCKS_BUILD_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()

add_library(flocks_warnings INTERFACE)
target_compile_options(flocks_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wstrict-prototypes
  -Wmissing-prototypes -Wold-style-definition -Wwrite-strings -Wcast-qual -Wcast-align
  -Wpointer-arith -Wformat=2 -Wnull-dereference -Wimplicit-fallthrough -Wswitch-enum -Wvla -Walloca
  -Wdouble-promotion
  # log_info("ready", "") is a line without pairs.
  -Wno-format-zero-length
  $<$<C_COMPILER_ID:GNU>:-Wlogical-op;-Wduplicated-cond;-Wduplicated-branches>
  $<$<C_COMPILER_ID:Clang>:-Wmissing-variable-declarations>
  $<$<BOOL:${FLOCKS_WERROR}>:-Werror>)

# No path of this machine in what is installed: not in assert()'s texts, not in debugging information.
set(FLOCKS_REPRODUCIBLE_OPTIONS "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")

add_library(flocks_flags INTERFACE)
target_compile_options(flocks_flags INTERFACE ${FLOCKS_REPRODUCIBLE_OPTIONS})
target_compile_definitions(flocks_flags INTERFACE
  _GNU_SOURCE FLOCKS_VERSION="${PROJECT_VERSION}"
  $<$<CONFIG:Release,RelWithDebInfo>:_FORTIFY_SOURCE=2>)
target_compile_options(flocks_flags INTERFACE -fno-common -fstack-protector-strong)
target_link_options(flocks_flags INTERFACE -Wl,-z,relro,-z,now ${FLOCKS_REPRODUCIBLE_OPTIONS})

# Of everything but what becomes a part of an installed library (packaging/).
add_library(flocks_hidden INTERFACE)
target_compile_options(flocks_hidden INTERFACE -fvisibility=hidden)

# flocks_library(NAME SOURCES a.c ... [LIBRARIES ...]): one room, a static library whose headers are
# named from src/ ("common/base/error.h").
function(flocks_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${name} PRIVATE flocks_flags flocks_hidden flocks_warnings PUBLIC ${arg_LIBRARIES})
endfunction()

# flocks_executable(NAME SOURCES ... [LIBRARIES ...])
function(flocks_executable name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${name} PRIVATE flocks_flags flocks_hidden flocks_warnings ${arg_LIBRARIES})
endfunction()

# flocks_link_statically(NAME): without a dynamic loader, where every library has its archive. Never with
# sanitizers, which need one.
set(CMAKE_REQUIRED_LINK_OPTIONS -static)
check_c_source_compiles("int main(void) { return 0; }" FLOCKS_HAS_STATIC_LIBC)
unset(CMAKE_REQUIRED_LINK_OPTIONS)
function(flocks_link_statically name)
  if(FLOCKS_HAS_STATIC_LIBC AND libprotobuf-c.a_PATH AND NOT CMAKE_C_FLAGS MATCHES "fsanitize")
    target_link_options(${name} PRIVATE -static)
  endif()
endfunction()

# flocks_unit_test(NAME SOURCES ... [LIBRARIES ...] [LABEL label]): a cmocka program, one ctest entry.
function(flocks_unit_test name)
  cmake_parse_arguments(arg "" "LABEL" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  flocks_executable(${name} SOURCES ${arg_SOURCES} LIBRARIES ${arg_LIBRARIES} PkgConfig::CMOCKA)
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT 120)
endfunction()

# flocks_fuzz_target(NAME SOURCES ... [LIBRARIES ...]): with FLOCKS_BUILD_FUZZERS a libFuzzer program
# run over tests/fuzz/corpus/NAME (bounded by tools/checks/fuzz); otherwise the same entry point linked
# with a driver that replays the corpus, as a ctest entry.
function(flocks_fuzz_target name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  set(corpus "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name}")
  if(FLOCKS_BUILD_FUZZERS)
    flocks_executable(${name} SOURCES ${arg_SOURCES} LIBRARIES ${arg_LIBRARIES})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_property(GLOBAL APPEND PROPERTY FLOCKS_FUZZ_TARGETS ${name})
  else()
    flocks_executable(${name} SOURCES ${arg_SOURCES} "${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c"
      LIBRARIES ${arg_LIBRARIES})
    add_test(NAME ${name} COMMAND ${name} "${corpus}")
    set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
endfunction()
