"""Both images, built and started by the Dockerfile's own steps, with what compose.yaml gives them."""

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from building import ROOT, Builder, Image
from composing import composed_redis, project
from support.endpoint import MODEL, Answer, Call, Endpoint, answers

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1200)]

LEAVES_WITHIN = 30


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Image]]:
    folder = tmp_path_factory.mktemp("docker")
    builder = Builder(folder)
    yield {target: builder.build(target) for target in ("bot", "worker")}
    shutil.rmtree(folder)  # more than a gigabyte, which pytest would keep three times


@pytest.mark.parametrize("target", ["bot", "worker"])
def test_an_image_holds_scopebot_of_this_version_and_no_installer(images: dict[str, Image], target: str) -> None:
    image = images[target]
    with image.start("--version", environment={}, stdout=subprocess.PIPE) as process:
        said, _ = process.communicate(timeout=60)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert said.strip().endswith(f"version {version}")
    (site,) = (image.root / "opt/venv/lib").glob("python3.*/site-packages")
    packages = {path.name for path in site.iterdir()}
    assert {"bot", "handlers", "jobs"} <= packages
    assert not {"pip", "hatchling"} & packages
    assert ("evalscope" in packages) is (target == "worker")
    assert {path.name for path in image.root.iterdir()} == {"opt", "data"}


@dataclass
class Paused:
    """A model that answers only once it is told to."""

    go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self, call: Call) -> Answer:
        if call.body["messages"][-1]["content"] != "Hi":  # that asks whether the endpoint is there
            assert self.go_on.wait(120)
        return answers("ANSWER: A")(call)


def test_the_bots_image_has_a_sentence_evaluated_by_the_workers_image_which_finishes_it_before_it_stops(
    images: dict[str, Image], tmp_path: Path
) -> None:
    bot, worker = images["bot"], images["worker"]
    model = Paused()
    with Endpoint(model) as endpoint, composed_redis(tmp_path, free_port()) as (redis, redis_url):
        config = tmp_path / "scopebot.toml"
        config.write_text(f'[models.prod]\nmodel = "{MODEL}"\napi_url = "{endpoint.url}"\n', encoding="utf-8")
        given = {target: composed(target, images[target], redis_url, config, tmp_path) for target in images}
        before = {target: images[target].files() for target in images}
        log = (tmp_path / "log").open("w", encoding="utf-8")
        with log, Processes(log.fileno()) as processes:
            assert bot.health(given["bot"]).returncode != 0, "healthy before it was started"
            assert worker.health(given["worker"]).returncode != 0, "healthy before it was started"
            serving = processes.start(bot, given["bot"])
            working = processes.start(worker, given["worker"])
            until(lambda: bot.health(given["bot"]).returncode == 0, tmp_path)
            until(lambda: worker.health(given["worker"]).returncode == 0, tmp_path)

            chatting = processes.start(
                bot, given["bot"], "chat", "--json", "--yes", "/eval prod sample_mcq limit=4", stdout=subprocess.PIPE
            )
            until(lambda: bool(endpoint.completions), tmp_path)
            working.send_signal(signal.SIGTERM)
            time.sleep(2)
            assert working.poll() is None, "it did not wait for the evaluation"
            model.go_on.set()
            said, _ = chatting.communicate(timeout=120)
            assert chatting.returncode == 0, said
            assert any(part["type"] == "table" for line in said.splitlines() for part in json.loads(line)["parts"])
            assert working.wait(LEAVES_WITHIN) == 0
            assert worker.health(given["worker"]).returncode == 1, "healthy although it left"

            redis.send_signal(signal.SIGSTOP)
            assert bot.health(given["bot"]).returncode == 1, "healthy without Redis"
            redis.send_signal(signal.SIGCONT)
            until(lambda: bot.health(given["bot"]).returncode == 0, tmp_path)
            serving.send_signal(signal.SIGTERM)
            assert serving.wait(float(project()["services"]["bot"]["stop_grace_period"].removesuffix("s"))) == 0
        assert {target: images[target].files() for target in images} == before, "something outside the volumes changed"


class Processes:
    """What was started and must not outlive the test."""

    def __init__(self, log: int) -> None:
        self._log = log
        self._started: list[subprocess.Popen[str]] = []

    def start(
        self, image: Image, environment: dict[str, str], *words: str, stdout: int | None = None
    ) -> subprocess.Popen[str]:
        """Start an image's process."""
        process = image.start(*words, environment=environment, stdout=stdout or self._log, stderr=self._log)
        self._started.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def composed(target: str, image: Image, redis_url: str, config: Path, folder: Path) -> dict[str, str]:
    """Return what compose.yaml gives a service, moved to where Redis, volume and file are here; with SQLite."""
    artifacts = folder / "artifacts"
    artifacts.mkdir(exist_ok=True)
    (image.root / "artifacts").symlink_to(artifacts)
    environment: dict[str, str] = project()["services"][target]["environment"]
    environment.pop("DATABASE_URL", None)
    return {
        **environment,
        "REDIS_URL": redis_url,
        "SCOPEBOT_CONFIG": str(config),
        "SCOPEBOT_ARTIFACTS_URL": environment["SCOPEBOT_ARTIFACTS_URL"].replace("///", f"//{image.root}/"),
        **({"SCOPEBOT_PORT": str(free_port())} if target == "bot" else {}),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(done: Callable[[], bool], folder: Path, within: float = 120) -> None:
    deadline = time.monotonic() + within
    while not done():
        if time.monotonic() > deadline:
            pytest.fail((folder / "log").read_text(encoding="utf-8")[-4000:])
        time.sleep(0.2)
