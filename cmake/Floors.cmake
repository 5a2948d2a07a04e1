# livetea_floor(NAME SOURCES a.c ... BELOW floor ... USES library ...)
#
# One floor of the house: a static library named livetea_NAME. BELOW names the floors that it may
# call; USES the third-party libraries whose door is in it, which do not leak upwards.
function(livetea_floor name)
    cmake_parse_arguments(FLOOR "" "" "SOURCES;BELOW;USES" ${ARGN})
    add_library(livetea_${name} STATIC ${FLOOR_SOURCES})
    target_include_directories(livetea_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
    target_link_libraries(livetea_${name} PRIVATE livetea_compiler)
    foreach(below ${FLOOR_BELOW})
        target_link_libraries(livetea_${name} PUBLIC livetea_${below})
    endforeach()
    target_link_libraries(livetea_${name} PRIVATE ${FLOOR_USES})
endfunction()
