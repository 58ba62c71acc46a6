# rooms: how a room, a unit test and a fuzz target are declared.
#
# A room is one folder under src/ and one static library. It sees its own header and those of the rooms that it lists in
# USES, and no others: each header is published in a folder of its own, build/include/ROOM, and that folder is on the
# include path only of those who asked for it. Using `dimse` does not give `dicom`'s header; list both. Linking is
# transitive, as it must be for static libraries. Inside a room private headers are included relative to the file.
#
# A room's src/dimse/CMakeLists.txt reads
#
#     gantry_room(dimse
#       SOURCES pdu.c fsm.c transport.c
#       USES base dicom
#       LIBS libssl libcrypto)      # names that pkg-config knows; `m` and `dl` are taken as they are
#
# and may add
#
#     HEADERS tags.h      more public headers, included as "dicom/tags.h" (ROOM.h is always one)
#     FOLDERS store index folders of the room whose private headers are found by name: #include "index.h"
#     INCLUDES dir        folders of generated private files
#     DEPENDS target      what must be made before the room compiles
#     PROGRAM gantry MAIN main.c    an executable, made of MAIN and the room
#
# A suite of unit tests, in tests/unit/ROOM/CMakeLists.txt:
#
#     gantry_test(dimse-pdu SOURCES test_pdu.c USES base dicom dimse)
#
# INTERNAL dimse lets a suite include private headers (#include "internal.h"). A fuzz target, in tests/fuzz/CMakeLists.txt:
#
#     gantry_fuzz(pdu SOURCE fuzz_pdu.c USES base dicom dimse)
#
# Its seeds are the files of tests/fuzz/corpus/pdu and its dictionary, if there is one, tests/fuzz/pdu.dict.

set(GANTRY_INCLUDE ${CMAKE_BINARY_DIR}/include)

# Publishes src/ROOM/HEADER as "ROOM/HEADER" through a forwarding header.
function(gantry_publish room)
  foreach(header IN LISTS ARGN)
    set(path ${CMAKE_SOURCE_DIR}/src/${room}/${header})
    if(EXISTS ${path})
      file(CONFIGURE OUTPUT ${GANTRY_INCLUDE}/${room}/${room}/${header} CONTENT "#include \"${path}\"\n" @ONLY)
      set_property(GLOBAL APPEND PROPERTY GANTRY_PUBLIC_HEADERS ${room}/${header})
    endif()
  endforeach()
endfunction()

# Finds a package once and gives the name of its target.
function(gantry_package name result)
  if(name MATCHES "^(m|dl|rt)$")
    set(${result} ${name} PARENT_SCOPE)
    return()
  endif()
  string(MAKE_C_IDENTIFIER pkg_${name} id)
  if(NOT TARGET PkgConfig::${id})
    pkg_check_modules(${id} REQUIRED IMPORTED_TARGET GLOBAL ${name})
  endif()
  set(${result} PkgConfig::${id} PARENT_SCOPE)
endfunction()

# A source that is not there yet: says which, and how to build without the room.
function(gantry_expect what)
  foreach(source IN LISTS ARGN)
    if(NOT IS_ABSOLUTE ${source} AND NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
      message(SEND_ERROR "${what}: ${source} does not exist; to build a part of the tree choose its rooms: "
        "-DGANTRY_ROOMS='base;dicom'")
    endif()
  endforeach()
endfunction()

function(gantry_room name)
  cmake_parse_arguments(PARSE_ARGV 1 R "" "PROGRAM;MAIN" "SOURCES;USES;LIBS;HEADERS;FOLDERS;INCLUDES;DEPENDS")
  if(R_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "gantry_room(${name}): what is ${R_UNPARSED_ARGUMENTS}?")
  endif()
  set(target room_${name})
  gantry_expect(${name} ${R_SOURCES} ${R_MAIN})
  gantry_publish(${name} ${name}.h ${R_HEADERS})
  add_library(${target} STATIC ${R_SOURCES})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME gantry-${name})
  target_link_libraries(${target} PRIVATE gantry_flags PUBLIC Threads::Threads)
  target_include_directories(${target} PRIVATE ${GANTRY_INCLUDE}/${name} ${R_INCLUDES})
  foreach(folder IN LISTS R_FOLDERS)
    target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/${folder})
  endforeach()
  if(R_FOLDERS)
    target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  endif()
  foreach(used IN LISTS R_USES)
    if(NOT TARGET room_${used})
      gantry_publish(${used} ${used}.h) # a room that has a contract but no sources yet
    endif()
    target_include_directories(${target} PRIVATE ${GANTRY_INCLUDE}/${used})
    target_link_libraries(${target} PUBLIC room_${used})
  endforeach()
  foreach(lib IN LISTS R_LIBS)
    gantry_package(${lib} package)
    target_link_libraries(${target} PRIVATE ${package})
  endforeach()
  if(R_DEPENDS)
    add_dependencies(${target} ${R_DEPENDS})
  endif()
  list(JOIN R_USES "," uses)
  set_property(GLOBAL APPEND PROPERTY GANTRY_ROOMS "${name}:${uses}")

  if(R_PROGRAM)
    add_executable(${R_PROGRAM} ${R_MAIN})
    set_target_properties(${R_PROGRAM} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
    target_link_libraries(${R_PROGRAM} PRIVATE gantry_flags ${target})
    foreach(used IN ITEMS ${name} LISTS R_USES)
      target_include_directories(${R_PROGRAM} PRIVATE ${GANTRY_INCLUDE}/${used})
    endforeach()
    install(TARGETS ${R_PROGRAM} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endfunction()

# What suites, fuzz targets and benchmarks have in common: rooms by name, and private headers on request.
function(gantry_use_rooms target uses internal)
  foreach(used IN LISTS uses)
    target_include_directories(${target} PRIVATE ${GANTRY_INCLUDE}/${used})
    target_link_libraries(${target} PRIVATE room_${used})
  endforeach()
  foreach(room IN LISTS internal)
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src/${room}
      $<TARGET_PROPERTY:room_${room},INCLUDE_DIRECTORIES>)
  endforeach()
endfunction()

function(gantry_test name)
  cmake_parse_arguments(PARSE_ARGV 1 T "" "TIMEOUT" "SOURCES;USES;INTERNAL;LIBS")
  if(T_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "gantry_test(${name}): what is ${T_UNPARSED_ARGUMENTS}?")
  endif()
  gantry_expect(${name} ${T_SOURCES})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 60)
  endif()
  add_executable(test-${name} ${T_SOURCES})
  set_target_properties(test-${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_definitions(test-${name} PRIVATE CHECK_SUITE="${name}" TEST_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}"
    TEST_ROOT="${CMAKE_SOURCE_DIR}")
  target_link_libraries(test-${name} PRIVATE gantry_flags gantry_check)
  target_link_options(test-${name} PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)
  gantry_use_rooms(test-${name} "${T_USES}" "${T_INTERNAL}")
  foreach(lib IN LISTS T_LIBS)
    gantry_package(${lib} package)
    target_link_libraries(test-${name} PRIVATE ${package})
  endforeach()
  add_test(NAME ${name} COMMAND test-${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()

function(gantry_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 F "" "SOURCE" "USES;INTERNAL")
  if(F_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "gantry_fuzz(${name}): what is ${F_UNPARSED_ARGUMENTS}?")
  endif()
  set(target fuzz-${name})
  set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  if(GANTRY_FUZZ)
    add_executable(${target} ${F_SOURCE})
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    set_property(GLOBAL APPEND PROPERTY GANTRY_FUZZ_TARGETS ${name})
  else()
    add_executable(${target} ${F_SOURCE} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
    add_test(NAME fuzz-${name} COMMAND ${target} ${corpus})
    set_tests_properties(fuzz-${name} PROPERTIES TIMEOUT 120)
  endif()
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  target_link_libraries(${target} PRIVATE gantry_flags)
  # LLVMFuzzerTestOneInput has no header.
  set_source_files_properties(${F_SOURCE} PROPERTIES COMPILE_OPTIONS -Wno-missing-prototypes)
  gantry_use_rooms(${target} "${F_USES}" "${F_INTERNAL}")
endfunction()
