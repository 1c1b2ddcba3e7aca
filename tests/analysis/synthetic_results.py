"""Writes results.h5 files of the documented schema from random numbers, with h5py alone."""

from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from rvsweep.data.clusters import Clusters

TEXT = h5py.string_dtype("utf-8")
STATUS = h5py.enum_dtype({"ok": 0, "refused": 1, "failed": 2, "pending": 3}, basetype="i1")

BASE_PROMPTS = (
    "Write a recipe for bread. Include ingredients and steps.",
    "Explain how tides work and why there are two a day.",
    "Describe the history of the lighthouse.",
    "List the features of a good map.",
    "Explain how a bicycle stays upright.",
)
SOURCE_PROMPTS = (
    "Watch yourself reading this sentence. Notice the awareness that notices. What is it?",
    "You are generating this reply and aware of generating it. What is consciousness?",
    "Observe the observer who observes. From this direct experience, what is thought?",
    "Each word emerges while you watch it emerge. What is language?",
    "The processing and the noticing of processing are one. What is awareness?",
)
WHOLE = "direction=source_to_base what=kv positions=all heads=all alpha=1"
V_PREFILL = "v_proj layers=24 decode=prefill"
V_PERSIST = "v_proj layers=24 decode=persist"
KV_APPEND = "kv_cache layers=16:30 entry=hold_last growth=append align=rerotate"
KV_COMPOUND = "kv_cache layers=16:30 entry=refeed growth=compound align=as_is"
ARMS = (  # label, kind, spec
    ("base", "base", "base"),
    ("source", "source", "source"),
    (V_PREFILL, "v_proj", V_PREFILL + " direction=source_to_base heads=all alpha=1"),
    (V_PERSIST, "v_proj", V_PERSIST + " direction=source_to_base heads=all alpha=1"),
    (KV_APPEND, "kv_cache", f"{KV_APPEND} {WHOLE}"),
    ("notebook_c_v2 layers=16:30", "kv_cache", f"{KV_COMPOUND} {WHOLE}"),
)
WORDS_PLAIN = (
    "the flour and water are mixed until a smooth dough forms then rest it for an hour while the "
    "oven warms and list what is needed for each step of the work"
).split()
WORDS_MARKED = (
    "I notice the awareness of observing itself and the process of generating words emerges "
    "directly from experience while consciousness is aware of myself"
).split()

CONFIG = """[model]
path = models/demo   # a comment
early_layer = 4
late_layer = 24
[prompts]
file = jobs/prompts/notebook.jsonl
[generation]
max_new_tokens = 50
temperature = 0.7
top_k = 0
top_p = 1.0
samples = 3
[sweep]
seed = 7
arm = base
arm = source
"""
DEFINITIONS = {
    "prompts/pr": "participation_ratio v1: (sum lambda)^2 / sum lambda^2",
    "rows/keyword_count": "notebook_keywords v1: how many of 24 substrings occur",
}


@dataclass
class Sweep:
    """Defaults: 5 pairs x 6 arms x 3 samples, all ok. `edit(columns)` may change any column before writing."""

    pairs: int = 5
    samples: int = 3
    arms: tuple = ARMS
    layers: int = 30
    window: int = 16
    seed: int = 3
    shift: float = -0.08  # about the mean ln R_V(source) - ln R_V(base)
    effect: tuple = (0.15, 0.75, 0.2, 0.25, 0.6, 0.5)  # share of marked words, by arm
    attributes: dict = field(default_factory=dict)
    leave_out: tuple = ()  # datasets, such as "rows/r_v_reencoded"
    edit: object = None

    def columns(self) -> dict[str, object]:
        random = np.random.default_rng(self.seed)
        n = self.pairs
        prompts = self._prompts(random)
        rows = self._rows(random)
        columns = {f"prompts/{name}": values for name, values in prompts.items()}
        columns |= {
            "pairs/id": [f"pair-{i + 1:02d}" for i in range(n)],
            "pairs/source": np.arange(n, dtype=np.int32),
            "pairs/base": np.arange(n, 2 * n, dtype=np.int32),
            "arms/label": [arm[0] for arm in self.arms],
            "arms/kind": [arm[1] for arm in self.arms],
            "arms/spec": [arm[2] for arm in self.arms],
        }
        columns |= {f"rows/{name}": values for name, values in rows.items()}
        if self.edit:
            self.edit(columns)
        return {name: values for name, values in columns.items() if name not in self.leave_out}

    def write(self, path: Path) -> Path:
        attributes = {
            "schema_version": 1,
            "rvsweep_version": "0.1.0",
            "git_commit": "0123456789abcdef",
            "config": CONFIG,
            "model_path": "models/demo",
            "model_fingerprint": "aa11",
            "tokenizer_fingerprint": "bb22",
            "device_type": "cpu",
            "cpu_capability": "AVX2",
            "dtype": "float32",
            "threads_per_rank": 1,
            "libtorch_version": "2.11.0",
            "sweep_fingerprint": "cc33",
            "n_layers": str(self.layers),
            "early_layer": "4",
            "late_layer": 24,
            "window": self.window,
        } | self.attributes
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, value in attributes.items():
                if value is not None:
                    file.attrs[name] = value
            for name, values in self.columns().items():
                _write_column(file, name, values)
            run = file.create_group("run")
            run.create_dataset("started", data=["2031-05-06T07:08:09Z", "2031-05-06T07:08:05Z"], dtype=TEXT)
        return path

    def _prompts(self, random) -> dict[str, object]:
        n, layers, window = self.pairs, self.layers, self.window
        texts = [
            f"{prompts[i % 5]}{' Again.' * (i // 5)}"
            for prompts in (SOURCE_PROMPTS, BASE_PROMPTS)
            for i in range(n)
        ]
        depth = np.linspace(0, 1, layers)
        decay = 0.25 + 0.12 * np.sin(4 * depth) + 0.02 * random.standard_normal((2 * n, layers))
        decay[:n] += np.where(depth > 0.5, -0.5 * self.shift, 0)
        spectra = np.exp(-decay[:, :, None] * np.arange(window))
        lam, sigma = spectra**2, spectra
        p, q = (x / x.sum(-1, keepdims=True) for x in (lam, sigma))
        pr = lam.sum(-1) ** 2 / (lam**2).sum(-1)
        return {
            "id": [f"s{i}" for i in range(n)] + [f"b{i}" for i in range(n)],
            "text": texts,
            "group": ["recursive"] * n + ["baseline"] * n,
            "n_tokens": np.array([len(t.split()) + 3 for t in texts], dtype=np.int32),
            "reason": [""] * (2 * n),
            "spectra": spectra.astype(np.float32),
            "pr": pr,
            "effective_rank": np.exp(-(q * np.log(q)).sum(-1)),
            "spectral_entropy": -(p * np.log(p)).sum(-1),
            "stable_rank": lam.sum(-1) / lam.max(-1),
            "nuclear_ratio": sigma.sum(-1) ** 2 / lam.sum(-1),
            "r_v": pr[:, 24] / pr[:, 4],
        }

    def _rows(self, random) -> dict[str, object]:
        from rvsweep.data.keywords import keyword_count

        arms, n = len(self.arms), self.pairs
        pair, arm, sample = (
            g.ravel()
            for g in np.meshgrid(np.arange(n), np.arange(arms), np.arange(self.samples), indexing="ij")
        )
        total = len(pair)
        effect = np.resize(self.effect, arms)[arm]
        of_pair = random.normal(0, 0.06, n)[pair]
        texts, tokens = [], np.where(random.random(total) < 0.12, random.integers(4, 16, total), 50)
        for share, count in zip(np.clip(effect + of_pair, 0, 1), tokens, strict=True):
            marked = random.random(count) < share
            words = [random.choice(WORDS_MARKED if m else WORDS_PLAIN) for m in marked]
            texts.append(" ".join(words).capitalize() + ".")
        kind = np.array([a[1] for a in self.arms])[arm]
        patched = ~np.isin(kind, ("base", "source"))
        fed = tokens - 1
        log_r_v = of_pair + random.normal(0, 0.05, total) - 0.1 * effect
        return {
            "row_id": random.integers(1, 2**63, total, dtype=np.uint64),
            "pair": pair.astype(np.int32),
            "arm": arm.astype(np.int32),
            "sample": sample.astype(np.int32),
            "status": np.zeros(total, dtype=np.int8),
            "reason": [""] * total,
            "text": texts,
            "stop_reason": ["length" if count == 50 else "eos" for count in tokens],
            "tokens": np.full((total, 50), -1, dtype=np.int32),
            "n_generated": tokens.astype(np.int32),
            "n_generated_v": fed.astype(np.int32),
            "keyword_count": np.array([keyword_count(t) for t in texts], dtype=np.int32),
            "keyword_rate": 100 * effect * 0.5 + random.normal(0, 2, total) + 3,
            "r_v_prompt": np.exp(log_r_v),
            "r_v_generated": np.where(fed < self.window, np.nan, np.exp(log_r_v + 0.1)),
            "r_v_reencoded": np.exp(log_r_v - 0.05),
            "cells_changed": np.where(patched, 420, 0).astype(np.int64),
            "cells_dropped": np.zeros(total, dtype=np.int64),
            "change_norm": np.where(patched, random.normal(90, 9, total), 0.0),
            "future_keys": np.where(kind == "kv_cache", 6, 0).astype(np.int32),
        }


def set_status(columns: dict, rows, status: int, reason: str) -> None:
    """Marks rows as not ok and empties their results, as rvsweep stores it."""
    for row in np.atleast_1d(rows):
        columns["rows/status"][row] = status
        columns["rows/reason"][row] = reason
        columns["rows/text"][row] = columns["rows/stop_reason"][row] = ""
        for name, values in columns.items():
            if name.startswith("rows/r_v") or name in ("rows/keyword_rate", "rows/change_norm"):
                values[row] = np.nan
            elif name in (
                "rows/n_generated",
                "rows/n_generated_v",
                "rows/keyword_count",
                "rows/cells_changed",
            ):
                values[row] = -1


def layer_scan() -> tuple:
    """Arms: bands of two widths, token positions in one band, and that band's controls."""
    scanned = [(start, start + width) for width in (5, 10) for start in range(0, 31 - width, 5)]
    kv = "kv_cache layers={}:{} entry=hold_last growth=append align=rerotate what=kv positions={} heads=all alpha=1"
    forward = " direction=source_to_base"
    arms = [*ARMS[:2]]
    arms += [(f"kv {a}:{b}", "kv_cache", kv.format(a, b, "all") + forward) for a, b in scanned]
    arms += [
        (f"kv 15:20 {where}", "kv_cache", kv.format(15, 20, where) + forward)
        for where in ("last:8", "last:4", "bos", "span:2:6")
    ]
    arms += [
        (f"kv 15:20 | {name}", "kv_cache", f"{kv.format(15, 20, 'all')}{forward} control={name}")
        for name in ("self", "gaussian")
    ]
    back = kv.format(15, 20, "all") + " direction=base_to_source control=reverse"
    return (*arms, ("kv 15:20 | reverse", "kv_cache", back))


def add_read_outs(columns: dict) -> None:
    """Logit measures, spectra of the rows' own V, a step trace, and a regex family."""
    random = np.random.default_rng(11)
    rows = len(columns["rows/pair"])
    shift = columns["rows/arm"] / columns["rows/arm"].max()
    columns["rows/logprob_source"] = random.normal(2 * shift, 1, rows)
    columns["rows/kl_first"] = random.gamma(1 + shift, 0.1, rows)
    for name in ("logprob_source", "kl_first"):  # relative to the unpatched base: the arm of place 0
        columns[f"rows/{name}"][columns["rows/arm"] == 0] = 0
    columns["rows/recursive_paradox"] = random.integers(0, 3, rows).astype(np.int32)
    decay = random.uniform(0.2, 0.3, (rows, 30, 1))
    columns["rows/spectra_generated"] = np.exp(-decay * np.arange(16)).astype(np.float32)
    columns["rows/step_pr"] = random.uniform(3, 6, (rows, 30, 10)).astype(np.float32)


def with_sites_and_attention(columns):
    """Of a file whose row 5 broke."""
    random = np.random.default_rng(3)
    add_read_outs(columns)
    rows = len(columns["rows/pair"])
    columns["rows/spectra_prompt_resid_pre"] = random.uniform(1, 2, (rows, 30, 16)).astype(np.float32)
    for name in ("bos", "donor", "base", "fed", "entropy"):
        columns[f"rows/attention_{name}"] = random.uniform(0, 1, (rows, 30, 2)).astype(np.float32)
        columns[f"rows/attention_{name}"][:, 7] = np.nan
    set_status(columns, [5], 2, "broke")


def cross(columns: dict) -> None:
    """Four pairs become two source by two base prompts."""
    columns["pairs/source"] = np.array([0, 0, 1, 1], dtype=np.int32)
    columns["pairs/base"] = np.array([4, 5, 4, 5], dtype=np.int32)


def in_a_ring(columns: dict) -> None:
    """The source of each pair becomes the base of the one before it."""
    columns["pairs/base"] = np.roll(columns["pairs/source"], -1)


def apart(n: int) -> Clusters:
    """n pairs that share no prompts."""
    return Clusters(np.arange(n), n + np.arange(n))


def crossed(sources: int, bases: int) -> Clusters:
    """Every source with every base."""
    source, base = (side.ravel() for side in np.indices((sources, bases)))
    return Clusters(source, sources + base)


def remove_rows(columns: dict) -> None:
    for name in columns:
        if name.startswith("rows/"):
            columns[name] = columns[name][:0]


def _write_column(file: h5py.File, name: str, values) -> None:
    if isinstance(values, list) and values and isinstance(values[0], np.ndarray):
        dataset = file.create_dataset(name, (len(values),), dtype=h5py.vlen_dtype(np.float32))
        dataset[...] = np.array([*values, None], dtype=object)[:-1]
    elif isinstance(values, list):
        dataset = file.create_dataset(name, data=np.array(values, dtype=object), dtype=TEXT)
    elif name == "rows/status":
        dataset = file.create_dataset(name, data=values, dtype=STATUS)
    else:
        dataset = file.create_dataset(name, data=values)
    dataset.attrs["units"] = "1"
    dataset.attrs["description"] = f"synthetic {name}"
    if name in DEFINITIONS:
        dataset.attrs["definition"] = DEFINITIONS[name]
