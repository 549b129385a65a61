"""perf: stress test an endpoint: throughput and response times at one or more levels of load."""

from __future__ import annotations

import asyncio
import contextlib

from pydantic import Field, JsonValue, ValidationError

from handlers.channel_settings import ChannelSettings
from handlers.context import Context
from handlers.perf_plan import Levels, load_seconds, make_spec, plan_levels, requests
from handlers.policy import resolve_model
from handlers.proposals import ask_which_model
from handlers.readings import ask_reading
from handlers.refusals import left_out, refusal
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply
from handlers.submit import Choice, ask, submit
from jobs.errors import InvalidValue, ScopebotError
from jobs.models import PerfSpec
from jobs.sample import PROMPTS


class PerfArgs(Args):
    """What a stress test can say."""

    model: str | None = None
    models: tuple[str, ...] | None = None
    url: str | None = None
    api: str | None = None
    parallel: tuple[int, ...] | None = None
    number: tuple[int, ...] | None = None
    rate: float | tuple[float, ...] | None = None
    open_loop: bool | None = None
    duration: float | None = Field(None, gt=0)
    sleep_interval: int | None = Field(None, ge=0)
    warmup_num: float | None = Field(None, ge=0)
    stream: bool | None = None
    dataset: str | None = None
    prompt: str | None = None
    tokenizer_path: str | None = None
    min_prompt_length: int | None = Field(None, ge=0)
    max_prompt_length: int | None = Field(None, ge=1)
    prefix_length: int | None = Field(None, ge=0)
    max_tokens: int | tuple[int, ...] | None = None
    min_tokens: int | None = Field(None, ge=0)
    temperature: float | None = Field(None, ge=0)
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    n_choices: int | None = Field(None, ge=1)
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    extra_args: dict[str, JsonValue] | None = None
    connect_timeout: int | None = Field(None, ge=1)
    read_timeout: int | None = Field(None, ge=1)
    total_timeout: int | None = Field(None, ge=1)
    log_every_n_query: int | None = None
    sla_auto_tune: bool | None = None
    sla_variable: str | None = None
    sla_params: tuple[dict[str, JsonValue], ...] | None = None
    sla_num_runs: int | None = None
    sla_upper_bound: int | None = None
    sla_lower_bound: int | None = None
    sla_fixed_parallel: int | None = None
    sla_number_multiplier: float | None = None
    multi_turn: bool | None = None
    min_turns: int | None = None
    max_turns: int | None = None
    api_key_name: str | None = None


async def handle(args: PerfArgs, context: Context) -> Reply:
    """Plan the load; submit it, or ask where it is large."""
    texts, config = context.texts, context.services.config
    refused = refusal(context)
    if refused is not None:
        return refused
    names = args.models or ((args.model,) if args.model else ())
    place = context.incoming.place
    defaults = await asyncio.to_thread(
        ChannelSettings(context.services.store.engine).defaults, place.platform, place.channel
    )
    usual = defaults.model if defaults.model in config.models else config.defaults.model
    if not names and usual is not None:
        names = (usual,)
    if not names:
        return ask_which_model(context, "ask.perf_model")
    levels = plan_levels(args, pasted=context.parsed.pasted, sentence=context.parsed.by != "command_line")
    specs = [await _spec(args, name, levels, context) for name in names]
    unsure = await ask_reading(context, specs, await _others(context))
    if unsure is not None:
        return unsure
    threshold = config.defaults.confirm_above_samples
    total = requests(specs)
    if sum(map(load_seconds, specs)) > threshold:
        question = (
            texts("ask.perf_long", seconds=specs[0].duration, levels=len(specs[0].levels), threshold=threshold)
            if total is None
            else texts("ask.perf_above", total=total, threshold=threshold)
        )
        label = texts("button.perf_start") if total is None else texts("button.perf_run", total=total)
        return await ask(context, question, [Choice("run", label, tuple(specs))])
    return await submit(context, specs, _notes(args, levels, specs, defaults.model, context))


async def _others(context: Context) -> list[list[PerfSpec]]:
    """Return the stress tests of the other readings of a message; one that comes to nothing is none."""
    found = []
    for reading in context.parsed.instead:
        with contextlib.suppress(ScopebotError, ValidationError):
            args = PerfArgs.model_validate(reading.args)
            levels = plan_levels(args, pasted=False, sentence=True)
            names = args.models or ((args.model,) if args.model else ())
            specs = [await _spec(args, name, levels, context) for name in names]
            found += [specs] if specs else []
    return found


async def _spec(args: PerfArgs, name: str, levels: Levels, context: Context) -> PerfSpec:
    config = context.services.config
    if args.api not in {None, "openai"}:
        raise InvalidValue(field="api", value=str(args.api), reason="perf_api")
    url = None if args.url is None else args.url.rstrip("/").removesuffix("/chat/completions")
    if url is not None and url.endswith(("/completions", "/embeddings", "/responses", "/rerank", "/reranks")):
        raise InvalidValue(field="url", value=url, reason="perf_api")
    entry = config.models.get(name)
    if entry is not None and url is not None and entry.api_url is not None and url == entry.api_url.rstrip("/"):
        url = entry.api_url
    model = await resolve_model(
        name, api_url=url, eval_type=None, key=args.api_key_name, incoming=context.incoming, config=config
    )
    return make_spec(args, model, levels, config)


def _notes(args: PerfArgs, levels: Levels, specs: list[PerfSpec], default: str | None, context: Context) -> list[str]:
    """Return what is to be said beside the plan; `default` is the channel's own model."""
    texts = context.texts
    harmless = left_out(context)
    notes = [texts("eval.ignored", names=", ".join(harmless))] if harmless else []
    if not args.model and not args.models:
        key = "eval.channel_model" if specs[0].model.name == default else "eval.default_model"
        notes.append(texts(key, model=specs[0].model.name))
    if levels.guessed and specs[0].duration is None:
        notes.append(texts("perf.number_guessed"))
    if args.dataset is None and args.prompt is None and specs[0].dataset == PROMPTS:
        notes.append(texts("perf.own_prompts"))
    return notes


INTENT = Intent(
    name="perf",
    args=PerfArgs,
    handle=handle,
    slash=("/perf", "/压测"),
    words=Words(
        en=(
            "stress test",
            "stress-test",
            "stress testing",
            "load test",
            "load-test",
            "load testing",
            "perf test",
            "perf",
            "how fast is",
            "how fast does",
            "how fast can",
            "response time",
            "response times",
            "ramp",
            "ramp up",
            "hammer",
            "stress",
            "pound",
            "fire requests",
            "sweep",
            "sweep concurrency",
            "load generation",
            "put load on",
            "under load",
            "for load",
            "performance test",
            "pressure test",
            "speed test",
            "throughput",
            "ttft",
            "tpot",
            "qps",
            "rps",
            "requests per second",
            "sla",
            "latency",
            "time to first token",
            "tokens per second",
            "max concurrency",
            "maximum concurrency",
            "concurrent users",
        ),
        zh=(
            "压测一下",
            "压测",
            "压一下",
            "压一把",
            "压个",
            "压一压",
            "加压",
            "打满",
            "压力测试",
            "性能测试",
            "负载测试",
            "测速",
            "响应时间",
            "并发能力",
            "首 token 延迟",
            "吞吐量",
            "吞吐",
            "首字延迟",
            "延迟",
            "最大并发",
        ),
    ),
    positional=("model",),
    required=("model",),
    examples={
        "en": (
            "stress test prod with concurrency 1, 2, 4 and 8, 10 requests each",
            "load test prod with 10 concurrent users for 60 seconds",
        ),
        "zh": ("压测一下 prod，并发从 1 到 32", "压测 prod，并发10，持续60秒"),
    },
    not_yet=frozenset({
        "sla_auto_tune", "sla_variable", "sla_params", "sla_num_runs", "sla_upper_bound", "sla_lower_bound",
        "sla_fixed_parallel", "sla_number_multiplier", "multi_turn", "min_turns", "max_turns",
    }),
)  # fmt: skip
