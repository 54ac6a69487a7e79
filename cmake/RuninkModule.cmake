# runink_module(NAME [COLD] SOURCES a.cc … DEPENDS runink_base … TESTS a_test.cc … PRIVATE_LIBS re2 …)
#
# COLD: what runs once per command and not once per record; compiled with -O1, which takes a quarter less time.
#
# A static library runink_NAME with its public dependencies, and one GoogleTest program NAME_test that holds all
# unit tests of the module (linking is what costs on small machines). Test working directory is the module's source
# folder, so that tests reach `testdata/` by a relative path.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
if(BUILD_TESTING)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

add_library(runink_flags INTERFACE)
target_compile_features(runink_flags INTERFACE cxx_std_20)
target_include_directories(runink_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include
                                                  ${CMAKE_BINARY_DIR}/generated)
target_compile_options(runink_flags INTERFACE -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
                                              -Wno-psabi -Wno-restrict -Wno-maybe-uninitialized -fno-omit-frame-pointer)
target_link_libraries(runink_flags INTERFACE Threads::Threads fmt::fmt)

find_program(RUNINK_MOLD mold)
if(RUNINK_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()
find_program(RUNINK_CCACHE ccache)
if(RUNINK_CCACHE)
  # Paths below the sources are hashed relative, so that clones share the cache; the slack lets it cache compilations
  # that read a precompiled header (ccache(1), "Precompiled headers").
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
                                  CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
                                  ${RUNINK_CCACHE})
endif()

# What makes a test's translation unit cheap: GoogleTest is parsed once, and tests themselves are optimised little (the
# code under test is not theirs). Both together halve the time that tests take to compile.
if(BUILD_TESTING)
  set(RUNINK_TEST_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    list(APPEND RUNINK_TEST_OPTIONS -O1)
  endif()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/test_header.cc CONTENT "")
  add_library(runink_test_header OBJECT ${CMAKE_BINARY_DIR}/generated/test_header.cc)
  target_link_libraries(runink_test_header PRIVATE runink_flags GTest::gmock GTest::gtest)
  target_precompile_headers(runink_test_header PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
  target_compile_options(runink_test_header PRIVATE ${RUNINK_TEST_OPTIONS})
endif()

function(runink_module name)
  cmake_parse_arguments(M "COLD" "" "SOURCES;DEPENDS;TESTS;TEST_DEPENDS;PRIVATE_LIBS" ${ARGN})
  set(target runink_${name})
  if(M_SOURCES)
    add_library(${target} STATIC ${M_SOURCES})
    target_link_libraries(${target} PUBLIC runink_flags ${M_DEPENDS} PRIVATE ${M_PRIVATE_LIBS})
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    if(M_COLD AND CMAKE_BUILD_TYPE STREQUAL "Release")
      target_compile_options(${target} PRIVATE -O1)
    endif()
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE runink_flags ${M_DEPENDS} ${M_PRIVATE_LIBS})
  endif()
  if(M_TESTS AND BUILD_TESTING)
    add_executable(${name}_test ${M_TESTS})
    target_link_libraries(${name}_test PRIVATE ${target} ${M_TEST_DEPENDS} GTest::gmock GTest::gtest_main)
    target_compile_options(${name}_test PRIVATE ${RUNINK_TEST_OPTIONS})
    target_precompile_headers(${name}_test REUSE_FROM runink_test_header)
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
                         DISCOVERY_TIMEOUT 60 PROPERTIES LABELS unit)
  endif()
endfunction()
