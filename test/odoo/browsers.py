"""Chromium, and the pages in it: browsers.page("anna") has its own cookies and its own SharedWorker."""
import json
import os
import subprocess
from pathlib import Path

from harness.deadline import DEADLINE
from harness.system import ROOT

HERE = Path(__file__).resolve().parent


class Browsers:
    def __init__(self):
        environment = {**os.environ, "NODE_PATH": str(ROOT / "build" / "browser" / "node_modules")}
        self._process = subprocess.Popen(["node", HERE / "driver.js"], env=environment, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self._opened = 0

    def page(self, user, **options):
        """A new page of that user's browser."""
        self._opened += 1
        page = Page(self, f"{user}-{self._opened}")
        self.order("open", page.name, {"user": user, "options": options})
        return page

    def order(self, order, name, argument=None):
        self._process.stdin.write(json.dumps([order, name, argument]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "Chromium or its driver ended"
        answer = json.loads(line)
        if "error" in answer:
            raise PageError(f"{name}: {order} {argument}: {answer['error']}")
        return answer["value"]

    def close(self):
        self._process.stdin.close()
        assert self._process.wait(2 * DEADLINE) == 0


class PageError(AssertionError):
    pass


class Page:
    """Selectors are playwright's: CSS that also finds what is in a shadow root, :has-text("..."), and so on."""

    def __init__(self, browsers, name):
        self._browsers = browsers
        self.name = name

    def _order(self, order, argument=None):
        try:
            return self._browsers.order(order, self.name, argument)
        except PageError as error:
            directory = ROOT / "build" / "test-logs"
            directory.mkdir(parents=True, exist_ok=True)
            self._browsers.order("screenshot", self.name, str(directory / f"{self.name}.png"))
            raise PageError(f"{error}\nerrors of the page: {self.errors}") from None

    def goto(self, url):
        return self._order("goto", url)

    def reload(self):
        self._order("reload")

    @property
    def url(self):
        return self._order("url")

    def evaluate(self, expression):
        return self._order("evaluate", expression)

    def wait(self, expression):
        """Until it is true."""
        self._order("wait", expression)

    def see(self, selector):
        """Until it is visible."""
        self._order("see", selector)

    def gone(self, selector):
        self._order("gone", selector)

    def count(self, selector):
        return self._order("count", selector)

    def texts(self, selector):
        return self._order("texts", selector)

    def click(self, selector):
        self._order("click", selector)

    def hover(self, selector):
        self._order("hover", selector)

    def fill(self, selector, text):
        self._order("fill", [selector, text])

    def type(self, selector, text):
        self._order("type", [selector, text])

    def press(self, selector, key):
        self._order("press", [selector, key])

    def cookie(self, name):
        return next((cookie["value"] for cookie in self._order("cookies") if cookie["name"] == name), None)

    @property
    def errors(self):
        return self._order("errors")

    def screenshot(self, path):
        self._order("screenshot", str(path))

    def close(self):
        self._order("close")

    def forget(self):
        """Closes the user's browser with all its pages and cookies."""
        self._order("forget")
