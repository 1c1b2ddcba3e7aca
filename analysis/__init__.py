"""Analysis of rvsweep results: tables and statistics for notebooks, reports, comparisons.

from analysis import load
study = load("results.h5")
study.rows                                  # tidy: one row per (pair, arm, sample)
study.contrasts("keyword_count")            # every arm against its recipient and its controls
"""


def __getattr__(name: str):
    # pandas is loaded only where a notebook asks for it; reports do without.
    if name in ("load", "Study"):
        from analysis import study

        return getattr(study, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
