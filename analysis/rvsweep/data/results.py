"""Reads results.h5 (schema_version 1) into plain NumPy arrays. Nothing here computes a statistic."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from rvsweep.data.arms import Arm
from rvsweep.data.clusters import Clusters, clusters_of
from rvsweep.data.errors import InputError

SCHEMA_VERSION = 1
STATUSES = ("ok", "refused", "failed", "pending")
OK = STATUSES.index("ok")
ROWS_AT_ONCE = 4096  # spectra read at a time

# Per-layer metrics of /prompts, [P, L].
PROMPT_METRICS = (
    "pr", "pr_centred", "pr_corrected", "effective_rank", "spectral_entropy", "stable_rank", "nuclear_ratio",
)  # fmt: skip
R_V_KINDS = ("r_v", "r_v_centred", "r_v_corrected")  # of /prompts, [P]

TEXTS = ("id", "text", "group", "cluster", "reason", "label", "kind", "spec", "stop_reason")
NUMBERS = ("n_tokens", *R_V_KINDS, *PROMPT_METRICS, "window_pr")
MOST_LAYERS = 100_000  # of a model or positions of a window: beyond it the number is damage

REQUIRED = {
    "prompts": ("id", "text"),
    "pairs": ("id", "source", "base"),
    "arms": ("label", "kind", "spec"),
    "rows": ("pair", "arm", "sample", "status", "reason"),
}


class ResultsError(InputError):
    """The file cannot be reported on; the message says why and what to do."""


@dataclass(frozen=True)
class DatasetNote:
    """What a dataset of the file says about itself."""

    path: str
    shape: str
    units: str
    description: str
    definition: str


@dataclass(frozen=True)
class Results:
    """P prompts, N pairs, A arms, R rows, L layers; one array per dataset, under the dataset's name.

    Text columns are object arrays of str. Numeric result columns of /rows are float64 with NaN
    where the row is not ok or the file holds -1 ("no value"). row_id is uint64.
    """

    path: Path
    attributes: dict[str, str]
    n_layers: int
    early_layer: int
    late_layer: int
    window: int  # W: positions of a spectrum
    prompts: dict[str, np.ndarray]  # [P] or [P, L]; window_pr more; logprob is the mean per token
    pairs: dict[str, np.ndarray]  # [N]
    arms: list[Arm]
    rows: dict[str, np.ndarray]  # [R]
    run: dict[str, str]  # what /run says of this run alone
    datasets: list[DatasetNote]
    types: dict[str, np.dtype] = field(default_factory=dict)  # of the columns of /rows in the file
    ratings: list[str] = field(default_factory=list)  # columns of `rows` that came from raters

    @property
    def ok(self) -> np.ndarray:
        """[R] bool."""
        return self.rows["status"] == OK

    @cached_property
    def clusters(self) -> Clusters:
        """Which pairs share prompts."""
        return clusters_of(self.prompts, self.pairs)

    def groups(self, role: str) -> np.ndarray:
        """[N] group of each pair's `source` or `base` prompt, empty where the file has none."""
        names = self.prompts.get("group", np.full(len(self.prompts["id"]), "", dtype=object))
        return names[self.pairs[role]]

    def arm_of_kind(self, kind: str) -> Arm | None:
        """The first."""
        return next((arm for arm in self.arms if arm.kind == kind), None)

    def recipient_of(self, arm: Arm) -> Arm | None:
        """The unpatched arm that `arm` starts from, and so `arm` itself for base; None where it did not run."""
        return self.arm_of_kind("source" if arm.donor_is_base else "base")

    def stated(self, *names: str) -> list[str]:
        """The root attributes of these names that are there and not empty."""
        return [self.attributes[name] for name in names if self.attributes.get(name)]


def read_results(path: Path) -> Results:
    """Raises ResultsError for anything that is not a readable, consistent results file."""
    if not path.exists():
        raise ResultsError(f"{path}: no such file; give the results.h5 of a sweep")
    if not path.is_file():
        raise ResultsError(f"{path}: not a file; give the results.h5 inside the sweep's folder")
    with open_results(path) as file:
        return _read(path, file)


@contextlib.contextmanager
def open_results(path: Path) -> Iterator[h5py.File]:
    """Whatever h5py says about a damaged file becomes one message."""
    try:
        # Finished files are put in place whole; some network file systems have no locks.
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise ResultsError(f"{path}: not a readable HDF5 file ({_first_line(error)})") from error


def _read(path: Path, file: h5py.File) -> Results:
    attributes = {name: _attribute_text(value) for name, value in file.attrs.items()}
    version = attributes.get("schema_version")
    if version != str(SCHEMA_VERSION):
        found = "has no schema_version" if version is None else f"has schema_version {version}"
        raise ResultsError(
            f"{path}: {found}; this report reads schema_version {SCHEMA_VERSION}, "
            "use the report of the rvsweep that wrote the file"
        )
    for group, names in REQUIRED.items():
        for name in names:
            if f"{group}/{name}" not in file:
                raise ResultsError(f"{path}: /{group}/{name} is missing; not a complete results file")
    prompts = _read_prompts(path, file["prompts"])
    pairs = {name: _table_column(path, file["pairs"], name) for name in REQUIRED["pairs"]}
    arms = _read_arms(path, file["arms"])
    rows = _read_rows(path, file["rows"])
    if len(pairs["id"]) == 0:
        raise ResultsError(f"{path}: the sweep has no prompt pairs; nothing to report")
    _check_references(path, prompts, pairs, arms, rows)
    layers = {
        name: _integer_attribute(path, attributes, name)
        for name in ("n_layers", "early_layer", "late_layer", "window")
    }
    for name in ("n_layers", "window"):
        if not 1 <= layers[name] <= MOST_LAYERS:
            raise ResultsError(f"{path}: root attribute {name} is {layers[name]}; the file is damaged")
    for arm in arms:
        if any(not start < end <= layers["n_layers"] for start, end in arm.ranges):
            raise ResultsError(
                f"{path}: arm {arm.label}: {arm.settings['layers']} are not layers of the model"
            )
    for name in ("early_layer", "late_layer"):
        if not 0 <= layers[name] < layers["n_layers"]:
            raise ResultsError(f"{path}: {name} {layers[name]} is not a layer of the model")
    for name in PROMPT_METRICS:
        if name in prompts and prompts[name].shape[1:] != (layers["n_layers"],):
            raise ResultsError(f"{path}: /prompts/{name} does not have one column per layer")
    return Results(
        path=path,
        attributes=attributes,
        prompts=prompts,
        pairs=pairs,
        arms=arms,
        rows=rows,
        run=_run_facts(file.get("run")),
        datasets=_dataset_notes(file),
        types={name: file["rows"][name].dtype for name in rows},
        **layers,
    )


_KINDS = {"O": "text", "iuf": "numbers", "Oiufb": "text or numbers"}


def _table_column(path: Path, group: h5py.Group, name: str, dimensions: int = 1) -> np.ndarray:
    """A column of so many dimensions, text or numbers as its name demands."""
    dataset, name_in_file = group.get(name), f"{group.name}/{name}"  # None: a link to nothing
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim != dimensions:
        raise ResultsError(
            f"{path}: {name_in_file} is no column of {dimensions} dimension(s); the file is damaged"
        )
    if _ragged(dataset):
        raise ResultsError(f"{path}: {name_in_file} holds lists, not text or numbers; the file is damaged")
    column = _column(dataset)
    wanted = "O" if name in TEXTS else "iuf" if name in NUMBERS else "Oiufb"
    if column.dtype.kind not in wanted:
        raise ResultsError(f"{path}: {name_in_file} does not hold {_KINDS[wanted]}; the file is damaged")
    return column


def _check_lengths(path: Path, table: str, columns: dict[str, np.ndarray]) -> None:
    if len({len(column) for column in columns.values()}) > 1:
        raise ResultsError(f"{path}: columns of /{table} differ in length; the file is damaged")


def _read_prompts(path: Path, group: h5py.Group) -> dict[str, np.ndarray]:
    wanted = (
        "id",
        "text",
        "group",
        "cluster",
        "n_tokens",
        "reason",
        *R_V_KINDS,
        *PROMPT_METRICS,
        "window_pr",
    )
    dimensions = dict.fromkeys(PROMPT_METRICS, 2) | {"window_pr": 4}
    found = {
        name: _table_column(path, group, name, dimensions.get(name, 1)) for name in wanted if name in group
    }
    if "logprob" in group:
        found["logprob"] = _means_of_lists(path, group["logprob"])
    return found


def _means_of_lists(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    """[P] mean of each list's numbers, NaN for a list without any."""
    if h5py.check_vlen_dtype(dataset.dtype) is None or dataset.ndim != 1:
        raise ResultsError(f"{path}: {dataset.name} does not hold lists; the file is damaged")
    lists = (np.asarray(numbers, float) for numbers in dataset[...])
    finite = (numbers[np.isfinite(numbers)] for numbers in lists)
    return np.array([numbers.mean() if len(numbers) else np.nan for numbers in finite])


def _read_arms(path: Path, group: h5py.Group) -> list[Arm]:
    columns = {name: _table_column(path, group, name) for name in REQUIRED["arms"]}
    _check_lengths(path, "arms", columns)
    labels = columns["label"].tolist()
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise ResultsError(f"{path}: two arms have the label {twice!r}; tables could not tell them apart")
    return [Arm(index, *texts) for index, texts in enumerate(zip(*columns.values(), strict=True))]


def _read_rows(path: Path, group: h5py.Group) -> dict[str, np.ndarray]:
    """Every one-dimensional column."""
    for name in REQUIRED["rows"]:
        _table_column(path, group, name)
    rows = {
        name: _table_column(path, group, name)
        for name, dataset in group.items()
        if isinstance(dataset, h5py.Dataset) and dataset.ndim == 1 and not _ragged(dataset)
    }
    rows["status"] = _status_codes(path, group["status"])
    _check_lengths(path, "rows", rows)
    ok = rows["status"] == OK
    for name, values in rows.items():
        if name in ("row_id", "pair", "arm", "sample", "status") or values.dtype == object:
            continue
        missing = ~ok | ((values == -1) & np.issubdtype(values.dtype, np.integer))
        rows[name] = np.where(missing, np.nan, values.astype(np.float64))
    return rows


def _status_codes(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    codes = dataset[...].astype(np.int64)
    names = {code: name for name, code in (h5py.check_enum_dtype(dataset.dtype) or {}).items()}
    unknown = set(np.unique(codes)) - {code for code, name in names.items() if name in STATUSES}
    if unknown:
        raise ResultsError(f"{path}: /rows/status has values without a known name: {sorted(unknown)}")
    lookup = {code: STATUSES.index(name) for code, name in names.items() if name in STATUSES}
    return np.array([lookup[code] for code in codes], dtype=np.int64)


def _check_references(path, prompts, pairs, arms, rows) -> None:
    def check(name: str, values: np.ndarray, size: int) -> None:
        if not np.issubdtype(values.dtype, np.integer):
            raise ResultsError(f"{path}: /{name} does not hold integers; the file is damaged")
        if len(values) and (values.min() < 0 or values.max() >= size):
            raise ResultsError(f"{path}: /{name} points outside its table; the file is damaged")

    _check_lengths(path, "prompts", prompts)
    _check_lengths(path, "pairs", pairs)
    check("pairs/source", pairs["source"], len(prompts["id"]))
    check("pairs/base", pairs["base"], len(prompts["id"]))
    check("rows/pair", rows["pair"], len(pairs["id"]))
    check("rows/arm", rows["arm"], len(arms))
    for name in ("sample", "row_id"):
        if name in rows and not np.issubdtype(rows[name].dtype, np.integer):
            raise ResultsError(f"{path}: /rows/{name} does not hold integers; the file is damaged")


def _integer_attribute(path: Path, attributes: dict[str, str], name: str) -> int:
    try:
        return int(attributes[name])
    except KeyError:
        raise ResultsError(f"{path}: root attribute {name} is missing") from None
    except ValueError:
        raise ResultsError(f"{path}: root attribute {name} is not a number: {attributes[name]}") from None


def _run_facts(group: h5py.Group | None) -> dict[str, str]:
    """Facts of this run: attributes, single values, and the first and last entry of columns of times."""
    if group is None:
        return {}
    facts = {name: _attribute_text(value) for name, value in group.attrs.items()}
    for name, item in group.items():
        if isinstance(item, h5py.Dataset) and item.ndim == 0:
            facts[name] = _attribute_text(item[()])
        elif isinstance(item, h5py.Dataset) and item.ndim == 1 and name == "started":
            times = sorted(text for text in _column(item) if text)
            if times:
                facts["started"], facts["last_started"] = times[0], times[-1]
    return facts


def _dataset_notes(file: h5py.File) -> list[DatasetNote]:
    notes = []

    def visit(name: str, item) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("run/"):
            about = (
                _attribute_text(item.attrs.get(key, "")) for key in ("units", "description", "definition")
            )
            notes.append(DatasetNote("/" + name, " × ".join(map(str, item.shape or ())), *about))

    file.visititems(visit)
    return notes


def _ragged(dataset: h5py.Dataset) -> bool:
    """Whether its entries are lists, such as the token ids of prompts."""
    kind = dataset.dtype
    return h5py.check_string_dtype(kind) is None and h5py.check_vlen_dtype(kind) is not None


def _column(dataset: h5py.Dataset) -> np.ndarray:
    """A dataset as numbers, or as an object array of str (utf-8, fixed or variable length; enum names)."""
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.array(dataset.asstr(errors="replace")[...], dtype=object)
    names = h5py.check_enum_dtype(dataset.dtype)
    if names is not None and set(names) != {"FALSE", "TRUE"}:
        by_code = {code: name for name, code in names.items()}
        return np.array([by_code.get(code, str(code)) for code in dataset[...].tolist()], dtype=object)
    return dataset[...]


def _attribute_text(value) -> str:
    if isinstance(value, np.ndarray) and value.ndim > 0:
        return ", ".join(_attribute_text(item) for item in value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
