"""What the machine can do at most: matrix products at the shapes of the work, memory bandwidth, and rows/s from them.

Rows per second at the arithmetic limit, every prompt prefilled once, are 1 over the seconds of a row, the sum of

    prefill    tokens_prefill x sum over layer matrices of 2 out in / rate_prefill(matrix)
    decode     tokens_decode x max[sum over all matrices of 2 out in / rate_decode(matrix), step bytes / bandwidth]
    head       (N - tokens_decode) x 2 vocab hidden / rate_decode(head): first tokens, which come from the prefill
    attention  4 n_heads head_dim L x (keys seen, summed over all tokens fed) / best rate

tokens_prefill = 2 n / arms, and W in the layers from the patched one on for a v_proj row; tokens_decode = N - 1,
and one more for a kv_cache row, which reads the prompt's last token under its patch. Step bytes are the weights,
shared by the rows decoded together, and a row's keys and values. Spectra, sampling, norms, text and files cost
nothing here. Rates are those of torch's matrix product at that many rows; as many copies of a matrix as the model has
layers are read in turn, so that weights come from memory. `peak` is the same with every rate the best one measured.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import PretrainedConfig

from work import WINDOW, Work

BANDWIDTH_NUMBERS = 1 << 26  # float32: 256 MiB, far more than a cache


@dataclass(frozen=True)
class Matrix:
    name: str
    outputs: int
    inputs: int
    copies: int

    def flops(self) -> int:
        """Of one token through all copies."""
        return 2 * self.outputs * self.inputs * self.copies


def head_dim(config: PretrainedConfig) -> int:
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def matrices(config: PretrainedConfig) -> list[Matrix]:
    """Those of a layer, fused where they read the same input, and the head at the end."""
    hidden, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    heads, kv_heads, dim = config.num_attention_heads, config.num_key_value_heads, head_dim(config)
    return [
        Matrix("qkv", (heads + 2 * kv_heads) * dim, hidden, layers),
        Matrix("o", hidden, heads * dim, layers),
        Matrix("gate_up", 2 * inner, hidden, layers),
        Matrix("down", hidden, inner, layers),
        Matrix("lm_head", config.vocab_size, hidden, 1),
    ]


def seconds_of(work: Callable[[], None], device: str, repeat: int = 5) -> float:
    """Median, after one call that is not counted."""
    taken = []
    for turn in range(repeat + 1):
        started = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


@torch.inference_mode()
def gemm_rate(matrix: Matrix, rows: int, device: str, dtype: torch.dtype) -> float:
    """FLOP/s of `rows` tokens through all copies."""
    weights = [torch.randn(matrix.outputs, matrix.inputs, device=device).to(dtype) for _ in range(matrix.copies)]
    inputs = torch.randn(rows, matrix.inputs, device=device).to(dtype)

    def work() -> None:
        for weight in weights:
            torch.nn.functional.linear(inputs, weight)

    return matrix.flops() * rows / seconds_of(work, device)


@torch.inference_mode()
def bandwidth(device: str) -> dict[str, float]:
    """Bytes per second, each byte read or written counted once."""
    a, b, c = (torch.ones(BANDWIDTH_NUMBERS, device=device) for _ in range(3))
    size = a.numel() * a.element_size()
    return {
        "copy": 2 * size / seconds_of(lambda: a.copy_(b), device),
        "triad": 3 * size / seconds_of(lambda: torch.add(b, c, alpha=2.0, out=a), device),
        "read": size / seconds_of(lambda: b.sum(), device),
    }


def weight_bytes(config: PretrainedConfig, dtype: torch.dtype) -> int:
    """Of what a decode step reads: all matrices; of the embedding table only a row where it is not the head."""
    return sum(matrix.flops() // 2 for matrix in matrices(config)) * dtype.itemsize


def key_bytes(config: PretrainedConfig, dtype: torch.dtype) -> int:
    """Of one token in the cache, keys and values of all layers."""
    return 2 * config.num_hidden_layers * config.num_key_value_heads * head_dim(config) * dtype.itemsize


def measure(config: PretrainedConfig, work: Work, rows: int, device: str, dtype: torch.dtype) -> dict:
    """Rates at `rows` decoded together and at their prompts prefilled together; bandwidth; limits in rows/s."""
    prefilled = max(1, 2 * rows // len(work.arms)) * work.prompt_tokens
    rates = {
        phase: {matrix.name: gemm_rate(matrix, count, device, dtype) for matrix in matrices(config)}
        for phase, count in (("decode", rows), ("prefill", prefilled))
    }
    best = max(rate for of_phase in rates.values() for rate in of_phase.values())
    peak = {phase: dict.fromkeys(of_phase, best) for phase, of_phase in rates.items()}
    bytes_per_second = bandwidth(device)
    fastest = max(bytes_per_second.values())
    limits = {}
    for name, of in (("shapes", rates), ("peak", peak)):
        limits[name] = seconds_per_row(config, work, rows, dtype, of, best, fastest)
        limits[name]["rows_per_second"] = 1 / sum(limits[name].values())
    return {
        "rows": rows,
        "prefill_tokens": prefilled,
        "flops_per_second": rates,
        "bytes_per_second": bytes_per_second,
        "limits": limits,
    }


def seconds_per_row(
    config: PretrainedConfig,
    work: Work,
    rows: int,
    dtype: torch.dtype,
    rates: dict[str, dict[str, float]],
    attention_rate: float,
    bytes_per_second: float,
) -> dict[str, float]:
    """The formula at the head of this file, by part."""
    n, steps, arms = work.prompt_tokens, work.max_new_tokens, len(work.arms)
    layers = config.num_hidden_layers
    of_layers = [matrix for matrix in matrices(config) if matrix.name != "lm_head"]
    head = next(matrix for matrix in matrices(config) if matrix.name == "lm_head")
    v_proj = [arm for arm in work.arms if arm.kind == "v_proj"]
    kv_cache = sum(arm.kind == "kv_cache" for arm in work.arms)
    resumed = sum(WINDOW * (layers - arm.layers.start) / layers for arm in v_proj)
    prefilled = (2 * n + resumed) / arms
    decoded = steps - 1 + kv_cache / arms
    keys = n + steps / 2

    def per_token(phase: str) -> float:
        return sum(matrix.flops() / rates[phase][matrix.name] for matrix in of_layers)

    step_bytes = weight_bytes(config, dtype) / rows + keys * key_bytes(config, dtype)  # of one row
    attention = 4 * config.num_attention_heads * head_dim(config) * layers
    keys_seen = (n * (n + 1) + resumed * n) / arms + decoded * keys
    head_seconds = head.flops() / rates["decode"]["lm_head"]
    return {
        "prefill": prefilled * per_token("prefill"),
        "decode": decoded * max(per_token("decode") + head_seconds, step_bytes / bytes_per_second),
        "head": (steps - decoded) * head_seconds,
        "attention": attention * keys_seen / attention_rate,
    }
