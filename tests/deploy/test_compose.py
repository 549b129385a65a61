"""compose.yaml: valid by the Compose Specification, and what matters of it beyond that."""

import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from building import chain, parse
from composing import ROOT, SECRETS, TEXT, Missing, composed_redis, project
from redis import AuthenticationError, Redis

from bot.settings import BotSettings
from jobs.config import Defaults

SERVICES: dict[str, dict[str, Any]] = project()["services"]
OURS = ["bot", "worker"]
KNOWN = {str(field.validation_alias) for field in BotSettings.model_fields.values()}


def check(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_it_is_valid_by_the_compose_specification() -> None:
    found = check(ROOT / "compose.yaml")
    assert found.returncode == 0, found.stdout


def test_the_specification_would_refuse_a_misspelt_entry(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(TEXT.replace("stop_grace_period", "stop_grace_periods"), encoding="utf-8")
    found = check(wrong)
    assert found.returncode == 1
    assert "stop_grace_periods" in found.stdout


def test_there_are_the_bot_a_worker_redis_and_a_database() -> None:
    assert set(SERVICES) == {"bot", "worker", "redis", "postgres"}
    assert [SERVICES[name]["build"] for name in OURS] == [{"context": ".", "target": name} for name in OURS]


@pytest.mark.parametrize("secret", SECRETS)
def test_it_does_not_start_without_a_secret(secret: str) -> None:
    with pytest.raises(Missing, match=secret):
        project({**SECRETS, secret: ""})


def test_no_secret_is_written_into_the_file() -> None:
    named = re.compile(r"PASSWORD|KEY|TOKEN|SECRET")
    given = {
        value for service in SERVICES.values() for name, value in service["environment"].items() if named.search(name)
    }
    assert given == set(SECRETS.values())


def test_a_worker_holds_no_chat_token_no_database_password_and_no_secret_key() -> None:
    worker = SERVICES["worker"]
    assert set(worker["environment"]) == {"REDIS_URL", "SCOPEBOT_ARTIFACTS_URL", "SCOPEBOT_JOB_KEY", "SCOPEBOT_CONFIG"}
    assert [file["path"] for file in worker["env_file"]] == ["worker.env"]
    assert [file["path"] for file in SERVICES["bot"]["env_file"]] == ["bot.env"]
    assert "database" not in worker["networks"]


@pytest.mark.parametrize("name", OURS)
def test_scopebot_knows_every_variable_it_is_given(name: str) -> None:
    assert set(SERVICES[name]["environment"]) <= KNOWN


def test_bot_and_worker_agree_on_queue_job_key_and_artifacts() -> None:
    bot, worker = (SERVICES[name]["environment"] for name in OURS)
    for variable in ("REDIS_URL", "SCOPEBOT_JOB_KEY", "SCOPEBOT_ARTIFACTS_URL", "SCOPEBOT_CONFIG"):
        assert bot[variable] == worker[variable]
    assert bot["SCOPEBOT_ARTIFACTS_URL"] == "file:///artifacts"
    assert all("artifacts:/artifacts" in SERVICES[name]["volumes"] for name in OURS)


def test_the_bot_names_database_and_redis_as_they_are_called() -> None:
    bot, postgres = SERVICES["bot"]["environment"], SERVICES["postgres"]["environment"]
    user, password, name = (postgres[f"POSTGRES_{part}"] for part in ("USER", "PASSWORD", "DB"))
    assert bot["DATABASE_URL"] == f"postgresql://{user}:{password}@postgres:5432/{name}"
    assert bot["REDIS_URL"] == f"redis://:{SERVICES['redis']['environment']['REDIS_PASSWORD']}@redis:6379/0"


def test_redis_and_database_are_published_nowhere_and_the_bot_on_loopback_unless_told() -> None:
    assert SERVICES["bot"]["ports"] == ["127.0.0.1:8080:8080"]
    assert not [
        name for name in SERVICES if name != "bot" and ("ports" in SERVICES[name] or "network_mode" in SERVICES[name])
    ]
    networks = project()["networks"]
    assert all(
        networks[network]["internal"] for name in ("redis", "postgres") for network in SERVICES[name]["networks"]
    )


def test_every_foreign_image_is_pinned_to_a_version() -> None:
    images = {name: service["image"] for name, service in SERVICES.items() if "image" in service}
    assert set(images) == {"redis", "postgres"}
    assert all(re.fullmatch(r"[a-z]+:\d+(\.\d+)*-bookworm", image) for image in images.values())


def test_every_service_has_a_health_check_and_who_needs_one_waits_for_it() -> None:
    stages = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    for name, service in SERVICES.items():
        in_image = any(instruction.keyword == "HEALTHCHECK" for instruction in chain(stages, name))
        assert in_image if name in OURS else service["healthcheck"]["test"], name
    waits = {name: SERVICES[name]["depends_on"] for name in OURS}
    healthy = {"condition": "service_healthy"}
    assert waits == {"bot": {"redis": healthy, "postgres": healthy}, "worker": {"redis": healthy}}


def test_everything_comes_back_after_a_crash_and_a_reboot() -> None:
    assert {service["restart"] for service in SERVICES.values()} == {"unless-stopped"}


def test_a_worker_is_given_the_time_of_the_longest_run_to_stop() -> None:
    assert SERVICES["worker"]["stop_grace_period"] == f"{Defaults().run_timeout_hours:g}h"


def test_what_is_kept_lies_in_volumes_and_each_is_used() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert used == set(project()["volumes"]) == {"artifacts", "bot", "worker", "redis", "postgres"}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_change_nothing_but_their_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_nothing_is_defined_twice() -> None:
    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), keys
            return super().construct_mapping(node, deep)

    yaml.load(TEXT, Strict)


def test_its_redis_keeps_an_append_only_file_and_lets_nobody_in_without_the_password(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with composed_redis(tmp_path, port) as (process, url), Redis.from_url(url) as client:
        settings = client.config_get("append*")
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert SECRETS["REDIS_PASSWORD"] not in Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8")
        with Redis(port=port) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()
    assert list((tmp_path / "appendonlydir").iterdir())
