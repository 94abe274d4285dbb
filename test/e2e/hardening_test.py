"""The compiler's hardening, in the programs that were built, and in the commands that build them."""
import json
import os
import pathlib
import re
import subprocess

import pytest

from harness.deadline import scaled
from harness.gateway import BINARY
from harness.installation import pg_config
from harness.system import ROOT

pytestmark = pytest.mark.unsanitized
FORTIFIED = re.compile(r"\b__\w+_chk@")


def output(*command, **environment):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=scaled(120),
                          env=os.environ | {"LC_ALL": "C"} | environment).stdout


def assert_hardened(program):
    dynamic = output("readelf", "-dW", program)
    assert "BIND_NOW" in dynamic and re.search(r"\(FLAGS_1\).*\bNOW\b", dynamic), dynamic
    segments = output("readelf", "-lW", program)
    assert "GNU_RELRO" in segments, segments
    assert re.search(r"GNU_STACK .* RW +0x", segments), "the stack is executable"
    imported = output("readelf", "--dyn-syms", "-W", program)
    assert "__stack_chk_fail" in imported
    return dynamic, imported


def test_the_gateway_is_hardened():
    dynamic, imported = assert_hardened(BINARY)
    assert re.search(r"\(FLAGS_1\).*\bPIE\b", dynamic), dynamic
    assert FORTIFIED.search(imported)


def test_the_extension_is_hardened():
    # It calls no function of the C library that has a fortified variant.
    assert_hardened(pathlib.Path(pg_config("--pkglibdir")) / "odoo_bus.so")


def words(command):
    return command.replace("'", "").split()


def compiled_by_cmake(directory, *options, **environment):
    output("cmake", "-S", ROOT / "gateway", "-B", directory, "-G", "Ninja", "-DBUILD_TESTING=OFF", *options, **environment)
    command = json.loads((directory / "compile_commands.json").read_text())[0]["command"]
    link, = re.findall(r"LINK_FLAGS = (.*)", (directory / "build.ninja").read_text()) or [""]
    return words(command), words(link)


@pytest.fixture(name="no_flags")
def without_flags_of_the_caller(monkeypatch):
    for name in ("CXXFLAGS", "CPPFLAGS", "LDFLAGS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_flags")
def test_an_optimized_build_is_hardened_and_another_is_not(tmp_path):
    compiled, linked = compiled_by_cmake(tmp_path / "optimized", "-DCMAKE_BUILD_TYPE=Release")
    assert {"-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-fPIE", "-Werror=format-security"} <= set(compiled)
    assert {"-pie", "-Wl,-z,relro", "-Wl,-z,now"} <= set(linked)
    if os.uname().machine == "x86_64":
        assert {"-fstack-clash-protection", "-fcf-protection"} <= set(compiled)
    for other in (["-DCMAKE_BUILD_TYPE=Debug"], ["-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DSANITIZE=address"],
                  ["-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DHARDENING=OFF"]):
        compiled, linked = compiled_by_cmake(tmp_path / other[-1], *other)
        assert "-D_FORTIFY_SOURCE=2" not in compiled and "-pie" not in linked


@pytest.mark.usefixtures("no_flags")
def test_flags_of_a_packager_override_it(tmp_path):
    compiled, linked = compiled_by_cmake(tmp_path, "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                                         CXXFLAGS="-D_FORTIFY_SOURCE=3 -fno-stack-protector", LDFLAGS="-no-pie -Wl,-z,lazy")
    assert [flag for flag in compiled if "_FORTIFY_SOURCE" in flag] == ["-D_FORTIFY_SOURCE=3"]
    assert compiled.index("-fno-stack-protector") > compiled.index("-fstack-protector-strong")
    assert linked.index("-no-pie") > linked.index("-pie") and linked.index("-Wl,-z,lazy") > linked.index("-Wl,-z,now")


def compiled_by_make(*variables):
    told = output("make", "-n", "-B", "-C", ROOT, "odoo_bus.so", *variables).splitlines()
    compiled, = (words(line) for line in told if " -c " in line and "extension/channel.cpp" in line)
    linked, = (words(line) for line in told if " -shared " in line)
    return compiled, linked


def test_the_extension_is_hardened_where_postgresql_is_not():
    compiled, linked = compiled_by_make("CXXFLAGS=-O2", "CPPFLAGS=", "LDFLAGS=")
    assert {"-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-Werror=format-security"} <= set(compiled)
    assert {"-Wl,-z,relro", "-Wl,-z,now"} <= set(linked)


def test_the_flags_of_postgresql_override_it():
    compiled, _ = compiled_by_make("CXXFLAGS=-O2 -fno-stack-protector", "CPPFLAGS=-D_FORTIFY_SOURCE=3")
    assert [flag for flag in compiled if "_FORTIFY_SOURCE" in flag] == ["-D_FORTIFY_SOURCE=3"]
    assert compiled.index("-fno-stack-protector") > compiled.index("-fstack-protector-strong")
    # PostgreSQL's developers build without optimization: the C library's warning would be an error.
    compiled, _ = compiled_by_make("CXXFLAGS=-O0", "CPPFLAGS=")
    assert not [flag for flag in compiled if "_FORTIFY_SOURCE" in flag]
