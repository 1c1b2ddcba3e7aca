"""The progress line on stderr: on a terminal alone, also where mpirun stands between."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from processes import ENVIRONMENT, TIME_LIMIT, call, on_ranks

LINE = re.compile(r"\r\x1b\[K\[[#-]{24}\] \d+/(\d+) rows")


def seen_on_a_terminal(words: list[str | Path], ranks: int) -> str:
    """What a command writes to stderr where that is a terminal."""
    ours, theirs = os.openpty()
    command = [*on_ranks(ranks), *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=ENVIRONMENT) as process:
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
def test_a_pipe_does_not(sweep, tmp_path, ranks):
    said = call(sweep.words(tmp_path / "out"), ranks).stderr
    assert "rows ok" in said and not LINE.search(said) and "\x1b" not in said
    assert re.search(r" failed in \d+:\d\d \(\d+\.\d rows/s\)", said)
    again = call(sweep.words(tmp_path / "out"), ranks).stderr
    assert "failed; none was left to compute" in again and "rows/s" not in again
