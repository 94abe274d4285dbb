"""gateway/README.md: its rooms are those that exist, and its walks name files that exist, each once in a walk."""
import re

import pytest

from harness.system import ROOT

GATEWAY = ROOT / "gateway"
README = (GATEWAY / "README.md").read_text()
WALKS = dict(re.findall(r"^## (A[n]? [^\n]*)\n(.*?)(?=^## |\Z)", README, re.M | re.S))
FILE = re.compile(r"`([a-z_/]+\.(?:cpp|h))`")


def test_there_are_three_walks():
    assert len(WALKS) == 3


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_names_each_of_its_files_once(walk):
    files = FILE.findall(WALKS[walk])
    assert len(files) >= 10
    assert [file for file in files if not (GATEWAY / file).is_file()] == []
    assert sorted(set(files)) == sorted(files)


@pytest.mark.parametrize("walk", WALKS)
def test_each_step_of_a_walk_begins_with_its_file(walk):
    steps = re.findall(r"^\d+\. (.*)", WALKS[walk], re.M)
    assert len(steps) >= 10
    assert [step for step in steps if not FILE.match(step)] == []


def test_the_rooms_are_those_that_exist():
    rooms = re.findall(r"^\| `([a-z_]+)/` \|", README, re.M)
    assert sorted(rooms) == sorted(path.name for path in GATEWAY.iterdir() if path.is_dir())
