"""docs/testing.md: what it names as the tests of a requirement is there."""
import re

from harness.system import ROOT

SECTION = re.compile(r"^## Every PostgreSQL\n(.*?)^## ", re.M | re.S)
FUZZ_SECTION = re.compile(r"^## Fuzz targets\n(.*?)^## ", re.M | re.S)
NAMED = re.compile(r"`(?:([a-z0-9_]+_test\.py)|([a-z0-9_]+))`")


def test_every_sentence_has_tests_that_are_there():
    files = {file.name: file.read_text() for suite in ("extension", "e2e") for file in (ROOT / "test" / suite).glob("*_test.py")}
    rows = [line for line in SECTION.search((ROOT / "docs/testing.md").read_text()).group(1).splitlines()
            if line.startswith("| ") and not line.startswith(("| Sentence", "| ---"))]
    assert len(rows) >= 11
    named = 0
    for row in rows:
        file = None
        for test_file, function in NAMED.findall(row.strip("|").split("|")[-1]):
            if test_file:
                file = test_file
                assert file in files, row
            elif file:
                assert re.search(rf"^(?:async )?def {function}\(", files[file], re.M), f"{file}: {function}"
                named += 1
    assert named >= 20


def test_every_fuzz_target_is_described_and_has_a_corpus():
    rows = [line.strip("|").split("|") for line in FUZZ_SECTION.search((ROOT / "docs/testing.md").read_text()).group(1).splitlines()
            if line.startswith("| `")]
    described = [(name, bool(star)) for row in rows for name, star in re.findall(r"`(\w+)`(\*?)", row[0])]
    targets = sorted((ROOT / "test/fuzz").glob("*_fuzz.cpp"))
    measured = [(target.stem.removesuffix("_fuzz"), "assert_linear(" in target.read_text()) for target in targets]
    assert sorted(described) == measured
    for name, _ in described:
        assert len(list((ROOT / "test/fuzz/corpus" / name).iterdir())) >= 2, name
