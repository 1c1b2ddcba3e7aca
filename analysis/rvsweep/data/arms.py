"""Arms as /arms/spec states them: their settings, their layers, and which arm a control belongs to."""

import re
from dataclasses import dataclass
from functools import cached_property

UNPATCHED = ("base", "source")
OF_THE_ARM = (
    "direction",
    "pairs",
    "preset",
    "truncate",
    "control",
    "patch",
    "of",
)  # not of one of its patches
Ranges = tuple[tuple[int, int], ...]  # half-open, of layers
_LAYERS = re.compile(r"\d+(:\d+)?(\+\d+(:\d+)?)*")


@dataclass(frozen=True)
class Arm:
    """An entry of /arms."""

    index: int
    label: str
    kind: str  # base, source, kv_cache or a site such as v_proj
    spec: str  # canonical full text

    @cached_property
    def settings(self) -> dict[str, str]:
        """`key=value` words of the spec; those of an arm's second patch are "key.2", and so on."""
        found = {}
        for place, patch in enumerate(self.spec.split(" & "), 1):
            for key, value in (word.split("=", 1) for word in patch.split() if "=" in word):
                found[key if place == 1 or key in OF_THE_ARM else f"{key}.{place}"] = value
        return found

    @property
    def control(self) -> str:
        """Name of the control, with the patch that it alone changes; empty for an arm that is none."""
        patch = self.settings.get("patch")
        return self.settings.get("control", "") + (f" of patch {patch}" if patch else "")

    @property
    def control_drawn(self) -> str:
        """The control without the number of its copy: equal for the copies that `NAME*K` asks for."""
        return re.sub(r":\d+", "", self.control)

    @property
    def patched(self) -> bool:
        return self.kind not in UNPATCHED

    @property
    def donor_is_base(self) -> bool:
        """direction=base_to_source: the roles of the two prompts are exchanged."""
        return self.settings.get("direction") == "base_to_source"

    @cached_property
    def ranges(self) -> Ranges:
        """Half-open layer ranges of all patches, ascending; empty where nothing is patched."""
        return _joined([span for of_patch in self.ranges_by_patch for span in of_patch])

    @cached_property
    def ranges_by_patch(self) -> tuple[Ranges, ...]:
        """Those of each patch, in the order in which they are written."""
        found = []
        for text in (self.settings[key] for key in self.layer_keys):
            if _LAYERS.fullmatch(text):
                parts = (part.split(":") for part in text.split("+"))
                found.append(_joined([(int(part[0]), int(part[-1]) + (len(part) == 1)) for part in parts]))
        return tuple(found)

    @property
    def layer_keys(self) -> list[str]:
        """Those of its settings that name a patch's layers: layers, layers.2, ..."""
        return [key for key in self.settings if key.split(".")[0] == "layers"]

    @property
    def band(self) -> tuple[int, int] | None:
        """The half-open range where the arm's layers are one; None where they are several or none."""
        return self.ranges[0] if len(self.ranges) == 1 else None

    def without(self, *names: str) -> tuple[str, ...]:
        """Kind and settings but for `names`: equal for arms that differ in these alone."""
        kept = [f"{key}={value}" for key, value in self.settings.items() if key not in names]
        return (self.kind, *kept)


def _joined(spans: list[tuple[int, int]]) -> Ranges:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def controls_of(arms: list[Arm]) -> dict[int, list[Arm]]:
    """Index of each arm that has controls -> those controls, in file order.

    A control's spec is its arm's with `control=` added; reverse exchanges the direction, wrong_band and
    random_layers name their arm's layers in `of=`; further copies of a control are called NAME:2, NAME:3,
    ... full_swap is one arm for all kv_cache arms of its direction: it goes with those that have other
    controls, or with all of them where none has.
    """
    main = [arm for arm in arms if arm.patched and not arm.control]
    by_settings: dict[tuple, list[Arm]] = {}
    for arm in main:
        by_settings.setdefault(_identity(arm.kind, arm.settings), []).append(arm)
    found: dict[int, list[Arm]] = {}
    for control in arms:
        if control.control and control.control != "full_swap":
            for arm in by_settings.get(_identity(control.kind, _settings_of_owner(control)), []):
                found.setdefault(arm.index, []).append(control)
    controlled = set(found)
    for swap in arms:
        if swap.control == "full_swap":
            owners = [arm for arm in main if arm.kind == "kv_cache" and _swapped_by(arm, swap)]
            for arm in [arm for arm in owners if arm.index in controlled] or owners:
                found.setdefault(arm.index, []).append(swap)
    return {index: sorted(found[index], key=lambda control: control.index) for index in sorted(found)}


def _swapped_by(arm: Arm, swap: Arm) -> bool:
    same = all(arm.settings.get(name) == swap.settings.get(name) for name in ("truncate", "pairs"))
    return arm.donor_is_base == swap.donor_is_base and same


def _settings_of_owner(control: Arm) -> dict[str, str]:
    settings = {
        key: value for key, value in control.settings.items() if key not in ("control", "patch", "of")
    }
    if control.control == "reverse" and "direction" in settings:
        settings["direction"] = "source_to_base" if control.donor_is_base else "base_to_source"
    if "of" in control.settings:
        first = int(control.settings.get("patch", 1))
        for place, layers in enumerate(control.settings["of"].split("/"), first):
            settings["layers" if place == 1 else f"layers.{place}"] = layers
    return settings


def _identity(kind: str, settings: dict[str, str]) -> tuple:
    return (kind, *sorted(settings.items()))
