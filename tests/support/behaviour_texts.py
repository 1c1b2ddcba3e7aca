"""Made-up generations and their prompts, rich in what the behaviour read-outs look for."""

from __future__ import annotations

import random
from collections.abc import Mapping

from behaviour_reference import KEYWORDS
from mixed_lines import mixed_lines

PLAIN = """the a of water and flour is in oven for minutes history press plants light city thought rose mind
observer observed watching itself both not two one neither nor what it loop answer sentence here called means""".split()
JOINTS = (" ", " ", " ", ". ", ", ", "\n", "\n\n", " — ", "; ", "… ", "\u00a0", "é ", " 世界 ", "")


def generations(description: Mapping, seed: int, count: int) -> list[tuple[str, str]]:
    """(text, prompt): examples of the families, random words, keywords, Unicode, loops, nothing."""
    rng = random.Random(seed)
    examples = [s for family in description["families"] for s in family["matches"] + family["no_match"]]
    odd = mixed_lines(seed, 200, ["<|im_end|>"])

    def piece() -> str:
        kind = rng.random()
        if kind < 0.45:
            return any_case(rng.choice(examples))
        if kind < 0.6:
            return " ".join(rng.choices(PLAIN, k=rng.randint(1, 12)))
        if kind < 0.8:
            return any_case(" ".join(rng.choices(KEYWORDS + PLAIN, k=rng.randint(1, 5))))
        if kind < 0.9:
            return rng.choice(odd)
        return " ".join([" ".join(rng.choices(PLAIN, k=rng.randint(1, 4)))] * rng.randint(2, 12))

    def any_case(text: str) -> str:
        return rng.choice((text, text, text.upper(), text.lower(), text.title()))

    def text() -> str:
        pieces = [piece() for _ in range(rng.choice((0, 1, 1, 2, 3, 5, 8)))]
        joined = "".join(part + rng.choice(JOINTS) for part in pieces)
        return joined[: rng.randint(1, len(joined))] if joined and rng.random() < 0.3 else joined

    def prompt_for(generated: str) -> str:
        start = rng.randint(0, len(generated))
        return rng.choice((text(), generated[start:], text() + generated[start : start + 60]))

    return [(generated, prompt_for(generated)) for generated in (text() for _ in range(count))]
