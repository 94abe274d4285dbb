"""Every link from one document to another, or to a file of this repository, leads somewhere."""
import re

import pytest

from harness.system import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("gateway/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(document):
    """As GitHub makes them of headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.M | re.S)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)", text, re.M)}


def broken(document):
    for link in LINK.findall(document.read_text()):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if "://" in link:
            continue
        if not target.exists():
            yield link
        elif anchor and anchor not in anchors(target):
            yield link


def test_there_are_documents_with_links():
    assert len(DOCUMENTS) > 15
    assert sum(len(LINK.findall(document.read_text())) for document in DOCUMENTS) > 100


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_is_broken(document):
    assert list(broken(document)) == []
