"""The plan of a stress test: its levels, its prompts, and whether to ask first."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from handlers.policy import invalid
from jobs.config import Config, ModelEntry
from jobs.errors import CheckpointRefused, InvalidValue, NotFromChat
from jobs.models import ModelTarget, PerfSpec
from jobs.sample import PROMPTS

if TYPE_CHECKING:
    from handlers.commands.perf import PerfArgs

REQUESTS_EACH = 10
"""Requests for each concurrent one (or each per second), where no number was said."""
EVALSCOPE_NUMBER = 1000
"""What `evalscope perf` sends where its command says no number."""
TIMED_REQUESTS = (1000, 100_000)
"""At least and at most so many requests are made ready for a level that ends by the clock."""
ANSWERS_PER_SECOND = 20
"""More than a slot can get through in a second: a timed level ends by the clock, not for want of requests."""
HUB = frozenset({"openqa", "longalpaca", "share_gpt_zh", "share_gpt_en"})
"""EvalScope's data sets that it fetches itself."""
FILES = frozenset({"line_by_line", "openqa", "custom"})
"""EvalScope's readers of a registered file."""
COPIED = (
    "duration", "sleep_interval", "warmup_num", "stream", "prompt", "min_prompt_length", "max_prompt_length",
    "prefix_length", "min_tokens", "temperature", "top_p", "top_k", "frequency_penalty", "repetition_penalty",
    "n_choices", "stop", "seed", "connect_timeout", "read_timeout", "total_timeout", "log_every_n_query",
)  # fmt: skip
"""Settings that mean in a spec what they mean in a request."""
EXTRA = frozenset({
    "ignore_eos", "min_p", "presence_penalty", "length_penalty", "enable_thinking", "reasoning_effort", "best_of",
    "skip_special_tokens", "include_stop_str_in_output", "use_beam_search", "chat_template_kwargs", "priority",
})  # fmt: skip
"""Fields that a person may add to the requests' body."""


class Levels(NamedTuple):
    """The load: concurrency or rates, and the requests of each level."""

    parallel: tuple[int, ...]
    rate: tuple[float, ...]
    number: tuple[int, ...]
    open_loop: bool
    guessed: bool
    """No number of requests was said."""


def plan_levels(args: PerfArgs, *, pasted: bool, sentence: bool) -> Levels:
    """Return the levels that were asked for; `pasted` keeps EvalScope's own default, a `sentence` means what it says.

    In a sentence "5 requests per second" without a concurrency is a rate of arrivals.
    """
    rate = tuple(value for value in _many(args.rate) if value > 0)
    open_loop = bool(args.open_loop) or (sentence and bool(rate) and not args.parallel)
    if open_loop and not rate:
        raise InvalidValue(field="rate", value="–", reason="perf_rate")
    loads: tuple[float, ...] = rate if open_loop else tuple(args.parallel or (1,))
    number = tuple(args.number or ())
    guessed = not number
    if not number:
        number = tuple(_default_number(args, load, pasted=pasted and len(loads) == 1) for load in loads)
    if len(number) == 1:
        number *= len(loads)
    if len(loads) == 1:
        loads *= len(number)
    if len(loads) != len(number):
        raise InvalidValue(field="number", value=", ".join(map(str, number)), reason="perf_levels")
    levels = list(dict.fromkeys(zip(loads, number, strict=True)))  # a level twice would be the same again
    loads, number = tuple(load for load, _ in levels), tuple(count for _, count in levels)
    if open_loop:
        return Levels((1,), loads, number, open_loop=True, guessed=guessed)
    return Levels(tuple(int(load) for load in loads), rate, number, open_loop=False, guessed=guessed)


def _default_number(args: PerfArgs, load: float, *, pasted: bool) -> int:
    if args.duration is not None:
        per_second = 2 * load if args.open_loop or not args.parallel else ANSWERS_PER_SECOND * load
        least, most = TIMED_REQUESTS
        return min(most, max(least, math.ceil(per_second * args.duration)))
    return EVALSCOPE_NUMBER if pasted else max(REQUESTS_EACH, math.ceil(REQUESTS_EACH * load))


def make_spec(args: PerfArgs, model: ModelTarget, levels: Levels, config: Config) -> PerfSpec:
    """Return the spec of one model; raises the error that says what cannot be done."""
    if model.api_url is None:
        raise InvalidValue(field="model", value=model.name, reason="perf_endpoint")
    entry = config.models.get(model.name)
    said = {name: value for name in COPIED if (value := getattr(args, name)) is not None}
    defaults = {} if entry is None else _generation(entry)
    tokenizer = _tokenizer(args, entry, config)
    try:
        return PerfSpec.model_validate({
            **defaults, **said, **_prompts(args, tokenizer, config), "model": model,
            "parallel": levels.parallel, "number": levels.number, "rate": levels.rate, "open_loop": levels.open_loop,
            "tokenizer_path": tokenizer if args.tokenizer_path or _needs_tokenizer(args) else None,
            "extra_args": _extra(args.extra_args or {}),
            "said": tuple(name for name in args.model_fields_set if name in PerfSpec.model_fields),
            **({} if args.max_tokens is None else {"max_tokens": _many(args.max_tokens)}),
        })  # fmt: skip
    except ValidationError as error:
        raise invalid(error) from error


def load_seconds(spec: PerfSpec) -> float:
    """Return a guess at the requests of a timed test: one a second for each concurrent one."""
    if spec.duration is None:
        return float(sum(spec.number))
    return sum(min(number, load * spec.duration) for load, number in spec.levels)


def requests(specs: Sequence[PerfSpec]) -> int | None:
    """Return the requests of all runs, None where the clock ends them."""
    counts = [spec.total for spec in specs]
    return None if None in counts else sum(count for count in counts if count is not None)


def _many(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _generation(entry: ModelEntry) -> dict[str, Any]:
    """Return what a registered model is always asked with, as far as a stress test can."""
    known = {"temperature", "top_p", "top_k", "frequency_penalty", "repetition_penalty", "seed"}
    found = {name: value for name, value in entry.generation_config.items() if name in known}
    if "max_tokens" in entry.generation_config:
        found["max_tokens"] = _many(entry.generation_config["max_tokens"])
    return found


def _needs_tokenizer(args: PerfArgs) -> bool:
    """Prompts of an exact length are made of tokens."""
    return args.prompt is None and (args.dataset == "random" or (args.dataset is None and bool(args.min_prompt_length)))


def _tokenizer(args: PerfArgs, entry: ModelEntry | None, config: Config) -> str | None:
    """Return the tokenizer that may be loaded: the registered model's, or one in `allow_models`."""
    registered = None if entry is None else entry.tokenizer_path
    if args.tokenizer_path is None or args.tokenizer_path == registered:
        return registered
    if not any(fnmatch.fnmatchcase(args.tokenizer_path, pattern) for pattern in config.access.allow_models):
        raise CheckpointRefused(model=args.tokenizer_path)
    return args.tokenizer_path


def _prompts(args: PerfArgs, tokenizer: str | None, config: Config) -> dict[str, Any]:
    """Return where the prompts come from; a file is named, never given by its path."""
    own = {"dataset": PROMPTS, "plugin": "line_by_line", "local": True}
    if args.prompt is not None:
        return own
    if _needs_tokenizer(args):
        if tokenizer is None:
            raise InvalidValue(field="dataset", value="random", reason="perf_tokenizer")
        if args.max_prompt_length is None:  # EvalScope's own maximum is 131072
            raise InvalidValue(field="max_prompt_length", value="–", reason="perf_prompt_length")
        return {"dataset": "random", "plugin": "random"}
    if args.dataset is None or args.dataset in {PROMPTS, "line_by_line"}:
        return own
    return _named(args.dataset, config)


def _named(name: str, config: Config) -> dict[str, Any]:
    """Return a registered file of prompts, or a data set that EvalScope fetches."""
    entry = config.datasets.get(name)
    if entry is not None:
        if entry.benchmark not in FILES:
            raise InvalidValue(field="dataset", value=name, reason="perf_file")
        return {"dataset": name, "plugin": entry.benchmark, "local": True}
    if name in HUB:
        return {"dataset": name, "plugin": name}
    if "/" in name:
        raise NotFromChat(name="dataset", reason="setting")
    raise InvalidValue(field="dataset", value=name, reason="perf_dataset")


def _extra(said: dict[str, Any]) -> dict[str, Any]:
    for name in said:
        if name not in EXTRA:
            raise InvalidValue(field=f"extra_args.{name}", value=str(said[name])[:80], reason="setting")
    return said
