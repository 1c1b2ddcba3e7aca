"""The work that two programs are compared on: job files, prompts and tiny models, written once into a folder.

Every path in the words below is relative to that folder, so that two programs read the same files whatever the tree
they were built from has become since.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from shipped_jobs import JOBS, ROOT, config_words

SHORT = ["sweep.bundle_rows=16", "run.threads=1", "generation.max_new_tokens=5", "model.window=4"]
LISTED = ("notebook", "controls", "ioi", "facts", "copy")  # their prompts are pairs, of which two are taken
OTHERWISE = {  # what the short version of a job keeps of the long one
    "notebook": ["generation.max_new_tokens=18", "model.window=16"],
    "rv_transfer": ["generation.max_new_tokens=18", "model.window=16"],
    "replication-large": ["generation.samples=2"],
    **dict.fromkeys(("ioi", "facts", "copy"), ["study.primary=kl_first"]),  # the two pairs have no answers
}
VARIANTS = {  # of shipped jobs, by settings that none of them has
    "notebook on two threads": ("notebook", ["run.threads=2"]),
    "notebook in bundles of automatic size": ("notebook", ["sweep.bundle_rows=auto"]),
    "notebook in a chat template": ("notebook", ["prompts.template=chatml", "model.window_end=user_end"]),
    "cross_model of drawn weights": ("cross_model", ["model.path=drawn", "model.random_weights=7"]),
}
PLANNED = {  # beside every job as it is; some are refused
    "all pairs": ("localization", ["prompts.pairing=cross"]),
    "drawn pairs": ("tokens", ["prompts.pairing=random:3"]),
    "a chat template": ("tokens", ["prompts.template=chatml"]),
    "a template that the tokenizer lacks": ("tokens", ["prompts.template=llama3"]),
    "an unknown key": ("tokens", ["generation.top_q=1"]),
    "an arm that means nothing": ("notebook", ["sweep.arm=kv_cache layers=20:40 heads=9"]),
}
TEXT = "Notice that the observer repeats, and that you are aware of silence while you watch it."

Entry = tuple[str, list[str], list[str]]  # the fields of Work


@dataclass(frozen=True)
class Work:
    name: str
    words: tuple[str, ...]  # of the command line, without the arithmetic and --out
    larger: tuple[str, ...] = ()  # not empty: also carried over from one program to the other, and extended by these

    @property
    def command(self) -> str:
        return self.words[0]


def settings(values: list[str]) -> list[str]:
    return [word for value in values for word in ("--set", value)]


def short_job(job: str, more: list[str]) -> list[str]:
    pairs = "prompts.file=two_pairs.jsonl" if job in LISTED else "prompts.pairs=2"
    return ["run", *config_words(job), *settings([*SHORT, pairs, *OTHERWISE.get(job, []), *more])]


def all_work(folder: Path) -> list[Work]:
    """What `folder` holds the files of; they are written where they are not there."""
    index = folder / "work.json"
    if not index.exists():
        folder.mkdir(parents=True, exist_ok=True)
        index.write_text(json.dumps(write_files(folder), indent=1))
    return [Work(name, tuple(words), tuple(larger)) for name, words, larger in json.loads(index.read_text())]


def write_files(folder: Path) -> list[Entry]:
    for name in ("jobs", "configs"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True)
    if not (folder / "models").exists():
        (folder / "models").symlink_to((ROOT / "models").resolve())
    pairs = (ROOT / "jobs" / "prompts" / "notebook.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "two_pairs.jsonl").write_text("".join(pairs[:2]), encoding="utf-8")
    work = [(job, ["plan", *config_words(job)], []) for job in JOBS]
    work += [(name, ["plan", *config_words(job), *settings(more)], []) for name, (job, more) in PLANNED.items()]
    work += [(job, short_job(job, []), []) for job in JOBS]
    work += [(name, short_job(job, more), []) for name, (job, more) in VARIANTS.items()]
    return work + write_tiny_work(folder)


def write_tiny_work(folder: Path) -> list[Entry]:
    """Random arms on random models, one sweep to be carried over, and every family's sites."""
    import tiny_models
    from parity_study import load
    from random_study import JOBS as RANDOM_JOBS
    from random_arms import Features
    from random_study import write_random_job
    from sweep_job import ARMS, make_sweep

    work = []
    with contextlib.chdir(folder):
        for family in tiny_models.FAMILIES:
            tiny_models.make(family, Path("tiny") / family)
        demo = Path("models/SmolLM2-135M-Instruct")
        for model in (demo, *(Path("tiny") / family for family in tiny_models.FAMILIES)):
            work.append((f"sites of {model.name}", ["probe", "--model", str(model), "--text", TEXT], []))
        shutil.copytree("tiny/qwen2", "drawn", ignore=shutil.ignore_patterns("*.safetensors*"))
        facts = json.loads(Path("drawn/config.json").read_text()) | {"num_hidden_layers": 12}
        Path("drawn/config.json").write_text(json.dumps(facts))
        for model, seed in RANDOM_JOBS:
            loaded = load(demo if model == "demo" else Path("tiny") / model)
            words = write_random_job(Path("random") / f"{model}-{seed}", loaded, model, seed, Features(site_positions=False, pairs=False, later=False)).words
            name = f"random arms {model}-{seed}"
            work += [(name, ["plan", *words], []), (name, ["run", *words, *settings(["sweep.bundle_rows=48"])], [])]
        Path("sweep").mkdir()
        sweep = make_sweep(Path("rvsweep"), Path("tiny/llama"), Path("sweep"))
        words = [str(word) for word in sweep.words(Path("out")) if word != sweep.binary]
        arithmetic = words.index("--out")
        del words[arithmetic : arithmetic + 6]
        arms = [*ARMS, "kv_cache layers=1:4 growth=frozen", "resid_pre layers=3"]
        larger = settings(["generation.samples=3", *(f"sweep.arm={arm}" for arm in arms)])
        work.append(("sampled sweep", words, ["--extend", *larger]))
    return work
