"""A sweep described in Python: the config file and prompts that the program reads, and the program called."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rvsweep.data.errors import InputError
from rvsweep.program import CHECKOUT, call, find_program

if TYPE_CHECKING:
    import pandas as pd

    from rvsweep.study import Study

    Pairs = pd.DataFrame | Iterable[Mapping[str, object]] | str | Path


def sweep(
    model: str | Path,
    pairs: "Pairs",
    arms: Sequence[str],
    controls: Sequence[str] = (),
    read_outs: Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
) -> "Sweep":
    """A sweep of `model` over `pairs` under each of `arms`; nothing runs yet.

    model: folder of a Hugging Face model, or a .cfg file with a [model] section, such as those of configs/.
    pairs: a table with the columns pair, source and base, the same as dicts, or a file of prompts.
    arms, controls: as job files write them: "base", "source", "kv_cache layers=16:32"; "other_base", "self".
    read_outs: those to switch on beside the usual ones, such as "forced".
    settings: any other key of a job file, as {"generation.max_new_tokens": 24, "sweep.seed": 2}.
    """
    for name, words in (("arms", arms), ("controls", controls), ("read_outs", read_outs)):
        if isinstance(words, str):
            raise InputError(f"{name}: give a list of texts, not one text")
    model = Path(model).absolute()
    lines = [] if model.suffix == ".cfg" else [("model.path", model)]
    is_file = isinstance(pairs, (str, Path))
    lines += [("prompts.file", Path(pairs).absolute())] if is_file else []
    lines += [(f"readouts.{name}", True) for name in read_outs]
    lines += (settings or {}).items()
    lines += [("sweep.arm", arm) for arm in arms]
    lines += [("sweep.control", ", ".join(controls))] if controls else []
    return Sweep(_ini(lines), None if is_file else _jsonl(pairs), model if model.suffix == ".cfg" else None)


@dataclass(frozen=True)
class Sweep:
    """`config`: a job file's text; `prompts`: JSON lines, None where it names their file; `model`: a .cfg file."""

    config: str
    prompts: str | None
    model: Path | None

    def plan(self) -> dict:
        """What would run: rows, refused rows, bundles, memory in bytes, seconds. Raises ProgramError."""
        with tempfile.TemporaryDirectory(prefix="rvsweep-") as folder:
            return json.loads(call([find_program(), "plan", *self._words(Path(folder)), "--json"])[1])

    def run(self, out: str | Path, ranks: int = 1, options: Sequence[str] = ()) -> "Study":
        """Runs the sweep on this machine, or resumes it, and gives its study; `out` is its folder.

        The config and prompts stay in `out`. ranks: processes under mpirun. options: further words of
        `rvsweep run`, such as ["--extend"]. Raises ProgramError; exit_code 75: stopped early, run again. Rows
        that were refused or failed are in the study with their reasons.
        """
        from rvsweep.study import load

        launcher = ["mpirun", "--bind-to", "none", "-n", str(ranks)] if ranks > 1 else []
        call([*launcher, find_program(), "run", *self._run_words(Path(out)), *options])
        return load(Path(out) / "results.h5")

    def submit(
        self,
        out: str | Path,
        slurm: Mapping[str, object] | None = None,
        batch_file: str | Path = CHECKOUT / "slurm" / "cpu.sbatch",
    ) -> str:
        """Submits the sweep to Slurm and gives the job's number; rvsweep.load(out) reads what it wrote.

        slurm: options of sbatch, as {"nodes": 2, "time": "4:00:00"}. batch_file: one like those of slurm/.
        """
        batch_file = Path(batch_file).absolute()
        if not batch_file.is_file():
            raise InputError(f"{batch_file}: no such file; give a batch file like those of rvsweep's slurm/")
        options = [f"--{name.replace('_', '-')}={value}" for name, value in (slurm or {}).items()]
        words = ["sbatch", "--parsable", *options, batch_file, *self._run_words(Path(out))]
        environment = {**os.environ, "RVSWEEP": str(find_program())}
        said = call(words, env=environment, cwd=batch_file.parent.parent)[1]
        return said.strip().split(";")[0]

    def _run_words(self, out: Path) -> list[str | Path]:
        try:
            out.mkdir(parents=True, exist_ok=True)
            return [*self._words(out.absolute()), "--out", out.absolute()]
        except OSError as error:
            raise InputError(f"{out}: cannot be written ({error.strerror}); give another folder") from error

    def _words(self, folder: Path) -> list[str | Path]:
        """Writes config and prompts into `folder`. Their names hold a hash, so that no other sweep's are replaced."""
        config = self.config
        if self.prompts is not None:
            config += f"\n[prompts]\nfile = {_written(folder, 'pairs', '.jsonl', self.prompts)}\n"
        files = [self.model] if self.model else []
        files.append(_written(folder, "sweep", ".cfg", config))
        return [word for file in files for word in ("--config", file)]


def _written(folder: Path, stem: str, suffix: str, text: str) -> Path:
    path = folder / f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


def _ini(lines: list[tuple[str, object]]) -> str:
    """Sections in the order of their first key."""
    sections: dict[str, list[str]] = {}
    for key, value in lines:
        section, dot, name = key.partition(".")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if not dot:
            raise InputError(f"settings: {key}: name the section too, as generation.max_new_tokens")
        if "\n" in text or " #" in text:
            raise InputError(f"{key}: {text!r}: a setting is one line without a comment")
        sections.setdefault(section, []).append(f"{name} = {text}")
    return "\n".join(f"[{section}]\n" + "\n".join(held) + "\n" for section, held in sections.items())


def _jsonl(pairs: "Pairs") -> str:
    """One object a line; a cell without a value (None, NaN, <NA>) is left out."""
    records = pairs.to_dict("records") if hasattr(pairs, "to_dict") else pairs
    lines = []
    for record in records:
        kept = {name: value for name, value in record.items() if not _missing(value)}
        lines.append(json.dumps(kept, ensure_ascii=False, default=_plain) + "\n")
    return "".join(lines)


def _missing(value: object) -> bool:
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and value != value)


def _plain(value: object) -> object:
    """A NumPy number as Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise InputError(f"pairs: {value!r} is no text, number, list or dict")
