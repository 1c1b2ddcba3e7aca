"""Sweeps of rvsweep from Python: started, read, compared, drawn.

import rvsweep
study = rvsweep.load("out/demo/results.h5")
study.rows                                  # tidy: one row per (pair, arm, sample)
study.contrasts("keyword_count")            # every arm against its recipient and its controls
study.plot.depth()                          # matplotlib axes
rvsweep.sweep(model="models/...", pairs=[...], arms=["base", "source"]).run("out/new", ranks=2)
"""

import importlib

__version__ = "0.2.1"

# Loaded where they are asked for: pandas and SciPy take a second, and reports do without pandas.
_WHERE = {
    "load": "rvsweep.study",
    "Study": "rvsweep.study",
    "Bootstrap": "rvsweep.stats.resampling",
    "Margin": "rvsweep.stats.equivalence",
    "InputError": "rvsweep.data.errors",
    "sweep": "rvsweep.job",
    "Sweep": "rvsweep.job",
    "ProgramError": "rvsweep.program",
}
__all__ = ["__version__", *_WHERE]


def __getattr__(name: str):
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
