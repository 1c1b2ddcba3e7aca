"""rvsweep plan for GPUs that are not here: what fits their memory, by what the caches alone must take."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer

import tiny_models
from processes import call
from prompt_texts import sentences, write_pairs

SHAPES = {
    "8B": {"num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32},
    "70B": {"num_hidden_layers": 80, "hidden_size": 8192, "intermediate_size": 28672, "num_attention_heads": 64},
}
LLAMA_3 = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 5e5,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "eos_token_id": 1,
}
ARMS = ["base", "source", "v_proj layers=24 decode=persist", "kv_cache layers=16:32"]
PAIRS = 64
OVERHEAD = 2e9  # of CUDA, at least


class Shape:
    """A model without weights, and prompts of several lengths."""

    def __init__(self, binary: Path, folder: Path, name: str) -> None:
        self.binary, self.folder, self.sizes = binary, folder, LLAMA_3 | SHAPES[name]
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(self.sizes))
        tiny_models.make_tokenizer(folder, bos_by_template=False)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def text(self, tokens: int, seed: int) -> str:
        """So few tokens less than `tokens` that it is padded to them."""
        ids = self.tokenizer.encode(" ".join(sentences(seed=seed, count=tokens // 8))).ids
        assert len(ids) >= tokens
        return self.tokenizer.decode(ids[: tokens - 4])

    def prompts(self, tokens: int) -> Path:
        path = self.folder / f"{tokens}.jsonl"
        if not path.exists():
            texts = [self.text(tokens, seed) for seed in range(2 * PAIRS)]
            pairs = zip(texts[::2], texts[1::2], strict=True)
            write_pairs(path, [{"pair": f"{n}", "source": s, "base": b} for n, (s, b) in enumerate(pairs)])
        return path

    def plan(self, tokens: int, new_tokens: int, memory: str, *more: str):
        config = self.folder / f"{tokens}.cfg"
        config.write_text(
            f"[model]\npath = {self.folder}\n[prompts]\nfile = {self.prompts(tokens)}\n[sweep]\n"
            + "".join(f"arm = {arm}\n" for arm in ARMS)
        )
        new = f"generation.max_new_tokens={new_tokens}"
        words = ["plan", "--json", "--random-weights", "--config", config, "--set", new, "--device", "cuda"]
        return call([self.binary, *words, "--device-memory", memory, *more])

    @property
    def cell(self) -> int:
        """Bytes of K and V of one token in every layer, in bfloat16."""
        return 2 * 2 * self.sizes["num_hidden_layers"] * self.sizes["num_key_value_heads"] * 128

    @property
    def weights(self) -> int:
        hidden, layers = self.sizes["hidden_size"], self.sizes["num_hidden_layers"]
        attention = hidden * (2 * hidden + 2 * 1024)
        block = attention + 3 * hidden * self.sizes["intermediate_size"] + 2 * hidden
        return 2 * (2 * self.sizes["vocab_size"] * hidden + layers * block + hidden)


@pytest.fixture(scope="module")
def shape(rvsweep, tmp_path_factory):
    made = {}

    def of(name: str) -> Shape:
        if name not in made:
            made[name] = Shape(rvsweep, tmp_path_factory.mktemp("shapes") / name, name)
        return made[name]

    return of


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("tokens", [40, 512, 2048])
@pytest.mark.parametrize("new_tokens", [32, 256, 512])
def test_a_plan_fits_its_gpu_or_is_refused(shape, name, tokens, new_tokens):
    model = shape(name)
    for gigabytes in (24, 80, 141):
        result = model.plan(tokens, new_tokens, f"{gigabytes}GB")
        told = f"{name} T={tokens} N={new_tokens} {gigabytes} GB: "
        if result.returncode:
            assert result.returncode == 2 and "larger GPU" in result.stderr, result.stderr
            least = model.weights + (tokens + new_tokens + 8 * tokens) * model.cell + OVERHEAD
            assert least > 0.9 * gigabytes * 1e9
            print(told + result.stderr.strip())
            continue
        plan = json.loads(result.stdout)
        memory, bundle = plan["memory"], plan["largest_bundle"]
        print(told + f"{bundle['rows']} rows, {bundle['prompts']} prompts, {memory['total'] / 1e9:.1f} GB")
        assert plan["rows"] == PAIRS * len(ARMS) and plan["refused"] == 0
        assert memory["weights"] == model.weights
        assert memory["device_memory"] == gigabytes * 1e9
        assert bundle["columns"] == tokens and 1 <= bundle["rows"] <= 256
        caches = (bundle["rows"] * (tokens + new_tokens) + bundle["prompts"] * tokens) * model.cell
        assert model.weights + caches + OVERHEAD <= memory["total"] <= gigabytes * 1e9


def test_too_many_rows_are_refused_with_the_most_that_fit(shape):
    model = shape("8B")

    def rows(number: int | str):
        return model.plan(512, 512, "40GB", "--set", f"sweep.bundle_rows={number}")

    refused = rows(256)
    assert refused.returncode == 2 and "sweep.bundle_rows = 256" in refused.stderr
    most = int(re.search(r"set (\d+), or auto", refused.stderr)[1])
    larger = {8: 16, 16: 24, 24: 32, 32: 48, 48: 64, 64: 96, 96: 128, 128: 192}[most]
    assert rows(most).returncode == 0 and rows(larger).returncode == 2
    assert json.loads(rows("auto").stdout)["largest_bundle"]["rows"] >= most


def test_a_row_that_does_not_fit_is_refused_with_the_tokens_that_do(shape):
    model = shape("8B")
    refused = model.plan(512, 6000, "19.2GB")
    assert refused.returncode == 2 and "pair 0" in refused.stderr
    most = int(re.search(r"lower generation.max_new_tokens to (\d+)", refused.stderr)[1])
    assert 1 < most < 6000
    assert model.plan(512, most, "19.2GB").returncode == 0
    assert model.plan(512, most + 1, "19.2GB").returncode == 2


def test_the_memory_of_a_machine_is_what_is_planned_for(shape, tmp_path):
    model = shape("8B")
    machine = tmp_path / "machine.cfg"
    keys = {"nodes": "2", "cores_per_node": "32", "gpus_per_node": "4", "memory_per_node": "512GB"}
    more = {"memory_per_gpu": "40GB", "rows_per_second": "1", "max_time": "1h"}
    machine.write_text("[machine]\n" + "".join(f"{key} = {value}\n" for key, value in (keys | more).items()))
    here = call([model.binary, "plan", "--config", model.folder / "512.cfg", "--random-weights", "--machine", machine])
    assert here.returncode == 0, here.stderr
    assert "bfloat16 on cuda" in here.stdout and "of the 40.00 GB of a GPU" in here.stdout
    assert "--random-weights=1" in here.stdout


def test_a_gpu_that_is_not_here_must_be_described(shape):
    model = shape("8B")
    result = call([model.binary, "plan", "--config", model.folder / "512.cfg", "--random-weights", "--device", "cuda"])
    assert result.returncode == 2 and "--device-memory" in result.stderr
