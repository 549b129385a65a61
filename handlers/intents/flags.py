"""The parameters of EvalScope's commands, from the shipped catalog, and why some of them never come from chat."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from jobs.catalog import Kind, plain, snapshot

COMMANDS: Mapping[str, str] = {
    "eval": "eval",
    "perf": "perf",
    "benchmark-info": "benchmarks",
    "service": "dashboard",
    "app": "dashboard",
}
"""EvalScope's sub-command → the intent it is."""

NEVER: Mapping[str, Mapping[str, str]] = {
    "eval": {
        "api_key": "refused.api_key",
        "model_args": "refused.model_args",
        "chat_template": "refused.path",
        "dataset_dir": "refused.path",
        "eval_config": "refused.path",
        "model_id": "refused.managed",
        "work_dir": "refused.managed",
        "no_timestamp": "refused.managed",
        "enable_progress_tracker": "refused.managed",
        "ignore_errors": "refused.managed",
        "debug": "refused.managed",
        "collect_perf": "refused.managed",
        "dry_run": "refused.dry_run",
        "use_cache": "refused.use_cache",
        "agent_config": "refused.agent_config",
        "sandbox_type": "refused.sandbox",
        "sandbox_manager_config": "refused.sandbox",
        "outputs_dir": "refused.managed",
        "headers": "refused.headers",
    },
    "perf": {
        "api_key": "refused.api_key",
        "wandb_api_key": "refused.api_key",
        "swanlab_api_key": "refused.api_key",
        "headers": "refused.headers",
        "query_template": "refused.path",
        "dataset_path": "refused.path",
        "outputs_dir": "refused.managed",
        "no_timestamp": "refused.managed",
        "name": "refused.managed",
        "alias": "refused.managed",
        "debug": "refused.managed",
        "enable_progress_tracker": "refused.managed",
        "no_test_connection": "refused.managed",
        "db_commit_interval": "refused.managed",
        "queue_size_multiplier": "refused.managed",
        "in_flight_task_multiplier": "refused.managed",
        "num_workers": "refused.managed",
        "visualizer": "refused.visualizer",
        "swanlab_host": "refused.visualizer",
        "port": "refused.perf_local",
        "attn_implementation": "refused.perf_local",
        "scenario": "refused.agent_config",
    },
    "benchmark-info": {
        "update": "refused.maintains",
        "compute_stats": "refused.maintains",
        "translate": "refused.maintains",
        "force": "refused.maintains",
        "generate_docs": "refused.maintains",
        "update_index": "refused.maintains",
        "format": "refused.managed",
        "workers": "refused.managed",
    },
    "service": dict.fromkeys(("host", "port", "outputs", "debug"), "refused.managed"),
    "app": dict.fromkeys(("host", "port", "outputs", "debug"), "refused.managed"),
}
"""Sub-command → its parameters that never come from chat → the text that says why."""

NEVER_INSIDE: Mapping[str, str] = {
    "headers": "refused.headers",
    "extra_headers": "refused.headers",
    "default_headers": "refused.headers",
    "dataset_id": "refused.path",
    "local_path": "refused.path",
    "hf_dataset_id": "refused.path",
    "dataset_revision": "refused.path",
    "hf_dataset_revision": "refused.path",
    "query_template": "refused.path",
    "prefix_file": "refused.path",
    "chat_template": "refused.path",
    "sandbox_config": "refused.sandbox",
    "force_redownload": "refused.managed",
}
"""Keys that are taken out wherever they stand inside a JSON value."""

EVAL_TYPES = frozenset({
    "llm_ckpt", "openai_api", "systemone_api", "autotrust_api", "openai_responses_api", "anthropic_api", "litellm",
    "mock_llm", "text2image", "text2speech", "image_editing",
})  # fmt: skip
"""EvalScope's evaluation types but `custom`, which is code on the worker."""

_SECRET_WORDS = ("apikey", "secret", "password", "passwd", "accesstoken", "authtoken", "authorization", "credential")


class Table(NamedTuple):
    """What one sub-command takes."""

    kinds: Mapping[str, Kind]
    """Parameter → how EvalScope's parser reads its value."""
    flags: Mapping[str, str]
    """How it is written, `--limit` or `-n` → parameter."""
    choices: Mapping[str, tuple[str, ...]]
    """Parameter → the values it can have, where they are listed."""


@functools.cache
def table(command: str) -> Table:
    """Return a sub-command's table, an empty one for what is no sub-command."""
    infos = [info for info in snapshot().parameters if info.command == command and "." not in info.name]
    return Table(
        kinds={info.name: info.kind for info in infos},
        flags={flag: info.name for info in infos for flag in info.flags},
        choices={info.name: info.choices for info in infos if info.choices},
    )


def names_secret(name: str) -> bool:
    """Tell whether a key or a variable of this name holds a secret, whatever its value looks like."""
    folded = plain(name)
    return folded == "token" or any(word in folded for word in _SECRET_WORDS)
