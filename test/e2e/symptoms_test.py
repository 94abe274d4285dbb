"""docs/symptoms.md: every line of it names a check of doctor or a test, and every check that can fail is in it."""
import re

from doctor_test import FAULTS
from harness.system import ROOT

CHECK = re.compile(r"`([a-z]+\.[a-z_-]+)`")
TEST = re.compile(r"`([a-z_]+_test\.py)::(test_\w+)`")


def test_every_line_has_what_finds_it():
    lines = [line for line in (ROOT / "docs/symptoms.md").read_text().splitlines() if line.startswith("| ")][2:]
    checks = {name for _, name, _, _ in FAULTS.values()}
    named = set()
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 4, line
        found_by = cells[-1]
        tests, of_doctor = TEST.findall(found_by), CHECK.findall(TEST.sub("", found_by))
        assert tests or of_doctor, f"nothing finds this: {line}"
        assert set(of_doctor) <= checks, line
        named |= set(of_doctor)
        for file, test in tests:
            assert re.search(rf"def {test}\(", (ROOT / "test/e2e" / file).read_text()), line
    assert checks == named, "a check of doctor has no symptom"
