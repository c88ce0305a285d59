# How a library is made that others link: its own compilation (no link-time bitcode, which other compilers could not
# read), exactly the symbols of a version script, and nothing of the inner libraries visible in either form.

# flocks_symbols_of(MAP OUT): the names that a version script makes global.
function(flocks_symbols_of map out)
  file(STRINGS "${map}" lines REGEX "^    [a-z_*0-9]+;$")
  list(TRANSFORM lines STRIP)
  list(TRANSFORM lines REPLACE ";$" "")
  list(REMOVE_ITEM lines "*")
  set(${out} "${lines}" PARENT_SCOPE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${map}")
endfunction()

# flocks_sources_of(OUT TARGET...): the sources of library targets, absolute.
function(flocks_sources_of out)
  set(all "")
  foreach(target ${ARGN})
    get_target_property(sources ${target} SOURCES)
    get_target_property(directory ${target} SOURCE_DIR)
    foreach(source ${sources})
      cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${directory}")
      list(APPEND all "${source}")
    endforeach()
  endforeach()
  set(${out} "${all}" PARENT_SCOPE)
endfunction()

# flocks_objects(NAME SOURCES ... [OBJECTS_OF target...] [LIBRARIES ...]): what both forms are made of. OBJECTS_OF:
# further targets whose objects belong to it as they are.
function(flocks_objects name)
  cmake_parse_arguments(arg "" "" "SOURCES;OBJECTS_OF;LIBRARIES" ${ARGN})
  add_library(${name}_objects OBJECT ${arg_SOURCES})
  set_target_properties(${name}_objects PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
  target_include_directories(${name}_objects PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_compile_options(${name}_objects PRIVATE -ffunction-sections -fdata-sections
    $<$<C_COMPILER_ID:GNU>:-fno-semantic-interposition>)
  target_link_libraries(${name}_objects PRIVATE flocks_flags flocks_warnings ${arg_LIBRARIES})
  set(objects "$<TARGET_OBJECTS:${name}_objects>")
  foreach(target ${arg_OBJECTS_OF})
    list(APPEND objects "$<TARGET_OBJECTS:${target}>")
  endforeach()
  set_property(TARGET ${name}_objects PROPERTY FLOCKS_ALL_OBJECTS "${objects}")
endfunction()

# flocks_archive(NAME OUTPUT MAP [OBJECTS_OF target...]): lib<OUTPUT>.a of flocks_objects(NAME), or of targets: one relocatable object, whose global symbols
# are those of the map, so that no name of an inner library (buffer_init, list_...) can meet one of a program.
function(flocks_archive name output map)
  cmake_parse_arguments(arg "" "" "OBJECTS_OF" ${ARGN})
  flocks_symbols_of("${map}" symbols)
  if(arg_OBJECTS_OF)
    list(TRANSFORM arg_OBJECTS_OF REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
  else()
    get_property(objects TARGET ${name}_objects PROPERTY FLOCKS_ALL_OBJECTS)
  endif()
  set(directory "${PROJECT_BINARY_DIR}/lib")
  set(archive "${directory}/lib${output}.a")
  set(merged "${CMAKE_CURRENT_BINARY_DIR}/${output}.o")
  set(keep "${CMAKE_CURRENT_BINARY_DIR}/${output}.symbols")
  list(JOIN symbols "\n" text)
  file(CONFIGURE OUTPUT "${keep}" CONTENT "${text}\n")
  add_custom_command(
    OUTPUT "${archive}"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${directory}"
    COMMAND ${CMAKE_LINKER} -r -o "${merged}" ${objects}
    COMMAND ${CMAKE_OBJCOPY} --wildcard "--keep-global-symbols=${keep}" "${merged}"
    COMMAND ${CMAKE_COMMAND} -E rm -f "${archive}"
    COMMAND ${CMAKE_AR} rcsD "${archive}" "${merged}"
    DEPENDS ${objects} "${keep}"
    COMMAND_EXPAND_LISTS VERBATIM
    COMMENT "Merging lib${output}.a")
  add_custom_target(${name}_archive ALL DEPENDS "${archive}")
  set_property(TARGET ${name}_archive PROPERTY FLOCKS_ARCHIVE "${archive}")
endfunction()

# flocks_shared(NAME OUTPUT MAP [LIBRARIES ...]): lib<OUTPUT>.so of the same objects.
function(flocks_shared name output map)
  cmake_parse_arguments(arg "" "" "LIBRARIES" ${ARGN})
  get_property(objects TARGET ${name}_objects PROPERTY FLOCKS_ALL_OBJECTS)
  add_library(${name}_shared SHARED ${objects})
  set_target_properties(${name}_shared PROPERTIES
    LINKER_LANGUAGE C
    OUTPUT_NAME ${output}
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}
    INTERPROCEDURAL_OPTIMIZATION OFF
    LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib"
    LINK_DEPENDS "${map}")
  target_link_libraries(${name}_shared PRIVATE flocks_flags ${arg_LIBRARIES})
  target_link_options(${name}_shared PRIVATE
    "LINKER:--version-script=${map},--gc-sections,--as-needed,-Bsymbolic-functions")
  # The sanitizers' own symbols come from the program.
  if(NOT CMAKE_C_FLAGS MATCHES "fsanitize")
    target_link_options(${name}_shared PRIVATE "LINKER:-z,defs")
  endif()
endfunction()

# flocks_pkgconfig(FILE.pc.in): FILE.pc in the current binary directory, whose prefix is relative to where it is
# installed, so that the tree may be moved.
function(flocks_pkgconfig template)
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_LIBDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" OUTPUT_VARIABLE pc_libdir)
  file(RELATIVE_PATH pc_prefix "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
  string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
  string(REGEX REPLACE "\\.in$" "" output "${template}")
  configure_file("${template}" "${output}" @ONLY)
endfunction()
