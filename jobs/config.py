"""Settings: the environment, and `scopebot.toml` for what has structure (models, keys, data sets, access)."""

from __future__ import annotations

import functools
import secrets
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.errors import ConfigInvalid

Name = str


class Section(BaseModel):
    """A part of scopebot.toml: unknown entries are errors, not silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelEntry(Section):
    """`[models.NAME]`: a model people can name. A registered endpoint may be any address, loopback too."""

    model: str
    api_url: str | None = None
    key: str | None = None
    eval_type: str | None = None
    api: str | None = None
    tokenizer_path: str | None = None
    model_args: dict[str, Any] = Field(default_factory=dict)
    generation_config: dict[str, Any] = Field(default_factory=dict)
    eval_batch_size: int | None = Field(None, ge=1, le=512)
    price: dict[str, float] | None = None


class KeyEntry(Section):
    """`[keys.NAME]`: where the worker finds a key (never the key itself), and the only hosts it is sent to."""

    env: str | None = None
    file: Path | None = None
    hosts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> KeyEntry:
        if (self.env is None) == (self.file is None):
            raise ValueError("give one of `env` (a variable of the worker) and `file`")
        return self


class DatasetEntry(Section):
    """`[datasets.NAME]`: a private benchmark people can name."""

    benchmark: str
    local_path: Path
    subset_list: tuple[str, ...] = ()
    private: bool = False
    prompt_template: str | None = None
    system_prompt: str | None = None
    few_shot_num: int | None = Field(None, ge=0)
    few_shot_prompt_template: str | None = None
    metric_list: tuple[Any, ...] = ()
    extra_params: dict[str, Any] = Field(default_factory=dict)
    filters: dict[str, Any] = Field(default_factory=dict)


class Defaults(Section):
    """`[defaults]`."""

    model: str | None = None
    timezone: str = "UTC"
    confirm_above_samples: int = Field(1000, ge=1)
    run_timeout_hours: float = Field(24, gt=0, le=24 * 14)
    run_stalls_after_minutes: float = Field(60, gt=0, le=24 * 60)
    """A run that finishes nothing for so long has failed; downloading a large data set may take some of it."""


class Access(Section):
    """`[access]`."""

    admins: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    allow_models: tuple[str, ...] = ()
    allow_host_code: bool = False
    """An admin's word that workers may execute model-written code without a sandbox."""


class Retention(Section):
    """`[retention]`: how long files are kept, in days. Runs, results and scores stay in the database for ever."""

    days: float = Field(90, ge=0)
    """Files of an ended run in the artifact store: its log, report, samples and cache; 0 keeps them for ever."""
    worker_days: float = Field(1, ge=0)
    """A worker's own copy of them, once all of it is in the artifact store."""


class Disk(Section):
    """`[disk]`."""

    min_free_gb: float = Field(1, ge=0)
    """What must be free on a worker's disk, and on the artifact store's where that is a folder, for a run to begin."""


class Feishu(Section):
    """`[feishu]`."""

    receive: Literal["connection", "webhook"] = "connection"
    """How events come: over a connection that the bot opens, or as requests to its web server."""


class Config(Section):
    """The whole of scopebot.toml."""

    models: dict[Name, ModelEntry] = Field(default_factory=dict)
    keys: dict[Name, KeyEntry] = Field(default_factory=dict)
    datasets: dict[Name, DatasetEntry] = Field(default_factory=dict)
    presets: dict[Name, dict[str, JsonValue]] = Field(default_factory=dict)
    """An evaluation's settings under a name, as a request has them; the bot checks them."""
    defaults: Defaults = Defaults()
    access: Access = Access()
    disk: Disk = Disk()
    retention: Retention = Retention()
    feishu: Feishu = Feishu()

    @model_validator(mode="after")
    def _names_resolve(self) -> Config:
        for name, model in self.models.items():
            if model.key is not None and model.key not in self.keys:
                raise ValueError(f"models.{name}.key: there is no [keys.{model.key}]")
        if self.defaults.model is not None and self.defaults.model not in self.models:
            raise ValueError(f"defaults.model: there is no [models.{self.defaults.model}]")
        return self


def load_config(path: Path | None) -> Config:
    """Read scopebot.toml; none at all is an empty one. Raises `ConfigInvalid` with the file and the entry."""
    if path is None:
        return Config()
    try:
        return Config.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigInvalid(file=str(path), reason=error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(file=str(path), reason=str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigInvalid(file=str(path), reason=f"{where}: {first['msg']}".lstrip(": ")) from error


class Settings(BaseSettings):
    """The environment of bot and worker; names of the variables are the fields' in capitals, by alias."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, frozen=True, env_ignore_empty=True)

    redis_url: str | None = Field(None, validation_alias="REDIS_URL")
    database_url: str | None = Field(None, validation_alias="DATABASE_URL")
    artifacts_url: str | None = Field(None, validation_alias="SCOPEBOT_ARTIFACTS_URL")
    data_dir: Path = Field(Path("~/.scopebot"), validation_alias="SCOPEBOT_DATA_DIR")
    config_path: Path | None = Field(None, validation_alias="SCOPEBOT_CONFIG")
    secret_key: str | None = Field(None, validation_alias="SCOPEBOT_SECRET_KEY")
    job_key: str | None = Field(None, validation_alias="SCOPEBOT_JOB_KEY")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", validation_alias="SCOPEBOT_LOG_LEVEL")

    @property
    def folder(self) -> Path:
        """The data folder, made on first use, readable by its owner only."""
        folder = self.data_dir.expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    @functools.cached_property
    def config(self) -> Config:
        """scopebot.toml: `SCOPEBOT_CONFIG`, else the one in the data folder, else an empty one."""
        if self.config_path is not None:
            return load_config(self.config_path.expanduser())
        beside = self.folder / "scopebot.toml"
        return load_config(beside if beside.exists() else None)

    @functools.cached_property
    def effective_secret_key(self) -> str:
        """`SCOPEBOT_SECRET_KEY`, or the one kept in the data folder, made there on first use."""
        return self.secret_key or _kept_secret(self.folder / "secret_key")

    @functools.cached_property
    def effective_job_key(self) -> str:
        """`SCOPEBOT_JOB_KEY`, or the one derived from the secret key: signs jobs, opens nothing else."""
        if self.job_key is not None:
            return self.job_key
        import hashlib
        import hmac

        return hmac.new(self.effective_secret_key.encode(), b"scopebot job key", hashlib.sha256).hexdigest()

    @property
    def effective_database_url(self) -> str:
        """`DATABASE_URL` with the driver that is installed, or SQLite in the data folder."""
        if self.database_url is None:
            return f"sqlite:///{self.folder / 'scopebot.db'}"
        scheme, _, rest = self.database_url.partition("://")
        return f"postgresql+psycopg://{rest}" if scheme in {"postgres", "postgresql"} else self.database_url

    @property
    def effective_artifacts_url(self) -> str:
        """`SCOPEBOT_ARTIFACTS_URL`, or a folder in the data folder."""
        return self.artifacts_url or f"file://{self.folder / 'artifacts'}"


def _kept_secret(path: Path) -> str:
    """Return the secret kept at `path`, making it (mode 0600) if it is not there; safe against a second process."""
    import os

    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
