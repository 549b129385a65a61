"""What many tests share: databases, Redis servers, settings of their own, and a real worker.

Both databases and both servers are real. PostgreSQL (`SCOPEBOT_TEST_POSTGRES_URL`) and an outside Redis
(`SCOPEBOT_TEST_REDIS_URL`, whose database is emptied) are skipped, with the reason, where none answers.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import pytest_asyncio
from redis import Redis, RedisError
from redis.asyncio import Redis as AsyncRedis
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from support.workers import Ended, Office, end_worker, start_worker

from jobs.artifacts import Artifacts
from jobs.catalog import snapshot
from jobs.config import Settings
from jobs.db import migrate, open_engine
from jobs.embedded import EmbeddedServer
from jobs.models import DatasetTarget, EvalSpec, ModelTarget, Run
from jobs.sample import SAMPLE_DATASETS
from jobs.store import Store
from jobs.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
POSTGRES_URL = os.environ.get("SCOPEBOT_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
REAL_REDIS_URL = os.environ.get("SCOPEBOT_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
OWN_VARIABLES = ("REDIS_URL", "DATABASE_URL", *(name for name in os.environ if name.startswith("SCOPEBOT_")))

# other tests share the cores; CI tries the same examples each time, people new ones
hypothesis.settings.register_profile("scopebot", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("scopebot")


# settings


@pytest.fixture
def make_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings by field name, in a folder of the test's own; nothing of this machine's environment gets in."""
    for name in OWN_VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def make(**fields: Any) -> Settings:
        return Settings(**({"data_dir": tmp_path / "data"} | fields))

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


# databases


@contextmanager
def _postgres() -> Iterator[Engine]:
    """Give an engine whose only schema is new and empty."""
    url = Settings(database_url=POSTGRES_URL).effective_database_url
    admin = create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    schema = f"scopebot_{secrets.token_hex(6)}"
    try:
        try:
            with admin.connect() as connection:
                connection.execute(text(f"CREATE SCHEMA {schema}"))
        except OperationalError as error:
            pytest.skip(f"no PostgreSQL at {POSTGRES_URL}: {str(error.orig).strip().splitlines()[0]}")
        engine = open_engine(f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}")
        try:
            yield engine
        finally:
            engine.dispose()
            with admin.connect() as connection:
                connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    finally:
        admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without a table, on each of the two kinds."""
    if request.param == "postgresql":
        with _postgres() as engine:
            yield engine
    else:
        engine = open_engine(f"sqlite:///{tmp_path / 'scopebot.db'}")
        yield engine
        engine.dispose()


@pytest.fixture
def engine(empty_engine: Engine) -> Engine:
    """A migrated database, on each of the two kinds."""
    migrate(empty_engine)
    return empty_engine


# Redis


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The embedded Valkey. Its database 0 belongs to `office`, 1 to `redis_client`."""
    with EmbeddedServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["embedded", "real"])
def redis_client(request: pytest.FixtureRequest) -> Iterator[Redis]:
    """An empty database on the embedded Valkey, and on a Redis that runs here anyway."""
    if request.param == "embedded":
        url = request.getfixturevalue("redis_server").url.removesuffix("/0") + "/1"
        with Redis.from_url(url) as client:
            client.flushdb()
            yield client
            client.flushdb()
        return
    with (Path(tempfile.gettempdir()) / "scopebot-test-redis.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one database for all processes that test
        with Redis.from_url(REAL_REDIS_URL, socket_connect_timeout=3) as client:
            try:
                client.flushdb()
            except RedisError as error:
                pytest.skip(f"no Redis at {REAL_REDIS_URL}: {error}")
            yield client
            client.flushdb()


@pytest_asyncio.fixture
async def client(redis_client: Redis) -> AsyncIterator[AsyncRedis]:
    """The same, for asyncio."""
    known = redis_client.connection_pool.connection_kwargs
    client = AsyncRedis(**{name: known[name] for name in ("host", "port", "db", "password") if name in known})
    yield client
    await client.aclose()


@pytest.fixture
def workspace(make_settings: Callable[..., Settings], redis_server: EmbeddedServer) -> Iterator[Workspace]:
    """What a worker process has at hand, without the process."""
    own = make_settings(redis_url=redis_server.url.removesuffix("/0") + "/1")
    assert own.redis_url is not None
    with Redis.from_url(own.redis_url) as client:
        client.flushdb()
        yield Workspace(
            name="host-1", settings=own, redis=client, artifacts=Artifacts(own.effective_artifacts_url),
            catalog=snapshot(),
        )  # fmt: skip


# runs


@pytest.fixture(scope="session")
def mock_spec() -> Callable[..., EvalSpec]:
    """The mock model on sample benchmarks, by their names; more fields of EvalSpec as keywords."""

    def make(*names: str, **fields: Any) -> EvalSpec:
        datasets = tuple(
            DatasetTarget(name=name, benchmark=known.benchmark, local=True, args=_args(known), subsets=known.subsets)
            for name, known in ((name, SAMPLE_DATASETS[name]) for name in names or ("sample_mcq",))
        )
        model = ModelTarget(name="mock", model="mock_llm", eval_type="mock_llm")
        return EvalSpec(**({"model": model, "datasets": datasets} | fields))

    return make


def _args(known: Any) -> dict[str, Any]:
    return {name: value for name, value in known.dataset_args.items() if name != "local_path"}


@pytest.fixture(scope="session")
def add_run(mock_spec: Callable[..., EvalSpec]) -> Callable[..., Run]:
    """A new run in a store, waiting; of the mock model on sample_mcq unless told otherwise."""

    def add(store: Store, spec: EvalSpec | None = None) -> Run:
        _, runs = store.add_group(
            source=secrets.token_hex(8), platform="console", channel="c", thread="t", user="u", language="en",
            text="run it", specs=[spec or mock_spec()],
        )  # fmt: skip
        return runs[0]

    return add


# a real worker


@pytest.fixture(scope="session")
def worker_process(
    redis_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory, add_run: Callable[..., Run]
) -> Iterator[Office]:
    """A real worker, shared by all tests of the session, and beside it what the bot has."""
    own = Settings(
        redis_url=redis_server.url, data_dir=tmp_path_factory.mktemp("office"), database_url=None,
        artifacts_url=None, config_path=None, secret_key=None, job_key=None,
    )  # fmt: skip
    with Redis.from_url(redis_server.url) as redis:
        process = start_worker(own, redis)
        engine = open_engine(own.effective_database_url)
        try:
            migrate(engine)
            artifacts = Artifacts(own.effective_artifacts_url)
            yield Office(own, redis, engine, artifacts, process, add_run)
        finally:
            engine.dispose()
            end_worker(process)


@pytest.fixture(scope="session")
def run_to_end(worker_process: Office) -> Callable[..., Ended]:
    """Run a spec on the real worker until it ended; see `Office.run_to_end`."""
    return worker_process.run_to_end
