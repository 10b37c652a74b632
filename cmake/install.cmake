# What is installed, and how to take it away again.
set(programs_dir ${CMAKE_INSTALL_LIBEXECDIR}/fdchain)
install(TARGETS launcher DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS monitor runtime-shim payload DESTINATION ${programs_dir})
# The command. `launcher` is its name in the chain.
install(FILES ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/fdchain DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES fdchain/protocol/trace.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/fdchain)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
file(GLOB pages CONFIGURE_DEPENDS docs/*.md)
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
# Where README.md and docs/ link to.
install(FILES fdchain/DESIGN.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/fdchain)
foreach(page daemons real)
  install(FILES integration/${page}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/integration/${page})
endforeach()

# Units for the user's own manager, as in podman's tutorial. The prefix is only known when installing.
install(FILES integration/units/echo.socket DESTINATION lib/systemd/user)
install(CODE "
  cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_PREFIX NORMALIZE OUTPUT_VARIABLE prefix)
  cmake_path(APPEND prefix \"${CMAKE_INSTALL_BINDIR}/launcher\" OUTPUT_VARIABLE FDCHAIN_LAUNCHER)
  configure_file(\"${PROJECT_SOURCE_DIR}/integration/units/echo.service.in\"
    \"${PROJECT_BINARY_DIR}/echo.service\" @ONLY)
  file(INSTALL \"${PROJECT_BINARY_DIR}/echo.service\" DESTINATION \"\${CMAKE_INSTALL_PREFIX}/lib/systemd/user\")")

# Removes what the last `cmake --install` of this build installed; DESTDIR as for that.
add_custom_target(uninstall COMMAND ${CMAKE_COMMAND} -DMANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt
    -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake
  VERBATIM)
