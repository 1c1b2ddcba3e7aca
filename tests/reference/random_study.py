"""A random job through `rvsweep run` and the reference along the tokens that rvsweep chose."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

import readouts
from controls import Compiled, Study, compiled
from explicit_model import SITES, ExplicitModel
from family_spec import FamilySpec
from parity_study import NEAR_TIE, LoadedModel
from prompt_texts import pairs_of_lengths, text_of_length, write_pairs
from random_arms import ALL, OTHER, SPAN, SWEEP_SEED, Features, Job, Row, random_job
from reference_run import Trajectory, run
from row_spec import Pair, Prompt, Refusal, RowSpec, read_prompt
from rvsweep_cli import Results, read_results, write_config
from rvsweep_cli import run as run_rvsweep

# In turn of the pairs; of the last but one nothing is known on one side, of the last both begin alike.
ANSWERS = (
    {"source": " you", "base": " the"},
    {"source": [" attention", "Paris", " Paris"], "base": ["a", " I"]},
    {"source": " recursive"},
    {"source": " language", "base": [" language", " two"]},
)
TOKEN_SETS = {"recursive": ["a", "e", "the", "you"], "task": ["b", "i", "of", "in"]}


def lens_layers(loaded: LoadedModel) -> tuple[int, ...]:
    """Two inner layers, and the last one, whose logit lens are the logits themselves."""
    return 0, 2, loaded.n_layers - 1


@dataclass(frozen=True)
class Readouts:
    """Drawn for a whole job."""

    sites: tuple[str, ...] = ()
    windows: tuple[int, ...] = ()  # the job's first
    attention: tuple[int, ...] = ()  # layers
    distance: tuple[int, ...] = ()

    def settings(self, n_layers: int) -> list[str]:
        def text(layers: tuple[int, ...]) -> str:
            return "true" if len(layers) == n_layers else ",".join(map(str, layers))

        return [
            f"readouts.spectra_sites={','.join(self.sites)}",
            f"model.window={','.join(map(str, self.windows))}",
            f"readouts.attention={text(self.attention)}",
            f"readouts.state_distance={text(self.distance)}",
            "readouts.malformed=true",
        ]


def random_readouts(seed: int, n_layers: int, window: int) -> Readouts:
    rng = random.Random(f"{seed}, read-outs")
    sites = tuple(rng.sample(SITES, rng.choice((1, 2, 3))))
    windows = (window, *rng.choice(((), (window - 1,), (window + 3, window - 2))))
    some = tuple(range(n_layers)), (0, n_layers - 1)
    return Readouts(sites, windows, rng.choice(some), rng.choice(some))


@dataclass(frozen=True)
class Compared:
    """A row of results.h5; `reference` was fed rvsweep's tokens where the row is ok, and chose its own elsewhere."""

    name: str
    index: int
    row: Row
    pair: Pair
    status: str
    tokens: list[int]
    made: Compiled | Refusal
    reference: Trajectory | Refusal

    @property
    def both_ran(self) -> bool:
        return self.status == "ok" and isinstance(self.reference, Trajectory)


@dataclass
class RandomStudy:
    loaded: LoadedModel
    study: Study
    job: Job
    max_new_tokens: int
    results: Results
    texts: list[dict]  # the pairs as they were written
    readouts: Readouts = Readouts()
    unpatched_runs: dict[tuple, Trajectory] = field(default_factory=dict)

    @property
    def model(self) -> ExplicitModel:
        return self.study.model

    @cached_property
    def rows(self) -> list[Compared]:
        labels = list(self.results.arms["label"])
        places = [(row, labels.index(row.label)) for row in self.job.rows]
        return [
            self._compared(row, arm, pair)
            for row, arm in places
            for pair in self.study.pairs
            if pair.is_asked(row.arm, row.of)
        ]

    @property
    def ran(self) -> list[Compared]:
        return [row for row in self.rows if row.both_ran]

    def _compared(self, row: Row, arm: int, pair: Pair) -> Compared:
        index = self.results.row(pair.id, arm)
        status = str(self.results.rows["status"][index])
        tokens = self.results.tokens(index) if status == "ok" else None
        made = compiled(self.study, row.arm, pair, row.control, row.only)
        reference = self.run(made, tokens)
        reason = self.results.rows["reason"][index]
        name = f"{row.label} of {pair.id}: {row.arm}, control {row.control}: {status} {reason}"
        return Compared(name, index, row, pair, status, tokens or [], made, reference)

    def run(self, made: Compiled | Refusal, forced: list[int] | None) -> Trajectory | Refusal:
        if isinstance(made, Refusal):
            return made
        return run(self.model, made.row, made.recipient, made.donors, self.max_new_tokens, self.loaded.stop_ids, forced)

    def unpatched(self, pair: Pair, side: str, forced: list[int] | None = None) -> Trajectory:
        """Kept, as every row of a pair is compared with the same few."""
        key = pair.id, side, tuple(forced or ())
        if key not in self.unpatched_runs:
            self.unpatched_runs[key] = self.run(compiled(self.study, RowSpec(side), pair), forced)
        return self.unpatched_runs[key]

    def forced_readouts(self, compared: Compared) -> dict[str, float]:
        """kl_forced_* and logprob_*: along the continuations of both prompts, against the recipient's unpatched run."""
        recipient, donor = sides(compared)
        out = {}
        for name, side in (("base", recipient), ("source", donor)):
            path = self.unpatched(compared.pair, side).tokens
            before = self.unpatched(compared.pair, recipient, path)
            after = self.run(compared.made, path)
            result = readouts.forced(before, after)
            out |= {f"kl_forced_{name}": result.kl, f"logprob_{name}": result.logprob}
        return out

    def first_readouts(self, compared: Compared) -> dict[str, float]:
        recipient, _ = sides(compared)
        before = self.unpatched(compared.pair, recipient, compared.tokens[:1]).steps[0]
        after = compared.reference.steps[0]
        sets = [self.token_ids(words) for words in TOKEN_SETS.values()]
        return {"kl_first": float(readouts.kl(before, after)), "lse_difference": readouts.lse_difference(after, *sets)}

    def answers(self, pair: Pair) -> dict[str, list[str]]:
        """By side, empty where unknown."""
        written = next(text for text in self.texts if text["pair"] == pair.id)["answer"]
        as_list = lambda answer: [answer] if isinstance(answer, str) else answer
        return {side: as_list(written.get(side, [])) for side in ("source", "base")}

    def answer_tokens(self, pair: Pair) -> dict[str, list[int]]:
        """By side: the tokens that follow a colon where the texts do."""
        encode = lambda words: self.loaded.tokenizer.encode(words, add_special_tokens=False).ids
        first = lambda text: encode("Answer:" + text)[len(encode("Answer:"))]
        return {side: sorted({first(text) for text in texts}) for side, texts in self.answers(pair).items()}

    def token_ids(self, words: list[str]) -> list[int]:
        """Vocabulary entries that are exactly a word, with or without a space before."""
        encode = lambda text: self.loaded.tokenizer.encode(text, add_special_tokens=False).ids
        ids = [encode(text) for word in words for text in (word, " " + word)]
        return sorted({one[0] for one in ids if len(one) == 1})


def sides(compared: Compared) -> tuple[str, str]:
    """Which of the pair's prompts the row's recipient is, and the other."""
    direction = compared.made.row.direction
    return ("base", "source") if direction == "source_to_base" else ("source", "base")


def near_ties(compared: Compared) -> int:
    """Steps at which the reference ranks another token first, by less than NEAR_TIE; more is an error.

    The reference was fed rvsweep's tokens: up to the first such step its own greedy run is the same run, token by
    token, at that step its top-two margin is below NEAR_TIE, and from there on it is teacher-forced.
    """
    logits = compared.reference.logits
    assert compared.reference.tokens == compared.tokens, compared.name
    gaps = logits.max(dim=1).values - logits[torch.arange(len(logits)), torch.tensor(compared.tokens)]
    assert float(gaps.max()) < NEAR_TIE, f"{compared.name}: {compared.tokens}, behind by {gaps.tolist()}"
    return int((gaps > 0).sum())


@dataclass(frozen=True)
class Size:
    seeds: tuple[int, ...]
    n_arms: int
    n_joint: int  # arms of several patches
    n_controls: int
    n_pairs: int
    max_new_tokens: int


TINY = Size(seeds=(1, 2), n_arms=40, n_joint=20, n_controls=14, n_pairs=4, max_new_tokens=10)
DEMO = Size(seeds=(3,), n_arms=30, n_joint=8, n_controls=6, n_pairs=3, max_new_tokens=6)
ONE = Size(seeds=(1,), n_arms=40, n_joint=10, n_controls=14, n_pairs=4, max_new_tokens=10)
SIZES = {"llama": TINY, "llama31": ONE, "mistral": ONE, "qwen2": replace(ONE, seeds=(2,)), "demo": DEMO, "qwen3": TINY}
SIZES |= dict.fromkeys(("olmo2", "gemma2", "gemma3_text", "gpt_neox", "gpt2", "phi3", "llama_yarn"), ONE)
SIZES |= dict.fromkeys(("ministral", "olmo3"), replace(ONE, seeds=(2,)))
LONG = ("llama", 10)  # some prompts are too long to be padded
LONGER = 560  # tokens of these
JOBS = [*((model, seed) for model, size in SIZES.items() for seed in size.seeds), LONG]


@dataclass(frozen=True)
class Written:
    """A job on the disk."""

    job: Job
    texts: list[dict[str, str]]  # the pairs
    filler: str
    max_new_tokens: int
    words: list[str]  # of the command line, after `run`
    readouts: Readouts = Readouts()


def job_of(name: str, seed: int, spec: FamilySpec, folder: Path, features: Features = ALL) -> Job:
    """The random job of a model of SIZES and one of its seeds."""
    size = SIZES[name]
    return random_job(seed_of(name, seed), spec, size, folder, features)


def seed_of(name: str, seed: int) -> int:
    return 100 * list(SIZES).index(name) + seed


def span_of(text: str) -> tuple[int, int] | None:
    """Characters [begin, end) of a prompt that are called SPAN; the same of equal texts, now and then none."""
    rng = random.Random(text)
    if not text or rng.random() < 0.1:
        return None
    begin = rng.randrange(len(text))
    return begin, rng.randint(begin + 1, min(len(text), begin + 30))


def with_spans(texts: dict[str, str]) -> dict:
    """A pair with its spans as the file has them: as a text where it occurs once."""
    written = {}
    for side in ("source", "base"):
        if part := span_of(texts[side]):
            text = texts[side][slice(*part)]
            written[side] = text if texts[side].find(text) == texts[side].rfind(text) else list(part)
    return texts | ({"spans": {SPAN: written}} if written else {})


def write_random_job(folder: Path, loaded: LoadedModel, name: str, seed: int, features: Features = ALL) -> Written:
    """`folder` is made; it gets the config and all files that the config names."""
    folder.mkdir(parents=True)
    job = job_of(name, seed, loaded.explicit.spec, folder, features)
    if (name, seed) == LONG:
        (n, m), (n_short, m_long) = job.lengths[:2]
        job.lengths[:2] = [(n + LONGER, m + LONGER), (n_short, m_long + LONGER)]
    texts = pairs_of_lengths(loaded.tokenizer, job.lengths, seed_of(name, seed))
    if SIZES[name].n_pairs > 3:
        texts.append({"pair": "equal", "base": texts[0]["base"], "source": texts[0]["base"]})
    if job.asked:
        texts[1]["base_group"] = OTHER
        texts[2]["arms"] = job.asked
    if "first_token" in features.readouts:
        texts = [text | {"answer": answer} for text, answer in zip(texts, itertools.cycle(ANSWERS))]
    filler = text_of_length(loaded.tokenizer, 34, seed=seed_of(name, seed) + 500)  # shorter than the longest donors
    if not features.later:
        return write_job(folder, loaded, job, texts, filler, SIZES[name].max_new_tokens, features)
    drawn = random_readouts(seed_of(name, seed), loaded.n_layers, job.window)
    settings = drawn.settings(loaded.n_layers)
    written = write_job(folder, loaded, job, texts, filler, SIZES[name].max_new_tokens, features, settings)
    return replace(written, readouts=drawn)


def write_job(
    folder: Path,
    loaded: LoadedModel,
    job: Job,
    texts: list[dict[str, str]],
    filler: str,
    max_new_tokens: int,
    features: Features,
    more_settings: Sequence[str] = (),
) -> Written:
    texts = [with_spans(text) for text in texts]
    config = write_config(
        folder / "study.cfg",
        loaded.folder,
        write_pairs(folder / "pairs.jsonl", texts),
        job.arm_lines,
        loaded.early_layer,
        loaded.late_layer,
        max_new_tokens,
        job.window,
    )
    with config.open("a") as file:
        file.writelines(f"control = {line}\n" for line in job.control_lines)
    (folder / "filler.txt").write_text(filler, encoding="utf-8")
    (folder / "token_sets.json").write_text(json.dumps(TOKEN_SETS))
    settings = ["run.threads=1", f"sweep.seed={SWEEP_SEED}", *more_settings]
    if "filler" in features.controls:
        settings.append(f"prompts.filler={folder / 'filler.txt'}")
    for name in features.readouts:
        layers = ",".join(map(str, lens_layers(loaded)))
        settings.append(f"readouts.{name}=" + (layers if name == "logit_lens" else "true"))
    if "first_token" in features.readouts:
        settings.append(f"readouts.token_sets={folder / 'token_sets.json'}")
    sets = [word for setting in settings for word in ("--set", setting)]
    return Written(job, texts, filler, max_new_tokens, ["--config", str(config), *sets])


def run_written(
    binary: Path,
    out: Path,
    loaded: LoadedModel,
    written: Written,
    read: Callable[[Tokenizer, str], Prompt] = read_prompt,
) -> RandomStudy:
    """`read`: a prompt as the model reads it, where settings put it in a chat template."""
    run_rvsweep(binary, "run", *written.words, "--out", out, "--device", "cpu", "--dtype", "float32")
    def read_side(text: dict, side: str) -> Prompt:
        prompt, part = read(loaded.tokenizer, text[side]), span_of(text[side])
        return replace(prompt, named=((SPAN, part),) if part else ())

    def read_pair(text: dict) -> Pair:
        base, source = (read_side(text, side) for side in ("base", "source"))
        groups = "source", text.get("base_group", "base")
        return Pair(text["pair"], base, source, groups, tuple(text.get("arms", ())))

    pairs = [read_pair(text) for text in written.texts]
    filler = read_prompt(loaded.tokenizer, written.filler)
    study = Study(loaded.explicit, pairs, SWEEP_SEED, filler)
    results = read_results(out / "results.h5")
    return RandomStudy(
        loaded, study, written.job, written.max_new_tokens, results, written.texts, written.readouts
    )
