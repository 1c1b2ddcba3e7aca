"""From rows to pairs: the pair is the unit, so samples are averaged first."""

import numpy as np

from rvsweep.data.results import Results


def natural_log(values: np.ndarray) -> np.ndarray:
    """ln of what is positive, NaN elsewhere."""
    return np.log(np.where(values > 0, values, np.nan))


def per_pair_means(results: Results, column: np.ndarray) -> np.ndarray:
    """[N, A] mean over the finite samples of each pair and arm; NaN where there is none.

    `column` is [R]; a column [R, L] gives [N, A, L].
    """
    shape = (len(results.pairs["id"]), len(results.arms), *column.shape[1:])
    cells = results.rows["pair"].astype(np.int64) * len(results.arms) + results.rows["arm"]
    columns = column.reshape(len(column), -1)
    found = np.full((shape[0] * shape[1], columns.shape[1]), np.nan)
    for at, values in enumerate(columns.T):
        kept = np.isfinite(values)
        count = np.bincount(cells[kept], minlength=len(found))
        total = np.bincount(cells[kept], weights=values[kept], minlength=len(found))
        np.divide(total, count, out=found[:, at], where=count > 0)
    return found.reshape(shape)
