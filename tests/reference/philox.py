"""Random numbers that controls are drawn with: Philox4x32-10 (Salmon et al. 2011) keyed by XXH3 of text fields."""

from __future__ import annotations

import numpy as np
import xxhash

MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)


def key64(*fields: object) -> int:
    return xxhash.xxh3_64_intdigest("\0".join(map(str, fields)).encode())


def philox4x32_10(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """counter [4, ...] and the result are 32-bit words held in uint64."""
    x0, x1, x2, x3 = (np.asarray(word, np.uint64) for word in counter)
    k0, k1 = key
    for _ in range(10):
        a, b = MULTIPLIERS[0] * x0, MULTIPLIERS[1] * x2
        x0, x1, x2, x3 = (
            (b >> np.uint64(32)) ^ x1 ^ np.uint64(k0),
            b & LOW,
            (a >> np.uint64(32)) ^ x3 ^ np.uint64(k1),
            a & LOW,
        )
        k0, k1 = (k0 + KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + KEY_STEPS[1]) & 0xFFFFFFFF
    return np.stack([x0, x1, x2, x3])


def uniforms(key: int, counters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two float64 numbers in [0, 1) for every counter."""
    c = np.asarray(counters, np.uint64)
    zero = np.zeros_like(c)
    x = philox4x32_10(np.stack([c & LOW, c >> np.uint64(32), zero, zero]), (key & 0xFFFFFFFF, key >> 32))
    both = ((x[0] << np.uint64(32)) | x[1], (x[2] << np.uint64(32)) | x[3])
    first, second = ((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53 for bits in both)
    return first, second


def normals(key: int, count: int) -> np.ndarray:
    """Box-Muller: numbers 2c and 2c+1 come from counter c."""
    first, second = uniforms(key, np.arange((count + 1) // 2))
    radius, angle = np.sqrt(-2 * np.log1p(-first)), 2 * np.pi * second
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:count]


def permutation(key: int, first: int, last: int) -> list[int]:
    """Fisher-Yates of first..last; what lies below `first` stays. Entry i is what lands at i."""
    order = list(range(last + 1))
    for i in range(last, first, -1):
        u = float(uniforms(key, np.array([i]))[0][0])
        j = first + int(u * (i - first + 1))
        order[i], order[j] = order[j], order[i]
    return order
