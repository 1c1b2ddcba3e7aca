"""Arms as a config names them, each beside the Hugging Face procedure that defines its rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import hf_kv_reference as kv
import hf_reference as hf


@dataclass(frozen=True)
class Arm:
    spec: str
    reference: Callable[..., hf.Trajectory]  # (model, base, source, max_new_tokens, eos_ids, forced)


def base_arm() -> Arm:
    return Arm("base", lambda model, base, source, *rest: hf.generate(model, base, *rest))


def source_arm() -> Arm:
    return Arm("source", lambda model, base, source, *rest: hf.generate(model, source, *rest))


@lru_cache(maxsize=8)  # arms of different names ask for the same run, one soon after the other
def generate_v_proj(model, base, source, layers, decode, max_new_tokens, eos_ids, forced) -> hf.Trajectory:
    return hf.generate_v_proj(model, base, source, layers, decode, max_new_tokens, eos_ids, forced)


def v_proj_arm(spec: str, layers: range, decode: str, truncation: int | None = None) -> Arm:
    def reference(model, base, source, max_new_tokens, eos_ids, forced):
        base, source = tuple(base[:truncation]), tuple(source[:truncation])
        return generate_v_proj(model, base, source, layers, decode, max_new_tokens, eos_ids, tuple(forced))

    return Arm(spec, reference)


def kv_cache_arm(
    spec: str, layers: list[int] | range, entry: str, growth: str, align: str, truncation: int | None = None
) -> Arm:
    def reference(model, base, source, *rest):
        base, source = base[:truncation], source[:truncation]
        return kv.generate_kv_cache(model, base, source, layers, entry, growth, align, *rest)

    return Arm(spec, reference)


def preset_arms(n_layers: int) -> list[Arm]:
    """The notebook's procedures; V at 80 % of depth, the cache of the upper half, prompts cut to 512 tokens."""
    late, upper = n_layers * 4 // 5, range(n_layers // 2, n_layers)
    return [
        v_proj_arm(f"preset:notebook_b layers={late}", range(late, late + 1), "persist", 512),
        kv_cache_arm("preset:notebook_c_v1 layers=50%:100%", upper, "refeed", "frozen", "as_is", 512),
        kv_cache_arm("preset:notebook_c_v2 layers=50%:100%", upper, "refeed", "compound", "as_is", 512),
    ]


def main_arms(n_layers: int) -> list[Arm]:
    """What every pair is compared on."""
    late = n_layers * 4 // 5
    single, several = range(late, late + 1), range(late - 2, late)
    return [
        base_arm(),
        source_arm(),
        v_proj_arm(f"v_proj layers={late} decode=persist", single, "persist"),
        v_proj_arm(f"v_proj layers={late} decode=prefill", single, "prefill"),
        v_proj_arm(f"v_proj layers={several.start}:{several.stop} decode=persist", several, "persist"),
        *preset_arms(n_layers),
    ]


def full_swap_arm(n_layers: int) -> Arm:
    """Every layer's cache is the donor's, so the row must be the unpatched continuation of s[0,m-1) + b[n-1]."""
    return Arm(
        "kv_cache layers=0:100% entry=hold_last growth=append align=rerotate",
        lambda model, base, source, *rest: hf.generate(model, [*source[:-1], base[-1]], *rest),
    )


def kv_cache_arms(n_layers: int, rotates: bool = True) -> list[Arm]:
    """Every entry, growth and align that the model has, over layers whose range has 0 in it and others."""
    middle = range(n_layers * 2 // 5, n_layers * 4 // 5)
    joint = [0, 1, *range(n_layers - 2, n_layers)]
    arms = [
        kv_cache_arm(
            f"kv_cache layers={middle.start}:{middle.stop} entry={entry} growth={growth} align={align}",
            middle,
            entry,
            growth,
            align,
        )
        for entry, growth, align in itertools.product(
            ("hold_last", "refeed"), ("append", "frozen", "compound"), ("as_is", "rerotate")[: 1 + rotates]
        )
    ]
    align = "rerotate" if rotates else "as_is"
    arms.append(
        kv_cache_arm(
            f"kv_cache layers=0:2+{n_layers - 2}:{n_layers} entry=refeed growth=compound align={align}",
            joint,
            "refeed",
            "compound",
            align,
        )
    )
    return arms
