"""The sweep behind a localisation: one folder, extended stage by stage by the arms of the places that are asked for."""

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rvsweep.data.arms import Arm
from rvsweep.data.errors import InputError
from rvsweep.data.outcomes import KNOWN, Outcome, all_outcomes
from rvsweep.data.results import Results, read_results
from rvsweep.job import Sweep
from rvsweep.program import call, find_program
from rvsweep.stats.localization import AXES, Place, check_prompts
from rvsweep.stats.outcome_table import differences_of

UNPATCHED = ("base", "source")
OF_QUERIES = ("q_proj", "z")  # sites with a head for each query head
WITH_HEADS = ("kv_cache", "v_proj", "k_proj", *OF_QUERIES)
_ARMS_AND_CONTROLS = re.compile(r"^(arm|control) = .*\n", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """config: the merged job file without its arms and controls. arm: that is localised, its line as label."""

    config: str
    primary: str
    arm: Arm
    whole: Place
    rows_of_arm: int

    def spec(self, place: Place) -> str:
        """Of the arm that patches `place`, as /arms/spec writes it."""
        words = []
        for word in self.arm.spec.split():
            key = word.split("=")[0]
            part = getattr(place, key, None)
            words.append(
                word if part is None or part == getattr(self.whole, key) else f"{key}={_written(key, part)}"
            )
        return " ".join(words)

    def sweep(self, specs: Sequence[str]) -> Sweep:
        return Sweep(self.config + "".join(f"arm = {self._line(spec)}\n" for spec in specs), None, None)

    def _line(self, spec: str) -> str:
        """As a job file writes the arm: settings of a spec are not all admitted there."""
        if spec in UNPATCHED:
            return spec
        parts = {key: value for key, value in Arm(0, "", "", spec).settings.items() if key in AXES}
        kept = [word for word in self.arm.label.split() if word.split("=")[0] not in (*AXES, "label")]
        return " ".join(
            kept + [f"{key}={value}" for key, value in parts.items() if (key, value) != ("heads", "all")]
        )


def read_job(words: Sequence[str], arm: str, primary: str | None, axes: Sequence[str], error: float) -> Job:
    """Plans the arm and checks all that can be known before a run. `words`: --config and --set of `rvsweep plan`.

    Raises InputError.
    """
    registered = ["--set", f"study.primary={primary}"] if primary else []
    config = _plan([*words, *registered, "--dump-config"])
    primary = re.search(r"^primary = (.*)$", config, re.MULTILINE)[1]
    _check_primary(primary)
    config = _ARMS_AND_CONTROLS.sub("", config)
    with tempfile.TemporaryDirectory(prefix="rvsweep-") as folder:
        file = Path(folder) / "sweep.cfg"
        arms = "".join(f"arm = {line}\n" for line in (*UNPATCHED, arm))
        file.write_text(config + arms, encoding="utf-8")
        specs = [line.split("  =  ")[1] for line in _plan(["--config", file, "--arms"]).splitlines()]
        rows = [json.loads(line) for line in _plan(["--config", file, "--list"]).splitlines()]
    planned = _one_patch(arm, specs)
    rows = [row for row in rows if row["arm"] not in UNPATCHED]
    for name in ("source", "base"):
        prompts = {row[name] for row in rows}
        check_prompts(len(prompts) // 2, len(prompts) < len({row["pair"] for row in rows}), error)
    if all(row["status"] == "refused" for row in rows):
        raise InputError(f"--arm: no pair can be patched: {rows[0]['reason']}")
    tokens = max(min(row["source_tokens"], row["base_tokens"]) for row in rows)
    tokens -= planned.settings.get("entry") == "hold_last"  # b[n-1] has no cell then
    whole = _whole(planned, tokens, _heads(planned, config) if "heads" in axes else 1)
    return Job(config, primary, planned, whole, len(rows))


def _plan(words: Sequence[str | Path]) -> str:
    return call([find_program(), "plan", *words])[1]


def _check_primary(name: str) -> None:
    if name == "none":
        raise InputError("no primary read-out: name one by --primary, or in the job file as [study] primary")
    if any(outcome.bounded for outcome in KNOWN if outcome.name == name):
        raise InputError(
            f"--primary {name}: it cannot be below 0, so no patch can be tested against none: give one that "
            "goes either way, such as logit_diff or logprob_source"
        )


def _one_patch(line: str, specs: Sequence[str]) -> Arm:
    if len(specs) != len(UNPATCHED) + 1:
        raise InputError(
            f"--arm {line}: is {len(specs) - len(UNPATCHED)} arms: give one; its places are found by halving"
        )
    arm = Arm(len(UNPATCHED), line, line.split()[0], specs[-1])
    if "&" in line or line.startswith("preset:") or arm.band is None:
        raise InputError(
            f"--arm {line}: give one patch with its settings, in one range of layers, such as layers=0%:100%"
        )
    return arm


def _whole(arm: Arm, tokens: int, heads: int) -> Place:
    """heads: those of the model where they are to be halved. Positions: `all`, last:k and span:i:j can be halved."""
    words = arm.settings.get("positions", "").split(":")
    positions = None
    if words == ["all"]:
        positions = (0, tokens)
    elif words[0] == "last":
        positions = (0, int(words[1]))
    elif words[0] == "span" and words[1].isdigit():
        positions = (int(words[1]), int(words[2]))
    halved = arm.settings["heads"] == "all" and heads > 1
    return Place(arm.band, (0, heads) if halved else None, positions)


def _heads(arm: Arm, config: str) -> int:
    """That the patched site has in each layer."""
    if arm.kind not in WITH_HEADS:
        return 1
    path = Path(re.search(r"^path = (.*)$", config, re.MULTILINE)[1]) / "config.json"
    try:
        model = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); it says how many heads there are"
        ) from error
    model = model.get("text_config", model)
    queries = model.get("num_attention_heads", model.get("n_head", 1))
    return queries if arm.kind in OF_QUERIES else model.get("num_key_value_heads", queries)


def _written(key: str, part: tuple[int, int]) -> str:
    begin, end = part
    if key == "heads":
        return "+".join(map(str, range(begin, end)))
    if key == "positions":
        return f"span:{begin}:{end}"
    return str(begin) if end == begin + 1 else f"{begin}:{end}"


class Runner:
    """Measures places by running their arms, where the folder has not done so."""

    def __init__(self, job: Job, out: Path, ranks: int):
        """Ends what was begun in the folder; raises ProgramError where that is another job's."""
        self.job, self.out, self.ranks = job, out, ranks
        self.specs = self._begun()
        self.results: Results | None = None
        if self.specs:
            self._run()

    def __call__(self, places: Sequence[Place]) -> np.ndarray:
        """[N, K] as stats.localization.Measure; NaN where a row was refused or failed."""
        wanted = [self.job.spec(place) for place in places]
        lacking = [spec for spec in (*UNPATCHED, *wanted) if spec not in self.specs]
        if lacking:
            self.specs += lacking
            self._run()
        index = {arm.spec: arm.index for arm in self.results.arms}
        return differences_of(self.results, self.outcome)[:, [index[spec] for spec in wanted]]

    def _run(self) -> None:
        options = ["--extend"] if (self.out / "plan.h5").is_file() else []
        self.results = self.job.sweep(self.specs).run(self.out, self.ranks, options).results

    @property
    def outcome(self) -> Outcome:
        found = [outcome for outcome in all_outcomes(self.results) if outcome.name == self.job.primary]
        if not found:
            raise InputError(f"{self.results.path}: no row has a value of {self.job.primary}")
        return found[0]

    def gap(self) -> np.ndarray:
        """[N] the donor's prompt less the recipient's, both unpatched; NaN where it is not known."""
        source = self.results.arm_of_kind("source")
        differences = differences_of(self.results, self.outcome)[:, source.index]
        if self.job.arm.donor_is_base:
            return np.full_like(differences, np.nan) if self.outcome.relative else -differences
        return differences

    def _begun(self) -> list[str]:
        """Specs of the arms that the folder's sweep has, finished or not."""
        if not (self.out / "plan.h5").is_file():
            return []
        with tempfile.TemporaryDirectory(prefix="rvsweep-") as folder:
            file = Path(folder) / "results.h5"
            call([find_program(), "merge", self.out, "--partial", "-o", file])
            arms = read_results(file).arms
        own = self.job.arm.without(*AXES)
        for arm in arms:
            if arm.spec not in UNPATCHED and arm.without(*AXES) != own:
                raise InputError(f"--out {self.out}: has another arm's rows, {arm.spec}: give another folder")
        return [arm.spec for arm in arms]
