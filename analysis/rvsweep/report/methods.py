"""A methods paragraph, written from the settings that the file stores."""

import platform
from collections import Counter

import h5py
import matplotlib
import numpy as np
import scipy

import rvsweep
from rvsweep.data.clusters import Clusters
from rvsweep.data.results import Results
from rvsweep.data.settings import Config, is_number, model_name, sampler_settings, window_text
from rvsweep.stats.equivalence import Margin
from rvsweep.stats.paired import FEWEST_RESAMPLED, TAIL_PAIRS
from rvsweep.stats.resampling import DRAWS_PER_TEST, EXACT_SIGN_FLIP_PAIRS, Bootstrap


def methods(results: Results, counts: dict[str, int], bootstrap: Bootstrap, margin: Margin) -> list[str]:
    """Paragraphs of plain text; a sentence is left out where the file does not hold what it states."""
    config = Config(results.attributes.get("config", ""))
    return [
        " ".join(_material(results, config)),
        " ".join(_procedure(results, config, counts)),
        " ".join(_analysis(results, bootstrap, margin)),
    ]


def _material(results: Results, config: Config) -> list[str]:
    model = model_name(results) or "the model"
    text = [
        f"We ran {model} ({results.n_layers} layers) on {_plural(len(results.pairs['id']), 'prompt pair')}"
    ]
    pairing = config.last("prompts.pairing")
    if pairing:
        text[0] += f" (pairing: {pairing})"
    text[0] += "; each has a source (donor) and a base (recipient) prompt."
    for role in ("source", "base"):
        counted = Counter(name for name in results.groups(role).tolist() if name)
        if len(counted) > 1:
            listed = ", ".join(f"{name} ({n})" for name, n in sorted(counted.items()))
            text.append(f"Groups of the {role} prompts: {listed}.")
    tokens = results.prompts.get("n_tokens")
    if tokens is not None:
        source, base = tokens[results.pairs["source"]], tokens[results.pairs["base"]]
        text.append(
            f"Prompts had {_median(source)} (source) and {_median(base)} tokens (base; median, range); "
            f"within pairs the lengths differed by {_median(np.abs(source - base))} tokens."
        )
    template = config.last("prompts.template")
    if template and template != "none":
        text.append(f"Prompts were put into the chat template {template}.")
    return text


def _procedure(results: Results, config: Config, counts: dict[str, int]) -> list[str]:
    arms = [arm for arm in results.arms if arm.patched and not arm.control]
    controls = [arm for arm in results.arms if arm.control]
    text = [
        f"V is the output of the value projection at the {window_text(results)} of the prompt; R_V is its "
        f"participation ratio at layer {results.late_layer} over that at layer {results.early_layer}."
    ]
    if arms:
        kinds = sorted({arm.kind for arm in arms})
        text.append(
            f"{_plural(len(arms), 'patched arm')} (activation patching at {', '.join(kinds)}) "
            f"{'was' if len(arms) == 1 else 'were'} compared with the unpatched prompts."
        )
    if controls:
        drawn = {
            name: {arm.control for arm in controls if arm.control_drawn == name}
            for name in sorted({arm.control_drawn for arm in controls})
        }
        names = [name + (f" (drawn {len(of)} times)" if len(of) > 1 else "") for name, of in drawn.items()]
        text.append(f"Controls: {', '.join(names)}.")
    samples = len(set(results.rows["sample"].tolist()))
    tokens, temperature = config.last("generation.max_new_tokens"), config.last("generation.temperature")
    if tokens and not is_number(tokens, 0):
        how = f"up to {tokens} tokens"
        if temperature:
            how += ", greedily" if is_number(temperature, 0) else f" at temperature {temperature}"
        how = ", ".join([how, *sampler_settings(config.last)])
        text.append(
            f"Each arm generated {how} ({_plural(samples, 'sample')} per pair; one sampler for all arms)."
        )
    others = ", ".join(f"{n} {status}" for status, n in counts.items() if n and status != "ok")
    text.append(f"Of {sum(counts.values())} rows {counts['ok']} entered{f' ({others})' if others else ''}.")
    version = " ".join(results.stated("rvsweep_version", "git_commit"))
    device = ", ".join(results.stated("device_type", "gpu_model", "cpu_capability", "dtype"))
    if version:
        libtorch = results.attributes.get("libtorch_version", "")
        details = ", ".join(part for part in (device, f"libtorch {libtorch}" if libtorch else "") if part)
        text.append(f"Computed with rvsweep {version}{f' ({details})' if details else ''}.")
    return text


def _analysis(results: Results, bootstrap: Bootstrap, margin: Margin) -> list[str]:
    clusters = results.clusters
    text = [
        "The prompt pair is the unit of analysis: samples of a pair were averaged first, and prompts count as drawn at random from those that could have been asked."
    ]
    text += _over_shared_prompts(clusters) if clusters.shared else _over_pairs(clusters, bootstrap)
    return [
        *text,
        "Pairs that lack a value in one of two arms were left out of their comparison, as if values were missing "
        "at random; nothing was adjusted over read-outs.",
        *_over_copies(results),
        "Divergences (KL) cannot be below 0 and were tested between arms only.",
        "Effect sizes are d_z (mean difference over the SD of the differences) and d_av (over the mean of the "
        "two SDs), with sample SDs.",
        f"Equivalence was tested by two one-sided tests (TOST) with a bound of {margin}, "
        + ("by the noncentral t distribution." if margin.unit == "d_z" else "by Fieller’s argument."),
        "Transfer is the mean difference of an arm to its recipient as a share of the gap between the unpatched "
        "prompts, with Fieller’s confidence set, which is unbounded where the gap is not established.",
        "Trends over dose levels are least-squares slopes over source prompts with HC3 standard errors; the "
        "slope over that error was tested by permuting levels over source prompts.",
        f"Analysis: rvsweep {rvsweep.__version__} with Python {platform.python_version()}, NumPy {np.__version__}, "
        f"SciPy {scipy.__version__}, h5py {h5py.__version__} and Matplotlib {matplotlib.__version__}.",
    ]


def _over_copies(results: Results) -> list[str]:
    if all(arm.control_drawn == arm.control for arm in results.arms):
        return []
    return [
        "An arm was compared with a control that was drawn several times by each pair’s mean over the draws. To the variance of "
        "that mean (1 − 1/K) of the variance within pairs / n was added for K donors, as every prompt is the donor of K "
        "pairs, and the variance between the draws’ means / K for K sets of layers; degrees of freedom are Satterthwaite’s."
    ]


def _over_pairs(clusters: Clusters, bootstrap: Bootstrap) -> list[str]:
    draws = bootstrap.draws(len(clusters.source))
    return [
        "No two pairs share a prompt.",
        f"Intervals are 95 % studentised bootstrap intervals over pairs ({draws} resamples; tail probability times "
        f"n / (n + {TAIL_PAIRS})), at each end at least as wide as Student’s t, and Student’s alone below {FEWEST_RESAMPLED} pairs.",
        "Paired differences were tested by sign-flip permutation (all patterns up to "
        f"{EXACT_SIGN_FLIP_PAIRS} pairs, else {draws} draws or {DRAWS_PER_TEST} for each test of a family, whichever "
        "is more), whose null hypothesis is that differences are symmetric about 0, adjusted over arms by Holm’s method.",
        "The max-statistic over arms, layers and layer ranges is the largest |t|; its p is the larger of that under "
        "joint sign flips and that of the studentised bootstrap, whose null hypothesis is that all means are 0.",
    ]


def _over_shared_prompts(clusters: Clusters) -> list[str]:
    return [
        f"The {len(clusters.source)} pairs are made of {clusters.sources} source and {clusters.bases} base prompts"
        + (", some of them on both sides" if clusters.on_both_sides else "")
        + ", and pairs that share one are not independent.",
        "Standard errors of means come from variance components of source prompt, base prompt"
        + (", the covariance of a prompt’s two effects" if clusters.on_both_sides else "")
        + " and rest (unweighted "
        "crossed random effects, Henderson’s method 1; the largest over models with and without each), degrees of "
        "freedom from the side with fewer prompts (n² / Σ n_g² − 1).",
        "Intervals are 95 % t intervals, tests t tests of the null hypothesis that the mean is 0, adjusted over "
        "arms by Holm’s method; the max-statistic over arms, layers and layer ranges refers the largest |t| to a "
        "multivariate t with the correlations of the prompts’ sums.",
    ]


def _median(values: np.ndarray) -> str:
    return f"{np.median(values):g} ({values.min()}–{values.max()})"


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
