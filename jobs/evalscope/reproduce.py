"""The exact `evalscope` command line of a run, the environment it needs, and the versions it ran with."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
from typing import Any

from jobs.config import Config
from jobs.models import EvalSpec, Reproduce

ENVIRONMENT = ("MODELSCOPE_CACHE", "HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "NLTK_DATA")
"""What changes which data EvalScope finds."""
PACKAGES = ("evalscope", "openai", "datasets", "torch", "transformers")


def reproduce_line(task: dict[str, Any], spec: EvalSpec, config: Config) -> Reproduce:
    """Return the command that asks EvalScope for what `task` asked it for; a key stands as its variable."""
    words = ["evalscope", "eval", "--model", task["model"], "--eval-type", task["eval_type"]]
    if task.get("api_url"):
        words += ["--api-url", task["api_url"]]
    words += ["--datasets", *task["datasets"]]
    for flag in ("limit", "repeats", "seed", "eval_batch_size", "dataset_hub"):
        if task.get(flag) is not None:
            words += [f"--{flag.replace('_', '-')}", str(task[flag])]
    for flag in ("generation_config", "dataset_args", "model_args"):
        if task.get(flag):
            words += [f"--{flag.replace('_', '-')}", json.dumps(task[flag], ensure_ascii=False)]
    line = shlex.join(words) + " --ignore-errors"
    entry = config.keys.get(spec.model.key or "")
    if entry is not None:
        line += f' --api-key "${entry.env}"' if entry.env else f' --api-key "$(cat {shlex.quote(str(entry.file))})"'
    return Reproduce(command=line, env={n: os.environ[n] for n in ENVIRONMENT if n in os.environ}, versions=versions())


def versions() -> dict[str, str]:
    """Return the versions that can change a score."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
