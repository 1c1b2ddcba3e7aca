"""The program rvsweep, run from Python: where it is, its progress shown as at a terminal, its messages raised."""

import codecs
import contextlib
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tty
from collections.abc import Sequence
from pathlib import Path

from rvsweep.data.errors import InputError

CHECKOUT = Path(__file__).resolve().parents[2]  # where the package lies in one
_ERROR = re.compile(r"\d\d:\d\d:\d\d error(?: rank \d+)?: (.*)")
_PROGRESS = re.compile(r"\r\x1b\[K\[[^\r\n]*")  # as src/core/log.cpp writes it
LAST_LINES = 12  # of a message that is not rvsweep's, such as mpirun's


class ProgramError(InputError):
    """A program ended with `exit_code`; the text is its message."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def find_program() -> Path:
    """RVSWEEP_PROGRAM, else build/rvsweep of the checkout around this package, else rvsweep on PATH."""
    built = CHECKOUT / "build" / "rvsweep"
    named = os.environ.get("RVSWEEP_PROGRAM")
    found = named or (built if built.is_file() else shutil.which("rvsweep"))
    if not found:
        raise InputError(f"no program rvsweep at {built} or on PATH: build it, or name it by RVSWEEP_PROGRAM")
    return Path(found).resolve()


def call(words: Sequence[str | Path], **options) -> tuple[int, str]:
    """Exit code and stdout. stderr is shown as it comes; an interrupt ends rvsweep in good order first.

    Raises ProgramError where the program ends with anything but 0 or 3 (finished, some rows failed).
    """
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=theirs, **options
            )
        except OSError as error:
            raise InputError(f"{words[0]}: cannot be run ({error.strerror})") from error
        finally:
            os.close(theirs)
        said = _shown(ours, process)
        code = process.wait()
        output.seek(0)
        text = output.read()
    if code not in (0, 3):
        raise ProgramError(_message(said, words), code)
    return code, text


def _shown(terminal: int, process: subprocess.Popen) -> str:
    """What the process writes to its terminal, until it ends."""
    decoder, said, interrupted = codecs.getincrementaldecoder("utf-8")("replace"), "", False
    with contextlib.closing(os.fdopen(terminal, "rb", buffering=0)) as stream:
        while True:
            try:
                data = stream.read(4096)
                if not data:
                    break
                part = decoder.decode(data)
                if part != said[-len(part) :]:  # progress that has not moved
                    sys.stderr.write(part)
                    sys.stderr.flush()
                said += part
            except OSError:  # the other end is closed
                break
            except KeyboardInterrupt:
                interrupted = True
                process.send_signal(signal.SIGUSR1)
    if interrupted:
        process.wait()
        raise KeyboardInterrupt
    return said


def _message(said: str, words: Sequence[str | Path]) -> str:
    lines = [line for line in _PROGRESS.sub("", said).splitlines() if line.strip()]
    errors = dict.fromkeys(match[1] for line in lines if (match := _ERROR.search(line)))
    return "\n".join(errors) or "\n".join(lines[-LAST_LINES:]) or f"{words[0]} ended without a message"
