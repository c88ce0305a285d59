# crpc_generate(TARGET name PROTOS file.proto... [IMPORT_DIRS dir...] [PARAMETERS prefix=x...] [INDEX name]
#               [STATIC] [NANO])
#
# A static library `name` of everything that the protos become, with its headers as an include directory; it links
# crpc::crpc, or crpc::crpc-static with STATIC. Each proto lies below one of IMPORT_DIRS (default: the current source
# directory) and is named as others import it; what a proto imports is listed too, or is another such target's, to which
# this one is then linked PUBLIC with target_link_libraries(). PARAMETERS go to protoc-gen-crpc: prefix=NAME,
# prefix.PACKAGE=NAME.
#
# INDEX: also the descriptors of all PROTOS and of what they import, as name.index.h, which declares name_index, for
# reflection (crpc/reflection.h).
#
# NANO: the nanopb flavour, linking crpc::nano; beside a file.proto its file.options are read. PARAMETERS nano=client
# leaves out what only a server needs.
#
# Programs: protoc and protoc-gen-c (protobuf-c), or protoc-gen-nanopb; CRPC_PROTOC, CRPC_PROTOC_GEN_C and
# CRPC_PROTOC_GEN_NANOPB name others.

# Where `proto` lies below one of the import directories: its directory, and its name from there.
function(_crpc_locate proto import_dirs out_dir out_name)
  cmake_path(ABSOLUTE_PATH proto BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE OUTPUT_VARIABLE from_here)
  foreach(dir ${import_dirs})
    if(EXISTS "${dir}/${proto}" AND NOT IS_ABSOLUTE "${proto}")
      set(${out_dir} "${dir}" PARENT_SCOPE)
      set(${out_name} "${proto}" PARENT_SCOPE)
      return()
    endif()
    cmake_path(IS_PREFIX dir "${from_here}" NORMALIZE is_below)
    if(is_below AND EXISTS "${from_here}")
      cmake_path(RELATIVE_PATH from_here BASE_DIRECTORY "${dir}" OUTPUT_VARIABLE name)
      set(${out_dir} "${dir}" PARENT_SCOPE)
      set(${out_name} "${name}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "crpc_generate: ${proto} is not below any of IMPORT_DIRS (${import_dirs})")
endfunction()

# Whether a file declares a service, and so has stubs. Comments and texts aside, the word stands nowhere else before a
# name and a brace.
function(_crpc_has_service file out)
  file(READ "${file}" text)
  string(REGEX REPLACE "\"([^\"\\\n]|\\\\.)*\"" "" text "${text}")
  string(REGEX REPLACE "//[^\n]*" "" text "${text}")
  string(REGEX REPLACE "/\\*([^*]|\\*+[^*/])*\\*+/" " " text "${text}")
  if(text MATCHES "(^|[;} \t\r\n])service[ \t\r\n]+[A-Za-z_0-9]+[ \t\r\n]*{")
    set(${out} TRUE PARENT_SCOPE)
  else()
    set(${out} FALSE PARENT_SCOPE)
  endif()
  # A service more or less means other files: look again when it changes.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
endfunction()

function(_crpc_find_programs is_nano)
  find_program(CRPC_PROTOC protoc REQUIRED DOC "protobuf's compiler")
  if(is_nano)
    find_program(CRPC_PROTOC_GEN_NANOPB protoc-gen-nanopb REQUIRED DOC "nanopb's plugin of protoc")
  else()
    find_program(CRPC_PROTOC_GEN_C protoc-gen-c REQUIRED DOC "protobuf-c's plugin of protoc")
  endif()
endfunction()

# protoc's options that name the import directories; protoc knows where its own protos are.
function(_crpc_import_options import_dirs out)
  set(options "")
  foreach(dir ${import_dirs})
    list(APPEND options "--proto_path=${dir}")
  endforeach()
  # crpc/options.proto, and anything else that is installed beside it.
  get_target_property(include_dirs crpc::crpc INTERFACE_INCLUDE_DIRECTORIES)
  list(GET include_dirs 0 include_dir)
  set(${out} ${options} "--proto_path=${include_dir}" PARENT_SCOPE)
endfunction()

function(_crpc_generate_c proto_file name out_dir paths parameters out)
  set(stem "${name}")
  string(REGEX REPLACE "\\.proto$" "" stem "${stem}")
  set(stem "${out_dir}/${stem}")
  set(kinds pb-c names info)
  _crpc_has_service("${proto_file}" has_service)
  if(has_service)
    list(APPEND kinds methods server client)
  endif()
  set(sources "")
  set(headers "")
  foreach(kind ${kinds})
    list(APPEND sources "${stem}.${kind}.c")
    list(APPEND headers "${stem}.${kind}.h")
  endforeach()
  cmake_path(GET stem PARENT_PATH stem_dir)
  file(MAKE_DIRECTORY "${stem_dir}")
  # On its own, because it is what says on which imports everything depends.
  add_custom_command(
    OUTPUT "${stem}.set"
    COMMAND "${CRPC_PROTOC}" ${paths} --include_imports --include_source_info
      "--descriptor_set_out=${stem}.set" "--dependency_out=${stem}.d" "${name}"
    DEPENDS "${proto_file}"
    DEPFILE "${stem}.d"
    COMMENT "protoc: ${name}"
    VERBATIM)
  add_custom_command(
    OUTPUT ${sources} ${headers}
    COMMAND crpc::protoc-gen-crpc --rewrite < "${stem}.set" > "${stem}.c.set"
    COMMAND "${CRPC_PROTOC}" "--plugin=protoc-gen-c=${CRPC_PROTOC_GEN_C}"
      "--descriptor_set_in=${stem}.c.set" "--c_out=${out_dir}" "${name}"
    COMMAND "${CRPC_PROTOC}" "--plugin=protoc-gen-crpc=$<TARGET_FILE:crpc::protoc-gen-crpc>"
      "--descriptor_set_in=${stem}.set" "--crpc_out=${parameters}:${out_dir}" "${name}"
    DEPENDS "${stem}.set" crpc::protoc-gen-crpc
    COMMENT "crpc: ${name}"
    VERBATIM)
  set(${out} ${sources} ${headers} PARENT_SCOPE)
endfunction()

function(_crpc_generate_nano proto_file name import_dir out_dir paths parameters out)
  string(REGEX REPLACE "\\.proto$" "" stem "${name}")
  set(options_file "${import_dir}/${stem}.options")
  if(NOT EXISTS "${options_file}")
    set(options_file "")
  endif()
  set(stem "${out_dir}/${stem}")
  cmake_path(GET stem PARENT_PATH stem_dir)
  file(MAKE_DIRECTORY "${stem_dir}")
  set(outputs "")
  foreach(kind pb nano)
    list(APPEND outputs "${stem}.${kind}.c" "${stem}.${kind}.h")
  endforeach()
  add_custom_command(
    OUTPUT ${outputs}
    # nanopb's plugin is Python, and must not meet modules of the user's own.
    COMMAND ${CMAKE_COMMAND} -E env PYTHONNOUSERSITE=1
      "${CRPC_PROTOC}" "--plugin=protoc-gen-nanopb=${CRPC_PROTOC_GEN_NANOPB}" ${paths}
      --nanopb_opt=--error-on-unmatched "--nanopb_opt=-I${import_dir}" "--nanopb_out=${out_dir}" "${name}"
    COMMAND "${CRPC_PROTOC}" "--plugin=protoc-gen-crpc=$<TARGET_FILE:crpc::protoc-gen-crpc>" ${paths}
      "--crpc_out=${parameters}:${out_dir}" "${name}"
    DEPENDS "${proto_file}" ${options_file} crpc::protoc-gen-crpc
    COMMENT "crpc and nanopb: ${name}"
    VERBATIM)
  set(${out} ${outputs} PARENT_SCOPE)
endfunction()

# One index of all protos of a target.
function(_crpc_generate_index index names out_dir paths out)
  # The sets are made anew when anything changes that a proto imports.
  set(sets ${names})
  list(TRANSFORM sets REPLACE "\\.proto$" ".set")
  list(TRANSFORM sets PREPEND "${out_dir}/")
  set(stem "${out_dir}/${index}.index")
  add_custom_command(
    OUTPUT "${stem}.c" "${stem}.h"
    COMMAND "${CRPC_PROTOC}" "--plugin=protoc-gen-crpc=$<TARGET_FILE:crpc::protoc-gen-crpc>" ${paths}
      "--crpc_out=index=${index}:${out_dir}" ${names}
    DEPENDS ${sets} crpc::protoc-gen-crpc
    COMMENT "crpc: index of ${index}"
    VERBATIM)
  set(${out} "${stem}.c" "${stem}.h" PARENT_SCOPE)
endfunction()

function(crpc_generate)
  cmake_parse_arguments(PARSE_ARGV 0 arg "STATIC;NANO" "TARGET;INDEX" "PROTOS;IMPORT_DIRS;PARAMETERS")
  set(mistake "")
  if(arg_UNPARSED_ARGUMENTS)
    set(mistake "unknown: ${arg_UNPARSED_ARGUMENTS}")
  elseif(NOT arg_TARGET)
    set(mistake "TARGET is missing")
  elseif(NOT arg_PROTOS)
    set(mistake "PROTOS is missing")
  elseif(arg_INDEX AND arg_NANO)
    set(mistake "INDEX is of servers over protobuf-c")
  elseif(arg_INDEX AND NOT arg_INDEX MATCHES "^[A-Za-z][A-Za-z0-9_]*$")
    set(mistake "INDEX ${arg_INDEX} is no name in C")
  endif()
  if(mistake)
    message(FATAL_ERROR "crpc_generate: ${mistake}; it is crpc_generate(TARGET name PROTOS file.proto... "
      "[IMPORT_DIRS dir...] [PARAMETERS parameter...] [INDEX name] [STATIC] [NANO])")
  endif()
  if(NOT arg_IMPORT_DIRS)
    set(arg_IMPORT_DIRS "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
  set(import_dirs "")
  foreach(dir ${arg_IMPORT_DIRS})
    cmake_path(ABSOLUTE_PATH dir BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE)
    string(REGEX REPLACE "(.)/$" "\\1" dir "${dir}")
    list(APPEND import_dirs "${dir}")
  endforeach()
  _crpc_find_programs("${arg_NANO}")
  _crpc_import_options("${import_dirs}" paths)
  if(arg_NANO AND NOT "nano=client" IN_LIST arg_PARAMETERS)
    list(PREPEND arg_PARAMETERS nano)
  endif()
  list(JOIN arg_PARAMETERS "," parameters)
  set(out_dir "${CMAKE_CURRENT_BINARY_DIR}/${arg_TARGET}.crpc")

  set(all "")
  set(names "")
  foreach(proto ${arg_PROTOS})
    _crpc_locate("${proto}" "${import_dirs}" import_dir name)
    list(APPEND names "${name}")
    if(arg_NANO)
      _crpc_generate_nano("${import_dir}/${name}" "${name}" "${import_dir}" "${out_dir}" "${paths}"
        "${parameters}" files)
    else()
      _crpc_generate_c("${import_dir}/${name}" "${name}" "${out_dir}" "${paths}" "${parameters}" files)
    endif()
    list(APPEND all ${files})
  endforeach()
  if(arg_INDEX)
    _crpc_generate_index("${arg_INDEX}" "${names}" "${out_dir}" "${paths}" files)
    list(APPEND all ${files})
  endif()
  add_library(${arg_TARGET} STATIC ${all})
  target_include_directories(${arg_TARGET} SYSTEM PUBLIC "$<BUILD_INTERFACE:${out_dir}>")
  if(arg_NANO)
    target_link_libraries(${arg_TARGET} PUBLIC crpc::nano)
  elseif(arg_STATIC)
    target_link_libraries(${arg_TARGET} PUBLIC crpc::crpc-static)
  else()
    target_link_libraries(${arg_TARGET} PUBLIC crpc::crpc)
  endif()
endfunction()
