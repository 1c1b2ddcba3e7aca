"""How many studies a test simulates: few in an ordinary run, `RVSWEEP_STUDIES=2000` for rates to cite (pytest -s)."""

import os


def studies(few: int) -> int:
    return int(os.environ.get("RVSWEEP_STUDIES", few))


def allowed(rate: float, count: int) -> float:
    """`rate` and 3 standard errors of a share over `count` studies."""
    return rate + 3 * (rate * (1 - rate) / count) ** 0.5
