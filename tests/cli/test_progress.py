"""The progress line on stderr: on a terminal alone, also where mpirun stands between."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from processes import ENVIRONMENT, TIME_LIMIT, call, on_ranks

LINE = re.compile(r"\r\x1b\[K\[[#-]{24}\] \d+/(\d+) rows")


def seen_on_a_terminal(words: list[str | Path], ranks: int, columns: int = 0) -> str:
    """What a command writes to stderr where that is a terminal; one that does not know its size has 0 columns."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "COLUMNS"}
    command = [*on_ranks(ranks), *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # nobody holds the other end any more
                part = b""
            if not part:
                break
            text += part
        assert process.wait(TIME_LIMIT) == 0, text.decode()
    os.close(ours)
    return text.decode()


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_terminal_shows_it(sweep, finished, tmp_path, ranks):
    shown = LINE.findall(seen_on_a_terminal(sweep.words(tmp_path / "out"), ranks))
    computable = int((finished.results.rows["status"] == "ok").sum())
    assert shown and set(shown) == {str(computable)}


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_narrow_terminal_wraps_no_line_of_it(sweep, tmp_path, ranks):
    text = seen_on_a_terminal(sweep.words(tmp_path / "out"), ranks, columns=40)
    lines = re.findall(r"(?:\r\x1b\[K|\n)((?:\[[#-]+\] )?\d+/\d+ rows[^\r\n\x1b]*)", text)
    assert any("ETA" in line for line in lines)
    assert max(map(len, lines)) < 40


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_pipe_does_not(sweep, tmp_path, ranks):
    said = call(sweep.words(tmp_path / "out"), ranks).stderr
    assert "rows ok" in said and not LINE.search(said) and "\x1b" not in said
    assert re.search(r" failed in \d+:\d\d \(\d+\.\d rows/s\)", said)
    again = call(sweep.words(tmp_path / "out"), ranks).stderr
    assert "failed; none was left to compute" in again and "rows/s" not in again
    status = sweep.call("status", tmp_path / "out").stdout
    assert "done, 0 left" in status and "rows/s" not in status
