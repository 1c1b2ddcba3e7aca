"""Agreement of raters."""

import numpy as np


def krippendorff_alpha(ratings: np.ndarray) -> float:
    """Krippendorff's alpha with squared differences (interval data), [raters, units], NaN = not rated.

    1 - observed / expected disagreement over units with at least two ratings; NaN where there is none
    or nothing varies.
    """
    counts = np.isfinite(ratings).sum(axis=0)
    kept = ratings[:, counts >= 2]
    counts = counts[counts >= 2]
    values = kept[np.isfinite(kept)]
    n = len(values)
    if n == 0 or np.ptp(values) == 0:
        return float("nan")
    # Sum of squared differences over ordered pairs = 2 (k sum x^2 - (sum x)^2).
    sums, squares = np.nansum(kept, axis=0), np.nansum(kept**2, axis=0)
    observed = (2 * (counts * squares - sums**2) / (counts - 1)).sum() / n
    expected = 2 * (n * (values**2).sum() - values.sum() ** 2) / (n * (n - 1))
    return float(1 - observed / expected)
