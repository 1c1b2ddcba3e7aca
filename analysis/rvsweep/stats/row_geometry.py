"""The rows' own V and other sites by layer and by step, and their attention: does a patched run follow the patch?"""

from dataclasses import dataclass

import numpy as np

from rvsweep.data.arms import Arm
from rvsweep.data.results import Results
from rvsweep.data.spectra import row_attention, row_pr, step_pr
from rvsweep.stats.multiplicity import max_statistic
from rvsweep.stats.pair_means import natural_log, per_pair_means
from rvsweep.stats.paired import mean_band
from rvsweep.stats.resampling import Bootstrap


@dataclass(frozen=True)
class LayerEffects:
    """PR by layer, arm less its recipient, [A, L] each; p_max is adjusted for all arms and layers jointly."""

    window: str  # prompt, generated, or of another site prompt_SITE
    arms: list[Arm]
    pairs: list[str]  # with a value at some layer, by arm: counted as Clusters.counted
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_max: np.ndarray

    def layers_found(self, arm: int) -> str:
        """Layers with p_max < 0.05 as ranges of indices, such as "4-7, 12"."""
        found = np.flatnonzero(self.p_max[arm] < 0.05)
        runs = np.split(found, np.flatnonzero(np.diff(found) > 1) + 1) if len(found) else []
        return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


@dataclass(frozen=True)
class Curves:
    """Of values by step or layer, mean over pairs, [A, steps or layers] each."""

    arms: list[Arm]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


def layer_effects(results: Results, window: str, bootstrap: Bootstrap) -> LayerEffects | None:
    """None where the file has no spectra of `window` or no patched arm can be compared."""
    pr = row_pr(results, window)
    if pr is None or not np.isfinite(pr).any():
        return None
    by_pair = per_pair_means(results, pr)
    arms, differences = [], []
    for arm in results.arms:
        recipient = results.recipient_of(arm)
        if recipient is None or arm is recipient or arm.control:
            continue
        difference = by_pair[:, arm.index] - by_pair[:, recipient.index]
        if np.isfinite(difference).any():
            arms.append(arm)
            differences.append(difference)
    if not arms:
        return None
    clusters = results.clusters
    bands = [mean_band(difference, clusters, bootstrap) for difference in differences]
    joint = max_statistic(np.concatenate(differences, axis=1), clusters, bootstrap)
    return LayerEffects(
        window=window,
        arms=arms,
        pairs=[clusters.of(np.isfinite(difference).any(axis=1)).counted for difference in differences],
        mean=np.stack([band[0] for band in bands]),
        low=np.stack([band[1] for band in bands]),
        high=np.stack([band[2] for band in bands]),
        p_max=joint.p.reshape(len(arms), -1),
    )


def step_curves(results: Results, bootstrap: Bootstrap) -> Curves | None:
    """ln R_V of the sliding window after each fed token; None where the file has no step trace with a value."""
    trace = step_pr(results)
    if trace is None:
        return None
    return _curves(results, natural_log(trace[:, 1]) - natural_log(trace[:, 0]), bootstrap)


def attention_curves(results: Results, measure: str, bootstrap: Bootstrap) -> Curves | None:
    """A mass by layer, mean over KV heads, of the layers that were asked for; None where the file has no attention."""
    found = row_attention(results, measure)
    return None if found is None else _curves(results, found.astype(np.float64).mean(axis=2), bootstrap)


def _curves(results: Results, values: np.ndarray, bootstrap: Bootstrap) -> Curves | None:
    """Of values [R, steps or layers], without controls; None where no value is finite."""
    if not np.isfinite(values).any():
        return None
    by_pair = per_pair_means(results, values)
    arms = [arm for arm in results.arms if not arm.control and np.isfinite(by_pair[:, arm.index]).any()]
    bands = [mean_band(by_pair[:, arm.index], results.clusters, bootstrap) for arm in arms]
    return Curves(
        arms,
        *(np.stack([band[part] for band in bands]) for part in range(3)),
        n=np.stack([np.isfinite(by_pair[:, arm.index]).sum(axis=0) for arm in arms]),
    )
