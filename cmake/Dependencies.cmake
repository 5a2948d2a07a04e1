# What Live Tea stands on. Each library has one door in the source (docs/decisions/0003); here it is
# found, or configuring ends with a sentence that says what to do.

find_package(PkgConfig REQUIRED)

set(LIVETEA_SETUP "Run scripts/setup: it installs what is missing on Debian 12 and 13.")

function(livetea_need target module)
    pkg_check_modules(${target} IMPORTED_TARGET ${module})
    if(NOT ${target}_FOUND)
        message(FATAL_ERROR "Live Tea needs ${module}, which is missing or too old. ${LIVETEA_SETUP}")
    endif()
endfunction()

livetea_need(UV "libuv>=1.44")
livetea_need(LMDB "lmdb>=0.9.24")
livetea_need(JANSSON "jansson>=2.13")
livetea_need(UTF8PROC "libutf8proc>=2.4")
livetea_need(MD4C "md4c>=0.4.8")
livetea_need(INIH "inih>=53")
livetea_need(CRYPTO "libcrypto>=3.0")
livetea_need(ZLIB "zlib>=1.2")
livetea_need(BROTLI "libbrotlienc>=1.0")

# libraft before 0.22 loses committed entries: docs/decisions/0002.
pkg_check_modules(RAFT IMPORTED_TARGET "raft>=0.22")
if(NOT RAFT_FOUND)
    message(FATAL_ERROR "Live Tea needs libraft 0.22 or newer: older ones lose committed entries. "
        "On Debian 12 it comes from bookworm-backports. ${LIVETEA_SETUP}")
endif()

# msgpack-c 4 on Debian 12 has its C half under the name msgpack, later releases call it msgpack-c.
pkg_search_module(MSGPACK IMPORTED_TARGET "msgpack-c>=4" "msgpack>=3.3")
if(NOT MSGPACK_FOUND)
    message(FATAL_ERROR "Live Tea needs msgpack-c. ${LIVETEA_SETUP}")
endif()

find_path(WSLAY_INCLUDE wslay/wslay.h)
find_library(WSLAY_LIBRARY wslay)
if(NOT WSLAY_INCLUDE OR NOT WSLAY_LIBRARY)
    message(FATAL_ERROR "Live Tea needs wslay. ${LIVETEA_SETUP}")
endif()
add_library(livetea_wslay INTERFACE)
target_include_directories(livetea_wslay SYSTEM INTERFACE ${WSLAY_INCLUDE})
target_link_libraries(livetea_wslay INTERFACE ${WSLAY_LIBRARY})

# llhttp: Debian 13 has a library; Debian 12 ships the C sources inside node-llhttp.
find_path(LLHTTP_INCLUDE NAMES llhttp.h PATHS /usr/share/include PATH_SUFFIXES llhttp)
find_library(LLHTTP_LIBRARY llhttp)
set(LLHTTP_SOURCES /usr/share/llhttp/api.c /usr/share/llhttp/http.c /usr/share/llhttp/llhttp.c)
if(LLHTTP_INCLUDE AND LLHTTP_LIBRARY)
    add_library(livetea_llhttp INTERFACE)
    target_link_libraries(livetea_llhttp INTERFACE ${LLHTTP_LIBRARY})
elseif(LLHTTP_INCLUDE AND EXISTS /usr/share/llhttp/llhttp.c)
    add_library(livetea_llhttp_sources STATIC ${LLHTTP_SOURCES})
    target_include_directories(livetea_llhttp_sources SYSTEM PUBLIC ${LLHTTP_INCLUDE})
    target_compile_options(livetea_llhttp_sources PRIVATE -w)
    add_library(livetea_llhttp INTERFACE)
    target_link_libraries(livetea_llhttp INTERFACE livetea_llhttp_sources)
else()
    message(FATAL_ERROR "Live Tea needs llhttp (Debian: node-llhttp or libllhttp-dev). ${LIVETEA_SETUP}")
endif()
target_include_directories(livetea_llhttp SYSTEM INTERFACE ${LLHTTP_INCLUDE})

# The stock browser clients, from npm, pinned by package-lock.json.
set(LIVETEA_PHOENIX ${CMAKE_CURRENT_SOURCE_DIR}/node_modules/phoenix)
set(LIVETEA_PHOENIX_LIVE_VIEW ${CMAKE_CURRENT_SOURCE_DIR}/node_modules/phoenix_live_view)
foreach(file ${LIVETEA_PHOENIX}/priv/static/phoenix.min.js
        ${LIVETEA_PHOENIX_LIVE_VIEW}/priv/static/phoenix_live_view.min.js)
    if(NOT EXISTS ${file})
        message(FATAL_ERROR "The npm packages phoenix and phoenix_live_view are not there. ${LIVETEA_SETUP}")
    endif()
endforeach()
