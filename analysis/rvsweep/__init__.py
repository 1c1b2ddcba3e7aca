"""Analysis of rvsweep results: tables and statistics for notebooks, reports, comparisons.

import rvsweep
study = rvsweep.load("results.h5")
study.rows                                  # tidy: one row per (pair, arm, sample)
study.contrasts("keyword_count")            # every arm against its recipient and its controls
"""

__version__ = "0.1.0"


def __getattr__(name: str):
    # pandas is loaded only where a notebook asks for it; reports do without.
    if name in ("load", "Study"):
        from rvsweep import study

        return getattr(study, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
