"""Which GPUs a host has, by NVML: the driver's own word, without CUDA, so that a worker may fork afterwards."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from jobs.models import Frozen


class Gpu(Frozen):
    """One GPU. `index` is NVML's; `memory_gb` is GiB in all, 0 where the driver does not say."""

    index: int
    name: str
    memory_gb: float


def inventory() -> list[Gpu]:
    """Return the GPUs that this process may use; none where there is no driver or no library for it."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:  # a worker may be installed without it
        return []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        found = [_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:
        return []
    finally:
        nvml.nvmlShutdown()
    return _visible([pair for pair in found if pair is not None])


def described(gpus: Sequence[Gpu]) -> str:
    """Return the GPUs as people read them, "2 × NVIDIA H100 80GB HBM3"; empty for none."""
    return ", ".join(f"{count} × {name}" for name, count in Counter(gpu.name for gpu in gpus).items())


def _gpu(nvml: Any, index: int) -> tuple[Gpu, str] | None:
    """Return a GPU and its UUID; None for one that does not answer, as after a fault of its own."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        name, uuid = _text(nvml.nvmlDeviceGetName(handle)), _text(nvml.nvmlDeviceGetUUID(handle))
    except nvml.NVMLError:
        return None
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle).total
    except nvml.NVMLError:  # one that shares the host's memory
        memory = 0
    return Gpu(index=index, name=name, memory_gb=round(memory / 2**30, 1)), uuid


def _visible(found: Sequence[tuple[Gpu, str]]) -> list[Gpu]:
    """Keep to CUDA_VISIBLE_DEVICES as CUDA does: by number or by the beginning of a UUID, up to the first unknown."""
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return [gpu for gpu, _ in found]
    chosen: dict[int, Gpu] = {}
    for said in wanted.split(","):
        word = said.strip()
        gpu = next((g for g, uuid in found if word == str(g.index) or (word and uuid.startswith(word))), None)
        if gpu is None:
            break
        chosen[gpu.index] = gpu
    return list(chosen.values())


def _text(said: str | bytes) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said
