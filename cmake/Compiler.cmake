# Warnings, sanitizers and hardening, the same for every file of ours.

add_library(livetea_compiler INTERFACE)
target_compile_definitions(livetea_compiler INTERFACE _GNU_SOURCE)
target_compile_options(livetea_compiler INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Wcast-qual -Wwrite-strings -Wswitch-enum
    -fno-omit-frame-pointer -fno-common -fvisibility=hidden)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(livetea_compiler INTERFACE
        -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wimplicit-fallthrough)
elseif(CMAKE_C_COMPILER_ID MATCHES "Clang")
    # Not fall-through: clang sees it inside uthash's macros, whose comments only gcc reads.
    target_compile_options(livetea_compiler INTERFACE
        -Wunreachable-code -Wcomma -Wno-implicit-fallthrough)
endif()
if(LIVETEA_WERROR)
    target_compile_options(livetea_compiler INTERFACE -Werror)
endif()

if(LIVETEA_SANITIZE)
    target_compile_options(livetea_compiler INTERFACE
        -fsanitize=${LIVETEA_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(livetea_compiler INTERFACE -fsanitize=${LIVETEA_SANITIZE})
    if(LIVETEA_FUZZ)
        target_compile_options(livetea_compiler INTERFACE -fsanitize=fuzzer-no-link)
    endif()
else()
    # The null-dereference warning needs the optimiser and false-alarms under sanitizers.
    target_compile_options(livetea_compiler INTERFACE -Wnull-dereference)
    target_compile_options(livetea_compiler INTERFACE
        -fstack-protector-strong -fstack-clash-protection
        $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        target_compile_options(livetea_compiler INTERFACE -fcf-protection)
    endif()
    target_link_options(livetea_compiler INTERFACE -Wl,-z,relro -Wl,-z,now)
endif()

# Asserts stay on in every build.
foreach(config RELEASE RELWITHDEBINFO MINSIZEREL)
    string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${config} "${CMAKE_C_FLAGS_${config}}")
endforeach()
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)
