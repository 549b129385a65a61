"""What the Dockerfile promises, read from it; test_images.py runs it."""

import re
from pathlib import PurePosixPath

import pytest
from building import ROOT, chain, context, ignored, parse

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")
STAGES = parse(TEXT)
TARGETS = ["bot", "worker"]


def values(target: str, keyword: str) -> list[str]:
    return [instruction.value for instruction in chain(STAGES, target) if instruction.keyword == keyword]


def test_every_stage_is_based_on_one_pinned_python() -> None:
    foreign = {stage.base for stage in STAGES.values()} - set(STAGES)
    assert foreign == {"python:3.11-slim-bookworm"}


@pytest.mark.parametrize("target", TARGETS)
def test_every_package_is_installed_with_its_hash(target: str) -> None:
    installs = re.findall(r"pip --python \S+ install [^&\n]+", "\n".join(values(f"{target}-packages", "RUN")))
    assert len(installs) == 2
    assert installs[0].split()[-3:] == ["--require-hashes", "-r", f"/src/requirements/{target}.txt"]
    assert "--no-deps --no-index" in installs[1]  # our own wheel
    (wheel,) = re.findall(r"pip --python \S+ install [^&\n]+", "\n".join(values("wheel", "RUN")))
    assert "--require-hashes" in wheel


def test_no_registry_is_named_anywhere() -> None:
    assert not re.search(r"index-url|find-links|trusted-host|https?://(?!127\.0\.0\.1)", TEXT)


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_a_user_of_its_own_on_a_data_volume(target: str) -> None:
    assert values(target, "USER") == ["10001:10001"]
    assert values(target, "VOLUME") == ["/data"]
    assert "useradd --uid 10001 " in values(target, "RUN")[0]


@pytest.mark.parametrize("target", TARGETS)
def test_signals_reach_scopebot_since_no_shell_stands_between(target: str) -> None:
    assert values(target, "STOPSIGNAL") == ["SIGTERM"]
    assert [*values(target, "ENTRYPOINT"), *values(target, "CMD")][0] == '["scopebot"]'
    assert all(value.startswith("[") for value in values(target, "CMD"))


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_holds_nothing_of_its_build_but_the_installed_packages(target: str) -> None:
    copies = [instruction for instruction in chain(STAGES, target) if instruction.keyword == "COPY"]
    assert [(copy.options, copy.value) for copy in copies] == [
        ({"from": f"{target}-packages"}, "/opt/venv/ /opt/venv/")
    ]


def test_the_bot_listens_beyond_its_container() -> None:
    assert "SCOPEBOT_HOST=0.0.0.0" in values("bot", "ENV")
    assert values("bot", "EXPOSE") == ["8080"]


@pytest.mark.parametrize(
    "path",
    [".env", "bot.env", "worker.env", "scopebot.toml", ".git/config", ".venv/bin/python", "tests/conftest.py",
     "bot/__pycache__/cli.cpython-311.pyc", "deploy/systemd/worker.env", "node_modules/bot/x"],
)  # fmt: skip
def test_a_secret_or_a_leftover_never_reaches_the_build(path: str) -> None:
    rules = [line for line in IGNORE.splitlines() if line and not line.startswith("#")]
    assert ignored(PurePosixPath(path), rules)


def test_the_build_gets_what_it_copies_and_nothing_else() -> None:
    tops = {path.parts[0] for path in context(IGNORE)}
    assert tops == {"pyproject.toml", "README.md", "LICENSE", "requirements", "bot", "handlers", "jobs"}
