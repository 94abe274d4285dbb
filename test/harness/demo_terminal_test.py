"""The demo's terminal: what is pinned stays in sight while everything else scrolls."""
import io
import os
import re

from harness.demo.terminal import Terminal

PINNED = ["  the page   http://127.0.0.1:8080/demo.html", "  in psql    psql -h /tmp/odoo_bus_pg.abcdefgh -p 5432 -U postgres demo"]


class Screen(io.StringIO):
    """What a terminal shows of what is written to it, as far as the demo needs it."""

    SEQUENCE = re.compile(r"\0337|\0338|\033\[([\d;]*)([A-Za-z])|\n|[^\033\n]")

    def __init__(self, rows, columns):
        super().__init__()
        self.saved = 0, 0
        self.resize(rows, columns)

    def isatty(self):
        return True

    def size(self):
        return os.terminal_size((self.columns, self.rows))

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.lines = [""] * rows
        self.row = self.column = 0
        self.bottom = rows  # of the region that scrolls

    def write(self, text):
        for found in self.SEQUENCE.finditer(text):
            if found[0] == "\n":
                self._line_feed()
            elif found[0] == "\0337":
                self.saved = self.row, self.column
            elif found[0] == "\0338":
                self.row, self.column = self.saved
            elif found[2]:
                self._control(found[2], [int(number or 0) for number in found[1].split(";")])
            else:
                line = self.lines[self.row]
                self.lines[self.row] = line[:self.column].ljust(self.column) + found[0] + line[self.column + 1:]
                self.column += 1
                assert self.column <= self.columns, "the test writes no lines that wrap"

    def _line_feed(self):
        self.column = 0
        if self.row == self.bottom - 1:
            del self.lines[0]
            self.lines.insert(self.row, "")
        else:
            self.row += 1

    def _control(self, name, numbers):
        if name == "r":
            self.bottom = numbers[-1] or self.rows
            self.row = self.column = 0
        elif name == "H":
            self.row, self.column = numbers[0] - 1, 0
        elif name == "A":
            self.row -= numbers[0]
        elif name == "K":
            self.lines[self.row] = ""
        elif name == "J":
            self.lines = [""] * self.rows if numbers == [2] else self.lines[:self.row] + [""] * (self.rows - self.row)
        else:
            assert name == "m", f"an unknown sequence: {name}"


def print_many(terminal):
    for number in range(100):
        terminal.line(f"line {number}")


def test_the_pinned_lines_stay_at_the_bottom():
    screen = Screen(24, 80)
    screen.write("$ make demo\n")
    terminal = Terminal(screen, screen.size)
    terminal.pin(PINNED)
    assert screen.lines[0] == "$ make demo" and screen.lines[-2:] == PINNED
    print_many(terminal)
    assert screen.lines[-2:] == PINNED
    assert screen.lines[:21] == [f"line {number}" for number in range(80, 100)] + [""]
    # Other lines of the same height, and of another one.
    for lines in (PINNED[::-1], [*PINNED, "  the end    Ctrl-C"]):
        terminal.pin(lines)
        terminal.line("after")
        assert screen.lines[-len(lines):] == lines and "after" in screen.lines


def test_another_size_is_another_layout():
    screen = Screen(24, 80)
    terminal = Terminal(screen, screen.size)
    terminal.pin(PINNED)
    screen.resize(30, 60)  # the second line wraps
    print_many(terminal)
    assert screen.lines[-3:] == [PINNED[0], PINNED[1][:60], PINNED[1][60:]]
    assert screen.lines[25] == "" and screen.lines[24] == "line 99"
    screen.resize(6, 60)  # too few for both
    print_many(terminal)
    assert screen.lines == [*(f"line {number}" for number in range(95, 100)), ""]
    screen.resize(24, 80)
    print_many(terminal)
    assert screen.lines[-2:] == PINNED and screen.lines[20] == ""


def test_the_end_gives_the_whole_screen_back():
    screen = Screen(24, 80)
    terminal = Terminal(screen, screen.size)
    terminal.pin(PINNED)
    print_many(terminal)
    terminal.close()
    terminal.line("the summary")
    assert screen.bottom == 24 and screen.lines[21:] == ["the summary", "", ""]
    print_many(terminal)
    assert screen.lines[22] == "line 99"


def test_a_file_gets_the_lines_once_and_what_changes():
    file = io.StringIO()
    terminal = Terminal(file, lambda: os.terminal_size((80, 24)))
    terminal.pin(PINNED)
    terminal.line("one")
    terminal.pin([PINNED[0], "other"])
    assert file.getvalue().split("\n") == ["", *PINNED, "", "one", "", "other", "", ""]
