# Sourced by what builds for tests: compiles with ccache where it is installed, and a launcher is not chosen already.
if [ -z "${CMAKE_CXX_COMPILER_LAUNCHER+chosen}" ] && command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
# Precompiled headers; and no preprocessor for what is not in the cache.
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros} CCACHE_DEPEND=${CCACHE_DEPEND:-1}
