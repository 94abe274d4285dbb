"""The browser."""
import pytest

from chromium import Browser


@pytest.fixture(scope="module")
def browser():
    """One for all tests of a module, which go on with its cookies and tabs."""
    browser = Browser()
    yield browser
    browser.close()
