# The compiler's hardening, as Debian's packages have it (hardening=+all), for builds without dpkg-buildflags. These flags precede
# those of the caller (CXXFLAGS, LDFLAGS, CMAKE_CXX_FLAGS), which therefore override them.
include(CheckCXXCompilerFlag)

set(hardening -fstack-protector-strong -fPIE -Wformat -Werror=format-security)
# A second definition with another level is an error, so that the caller's must be the only one. Some compilers predefine it.
if(NOT CMAKE_CXX_FLAGS MATCHES "_FORTIFY_SOURCE")
    list(APPEND hardening -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
# These depend on the compiler and on the processor: the second is x86's, the third ARM's.
foreach(flag -fstack-clash-protection -fcf-protection -mbranch-protection=standard)
    string(MAKE_C_IDENTIFIER "HAS${flag}" has)
    check_cxx_compiler_flag(${flag} ${has})
    if(${has})
        list(APPEND hardening ${flag})
    endif()
endforeach()
list(JOIN hardening " " hardening)
set(CMAKE_CXX_FLAGS "${hardening} ${CMAKE_CXX_FLAGS}")
set(CMAKE_EXE_LINKER_FLAGS "-pie -Wl,-z,relro -Wl,-z,now ${CMAKE_EXE_LINKER_FLAGS}")
