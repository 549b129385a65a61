"""The words all three packages share: Run, Group, RunResult, and what goes to a worker and comes back.

Units: scores are EvalScope's raw scores (most of them fractions of 1; `unit` and `scale` say how one is shown),
times are seconds, latencies seconds, timestamps UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, model_validator

from jobs.lifecycle import RunState

SCHEMA_VERSION = 1
"""Version of RunSpec and RunResult as they are stored; raised when a field changes its meaning."""


class Frozen(BaseModel):
    """A value: no unknown fields, no change after it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class GenerationSettings(Frozen):
    """How the model generates; names and ranges are EvalScope's GenerateConfig's."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1, le=1_000_000)
    seed: int | None = None
    n: int | None = Field(None, ge=1, le=64)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    stop_seqs: tuple[str, ...] | None = None
    reasoning_effort: Literal["low", "medium", "high"] | None = None
    stream: bool | None = None
    timeout: float | None = Field(None, gt=0, le=3600)


class ModelTarget(Frozen):
    """The model under evaluation and where it is reached.

    `name` is what people call it, `model` what the endpoint is asked for. `network` is the rule for its address:
    `registered` by an admin (any address), typed by the person who owns the `console` machine (loopback too), or
    typed in chat (`checked`: public addresses and `allow_hosts` only).
    """

    name: str
    model: str
    eval_type: Literal[
        "openai_api", "openai_responses_api", "anthropic_api", "litellm", "llm_ckpt", "mock_llm",
        "text2image", "text2speech", "image_editing",
    ]  # fmt: skip
    api_url: str | None = None
    key: str | None = None
    network: Literal["registered", "console", "checked"] = "checked"
    model_args: dict[str, JsonValue] = Field(default_factory=dict)


class DatasetTarget(Frozen):
    """One benchmark of a run. `name` is what people call it, `benchmark` EvalScope's name for it."""

    name: str
    benchmark: str
    args: dict[str, JsonValue] = Field(default_factory=dict)
    """EvalScope's dataset_args of it, but for the folder of a local data set, which each worker knows itself."""
    said: tuple[str, ...] = ()
    """Which of the args the person asked for; the others were registered with the data set."""
    local: bool = False
    """Its files lie in a folder that is registered on the worker (or ship with Scopebot)."""
    private: bool = False
    subsets: dict[str, int] = Field(default_factory=dict)
    """Subset → samples that it has, where known beforehand; empty where not."""


class EvalSpec(Frozen):
    """What a worker evaluates, frozen at submission: every attempt runs exactly this."""

    kind: Literal["eval"] = "eval"
    schema_version: int = SCHEMA_VERSION
    model: ModelTarget
    datasets: tuple[DatasetTarget, ...] = Field(min_length=1)
    limit: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] | None = None
    repeats: int = Field(1, ge=1, le=100)
    seed: int | None = 42
    generation_config: GenerationSettings = GenerationSettings()
    eval_batch_size: int | None = Field(None, ge=1, le=512)
    dataset_hub: Literal["modelscope", "huggingface", "local"] = "modelscope"
    resumes: int | None = None
    """The ended run whose finished samples this one goes on from."""
    first_look: tuple[str, ...] = ()
    """The benchmarks that this model was never evaluated on: their first verdicts are shown."""
    pause_if_unreadable: bool = False
    """Stop and ask where no answer can be read out of any of a benchmark's first answers."""

    def samples(self, dataset: DatasetTarget) -> int | None:
        """Return how many samples of a benchmark will run: the limit counts for each subset. None if not known."""
        if not dataset.subsets:
            return None
        return self.repeats * sum(limited(count, self.limit) for count in dataset.subsets.values())

    @property
    def total(self) -> int | None:
        """Samples over all benchmarks, None where one's size is not known."""
        counts = [self.samples(dataset) for dataset in self.datasets]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def covers(self) -> tuple[str, ...]:
        """What people look the results up by: the benchmarks."""
        return tuple(dataset.name for dataset in self.datasets)


MOST_LEVELS = 20
MOST_REQUESTS = 1_000_000


class PerfSpec(Frozen):
    """A stress test: the same load at each level, one level after the other, frozen at submission.

    Names and units are those of EvalScope's `Arguments`. A level is a concurrency (`parallel`), or a rate of arrivals
    where `open_loop`; `number` has its requests. Prompts come from `prompt`, or from `dataset`.
    """

    kind: Literal["perf"] = "perf"
    schema_version: int = SCHEMA_VERSION
    model: ModelTarget
    api: Literal["openai"] = "openai"
    parallel: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field((1,), min_length=1, max_length=MOST_LEVELS)
    number: tuple[Annotated[int, Field(ge=1, le=MOST_REQUESTS)], ...] = Field(min_length=1, max_length=MOST_LEVELS)
    rate: tuple[Annotated[float, Field(gt=0, le=100_000)], ...] = Field((), max_length=MOST_LEVELS)
    """Requests per second: one per level where `open_loop`; else at most one, a brake on every level."""
    open_loop: bool = False
    duration: float | None = Field(None, gt=0, le=24 * 3600)
    """Seconds after which a level begins no further request."""
    sleep_interval: int = Field(5, ge=0, le=600)
    """Seconds between two levels."""
    warmup_num: float = Field(0, ge=0, le=MOST_REQUESTS)
    """Requests of each level that are sent and not measured, or a fraction of its number."""
    stream: bool = True
    dataset: str
    """A registered name, Scopebot's own prompts, or a data set of EvalScope's."""
    plugin: Literal["line_by_line", "openqa", "custom", "longalpaca", "share_gpt_zh", "share_gpt_en", "random"]
    """How EvalScope reads it."""
    local: bool = False
    """It is a file that is registered on the worker (or ships with Scopebot)."""
    prompt: str | None = Field(None, min_length=1, max_length=100_000)
    tokenizer_path: str | None = None
    min_prompt_length: int | None = Field(None, ge=0, le=10_000_000)
    max_prompt_length: int | None = Field(None, ge=1, le=10_000_000)
    prefix_length: int | None = Field(None, ge=0, le=10_000_000)
    max_tokens: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = Field((2048,), min_length=1, max_length=2)
    """One value, or the ends of a range that each request draws from."""
    min_tokens: int | None = Field(None, ge=1, le=1_000_000)
    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    n_choices: int | None = Field(None, ge=1, le=64)
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    extra_args: dict[str, JsonValue] = Field(default_factory=dict)
    connect_timeout: int = Field(60, ge=1, le=86_400)
    read_timeout: int = Field(300, ge=1, le=86_400)
    """Seconds without a byte after which a request has failed."""
    total_timeout: int = Field(3600, ge=1, le=86_400)
    log_every_n_query: int = Field(100, ge=1)
    said: tuple[str, ...] = ()
    """Which of the settings the person asked for."""
    resumes: int | None = None
    """The run whose finished levels this one goes on from."""

    @model_validator(mode="after")
    def _levels_fit(self) -> PerfSpec:
        if len(self.number) != len(self.rate if self.open_loop else self.parallel):
            raise ValueError("number: one for each level")
        if not self.open_loop and len(self.rate) > 1:
            raise ValueError("rate: several of them only where open_loop")
        if len(set(self.levels)) != len(self.levels):
            raise ValueError("number: no level twice")
        return self

    @property
    def levels(self) -> tuple[tuple[float, int], ...]:
        """Concurrency (or rate, where `open_loop`) and requests of each level."""
        return tuple(zip(self.rate if self.open_loop else self.parallel, self.number, strict=True))

    @property
    def total(self) -> int | None:
        """Requests over all levels, None where time ends a level."""
        return None if self.duration is not None else sum(self.number)

    @property
    def covers(self) -> tuple[str, ...]:
        """No benchmark: see `EvalSpec.covers`."""
        return ()


Spec = Annotated[EvalSpec | PerfSpec, Field(discriminator="kind")]
"""What a run does, of either kind."""
SPEC: TypeAdapter[EvalSpec | PerfSpec] = TypeAdapter(Spec)
"""Reads one from JSON values."""


def limited(count: int, limit: float | None) -> int:
    """Return how many of `count` samples EvalScope takes under a limit: a number, or a fraction below 1."""
    if limit is None:
        return count
    return int(count * limit) if isinstance(limit, float) else min(count, limit)


class Failure(Frozen):
    """Why a run failed: the code of an error of `jobs.errors`, the facts of its text, and the raw detail."""

    code: str
    params: dict[str, str | int | float] = Field(default_factory=dict)
    detail: str = ""


class Interval(Frozen):
    """A 95 % confidence interval of a score, in the score's own unit, and the method that gave it."""

    low: float
    high: float
    method: Literal["wilson", "bootstrap"]


class SubsetScore(Frozen):
    """One subset's score over `num` samples."""

    name: str
    score: float
    num: int


class MetricResult(Frozen):
    """One metric of one benchmark, overall and per subset."""

    name: str
    aggregation: str
    dimensions: dict[str, str | int | float | bool] = Field(default_factory=dict)
    primary: bool = False
    direction: Literal["higher_is_better", "lower_is_better", "none"]
    unit: str = ""
    scale: float = 1
    """What a raw score is multiplied by to be shown in `unit` (100 for a fraction shown in percent)."""
    score: float
    num: int
    interval: Interval | None = None
    subsets: tuple[SubsetScore, ...] = ()

    @property
    def label(self) -> str:
        """The name people read: `accuracy`, `rouge[statistic=recall,variant=l]`, `pass_at_k[k=4]`."""
        base = self.name if self.aggregation in {"mean", "identity"} else f"{self.name}:{self.aggregation}"
        dims = ",".join(f"{key}={value}" for key, value in sorted(self.dimensions.items()))
        return f"{base}[{dims}]" if dims else base


class Tokens(Frozen):
    """Tokens as the endpoint counted them; 0 where it does not say."""

    prompt: int = 0
    completion: int = 0


class BenchmarkResult(Frozen):
    """Everything one benchmark of a run gave."""

    name: str
    benchmark: str
    metrics: tuple[MetricResult, ...]
    requested: int
    succeeded: int
    errored: int
    tokens: Tokens = Tokens()
    latency_mean: float | None = None
    """Mean seconds of one request, None where nothing was measured."""
    fingerprint: str = ""
    """EvalScope's evaluation identity: equal fingerprints mean the same evaluation."""

    @property
    def headline(self) -> MetricResult | None:
        """The metric that carries the benchmark's conclusion."""
        return next((metric for metric in self.metrics if metric.primary), None)


class Spread(Frozen):
    """How a time is distributed over a level's successful requests; None where nothing was measured."""

    avg: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


class PerfLevel(Frozen):
    """What one level of a stress test gave. Latencies are seconds, times per token milliseconds, as named."""

    concurrency: int | None = None
    rate: float | None = None
    """Arrivals per second that were asked for; None where the concurrency sets the load alone."""
    planned: int
    requests: int
    """Those that ended, well or not, warm-up left out."""
    succeeded: int
    seconds: float
    rps: float
    """Successful requests per second."""
    output_tokens_per_second: float
    total_tokens_per_second: float
    input_tokens: float | None = None
    """Mean of a request, as the endpoint counts them."""
    output_tokens: float | None = None
    latency_s: Spread = Spread()
    ttft_ms: Spread = Spread()
    tpot_ms: Spread = Spread()
    itl_ms: Spread = Spread()
    streamed: bool = True
    """The answers came as streams; else there are no times per token."""
    complete: bool = True
    """False for a level that was cut short: its figures are of the requests that had ended."""
    failure: Failure | None = None
    """Why requests failed, the most frequent reason."""

    @property
    def failed(self) -> int:
        """Requests that ended without an answer."""
        return self.requests - self.succeeded

    @property
    def success(self) -> float:
        """The fraction of requests that succeeded."""
        return self.succeeded / self.requests if self.requests else 0.0


class Reproduce(Frozen):
    """How to get the same scores without Scopebot."""

    command: str
    env: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)


class RunResult(Frozen):
    """What a run ended with; stored as `result.json` in the artifact store before it is announced."""

    schema_version: int = SCHEMA_VERSION
    run_id: int
    attempt: int
    state: RunState
    model: str
    benchmarks: tuple[BenchmarkResult, ...] = ()
    perf: tuple[PerfLevel, ...] = ()
    """The levels of a stress test, in the order they ran; those that had ended where it failed."""
    failure: Failure | None = None
    started_at: datetime
    ended_at: datetime
    worker: str = ""
    reproduce: Reproduce | None = None

    @property
    def seconds(self) -> float:
        """Wall time of the attempt."""
        return (self.ended_at - self.started_at).total_seconds()


class RunningScore(Frozen):
    """The score of one benchmark on the samples so far, as EvalScope's own aggregation gives it."""

    benchmark: str
    metric: str
    score: float
    scale: float = 1
    unit: str = ""
    num: int
    interval: Interval | None = None


VERDICTS = 5
"""Verdicts of each benchmark that a first look shows."""


class Verdict(Frozen):
    """One judged answer, cut to what a message can hold."""

    dataset: str
    question: str
    answer: str
    extracted: str
    """What was read out of the answer; empty where nothing could be."""
    score: float | None
    """Of the first metric; 1 is right and 0 wrong where it is a yes or no. None where scores come at the end."""


class Progress(Frozen):
    """How far a run is: one Redis hash per run, overwritten. Attempt 0 is the check before the first one."""

    attempt: int
    phase: Literal["starting", "checking", "checked", "loading", "evaluating", "reporting", "ended"]
    benchmark: str = ""
    done: int = 0
    total: int | None = None
    """Samples over all benchmarks and subsets of the run; None until the data is loaded and nothing is known."""
    errors: int = 0
    rate: float | None = None
    """Samples per second over the last ones."""
    eta: float | None = None
    """Seconds to go."""
    scores: tuple[RunningScore, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    """The first ones of each benchmark that has a first look."""
    level: int = 0
    """Which level of a stress test runs, counted from 1."""
    levels: int = 0
    updated_at: datetime


class Loss(Frozen):
    """How an attempt was lost: its process killed, its worker or host gone."""

    own: bool = False
    """The process that evaluated died while its worker lived, so the run itself may be the cause."""
    done: int = 0
    """Samples finished by then, over all attempts."""
    failure: Failure
    """What the run fails with if it is given up."""


class Group(Frozen):
    """One request of one person: one or more runs that are reported together."""

    id: int
    platform: str
    channel: str
    thread: str
    user: str
    language: Literal["en", "zh"]
    text: str
    """What the person wrote, as it was written."""
    source: str = ""
    """The id of the message or click that asked for it."""
    created_at: datetime


class Run(Frozen):
    """One evaluation or stress test on one worker. People call it by its `name`, r12."""

    id: int
    group_id: int
    spec: Spec
    state: RunState
    attempt: int = 0
    worker: str = ""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure: Failure | None = None
    result: RunResult | None = None
    report_ready: bool = False
    cancel_asked: bool = False
    files_gone_at: datetime | None = None
    """When its files were removed for their age; its result stays."""
    user: str = ""
    """Who asked for it."""

    @property
    def name(self) -> str:
        """The id people say: r12."""
        return f"r{self.id}"
