"""The machine's clock as some processes see it, by libfaketime: their wall clock moves, and their monotonic clock does not."""
import os
from pathlib import Path

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


class MachineClock:
    """The wall clock of the processes that have `environment`."""

    def __init__(self, directory):
        assert LIBRARY, "libfaketime is not installed: deploy/install-dependencies"
        self.path = directory / "clock"
        self.environment = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self.path),
                            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.set(0)

    def set(self, seconds):
        """This many seconds from the true time; it is read again at each look at the clock."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        os.replace(fresh, self.path)
