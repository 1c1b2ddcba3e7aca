"""`rvsweep status --watch`: a page on a terminal, lines elsewhere, an exit code that tells how the sweep ended."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

from processes import ENVIRONMENT, TIME_LIMIT, Running, call, segments

COLUMNS, LINES = 64, 14


class Screen:
    """As much of a terminal as the page uses; anything else fails."""

    ESCAPE = re.compile(r"\x1b\[(\??)(\d*)([A-Za-z])")

    def __init__(self) -> None:
        self.lines = [""] * LINES
        self.row = self.column = 0
        self.cursor_is_shown = True
        self.wrapped = False

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                escape = self.ESCAPE.match(text, at)
                assert escape, repr(text[at : at + 10])
                self.obey(*escape.groups())
                at = escape.end()
                continue
            if text[at] == "\r":
                self.column = 0
            elif text[at] == "\n":
                self.row += 1
                if self.row == LINES:
                    self.row, self.lines = LINES - 1, [*self.lines[1:], ""]
            else:
                self.wrapped |= self.column >= COLUMNS
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + text[at] + line[self.column + 1 :]
                self.column += 1
            at += 1

    def obey(self, question: str, number: str, letter: str) -> None:
        if question:
            assert number == "25"
            self.cursor_is_shown = letter == "h"
        elif letter == "A":
            self.row -= int(number)
            assert self.row >= 0
        elif letter == "K":
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif letter == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            self.lines[self.row + 1 :] = [""] * (LINES - self.row - 1)
        else:
            raise AssertionError(f"unknown escape {letter}")


class Terminal:
    """A command with a terminal of its own."""

    def __init__(self, words: list[str | Path]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
            os.execvpe(words[0], list(map(str, words)), ENVIRONMENT)
        self.text = ""

    def read(self, until: str | None = None) -> None:
        """Until the text holds `until`, or the command ends."""
        deadline = time.monotonic() + TIME_LIMIT
        while until is None or until not in self.text:
            assert time.monotonic() < deadline, self.text
            if not select.select([self.fd], [], [], 1)[0]:
                continue
            try:
                part = os.read(self.fd, 65536)
            except OSError:  # the command has ended
                part = b""
            if not part:
                assert until is None, self.text
                return
            self.text += part.decode()

    def wait(self) -> int:
        self.read()
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @property
    def screen(self) -> Screen:
        screen = Screen()
        screen.feed(self.text)
        return screen


def test_a_page_is_drawn_in_place_until_the_sweep_is_over(sweep, tmp_path):
    out = tmp_path / "out"
    with Running(sweep.words(out), 2, tmp_path / "log") as running:
        running.wait_until(lambda: len(segments(out)) >= 1)
        with running.paused():
            terminal = Terminal([sweep.binary, "status", out, "--watch"])
            terminal.read(until="running")
            terminal.read(until="\x1b[?25h")
        assert terminal.wait() == 0, terminal.text
        assert running.wait() == 0, running.log.read_text()
    first = Screen()
    first.feed(terminal.text[: terminal.text.index("\x1b[?25h")])
    assert [line[:5] for line in first.lines if re.match(r"  [01] ", line)] == ["  0  ", "  1  "]
    assert terminal.text.count("\x1b[?25h") >= 2  # frames
    screen = terminal.screen
    assert screen.cursor_is_shown and not screen.wrapped and screen.column == 0
    assert screen.lines[0] == f"finished: {out}"[:COLUMNS] and sum("rows done" in line for line in screen.lines) == 1
    assert screen.lines[1].endswith("] 100 %") and " 0 left" in screen.lines[2]
    assert (out / "results.h5").exists()


def test_control_c_ends_the_watching_and_leaves_the_terminal_as_it_was(sweep, tmp_path):
    out = tmp_path / "out"
    with Running(sweep.words(out), 0, tmp_path / "log") as running:
        running.wait_until(lambda: len(segments(out)) >= 1)
        with running.paused():
            terminal = Terminal([sweep.binary, "status", out, "--watch"])
            terminal.read(until="\x1b[?25h")
            os.write(terminal.fd, b"\x03")
            assert terminal.wait() == 130, terminal.text
        assert running.wait() == 0
    terminal.text = terminal.text.replace("^C", "")
    assert terminal.screen.cursor_is_shown and terminal.screen.column == 0


def test_elsewhere_it_writes_lines(sweep, tmp_path):
    out = tmp_path / "out"
    with Running(sweep.words(out), 0, tmp_path / "log") as running:
        running.wait_until(lambda: len(segments(out)) >= 1)
        with running.paused():
            words = [str(sweep.binary), "status", str(out), "--watch"]
            watching = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            lines = [watching.stdout.readline()]
        lines += watching.communicate(timeout=TIME_LIMIT)[0].splitlines()
        assert running.wait() == 0
    assert watching.returncode == 0
    assert lines[0].startswith("running: ") and lines[-1].startswith("finished: ")
    assert all(re.match(r"\w+: \d+ of \d+ rows done, ", line) for line in lines)
    assert "\x1b" not in "".join(lines)


def test_the_exit_code_tells_how_the_sweep_ended(sweep, copy_of_finished, tmp_path):
    watch = ["status", copy_of_finished, "--watch"]
    assert sweep.call(*watch).stdout.startswith("finished: ")
    status = copy_of_finished / "status.json"
    content = json.loads(status.read_text())
    status.write_text(json.dumps(content | {"rows_failed": 2}))
    sweep.call(*watch, expect=3)
    status.write_text(json.dumps(content | {"state": "running"}))
    assert sweep.call(*watch, expect=1).stdout.startswith("died: ")
    out = tmp_path / "out"
    sweep.run(out, "--max-time", "0.3s", expect=75)
    assert sweep.call("status", out, "--watch", expect=75).stdout.startswith("stopped: ")
    assert json.loads(sweep.call("status", out, "--watch", "--json", expect=75).stdout)["state"] == "stopped"


def test_a_folder_without_a_sweep_is_one_message(sweep, tmp_path):
    result = call([sweep.binary, "status", tmp_path, "--watch"])
    assert result.returncode == 2 and str(tmp_path) in result.stderr and not result.stdout
