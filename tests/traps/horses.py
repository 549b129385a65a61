"""Runs attempts as a worker runs them, in processes forked from one that has EvalScope imported."""

from __future__ import annotations

import functools
import itertools
import json
import os
import subprocess
import sys
import textwrap
import threading
import tomllib
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

from jobs.artifacts import Artifacts
from jobs.catalog import snapshot
from jobs.events import EVENTS, Event, parse_progress, progress_key
from jobs.models import DatasetTarget, EvalSpec, Failure, ModelTarget, Progress, RunResult
from jobs.queue import JobPayload, sign
from jobs.sample import SAMPLE_DATASETS

ROOT = Path(__file__).resolve().parents[2]
JOB_KEY = "the key that signs the tests' jobs"
ATTEMPT = """\
from redis import Redis
from jobs.artifacts import Artifacts
from jobs.config import Settings
from jobs.tasks import evaluate
from jobs.workspace import Workspace, enter
settings = Settings()
{before}
enter(Workspace(
    name="worker-under-test", settings=settings, redis=Redis.from_url(settings.redis_url),
    artifacts=Artifacts(settings.effective_artifacts_url), catalog=catalog,
))
evaluate({signed!r})
"""
_numbers = itertools.count(1)


class Stable:
    """The process that forks, for a session of tests."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.redis_url = redis_url
        self._futures: dict[int, Future[None]] = {}
        self._lock = threading.Lock()
        self._folder = folder
        environment = os.environ | {"REDIS_URL": redis_url, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        with (folder / "stable.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("stable.py"))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, cwd=folder,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, code: str, output: Path, environment: dict[str, str | None] | None = None) -> Future[None]:
        """Run code in a child; the future ends with it."""
        number = next(_numbers)
        future: Future[None] = Future()
        job = {"id": number, "code": code, "output": str(output), "environment": environment or {}}
        with self._lock:
            self._futures[number] = future
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        return future

    def close(self) -> None:
        """Let it end, with whatever it still runs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._reader.join()
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "id" in said:
                with self._lock:
                    future = self._futures.pop(said["id"])
                future.set_result(None)


@dataclass(frozen=True)
class Ended:
    """An attempt that has ended, with all it left."""

    run_id: int
    folder: Path
    """The worker's data folder."""
    result: RunResult
    events: list[Event]
    progress: Progress
    output: str

    @property
    def failure(self) -> Failure:
        """Why it failed."""
        assert self.result.failure is not None, self.result
        return self.result.failure

    @property
    def code(self) -> str:
        """The code of its failure, or `succeeded`."""
        return self.result.failure.code if self.result.failure else str(self.result.state)

    @property
    def work(self) -> Path:
        """The run's own folder on the worker."""
        return self.folder / "work" / f"r{self.run_id}"

    @property
    def artifacts(self) -> Path:
        """The run's folder in the artifact store."""
        return self.folder / "artifacts" / f"r{self.run_id}"

    @property
    def log(self) -> str:
        """All it wrote for people to read."""
        logs = [self.work / "worker.log", self.work / "logs" / "eval_log.log"]
        return "\n".join(path.read_text() for path in logs if path.exists())


@dataclass
class Running:
    """An attempt that goes on."""

    horses: Horses
    run_id: int
    folder: Path
    spec: EvalSpec
    future: Future[None]
    output: Path
    kept: dict[str, Any] = field(default_factory=dict)

    def ended(self, within: float) -> Ended:
        """Wait for its end; the bound is on the attempt's own time, not on how busy this machine is before it."""
        self.future.result(120)
        output = self.output.read_text() if self.output.exists() else ""
        stored = self.folder / "artifacts" / f"r{self.run_id}" / "result.json"
        assert stored.exists(), output
        result = RunResult.model_validate_json(stored.read_bytes())
        assert result.seconds < within, f"{result.seconds:.1f} s: {result.failure}"
        redis = self.horses.redis
        events = [Event.model_validate_json(fields[b"event"]) for _, fields in redis.xrange(EVENTS)]
        progress = parse_progress(redis.hgetall(progress_key(self.run_id)))
        assert progress is not None
        own = [event for event in events if event.run_id == self.run_id]
        return Ended(self.run_id, self.folder, result, own, progress, output)


class Horses:
    """Starts attempts."""

    def __init__(self, stable: Stable, redis: Redis, folder: Path) -> None:
        self.stable = stable
        self.redis = redis
        self._folder = folder

    def start(
        self,
        spec: EvalSpec,
        *,
        toml: str = "",
        environment: dict[str, str | None] | None = None,
        before: str = "",
        again: Ended | None = None,
    ) -> Running:
        """Start an attempt with a data folder of its own, or another attempt of a run that `again` names."""
        run_id = again.run_id if again else next(_numbers)
        attempt = again.result.attempt + 1 if again else 1
        folder = again.folder if again else self._folder / f"data-{run_id}"
        folder.mkdir(exist_ok=True)
        tomllib.loads(toml)
        if not again or toml:
            (folder / "scopebot.toml").write_text(toml, encoding="utf-8")
        payload = JobPayload(run_id=run_id, attempt=attempt, spec=spec)
        code = ATTEMPT.format(before=textwrap.dedent(before), signed=sign(payload, JOB_KEY))
        output = folder / f"attempt-{attempt}.out"
        own: dict[str, str | None] = {"SCOPEBOT_DATA_DIR": str(folder), "SCOPEBOT_JOB_KEY": JOB_KEY}
        future = self.stable.start(code, output, own | (environment or {}))
        return Running(self, run_id, folder, spec, future, output)

    def evaluate(self, spec: EvalSpec, *, within: float = 20, **how: Any) -> Ended:
        """Run an attempt to its end."""
        return self.start(spec, **how).ended(within)

    def plain(self, code: str, environment: dict[str, str | None] | None = None) -> Any:
        """Run code beside EvalScope, without Scopebot; return what it assigned to `found`."""
        number = next(_numbers)
        folder = self._folder / f"plain-{number}"
        folder.mkdir()
        found, output = folder / "found.json", folder / "output"
        start = f"import json, os, pathlib\nfolder = {str(folder)!r}\nos.chdir(folder)\n"
        end = f"\npathlib.Path({str(found)!r}).write_text(json.dumps(found))\n"
        self.stable.start(start + textwrap.dedent(code) + end, output, environment).result(60)
        assert found.exists(), output.read_text()[-3000:]
        return json.loads(found.read_text())

    def artifacts(self, ended: Ended) -> Artifacts:
        """Return the store an attempt wrote to."""
        return Artifacts(f"file://{ended.folder / 'artifacts'}")


def model(url: str, **fields: Any) -> ModelTarget:
    """Return an endpoint's model, registered by an admin."""
    known = {"name": "tiny", "model": "tiny", "eval_type": "openai_api", "api_url": url, "network": "registered"}
    return ModelTarget.model_validate(known | fields)


def sample(name: str = "sample_qa", subset: str = "en", **args: Any) -> DatasetTarget:
    """Return one subset of the data that ships with Scopebot."""
    known = SAMPLE_DATASETS[name]
    fixed = {key: value for key, value in known.dataset_args.items() if key != "local_path"}
    return DatasetTarget(
        name=name, benchmark=known.benchmark, local=True, args=fixed | {"subset_list": [subset]} | args,
        subsets={subset: known.subsets[subset]},
    )  # fmt: skip


def by_heart(question: str) -> str:
    """Answer as a model that knows the English half of sample_qa by heart."""
    return _known().get(question, "Hello")


def by_half(question: str) -> str:
    """Answer as a model that knows half of it."""
    return by_heart(question) if len(question) % 2 else "I do not know"


@functools.cache
def _known() -> dict[str, str]:
    path = SAMPLE_DATASETS["sample_qa"].folder / "en_test.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {record["question"]: record["answer"] for record in records}


def benchmark(name: str, **args: Any) -> DatasetTarget:
    """Return a benchmark of EvalScope's."""
    info = snapshot().by_name.get(name)
    subsets = dict(info.subsets) if info and info.samples else {}
    return DatasetTarget(name=name, benchmark=name, args=args, subsets=subsets)


def spec(target: ModelTarget, *datasets: DatasetTarget, **fields: Any) -> EvalSpec:
    """Return what is to be evaluated; a few questions of the sample data, where nothing else is said."""
    known: dict[str, Any] = {"model": target, "datasets": datasets or (sample(),), "limit": 6}
    return EvalSpec.model_validate(known | fields)
