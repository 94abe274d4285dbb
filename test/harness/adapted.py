"""Configuration as it is shipped or documented, with ports and paths of a test's own."""


def adapted(text, replacements):
    """Each of them stands there once: another one has been changed without the test, or is not the only one."""
    for there, here in replacements.items():
        assert text.count(there) == 1, f"{there!r} must stand there once"
        text = text.replace(there, here)
    return text
