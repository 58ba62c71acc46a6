# flags: language, warnings, hardening, sanitizers. Everything hangs on one interface target, gantry_flags.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

add_library(gantry_flags INTERFACE)
target_compile_definitions(gantry_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(gantry_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
  -fPIE -fstack-protector-strong -fno-strict-aliasing -fno-common)
target_link_options(gantry_flags INTERFACE -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
if(GANTRY_WERROR)
  target_compile_options(gantry_flags INTERFACE -Werror)
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
  target_compile_options(gantry_flags INTERFACE -Wno-string-conversion) # CHECK(!"what went wrong")
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(gantry_flags INTERFACE -fcf-protection)
endif()

if(GANTRY_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "GANTRY_FUZZ needs Clang: use the preset `fuzz`")
  endif()
  target_compile_options(gantry_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_link_options(gantry_flags INTERFACE -fsanitize=address,undefined)
elseif(GANTRY_SANITIZE STREQUAL "address")
  target_compile_options(gantry_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_link_options(gantry_flags INTERFACE -fsanitize=address,undefined)
elseif(GANTRY_SANITIZE STREQUAL "thread")
  target_compile_options(gantry_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(gantry_flags INTERFACE -fsanitize=thread)
elseif(NOT GANTRY_SANITIZE STREQUAL "")
  message(FATAL_ERROR "GANTRY_SANITIZE is `address` or `thread`, not `${GANTRY_SANITIZE}`")
elseif(CMAKE_BUILD_TYPE MATCHES "^Rel")
  # Fortified calls need an optimised build; the sanitizers do the same work better.
  target_compile_options(gantry_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-clash-protection)
endif()
if(GANTRY_SANITIZE AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # GCC's warnings from data flow give false alarms in instrumented code; the release build has them as errors.
  target_compile_options(gantry_flags INTERFACE -Wno-format-truncation -Wno-maybe-uninitialized -Wno-stringop-overflow
    -Wno-array-bounds)
endif()
if(GANTRY_COVERAGE)
  target_compile_options(gantry_flags INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(gantry_flags INTERFACE --coverage)
endif()
