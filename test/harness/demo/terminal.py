"""The terminal of the demo."""
import math
import shutil
import sys
import threading

BOLD, DIM, CYAN, GREEN, PLAIN = "\033[1m", "\033[2m", "\033[36m", "\033[32m", "\033[0m"


class Terminal:
    """Prints lines above some that stay in sight at the bottom: the terminal scrolls only the region above them.

    What is not a terminal, or has too few rows, gets those lines once, and again what changes of them.
    """

    LEAST = 4  # rows for what scrolls

    def __init__(self, stream=None, size=shutil.get_terminal_size):
        self.stream = stream or sys.stdout
        self.size = size
        self.pinned = []
        self._height = 0  # of the pinned lines in rows, while they are pinned
        self._size = None
        self._lock = threading.RLock()

    def style(self, code, text):
        return f"{code}{text}{PLAIN}" if self.stream.isatty() else text

    def pin(self, lines):
        with self._lock:
            new = [line for line in lines if line not in self.pinned]
            self.pinned = lines
            if not self._lay_out():
                self._write("".join(f"{line}\n" for line in ["", *new, ""]))

    def line(self, text):
        with self._lock:
            if self.pinned and self.size() != self._size:
                self._lay_out()
            self._write(text + "\n")

    def close(self):
        """Everything scrolls again; what was pinned makes room."""
        with self._lock:
            self._unpin()
            self.pinned = []

    def _lay_out(self):
        """Whether the lines are pinned now."""
        size = self.size()
        rows = [self.style(DIM, "─" * size.columns), *(row for line in self.pinned for row in self._wrapped(line, size.columns))]
        height = len(rows)
        bottom = size.lines - height  # of what scrolls
        if not self.stream.isatty() or bottom < self.LEAST:
            self._unpin()
        else:
            if (self._height, self._size) != (height, size):
                self._unpin()
                room = "\n" * height + f"\033[{height}A"
                self._write(f"{room}\0337\033[1;{bottom}r\0338")
            drawn = "".join(f"\033[{bottom + n};1H\033[2K{row}" for n, row in enumerate(rows, 1))
            self._write(f"\0337{drawn}\0338")
            self._height = height
        self._size = size
        return self._height > 0

    def _unpin(self):
        if self._height:
            # After a change of the size it is not known what is where on the screen.
            first = self._size.lines - self._height + 1
            self._write("\033[r" + (f"\033[{first};1H\033[J" if self.size() == self._size else "\033[2J\033[1;1H"))
            self._height = 0

    @staticmethod
    def _wrapped(line, columns):
        return [line[n * columns:(n + 1) * columns] for n in range(max(math.ceil(len(line) / columns), 1))]

    def _write(self, text):
        self.stream.write(text)
        self.stream.flush()
