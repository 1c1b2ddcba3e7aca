"""Random sweeps: arms and controls as a config writes them, beside the RowSpec that each stands for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from controls import LATER as LATER_CONTROLS
from controls import OF_KV_CACHE, OF_SITES, SEVERAL, WITHOUT_DONOR, caches_conflict
from explicit_model import SITES
from family_spec import FamilySpec
from row_spec import RowSpec, joint

POSITIONS = ("all", "last", "span", "first", "bos", "not_bos", "keywords", "named")
SPAN = "part"  # marked in most prompts
KEYWORDS = ("the", "you", "recursive", "attention", "of", "a", "language", "naïve", "describe")
SWEEP_SEED = 1
OTHER = "other"  # the group of the second pair's base
PAIRS = ("source~base", f"source~{OTHER}", "so*~*", f"*~{OTHER[:2]}*")
LATER = ("at_step", "from_step", "until_step", "op", "mix", "scale", "factor", "orthogonal_to")  # settings that are left out at their default
COPIES = 3  # of every control that may be asked for several times


@dataclass(frozen=True)
class Features:
    """What may be drawn."""

    sites: tuple[str, ...] = SITES
    positions: tuple[str, ...] = POSITIONS
    site_positions: bool = True  # beside windows
    what: tuple[str, ...] = ("kv", "k", "v")
    heads: bool = True  # some of them
    alphas: tuple[float, ...] = (0.0, 0.25, 0.5, 0.8)  # beside 1
    controls: tuple[str, ...] = OF_KV_CACHE
    pairs: bool = True  # arms of some pairs alone
    later: bool = True  # steps, operations, directions, controls and some read-outs, which older programs lack
    readouts: tuple[str, ...] = ("first_token", "forced", "step_trace", "logit_lens")


ALL = Features()
WHOLE_CACHES = Features(("v_proj",), ("all",), False, ("kv",), False, (), (), pairs=False, later=False, readouts=())


@dataclass(frozen=True)
class Row:
    """An arm's rows or those of one of its controls, by their label in /arms."""

    label: str
    arm: RowSpec
    control: str | None = None
    only: int = 0  # the one patch of the arm that the control changes, from 1; 0: all
    of: str = ""  # label of the arm


@dataclass(frozen=True)
class Job:
    arm_lines: list[str]
    control_lines: list[str]
    rows: list[Row]
    window: int
    lengths: list[tuple[int, int]]  # (n, m) of every pair
    asked: tuple[str, ...] = ()  # arms of the third pair; none: all of every pair


def random_job(seed: int, spec: FamilySpec, size, folder: Path, features: Features = ALL) -> Job:
    """`base`, `source`, `size.n_arms` different patches and `size.n_joint` arms of several of them, with controls.

    Writes the list of key words into `folder`.
    """
    rng, later = random.Random(seed), random.Random(f"{seed}, settings that came later")
    mixes = random.Random(f"{seed}, mixes")
    some, of_some = random.Random(f"{seed}, of some pairs"), features.pairs and size.n_pairs > 3
    words = folder / "words.txt"
    words.write_text("".join(word + "\n" for word in KEYWORDS), encoding="utf-8")
    window = rng.choice((4, 6, 8))
    rows = [Row("base", RowSpec("base")), Row("source", RowSpec("source"))]
    lines = ["base", "source"]
    arms: list[RowSpec] = []
    while len(arms) < size.n_arms + size.n_joint:
        alone = len(arms) < size.n_arms
        arm = replace(random_arm(rng, spec, features), window=window) if alone else random_joint(rng, arms[: size.n_arms])
        if alone and features.later:
            arm = with_operation(later, with_steps(later, arm), folder, spec)
            arm = with_mix(mixes, arm, folder, spec)
        if arm in arms:
            continue
        arms.append(arm)
        label = f"a{len(arms):02d}"
        if of_some and some.random() < 0.2:
            arm = replace(arm, pairs=some.choice(PAIRS))
        rows.append(Row(label, arm, of=label))
        lines.append(f"{' & '.join(arm_line(patch, words, window) for patch in arm.patches)} label={label}")
    controls = random_controls(rng, rows[2:], size.n_controls, features)
    lines_of_controls = [control_line(row) for row in controls if ":" not in row.control]
    for row in controls:
        if row.control == "full_swap":  # once for each direction, whatever the arm
            suffix = "" if row.arm.direction == "source_to_base" else " base_to_source"
            suffix += "" if row.arm.pairs == "all" else f" {row.arm.pairs}"
            row = replace(row, label="full_swap" + suffix)
        rows.append(row)
    able = [row.of for row in rows if row.control is None and row.arm.pairs in ("all", "source~base", "so*~*")][2:]
    asked = tuple(some.sample(able, len(able) // 2)) if of_some else ()
    lengths = random_lengths(rng, window, size.n_pairs)
    if features.later:  # the third donor is as long as the second
        lengths[2] = max(lengths[2][0], lengths[1][1] + 1), lengths[1][1]
    return Job(lines, lines_of_controls, rows, window, lengths, asked)


def random_joint(rng: random.Random, arms: Sequence[RowSpec]) -> RowSpec:
    """Two or three of `arms` in one row, in any order; windows of sites may be their own."""
    while True:
        patches = rng.sample(arms, rng.choice((2, 2, 3)))
        caches = [patch for patch in patches if patch.kind == "kv_cache"]
        toward = next((patch.direction for patch in patches if not patch.along), "source_to_base")
        shared = {"direction": toward, "entry": caches[0].entry if caches else "hold_last"}
        patches = [replace(patch, **shared) for patch in patches]
        patches = [
            replace(patch, window=rng.choice((patch.window, 2, patch.window + 2))) if has_window(patch) else patch
            for patch in patches
        ]
        if not caches_conflict(patches):
            return joint(patches)


def has_window(patch: RowSpec) -> bool:
    return patch.kind != "kv_cache" and patch.site_positions == "window"


def random_lengths(rng: random.Random, window: int, n_pairs: int) -> list[tuple[int, int]]:
    """A shorter, an equal and a longer donor, then any; now and then shorter than the window."""
    lengths = []
    for index in range(n_pairs):
        shorter = rng.randint(window + 1, 24)
        longer = rng.randint(shorter + 1, 36)
        lengths.append([(shorter, longer), (shorter, shorter), (longer, shorter)][index % 3])
    if n_pairs > 3:
        lengths[-1] = rng.choice([(window - 1, 20), (20, window - 1), (window, window), (5, 30), (30, 5)])
    return lengths


def random_controls(rng: random.Random, arms: Sequence[Row], count: int, features: Features) -> list[Row]:
    """Every control in turn, of an arm or one patch of it that has it; full_swap of one arm for each direction at most."""
    rows: list[Row] = []
    names = features.controls + (LATER_CONTROLS if features.later else ())
    for index in range(count if names else 0):
        control = names[index % len(names)]
        taken = {row.label for row in rows}
        swapped = {row.arm.direction for row in rows if row.control == "full_swap"}
        able = []
        for row in arms:
            patches = row.arm.patches
            for only in range(len(patches) + 1 if len(patches) > 1 else 1):
                changed = patches if only == 0 else patches[only - 1 : only]
                label = row.label + (f".{only}" if only else "") + f" | {control}"
                if (
                    (control in (*OF_SITES, *LATER_CONTROLS) or all(patch.kind == "kv_cache" for patch in changed))
                    and all(takes(patch, control) for patch in changed)
                    and label not in taken
                    and (control != "full_swap" or row.arm.direction not in swapped)
                    and not (only and control in ("full_swap", "reverse"))
                ):
                    able.append(Row(label, row.arm, control, only, row.label))
        if able:
            of = rng.choice(able)
            copies = [control, *(f"{control}:{copy}" for copy in range(2, COPIES + 1) if control in SEVERAL)]
            rows += [replace(of, label=of.label + copy.removeprefix(control), control=copy) for copy in copies]
    return rows


def takes(patch: RowSpec, control: str) -> bool:
    """Nothing gives to what is only scaled; a direction is drawn anew or kept."""
    if control in WITHOUT_DONOR:
        return True
    return control == "gaussian" if patch.along else patch.op != "scale"


def control_line(row: Row) -> str:
    """For all copies of a control, of which `row` is the first."""
    several = f"*{COPIES}" if row.control in SEVERAL else ""
    return f"{row.control}{several} control_of={row.label.split(' | ')[0]}"


def random_arm(rng: random.Random, spec: FamilySpec, features: Features) -> RowSpec:
    kind = "kv_cache" if rng.random() < 0.6 else rng.choice(features.sites)
    arm = RowSpec(
        kind,
        random_layers(rng, spec.n_layers),
        direction=rng.choice(("source_to_base",) * 3 + ("base_to_source",)),
        heads=random_heads(rng, spec.heads_of(kind)) if features.heads and rng.random() < 0.5 else None,
        alpha=rng.choice(features.alphas) if features.alphas and rng.random() < 0.4 else 1.0,
    )
    if kind != "kv_cache":
        policy = rng.choice(("refuse", "shrink"))
        arm = replace(arm, decode=rng.choice(("prefill", "persist")))
        if not features.site_positions or rng.random() < 0.5:
            return replace(arm, window_policy=policy)
        positions = random_positions(rng, rng.choice(features.positions))
        words = frozenset(KEYWORDS if positions == "keywords" else ())
        return replace(arm, site_positions=positions, words=words)
    positions = random_positions(rng, rng.choice(features.positions + ("all",) * 2))
    return replace(
        arm,
        entry=rng.choice(("hold_last", "refeed")),
        growth=rng.choice(("append", "frozen", "compound")),
        align=rng.choice(("as_is", "as_is", "rerotate", "rerotate", "matched")),
        what=rng.choice(features.what + ("kv",)),
        positions=positions,
        words=frozenset(KEYWORDS if positions == "keywords" else ()),
    )


def with_steps(rng: random.Random, arm: RowSpec) -> RowSpec:
    """Half of the persistent patches begin or end in between; so does a third of caches that grow by appending."""
    if arm.kind == "kv_cache" and arm.growth == "append" and rng.random() < 0.3:
        return replace(arm, at_step=rng.choice((1, 2, 5)))
    if arm.decode != "persist" or rng.random() < 0.5:
        return arm
    first = rng.choice((0, 0, 1, 2, 4))
    return replace(arm, from_step=first, until_step=rng.choice((None, first + 1, first + 3)))


def with_operation(rng: random.Random, arm: RowSpec, folder: Path, spec: FamilySpec) -> RowSpec:
    """Of two sites in five other operations, some along a direction.

    Projecting out is always along one: a donor's row may be the values themselves, which leaves nothing but rounding.
    """
    if arm.kind == "kv_cache" or rng.random() < 0.6:
        return arm
    op = rng.choice(("add", "add", "project_out", "scale"))
    scale = rng.choice((0.5, 2.0, -1.5, "0.5n", "-0.25n")) if op == "add" else 1.0
    factor = rng.choice((0.0, 0.5, 1.5)) if op == "scale" else None
    arm = replace(arm, op=op, scale=scale, factor=factor, alpha=1.0)
    if op == "scale" or (op == "add" and rng.random() < 0.5):
        return arm
    along = rng.choice(("random", "mean_difference:source-base", "mean_difference:base-source", "file"))
    if along == "file":
        along = direction_file(folder / f"{arm.kind}.safetensors", spec.n_layers, spec.width_of(arm.kind))
    return replace(arm, along=along, direction="source_to_base")


def with_mix(rng: random.Random, arm: RowSpec, folder: Path, spec: FamilySpec) -> RowSpec:
    """Some replacements on the sphere, some directions without another's component."""
    if arm.along and rng.random() < 0.5:
        others = [n for n in ("random", "mean_difference:source-base", "file") if n.split(":")[0] not in arm.along]
        other = rng.choice([n for n in others if n != "file" or not Path(arm.along).is_file()])
        if other == "file":
            other = direction_file(folder / f"{arm.kind}.safetensors", spec.n_layers, spec.width_of(arm.kind))
        return replace(arm, orthogonal_to=other)
    if arm.kind == "kv_cache" or arm.op != "replace" or rng.random() < 0.6:
        return arm
    return replace(arm, mix="spherical", alpha=rng.choice((0.0, 0.25, 0.5, 0.8, 1.0)))


def direction_file(path: Path, n_layers: int, dim: int) -> str:
    """Written once."""
    if not path.exists():
        save_file({"direction": torch.randn(n_layers, dim, generator=torch.Generator().manual_seed(dim))}, path)
    return str(path)


def random_layers(rng: random.Random, n_layers: int) -> tuple[int, ...]:
    """One range, or two of them jointly."""
    chosen: set[int] = set()
    for _ in range(rng.choice((1, 1, 2))):
        first = rng.randrange(n_layers)
        chosen |= set(range(first, rng.randint(first + 1, n_layers)))
    return tuple(sorted(chosen))


def random_heads(rng: random.Random, n_heads: int) -> tuple[int, ...] | None:
    """Some but not all."""
    return tuple(sorted(rng.sample(range(n_heads), rng.randint(1, n_heads - 1)))) if n_heads > 1 else None


def random_positions(rng: random.Random, name: str) -> str:
    if name in ("last", "first"):
        return f"{name}:{rng.choice((2, 3, 5, 9, 60))}"
    if name == "span":
        start = rng.randint(0, 8)
        return f"span:{start}:{start + rng.choice((1, 3, 40))}"
    if name == "named":
        return rng.choice((f"span:{SPAN}", f"span:{SPAN}:last"))
    return name


def arm_line(arm: RowSpec, words: Path, window: int) -> str:
    """Settings that are at their default are left out every now and then, so that defaults are tested too."""
    default = RowSpec(arm.kind)
    names = ("direction", "alpha")
    if arm.kind == "kv_cache":
        names += ("entry", "growth", "align", "what", "positions", "at_step")
    else:
        names += ("decode", "window_policy" if has_window(arm) else "site_positions", *LATER)
    parts = [arm.kind, "layers=" + "+".join(map(str, arm.layers))]
    for place, name in enumerate(names):
        value = getattr(arm, name)
        if name in LATER and value == getattr(default, name):
            continue
        if name == "direction" and arm.along:
            value = arm.along
        if value != getattr(default, name) or (sum(arm.layers) + place) % 2:
            text = f"{value:g}" if isinstance(value, float) else value
            parts.append(f"{name.removeprefix('site_')}={text}" + (f":{words}" if text == "keywords" else ""))
    if has_window(arm) and arm.window != window:
        parts.append(f"window={arm.window}")
    if arm.pairs != "all":
        parts.append(f"pairs={arm.pairs}")
    if arm.heads is not None:
        parts.append("heads=" + "+".join(map(str, arm.heads)))
    return " ".join(parts)
