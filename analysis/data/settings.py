"""The sweep's settings and identity, as the box at the top of the report names them."""

from analysis.data.results import Results


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


def model_name(results: Results) -> str | None:
    """What was run: a model's name or folder, and whether only its shape was taken from there."""
    attributes = results.attributes
    setting = Config(attributes.get("config", "")).last
    name = attributes.get("model_name") or attributes.get("model_path") or setting("model.path")
    seed = setting("model.random_weights")
    return f"{name} (random weights, seed {seed})" if name and seed and seed != "none" else name


def summary(results: Results, counts: dict[str, int]) -> list[tuple[str, str]]:
    """Label and text of each fact in the box at the top."""
    setting = Config(results.attributes.get("config", "")).last
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
        ("Window", f"last {results.window} positions"),
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


def _pairs(results: Results) -> str:
    """How many, and of how many prompts: what intervals rest on."""
    clusters = results.clusters
    prompts = f"{len(results.pairs['id'])} (of {len(results.prompts['id'])} prompts)"
    return (
        f"{prompts}; they share {clusters.sources} sources and {clusters.bases} bases"
        if clusters.shared
        else prompts
    )


def _arms(results: Results, samples: int) -> str:
    controls = sum(bool(arm.control) for arm in results.arms)
    of_these = f" ({controls} of them controls)" if controls else ""
    return f"{len(results.arms)}{of_these} × {samples}"


def _generation(setting) -> str:
    parts = []
    if setting("generation.max_new_tokens"):
        parts.append(f"up to {setting('generation.max_new_tokens')} tokens")
    temperature = setting("generation.temperature")
    if temperature:
        parts.append("greedy" if is_number(temperature, 0) else f"temperature {temperature}")
    for key, neutral in (("top_k", 0), ("top_p", 1)):
        value = setting(f"generation.{key}")
        if value and not is_number(value, neutral):
            parts.append(f"{key} {value}")
    return ", ".join(parts)


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
