"""The documents as a site: complete, in an order, and whole without any other server."""
import re
import shutil
import subprocess
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from harness.system import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("mkdocs"), reason="mkdocs is not installed: deploy/install-dependencies site")


class Page(HTMLParser):
    """What a page leads to, what it loads, and where one can lead into it."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.links, self.loaded, self.ids = set(), set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        if tag == "a" and attributes.get("href"):
            self.links.add(attributes["href"])
        loaded = attributes.get("src") or (attributes.get("href") if tag == "link" else None)
        if loaded:
            self.loaded.add(loaded)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    done = subprocess.run([ROOT / "deploy/build-site", site], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_document_is_in_the_order(pages):
    named = re.findall(r"([\w/-]+\.md)$", (ROOT / "deploy/mkdocs.yml").read_text(), re.M)
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *(ROOT / part / "README.md" for part in ("gateway", "client", "clients/python"))]
    assert sorted(named) == sorted(str(document.relative_to(ROOT)) for document in documents)
    assert len(pages) > len(named), "files that documents lead to are pages, too"


def test_each_link_leads_somewhere(pages):
    broken = []
    for page in pages.values():
        for link in page.links | page.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file() or (parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids):
                broken.append((str(page.path), link))
    assert broken == []


def test_nothing_is_loaded_from_another_server(pages):
    assert [link for page in pages.values() for link in page.loaded if urlsplit(link).netloc] == []


def test_what_is_wrong_with_a_document_fails_the_build(tmp_path):
    shutil.copytree(ROOT, tmp_path / "copy", ignore=lambda folder, names: {".git", "build", "test", "node_modules"} & set(names))
    document = tmp_path / "copy/docs/proxies.md"
    document.write_text(document.read_text() + "\n[nowhere](nowhere.md)\n")
    done = subprocess.run([tmp_path / "copy/deploy/build-site", tmp_path / "site"], text=True, capture_output=True, check=False)
    assert done.returncode != 0 and "nowhere.md" in done.stderr
