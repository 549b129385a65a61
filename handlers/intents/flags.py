"""The flags of `evalscope eval` 1.14.1 as data, and why some of them never come from chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Kind = Literal["str", "list", "int", "float", "json", "pairs", "switch"]

FLAGS: Mapping[str, Kind] = {
    "model": "str",
    "model_id": "str",
    "model_args": "pairs",
    "model_task": "str",
    "chat_template": "str",
    "datasets": "list",
    "dataset_args": "json",
    "dataset_dir": "str",
    "dataset_hub": "str",
    "generation_config": "pairs",
    "eval_type": "str",
    "eval_backend": "str",
    "eval_config": "str",
    "eval_batch_size": "int",
    "limit": "float",
    "repeats": "int",
    "use_cache": "str",
    "rerun_review": "switch",
    "work_dir": "str",
    "no_timestamp": "switch",
    "enable_progress_tracker": "switch",
    "ignore_errors": "switch",
    "debug": "switch",
    "dry_run": "switch",
    "seed": "int",
    "api_key": "str",
    "api_url": "str",
    "timeout": "float",
    "stream": "switch",
    "judge": "json",
    "judge_strategy": "str",
    "judge_model_args": "json",
    "analysis_report": "switch",
    "collect_perf": "switch",
    "no_collect_perf": "switch",
    "agent_config": "json",
    "sandbox": "json",
    "use_sandbox": "switch",
    "sandbox_type": "str",
    "sandbox_manager_config": "json",
}
"""Flag (snake case) → how EvalScope's parser reads its value; `pairs` is JSON or key=value,key=value."""

NEVER: Mapping[str, str] = {
    "api_key": "refused.api_key",
    "model_args": "refused.model_args",
    "chat_template": "refused.path",
    "dataset_dir": "refused.path",
    "eval_config": "refused.path",
    "work_dir": "refused.managed",
    "no_timestamp": "refused.managed",
    "enable_progress_tracker": "refused.managed",
    "debug": "refused.managed",
    "dry_run": "refused.managed",
    "collect_perf": "refused.managed",
    "no_collect_perf": "refused.managed",
    "agent_config": "refused.agent_config",
    "sandbox_type": "refused.sandbox",
    "sandbox_manager_config": "refused.sandbox",
    "outputs_dir": "refused.managed",
    "headers": "refused.headers",
}
"""Parameters that never come from chat → the text that says why."""

NEVER_INSIDE: Mapping[str, str] = {
    "api_key": "refused.api_key",
    "headers": "refused.headers",
    "extra_headers": "refused.headers",
    "default_headers": "refused.headers",
    "dataset_id": "refused.path",
    "local_path": "refused.path",
    "hf_dataset_id": "refused.path",
    "dataset_revision": "refused.path",
    "hf_dataset_revision": "refused.path",
    "query_template": "refused.path",
    "sandbox_config": "refused.sandbox",
    "force_redownload": "refused.managed",
}
"""Keys that are taken out wherever they stand inside a JSON value."""

EVAL_TYPES = frozenset({
    "llm_ckpt", "openai_api", "systemone_api", "autotrust_api", "openai_responses_api", "anthropic_api", "litellm",
    "mock_llm", "text2image", "text2speech", "image_editing",
})  # fmt: skip
"""EvalScope's evaluation types but `custom`, which is code on the worker."""
