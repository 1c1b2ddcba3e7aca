"""Bad input ends in one clear message, exit code 2 and nothing written, before weights are read.

The model of these tests has a sound header, but its weights are a hole of more than 100 GB: whoever reads them
runs into the time limit.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from processes import call, files

TIME_LIMIT = 60
HUGE_VOCABULARY = 300_000_000
MESSAGE = re.compile(r"^\d\d:\d\d:\d\d error(?: rank 0)?: ", re.MULTILINE)

PAIRS = [{"pair": f"p{i}", "source": f"Notice yourself reading {i}.", "base": f"Water boils at {i}."} for i in range(3)]


@dataclass
class Job:
    """Everything that a sweep reads, still sound."""

    folder: Path
    model: Path
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    arms: list[str] = field(default_factory=lambda: ["base", "kv_cache layers=2:5"])
    extra: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "job.cfg"

    @property
    def prompts(self) -> Path:
        return self.folder / "pairs.jsonl"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def set(self, key: str, value: str) -> None:
        section, name = key.split(".")
        self.settings.setdefault(section, {})[name] = value

    def write(self) -> None:
        lines: list[str] = []
        for section, values in self.settings.items():
            lines += [f"[{section}]", *(f"{name} = {value}" for name, value in values.items())]
        lines += ["[sweep]", *(f"arm = {arm}" for arm in self.arms)]
        self.config.write_text("\n".join(lines) + "\n")

    def line_of(self, text: str) -> str:
        number = self.config.read_text().splitlines().index(text) + 1
        return f"{self.config}:{number}"

    def words(self, binary: Path, command: str = "run") -> list[str | Path]:
        words = [binary, command, "--config", self.config, "--device", "cpu", *self.extra]
        return words + (["--out", self.out] if command == "run" else [])


def header_of(model: Path) -> dict:
    data = (model / "model.safetensors").read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def write_weights(model: Path, header: dict | bytes, data_bytes: int, header_length: int | None = None) -> None:
    """A header, and a hole in place of the weights."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    with open(model / "model.safetensors", "wb") as file:
        file.write((len(text) if header_length is None else header_length).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + data_bytes)


def data_bytes(header: dict) -> int:
    return max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")


@pytest.fixture(scope="module")
def unread_model(tiny_model, tmp_path_factory) -> Path:
    """The tiny model with a vocabulary so large that its embedding and head are 150 GB of nothing."""
    folder = tmp_path_factory.mktemp("unread") / "model"
    shutil.copytree(tiny_model("llama31"), folder)
    config = json.loads((folder / "config.json").read_text())
    header = header_of(folder)
    end = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["shape"][0] == config["vocab_size"]:
            entry["shape"][0] = HUGE_VOCABULARY
        size = 4
        for extent in entry["shape"]:
            size *= extent
        entry["data_offsets"] = [end, end + size]
        end += size
    assert end > 100e9
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": HUGE_VOCABULARY}))
    write_weights(folder, header, end)
    return folder


@pytest.fixture
def job(unread_model, tmp_path) -> Job:
    model = tmp_path / "model"
    model.mkdir()
    for source in unread_model.iterdir():  # a copy of the weights would fill the hole on some file systems
        if source.name == "model.safetensors":
            header = header_of_large(source)
            write_weights(model, header, data_bytes(header))
        else:
            shutil.copy(source, model)
    job = Job(tmp_path, model)
    job.set("model.path", str(model))
    job.set("model.early_layer", "1")
    job.set("model.late_layer", "3")
    job.set("prompts.file", str(job.prompts))
    job.set("generation.max_new_tokens", "4")
    job.prompts.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    return job


def header_of_large(weights: Path) -> dict:
    with open(weights, "rb") as file:
        return json.loads(file.read(int.from_bytes(file.read(8), "little")))


def assert_refused(result, parts: list[str], ranks: int = 0, lines: int | None = 1) -> None:
    """`lines` of the message: None where it lists differences, one a line."""
    said = result.stderr
    assert result.returncode == 2, f"exit {result.returncode}\n{said}"
    assert result.stdout == ""
    assert len(MESSAGE.findall(said)) == 1, said
    if ranks == 0:  # mpirun adds a notice of its own
        assert MESSAGE.match(said) and lines in (None, said.count("\n")), said
    for part in parts:
        assert said.count(part) >= 1, f'"{part}" is not in:\n{said}'


def replace_prompt_line(job: Job, number: int, text: str) -> None:
    lines = job.prompts.read_text().splitlines()
    lines[number - 1] = text
    job.prompts.write_text("\n".join(lines) + "\n")


def change_config_json(job: Job, **changes) -> None:
    path = job.model / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_tensor(job: Job, name: str, **changes) -> None:
    header = header_of_large(job.model / "model.safetensors")
    size = data_bytes(header)
    header[name] = header[name] | changes
    write_weights(job.model, header, size)


def drop_tensor(job: Job, name: str) -> None:
    header = header_of_large(job.model / "model.safetensors")
    size = data_bytes(header)
    del header[name]
    write_weights(job.model, header, size)


def add_tensor(job: Job, name: str) -> None:
    header = header_of_large(job.model / "model.safetensors")
    end = data_bytes(header)
    header[name] = {"dtype": "F32", "shape": [2], "data_offsets": [end, end + 8]}
    write_weights(job.model, header, end + 8)


def cut_weights(job: Job, missing_bytes: int) -> None:
    header = header_of_large(job.model / "model.safetensors")
    write_weights(job.model, header, data_bytes(header) - missing_bytes)


def write_index(job: Job, **changes: str) -> None:
    """An index beside the one file; `changes` name other files for some tensors, "" for none."""
    names = {name: "model.safetensors" for name in header_of_large(job.model / "model.safetensors")}
    weight_map = {name: shard for name, shard in (names | changes).items() if shard and name != "__metadata__"}
    (job.model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def claim_header_length(job: Job, length: int) -> None:
    header = header_of_large(job.model / "model.safetensors")
    write_weights(job.model, header, data_bytes(header), header_length=length)


def write_families(path: Path, pattern: str) -> str:
    family = {"name": "recursive_x", "description": "x", "patterns": [pattern]}
    path.write_text(json.dumps({"version": 1, "families": [family]}))
    return str(path)


NORM = "model.norm.weight"
K_PROJ = "model.layers.0.self_attn.k_proj.weight"

# name -> (how the sound job is spoilt, what the message must say; {cfg}, {prompts}, {model} and {out} are filled in)
CASES: dict[str, tuple[Callable[[Job], object], list[str]]] = {
    "config missing": (lambda j: j.config.unlink(), ["{cfg}", "cannot be read", "--config"]),
    "config malformed": (lambda j: j.config.write_text("[model]\npath\n"), ["{cfg}:2", "key = value"]),
    "config key unknown": (
        lambda j: j.config.write_text(j.config.read_text() + "bundel_rows = 8\n"),
        ["{cfg}:12", "sweep.bundel_rows", "did you mean sweep.bundle_rows?"],
    ),
    "config key twice": (
        lambda j: j.config.write_text("[model]\npath = a\n" + j.config.read_text()),
        ["{cfg}:4", "model.path", "{cfg}:2"],
    ),
    "config value": (lambda j: j.set("generation.samples", "none"), ["{cfg}:", "generation.samples", '"none"']),
    "config without prompts": (lambda j: j.settings.pop("prompts"), ["prompts.file"]),
    "set malformed": (lambda j: j.extra.extend(["--set", "sweep.seed"]), ["--set sweep.seed"]),
    "set key unknown": (lambda j: j.extra.extend(["--set", "sweep.sed=1"]), ["sweep.sed", "did you mean sweep.seed?"]),
    "window below 2": (lambda j: j.set("model.window", "1"), ["{cfg}:5", "model.window", '"1"']),
    "early layer outside": (lambda j: j.set("model.early_layer", "5"), ["{cfg}:3", "model.early_layer", "0 to 4"]),
    "late layer outside": (lambda j: j.set("model.late_layer", "100%"), ["{cfg}:4", "model.late_layer", "0 to 4"]),
    "layers outside": (lambda j: j.arms.append("v_proj layers=5"), ["{cfg}:12", "layer 5", "0 to 4"]),
    "layer range outside": (lambda j: j.arms.append("kv_cache layers=2:6"), ["{cfg}:12", "2:6", "0 to 4"]),
    "layer range empty": (lambda j: j.arms.append("kv_cache layers=3:3"), ["{cfg}:12", "3:3", "empty"]),
    "layer range reversed": (lambda j: j.arms.append("kv_cache layers=4:2"), ["{cfg}:12", "4:2", "empty"]),
    "layer share outside": (lambda j: j.arms.append("kv_cache layers=50%:120%"), ["{cfg}:12", "120%"]),
    "layers missing": (lambda j: j.arms.append("v_proj"), ["{cfg}:12", "layers="]),
    "arm unknown": (lambda j: j.arms.append("v_prj layers=1"), ["{cfg}:12", "v_prj", "did you mean v_proj?"]),
    "arm setting unknown": (
        lambda j: j.arms.append("v_proj layers=1 decod=persist"),
        ["{cfg}:12", "decod", "did you mean decode?"],
    ),
    "arm setting without meaning": (
        lambda j: j.arms.append("v_proj layers=1 growth=append"),
        ["{cfg}:12", "growth", "means nothing for v_proj"],
    ),
    "arm value": (lambda j: j.arms.append("v_proj layers=1 decode=x"), ["{cfg}:12", "decode=x", "prefill, persist"]),
    "direction of no file": (
        lambda j: j.arms.append("resid_pre layers=1 op=add direction=nowhere.h5"),
        ["{cfg}:12", "direction=nowhere.h5", "mean_difference:A-B"],
    ),
    "direction of no HDF5 file": (
        lambda j: j.arms.append(f"resid_pre layers=1 op=add direction={j.prompts}"),
        ["{prompts}", "safetensors or HDF5"],
    ),
    "direction of unknown groups": (
        lambda j: j.arms.append("resid_pre layers=1 op=add direction=mean_difference:source-nobody"),
        ["mean_difference:source-nobody", "two of source, base"],
    ),
    "arm twice": (lambda j: j.arms.append("base"), ["{cfg}:12", "{cfg}:10", "base"]),
    "prompts missing": (lambda j: j.prompts.unlink(), ["{prompts}", "cannot be read"]),
    "prompts without pairs": (lambda j: j.prompts.write_text(""), ["{prompts}", "no pair"]),
    "prompt line empty": (lambda j: replace_prompt_line(j, 2, ""), ["{prompts}:2", "empty"]),
    "prompt line malformed": (lambda j: replace_prompt_line(j, 3, '{"pair": "x"'), ["{prompts}:3", "JSON"]),
    "prompt line not UTF-8": (
        lambda j: j.prompts.write_bytes(b'{"pair": "p", "source": "\xff", "base": "b"}\n'),
        ["{prompts}:1", "UTF-8"],
    ),
    "prompt key missing": (
        lambda j: replace_prompt_line(j, 1, '{"pair": "p", "source": "s"}'),
        ["{prompts}:1", '"base"'],
    ),
    "prompt line of another kind": (lambda j: replace_prompt_line(j, 2, "[1, 2]"), ["{prompts}:2", "not a JSON object"]),
    "prompt not a text": (
        lambda j: replace_prompt_line(j, 2, '{"pair": "p", "source": "s", "base": 1}'),
        ["{prompts}:2", '"base" is not a text'],
    ),
    "pair id empty": (
        lambda j: replace_prompt_line(j, 2, '{"pair": "", "source": "s", "base": "b"}'),
        ["{prompts}:2", '"pair" is empty'],
    ),
    "prompt with NUL": (
        lambda j: replace_prompt_line(j, 2, '{"pair": "p", "source": "s\\u0000", "base": "b"}'),
        ["{prompts}:2", '"source" holds a NUL'],
    ),
    "family with NUL": (
        lambda j: j.set("readouts.families", write_families(j.folder / "own.json", "a\0b")),
        ["own.json, family recursive_x", "NUL"],
    ),
    "model as an id of the hub": (
        lambda j: j.set("model.path", "owner/model"),
        ["owner/model/config.json", "hf download owner/model"],
    ),
    "model path with ~": (lambda j: j.set("model.path", "~/model"), ["~/model/config.json", "only a shell replaces"]),
    "model in the hub's cache": (
        lambda j: (
            (j.folder / "hub/snapshots").mkdir(parents=True),
            j.model.rename(j.folder / "hub/snapshots/0123"),
            j.set("model.path", str(j.folder / "hub")),
        ),
        ["hub/config.json", "here a snapshot: ", "hub/snapshots/0123"],
    ),
    "model with a link to nothing": (
        lambda j: (
            (j.model / "model.safetensors").unlink(),
            (j.model / "model.safetensors").symlink_to("../../blobs/00"),
        ),
        ["{model}/model.safetensors", "a link to ../../blobs/00, which is not there", "cp -rL"],
    ),
    "word list missing": (
        lambda j: j.arms.append("kv_cache layers=2:5 positions=keywords:none.txt"),
        ["none.txt", "cannot be read"],
    ),
    "pair id twice": (
        lambda j: replace_prompt_line(j, 3, json.dumps(PAIRS[0])),
        ["{prompts}:3", '"p0"', "{prompts}:1"],
    ),
    "families missing": (
        lambda j: j.set("readouts.families", str(j.folder / "none.json")),
        ["none.json: cannot be read", "readouts.families must be builtin or name a file"],
    ),
    "families malformed": (
        lambda j: (j.set("readouts.families", str(j.prompts)), j.prompts.write_text(json.dumps(PAIRS[0]))),
        ["{prompts}", "unknown member", '"base"'],
    ),
    "family pattern malformed": (
        lambda j: j.set("readouts.families", write_families(j.folder / "own.json", "a(b")),
        ["own.json, family recursive_x", '"a(b"', "missing closing parenthesis at byte 3"],
    ),
    "model folder missing": (lambda j: shutil.rmtree(j.model), ["{model}/config.json", "cannot be read"]),
    "config.json malformed": (lambda j: (j.model / "config.json").write_text("{"), ["{model}/config.json", "JSON"]),
    "model unsupported": (lambda j: change_config_json(j, model_type="bloom"), ["{model}/config.json", "bloom"]),
    "experts": (lambda j: change_config_json(j, num_local_experts=8), ["num_local_experts", "mixture of experts"]),
    "quantised": (lambda j: change_config_json(j, quantization_config={"bits": 4}), ["quantization_config"]),
    "rope type": (
        lambda j: change_config_json(j, rope_parameters={"rope_type": "mrope", "rope_theta": 1e4, "factor": 4.0}),
        ["{model}/config.json", '"mrope"'],
    ),
    "tokenizer missing": (lambda j: (j.model / "tokenizer.json").unlink(), ["{model}/tokenizer.json"]),
    "tokenizer malformed": (lambda j: (j.model / "tokenizer.json").write_text("{"), ["{model}/tokenizer.json"]),
    "weights missing": (lambda j: (j.model / "model.safetensors").unlink(), ["{model}", "model.safetensors"]),
    "weights truncated": (lambda j: cut_weights(j, 1), ["{model}/model.safetensors", "truncated"]),
    "weights without header": (
        lambda j: (j.model / "model.safetensors").write_bytes(b"abc"),
        ["{model}/model.safetensors", "header"],
    ),
    "header length": (
        lambda j: claim_header_length(j, 1 << 62),
        ["{model}/model.safetensors", "header claims", str(1 << 62)],
    ),
    "header malformed": (
        lambda j: write_weights(j.model, b'{"a": ', 64),
        ["{model}/model.safetensors", "header", "JSON"],
    ),
    "offsets outside": (
        lambda j: change_tensor(j, NORM, data_offsets=[1 << 60, (1 << 60) + 256]),
        ["{model}/model.safetensors", NORM, "outside"],
    ),
    "offsets overlapping": (
        lambda j: change_tensor(j, NORM, data_offsets=[0, 256]),
        ["{model}/model.safetensors", "share bytes"],
    ),
    "dtype without its size": (lambda j: change_tensor(j, NORM, dtype="F64"), [NORM, "shape and dtype"]),
    "dtype unknown": (lambda j: change_tensor(j, NORM, dtype="Q4"), [NORM, "Q4"]),
    "dtype quantised": (lambda j: change_tensor(j, NORM, dtype="I32"), [NORM, "I32", "not supported"]),
    "shape of another model": (lambda j: change_tensor(j, K_PROJ, shape=[64, 32]), [K_PROJ, "[64, 32]", "[32, 64]"]),
    "tensor missing": (lambda j: drop_tensor(j, K_PROJ), [K_PROJ]),
    "tensor unused": (lambda j: add_tensor(j, "model.layers.5.extra.weight"), ["model.layers.5.extra.weight"]),
    "index malformed": (
        lambda j: (j.model / "model.safetensors.index.json").write_text('{"weight_map": 1}'),
        ["{model}/model.safetensors.index.json", "malformed"],
    ),
    "shard missing": (
        lambda j: write_index(j, **{NORM: "model-00002-of-00002.safetensors"}),
        ["{model}/model.safetensors", "{model}/model.safetensors.index.json", "model-00002-of-00002.safetensors"],
    ),
    "tensor not in its shard": (
        lambda j: write_index(j, **{"model.extra.weight": "model.safetensors"}),
        ["{model}/model.safetensors", "model.extra.weight"],
    ),
    "tensor not in the index": (
        lambda j: write_index(j, **{NORM: ""}),
        ["{model}/model.safetensors.index.json", NORM],
    ),
    "output is a file": (
        lambda j: j.out.write_text("mine"),
        ["{out}"],
    ),
    "float16 on a CPU": (lambda j: j.set("run.dtype", "float16"), ["run.dtype", "float16", "GPU"]),
    "random weights": (lambda j: j.set("model.random_weights", "yes"), ["model.random_weights", '"yes"', "number"]),
    "time limit": (lambda j: j.extra.extend(["--max-time", "soon"]), ["--max-time soon", "30m"]),
    "option unknown": (lambda j: j.extra.append("--sed=1"), ["--sed", "usage"]),
}

EDITS_THE_CONFIG = {"config missing", "config malformed", "config key unknown", "config key twice"}


def spoil(job: Job, case: str) -> list[str]:
    """Spoils the job and returns what the message must hold."""
    change, parts = CASES[case]
    if case in EDITS_THE_CONFIG:
        job.write()
        change(job)
    else:
        change(job)
        job.write()
    places = {"{cfg}": job.config, "{prompts}": job.prompts, "{model}": job.model, "{out}": job.out}
    for name, path in places.items():
        parts = [part.replace(name, str(path)) for part in parts]
    return parts


def small_files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_size < 1e8
    }


@pytest.mark.parametrize("case", CASES)
def test_run_refuses(case, job, rvsweep):
    parts = spoil(job, case)
    before = small_files(job.folder)
    assert_refused(call(job.words(rvsweep), timeout=TIME_LIMIT), parts)
    assert small_files(job.folder) == before
    assert job.out.is_file() if case == "output is a file" else not job.out.exists()


@pytest.mark.parametrize("case", ["config key unknown", "prompt line empty", "tensor missing"])
def test_plan_refuses_the_same(case, job, rvsweep):
    parts = spoil(job, case)
    assert_refused(call(job.words(rvsweep, "plan"), timeout=TIME_LIMIT), parts)


@pytest.mark.parametrize(
    "case",
    ["config missing", "config key unknown", "layers outside", "pair id twice", "header length", "option unknown"],
)
def test_all_ranks_end_after_one_message(case, job, rvsweep):
    parts = spoil(job, case)
    assert_refused(call(job.words(rvsweep), ranks=2, timeout=TIME_LIMIT), parts, ranks=2)
    assert not job.out.exists()


def test_a_sound_job_plans_without_reading_weights(job, rvsweep):
    """The fault of each case above is its only one."""
    job.write()
    result = call(job.words(rvsweep, "plan"), timeout=TIME_LIMIT)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^rows +6 \(0 refused\)$", result.stdout, re.MULTILINE), result.stdout


def test_the_folder_of_another_sweep_is_refused_before_weights_are_read(job, rvsweep, finished):
    shutil.copytree(finished.out, job.out)
    job.write()
    before = files(job.out)
    assert_refused(call(job.words(rvsweep), timeout=TIME_LIMIT), [f"{job.out}: holds another sweep"], lines=None)
    assert files(job.out) == before


@pytest.mark.parametrize("ranks", [0, 2])
def test_an_unwritable_output_is_refused_before_weights_are_read(job, rvsweep, ranks):
    (job.folder / "file").write_text("mine")
    job.write()
    words = [*job.words(rvsweep)[:-1], job.folder / "file" / "out"]
    assert_refused(call(words, ranks, timeout=TIME_LIMIT), [str(job.folder / "file")], ranks)
    assert (job.folder / "file").read_text() == "mine"


def test_missing_options_are_named(rvsweep, job):
    job.write()
    assert_refused(call([rvsweep, "run", "--out", job.out]), ["--config"])
    assert_refused(call([rvsweep, "run", "--config", job.config]), ["--out"])
    for command in ("status", "merge"):
        assert_refused(call([rvsweep, command]), [f"rvsweep {command} DIR"])
    assert_refused(call([rvsweep, "verify"]), ["rvsweep verify DIR_OR_FILE"])


def test_an_unknown_command_is_named_with_the_nearest_one(rvsweep):
    assert_refused(call([rvsweep, "rum"]), ["rum", "did you mean run?"])
    nothing = call([rvsweep])
    assert nothing.returncode == 2 and "Usage: rvsweep COMMAND" in nothing.stdout


@pytest.mark.parametrize("command", ["status", "merge", "verify"])
def test_a_folder_that_is_no_sweep_is_named(rvsweep, tmp_path, command):
    assert_refused(call([rvsweep, command, tmp_path / "none"]), [str(tmp_path / "none")])
    (tmp_path / "notes.txt").write_text("mine")
    assert_refused(call([rvsweep, command, tmp_path]), [str(tmp_path)])
    assert list(files(tmp_path)) == ["notes.txt"]
