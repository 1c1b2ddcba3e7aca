"""Bytes a second, read and written, of torch's copy of `argv[2]` bytes from device `argv[1]` to itself. A program of
its own, so that a step's limit ends it."""

import sys
import time

import torch

device, size = torch.device(sys.argv[1]), int(sys.argv[2])
source = torch.zeros(size, dtype=torch.uint8, device=device)
target = torch.empty_like(source)
wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
best = float("inf")
for _ in range(5):
    wait()
    begin = time.perf_counter()
    target.copy_(source)
    wait()
    best = min(best, time.perf_counter() - begin)
print(2 * size / best)
