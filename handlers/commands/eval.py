"""eval: evaluate a model's accuracy on benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Literal

from pydantic import Field, JsonValue, ValidationError

from handlers.amounts import ask_first, means_all
from handlers.channel_settings import ChannelDefaults, ChannelSettings
from handlers.commands.defaults import limit_text
from handlers.context import Context
from handlers.plan import split_by_benchmark
from handlers.policy import generation_settings, invalid, resolve_datasets, resolve_model
from handlers.presets import not_of_a_preset, with_preset
from handlers.proposals import ask_which_benchmark, ask_which_model
from handlers.readings import ask_reading
from handlers.refusals import left_out, refusal
from handlers.registry import Args, Intent, Words
from handlers.reply import Reply
from handlers.submit import submit
from jobs.config import ModelEntry
from jobs.errors import InvalidValue, ScopebotError
from jobs.models import DatasetTarget, EvalSpec, ModelTarget


class EvalArgs(Args):
    """What an evaluation request can say."""

    model: str | None = None
    models: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None
    limit: int | float | None = Field(None, gt=0)
    api_url: str | None = None
    eval_type: str | None = None
    eval_backend: Literal["Native"] | None = None
    eval_batch_size: int | None = Field(None, ge=1, le=512)
    repeats: int | None = Field(None, ge=1, le=100)
    seed: int | None = None
    generation_config: dict[str, JsonValue] | None = None
    timeout: float | None = Field(None, gt=0)
    stream: bool | None = None
    dataset_args: dict[str, dict[str, JsonValue]] | None = None
    dataset_hub: str | None = None
    api_key_name: str | None = None
    preset: str | None = None
    """Settings that were kept under a name, of which what else is said takes the place."""
    model_of: str | None = Field(None, pattern=r"^r\d{1,9}$")
    """The run whose model is meant."""
    judge: dict[str, JsonValue] | None = None
    sandbox: bool | dict[str, JsonValue] | None = None
    analysis_report: bool | None = None
    use_cache: str | None = Field(None, pattern=r"^r\d{1,9}$")
    gpu: str | dict[str, JsonValue] | None = None


async def handle(args: EvalArgs, context: Context) -> Reply:
    """Plan the runs; submit them, or ask about the one thing that is not sure."""
    config = context.services.config
    refused = refusal(context)
    if refused is not None:
        return refused
    args = await _on_its_preset(args, context)
    defaults = await _channel_defaults(context)
    usual_limit = None if args.limit is not None or means_all(context) else _limit(defaults.limit)
    if usual_limit is not None:
        args = args.model_copy(update={"limit": usual_limit})
    names = args.models or ((args.model,) if args.model else ())
    usual = defaults.model if defaults.model in config.models else config.defaults.model
    if not names and usual is not None:
        names = (usual,)
    if not names and args.eval_type == "mock_llm":
        names = ("mock_llm",)
    if not names:
        return ask_which_model(context, "ask.which_model")
    if not args.datasets:
        return ask_which_benchmark(context)
    specs = await _specs(args, names, context)
    question = await ask_reading(context, specs, await _others(context)) or await ask_first(
        context, specs, said=args.limit is not None
    )
    notes = _notes(args, defaults, usual, context)
    if usual_limit is not None:
        notes.append(context.texts("eval.channel_limit", limit=limit_text(usual_limit)))
    return question or await submit(context, specs, notes)


async def _on_its_preset(args: EvalArgs, context: Context) -> EvalArgs:
    """Return a request on top of the preset that it names. Raises `InvalidValue` for a preset that is none."""
    said = await with_preset(args.model_dump(mode="json", exclude_unset=True), context)
    if unfit := not_of_a_preset(said):  # left out, it would be something else than what the preset is for
        raise InvalidValue(field=f"presets.{args.preset}.{unfit[0]}", value=str(said[unfit[0]])[:80], reason="setting")
    try:
        return EvalArgs.model_validate(said)
    except ValidationError as error:
        raise invalid(error, f"presets.{args.preset}") from error


async def _channel_defaults(context: Context) -> ChannelDefaults:
    place = context.incoming.place
    settings = ChannelSettings(context.services.store.engine)
    return await asyncio.to_thread(settings.defaults, place.platform, place.channel)


async def _others(context: Context) -> list[list[EvalSpec]]:
    """Return the runs of the other readings of a message; one that comes to nothing is none."""
    found = []
    for reading in context.parsed.instead:
        with contextlib.suppress(ScopebotError, ValidationError):
            args = EvalArgs.model_validate(reading.args)
            names = args.models or ((args.model,) if args.model else ())
            if names and args.datasets:
                found.append(await _specs(args, names, context))
    return found


async def _specs(args: EvalArgs, names: tuple[str, ...], context: Context) -> list[EvalSpec]:
    """Return one run per model, more where two data sets need the same EvalScope benchmark."""
    config = context.services.config
    vocabulary = await context.services.vocabulary()
    datasets = resolve_datasets(args.datasets or (), args.dataset_args or {}, vocabulary, config)
    specs = []
    for name in names:
        model = await resolve_model(
            name,
            api_url=args.api_url,
            eval_type=args.eval_type,
            key=args.api_key_name,
            incoming=context.incoming,
            config=config,
        )
        entry = config.models.get(name)
        specs += [_spec(args, model, batch, entry) for batch in split_by_benchmark(datasets)]
    return specs


def _spec(
    args: EvalArgs, model: ModelTarget, datasets: tuple[DatasetTarget, ...], entry: ModelEntry | None
) -> EvalSpec:
    said = {
        "limit": _limit(args.limit),
        "repeats": args.repeats,
        "seed": args.seed,
        "eval_batch_size": args.eval_batch_size or (entry.eval_batch_size if entry else None),
        "dataset_hub": args.dataset_hub,
    }
    try:
        return EvalSpec(
            model=model,
            datasets=datasets,
            generation_config=generation_settings(_generation(args), entry.generation_config if entry else None),
            **{name: value for name, value in said.items() if value is not None},
        )
    except ValidationError as error:
        raise invalid(error) from error


def _generation(args: EvalArgs) -> dict[str, Any]:
    """Return the generation's settings with those that EvalScope's command line also takes outside of them."""
    outside = {"timeout": args.timeout, "stream": args.stream}
    return (args.generation_config or {}) | {name: value for name, value in outside.items() if value is not None}


def _limit(said: float | None) -> float | None:
    """Return a whole number as one: EvalScope's parser gives 10.0 for `--limit 10`, which means ten samples."""
    return int(said) if said is not None and said >= 1 and said == int(said) else said


def _notes(args: EvalArgs, defaults: ChannelDefaults, usual: str | None, context: Context) -> list[str]:
    """Return what is to be said beside the plan: flags left out, and what was meant by default."""
    texts = context.texts
    notes = []
    harmless = left_out(context)
    if harmless:
        notes.append(texts("eval.ignored", names=", ".join(harmless)))
    if not args.model and not args.models and usual is not None:
        key = "eval.channel_model" if usual == defaults.model else "eval.default_model"
        notes.append(texts(key, model=usual))
    if context.parsed.args.get("preset"):
        notes.append(texts("eval.preset", name=context.parsed.args["preset"]))
    return notes


INTENT = Intent(
    name="eval",
    args=EvalArgs,
    handle=handle,
    slash=("/eval", "/评测"),
    words=Words(
        en=(
            "evaluate",
            "evaluating",
            "accuracy evaluation of",
            "an evaluation of",
            "evaluation of",
            "benchmarking",
            "assessing",
            "sanity check",
            "eval",
            "benchmark",
            "test",
            "score",
            "run",
            "measure",
            "assess",
            "how good is",
            "how well does",
        ),
        zh=(
            "评测",
            "测评",
            "评一下",
            "评一评",
            "运行",
            "评估",
            "测试",
            "测一下",
            "测一测",
            "跑一下",
            "跑个",
            "跑",
            "测",
        ),
    ),
    positional=("model", "datasets"),
    required=("model", "datasets"),
    examples={
        "en": ("evaluate qwen-plus on gsm8k, 100 samples", "run mmlu and ceval on prod with temperature 0"),
        "zh": ("用 gsm8k 评测 qwen-plus，100 条", "评测 prod 在 ceval 上的表现，前二十条"),
    },
    not_yet=frozenset({"judge", "sandbox", "analysis_report", "use_cache", "gpu"}),
)
