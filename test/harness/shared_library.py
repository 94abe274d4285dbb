"""A shared library that takes the place of functions of the C library in the process that preloads it."""
import subprocess


def compile_shared_library(source, directory):
    """Of a C file; returns the library's path, for LD_PRELOAD."""
    library = directory / source.with_suffix(".so").name
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library
