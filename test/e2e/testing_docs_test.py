"""docs/testing.md: what it names as the tests of a requirement is there."""
import re

from harness.system import ROOT

SECTION = re.compile(r"^## Every PostgreSQL\n(.*?)^## ", re.M | re.S)
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
