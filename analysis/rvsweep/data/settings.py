"""The sweep's settings and identity, as the box at the top of the report names them."""

from rvsweep.data.results import Results


def parse_config(text: str) -> dict[str, list[str]]:
    """`section.key` -> values in order (arm and control may repeat). `#` starts a comment."""
    section, values = "", {}
    for line in text.split("\n"):
        line = _without_comment(line).strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif "=" in line:
            key, _, value = line.partition("=")
            values.setdefault(f"{section}.{key.strip()}", []).append(value.strip())
    return values


class Config:
    """The merged configuration that the file holds."""

    def __init__(self, text: str):
        self.values = parse_config(text)

    def last(self, key: str) -> str | None:
        """The value in force of a key that is given once, such as generation.temperature."""
        return self.values[key][-1] if self.values.get(key) else None


def _without_comment(line: str) -> str:
    if line.lstrip().startswith("#"):
        return ""
    at = min((p for p in (line.find(" #"), line.find("\t#")) if p >= 0), default=len(line))
    return line[:at]


def study_config(results: Results) -> Config:
    return Config(results.attributes.get("config", ""))


def is_notebook(results: Results) -> bool:
    """Whether the study is the notebook's: it has its prompts or runs one of its presets."""
    prompts = study_config(results).last("prompts.file") or ""
    presets = any(arm.settings.get("preset", "").startswith("notebook") for arm in results.arms)
    return presets or prompts.rsplit("/", 1)[-1] == "notebook.jsonl"


def study_title(results: Results) -> str:
    """As registered, else the name of the sweep's folder."""
    folder = results.path.absolute().parent.name
    return study_config(results).last("study.title") or folder or results.path.name


def study_question(results: Results) -> str:
    """As registered, else what was compared."""
    asked = study_config(results).last("study.question")
    if asked:
        return asked
    arms = [arm for arm in results.arms if arm.patched and not arm.control]
    kinds = ", ".join(dict.fromkeys(arm.kind for arm in arms)) or "nothing patched"
    pairs = len(results.pairs["id"])
    return f"{_plural(len(arms), 'patched arm')} ({kinds}) on {_plural(pairs, 'prompt pair')}"


def measured_windows(results: Results) -> list[int]:
    """Tokens of each of model.window, the sweep's own first: the windows of window_pr."""
    words = (study_config(results).last("model.window") or "").split(",")
    return [int(word) for word in words if word.strip().isdecimal()]


def window_text(results: Results) -> str:
    """The positions of the prompt window."""
    to_user = study_config(results).last("model.window_end") == "user_end"
    return f"last {results.window} positions{' up to the user’s last token' if to_user else ''}"


def model_name(results: Results) -> str | None:
    """What was run: a model's name or folder, and whether only its shape was taken from there."""
    attributes = results.attributes
    setting = study_config(results).last
    name = attributes.get("model_name") or attributes.get("model_path") or setting("model.path")
    seed = setting("model.random_weights")
    return f"{name} (random weights, seed {seed})" if name and seed and seed != "none" else name


def summary(results: Results, counts: dict[str, int]) -> list[tuple[str, str]]:
    """Label and text of each fact in the box at the top."""
    setting = study_config(results).last
    attributes = results.attributes
    share = 100 / results.n_layers
    samples = len(set(results.rows["sample"].tolist()))
    facts = [
        ("Model", model_name(results) or "not stated"),
        (
            "Layers",
            f"{results.n_layers}; "
            f"early L{results.early_layer} ({results.early_layer * share:.1f} % of depth), "
            f"late L{results.late_layer} ({results.late_layer * share:.1f} %)",
        ),
        ("Window", window_text(results)),
        ("Pairs", _pairs(results)),
        ("Arms × samples", _arms(results, samples)),
        ("Rows", ", ".join(f"{counts[name]} {name}" for name in counts if counts[name] or name == "ok")),
        ("Generation", _generation(setting)),
        ("Seed", setting("sweep.seed") or "not stated"),
        ("Arithmetic", _arithmetic(attributes)),
        ("Run", results.run.get("started") or results.run.get("date") or "date not stated"),
        ("rvsweep", " ".join(results.stated("rvsweep_version", "git_commit"))),
    ]
    return [(label, text) for label, text in facts if text]


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _pairs(results: Results) -> str:
    """How many, and of how many prompts: what intervals rest on."""
    clusters = results.clusters
    prompts = f"{len(results.pairs['id'])} (of {len(results.prompts['id'])} prompts)"
    if not clusters.shared:
        return prompts
    sides = " on both sides" if clusters.on_both_sides else ""
    return f"{prompts}; they share {clusters.sources} sources and {clusters.bases} bases{sides}"


def _arms(results: Results, samples: int) -> str:
    controls = sum(bool(arm.control) for arm in results.arms)
    of_these = f" ({controls} of them controls)" if controls else ""
    return f"{len(results.arms)}{of_these} × {samples}"


_NEUTRAL = {"top_k": 0, "top_p": 1, "repetition_penalty": 1}


def _generation(setting) -> str:
    parts = []
    if setting("generation.max_new_tokens"):
        parts.append(f"up to {setting('generation.max_new_tokens')} tokens")
    temperature = setting("generation.temperature")
    if temperature:
        parts.append("greedy" if is_number(temperature, 0) else f"temperature {temperature}")
    return ", ".join(parts + sampler_settings(setting))


def sampler_settings(setting) -> list[str]:
    """Beside the temperature: those that change what is drawn, such as "top_p 0.9"."""
    values = {key: setting(f"generation.{key}") for key in _NEUTRAL}
    return [f"{key} {value}" for key, value in values.items() if value and not is_number(value, _NEUTRAL[key])]


def is_number(text: str, value: float) -> bool:
    try:
        return float(text) == value
    except ValueError:
        return False


def _arithmetic(attributes: dict[str, str]) -> str:
    device = attributes.get("device_type", "")
    detail = attributes.get("gpu_model") or attributes.get("cpu_capability")
    parts = [f"{device} ({detail})" if detail else device, attributes.get("dtype", "")]
    if attributes.get("threads_per_rank"):
        threads = attributes["threads_per_rank"]
        parts.append(f"{threads} thread{'' if threads == '1' else 's'} per rank")
    return ", ".join(part for part in parts if part)
