# cmake -P: version.h with the commit as it is now; rewritten only when something changed.
set(LIVETEA_COMMIT "unknown")
execute_process(COMMAND git -C ${SOURCE_DIR} rev-parse --short=7 HEAD
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE result ERROR_QUIET)
if(result EQUAL 0)
    set(LIVETEA_COMMIT "${commit}")
endif()
configure_file(${SOURCE_DIR}/src/app/version.h.in ${OUTPUT} @ONLY)
