"""Settings and scopebot.toml: what is read, what is refused and how it is said, what is kept secret."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from jobs.config import Config, Settings, load_config
from jobs.errors import ConfigInvalid

ROOT = Path(__file__).resolve().parents[2]
WHOLE = """
[models.prod]
model = "qwen-plus"
api_url = "http://10.0.0.5:8000/v1"
key = "prod-openai"
eval_type = "openai_api"
price = { input = 0.4, output = 1.2 }
[keys.prod-openai]
env = "PROD_KEY"
hosts = ["10.0.0.5"]
[keys.filed]
file = "/run/secrets/key"
[datasets.faq]
benchmark = "general_qa"
local_path = "/data/faq"
subset_list = ["hr", "it"]
private = true
[defaults]
model = "prod"
timezone = "Asia/Shanghai"
confirm_above_samples = 500
[access]
admins = ["slack:U123", "feishu:ou_abc"]
allow_hosts = ["10.0.0.0/8", "*.corp.net"]
allow_models = ["Qwen/*", "/models/*"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "scopebot.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_whole_file_of_the_design_is_read(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, WHOLE))
    assert config.models["prod"].api_url == "http://10.0.0.5:8000/v1"
    assert config.keys["prod-openai"].hosts == ("10.0.0.5",)
    assert config.keys["filed"].file == Path("/run/secrets/key")
    assert config.datasets["faq"].private
    assert config.datasets["faq"].subset_list == ("hr", "it")
    assert (config.defaults.model, config.defaults.confirm_above_samples) == ("prod", 500)
    assert config.access.allow_hosts == ("10.0.0.0/8", "*.corp.net")


def test_no_file_is_an_empty_configuration_that_allows_nothing() -> None:
    config = load_config(None)
    assert config == Config()
    assert config.access.allow_hosts == config.access.allow_models == config.access.admins == ()
    assert config.access.allow_host_code is False


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[models.a]\nmodle = 'x'\nmodel = 'x'", "models.a.modle"),
        ("[modles.a]\nmodel = 'x'", "modles"),
        ("[models.a]", "models.a.model"),
        ("[models.a]\nmodel = 'x'\nkey = 'k'", "models.a.key: there is no [keys.k]"),
        ("[defaults]\nmodel = 'a'", "defaults.model: there is no [models.a]"),
        ("[defaults]\nconfirm_above_samples = 0", "defaults.confirm_above_samples"),
        ("[keys.k]\nhosts = ['h']", "give one of `env`"),
        ("[keys.k]\nenv = 'E'\nfile = 'f'", "give one of `env`"),
        ("[keys.k]\nkey = 'sk-secret'\nenv = 'E'", "keys.k.key"),
        ("[models", "end of document"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_entry(tmp_path: Path, text: str, reason: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigInvalid) as caught:
        load_config(path)
    assert caught.value.params["file"] == str(path)
    assert reason in str(caught.value.params["reason"])


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load_config(tmp_path / "none.toml")
    assert caught.value.params["file"] == str(tmp_path / "none.toml")
    assert "No such file" in str(caught.value.params["reason"])


def test_a_file_that_is_no_utf_8_is_a_mistake_a_person_is_told(tmp_path: Path) -> None:
    path = tmp_path / "scopebot.toml"
    path.write_bytes(b'[models.a]\nmodel = "\xff"')
    with pytest.raises(ConfigInvalid):
        load_config(path)


def test_the_file_beside_the_data_is_read_and_the_one_that_is_named_goes_first(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    written(make_settings().folder, "[models.beside]\nmodel = 'x'")
    other = written(tmp_path, "[models.named]\nmodel = 'x'")
    assert list(make_settings().config.models) == ["beside"]
    assert list(make_settings(config_path=other).config.models) == ["named"]


def test_the_environment_has_the_names_of_the_design(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_settings()  # cleans the environment
    for name, value in {
        "REDIS_URL": "redis://r/0", "DATABASE_URL": "postgresql://d/x", "SCOPEBOT_ARTIFACTS_URL": "s3://b/p",
        "SCOPEBOT_DATA_DIR": str(tmp_path / "d"), "SCOPEBOT_CONFIG": "c.toml", "SCOPEBOT_SECRET_KEY": "s",
        "SCOPEBOT_JOB_KEY": "j",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    read = Settings()
    assert read.redis_url == "redis://r/0"
    assert read.effective_database_url == "postgresql+psycopg://d/x"
    assert read.effective_artifacts_url == "s3://b/p"
    assert read.folder == tmp_path / "d"
    assert read.config_path == Path("c.toml")
    assert (read.effective_secret_key, read.effective_job_key) == ("s", "j")


def test_an_empty_variable_counts_as_none(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_settings()
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("SCOPEBOT_SECRET_KEY", "")
    assert make_settings().redis_url is None
    assert len(make_settings().effective_secret_key) == 64


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d?x=1", "postgresql+psycopg://u@h/d?x=1"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
    ],
)
def test_a_database_url_gets_the_driver_that_is_installed(
    make_settings: Callable[..., Settings], url: str, opened: str
) -> None:
    assert make_settings(database_url=url).effective_database_url == opened


def test_without_urls_everything_lies_in_the_data_folder_which_only_its_owner_reads(settings: Settings) -> None:
    assert settings.effective_database_url == f"sqlite:///{settings.folder}/scopebot.db"
    assert settings.effective_artifacts_url == f"file://{settings.folder}/artifacts"
    assert stat.S_IMODE(settings.folder.stat().st_mode) == 0o700


def test_the_secret_key_is_made_once_and_only_its_owner_reads_it(make_settings: Callable[..., Settings]) -> None:
    first, second = make_settings(), make_settings()
    assert first.effective_secret_key == second.effective_secret_key
    assert len(first.effective_secret_key) == 64
    assert stat.S_IMODE((first.folder / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in first.folder.iterdir()] == ["secret_key"]


def test_processes_that_start_at_once_agree_on_the_secret_key(settings: Settings) -> None:
    script = (
        "import sys, pathlib; from jobs.config import _kept_secret\n"
        "sys.stdin.readline(); print(_kept_secret(pathlib.Path(sys.argv[1])))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(settings.folder / "secret_key")],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = {process.communicate(timeout=30)[0].strip() for process in processes}
    assert said == {settings.effective_secret_key}


def test_the_job_key_comes_from_the_secret_key_and_does_not_give_it_away(
    make_settings: Callable[..., Settings],
) -> None:
    one, same, other = (make_settings(secret_key=secret) for secret in ("a" * 32, "a" * 32, "b" * 32))
    assert one.effective_job_key == same.effective_job_key != other.effective_job_key
    assert one.effective_secret_key not in one.effective_job_key


def test_settings_cannot_be_changed(settings: Settings) -> None:
    with pytest.raises(ValidationError):
        settings.redis_url = "redis://other"  # type: ignore[misc]
