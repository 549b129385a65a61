"""The error tree.

    ScopebotError            a person can act on it: it has a text in every language
    ├── RequestError         the request cannot be run as it stands
    │   ├── UnknownBenchmark, UnknownModel, UnknownDataset, UnknownRun, UnknownKey, UnknownSubset
    │   ├── NotFromChat      a parameter that never comes from chat
    │   ├── HostRefused, CheckpointRefused, SandboxNeeded, KeyNotForHost
    │   └── InvalidValue, NotAllowed
    ├── SetupError           this installation lacks something
    │   ├── KeyMissing, JobKeyDiffers, NoWorker, RedisAway, ConfigInvalid
    │   └── ArtifactsDiffer, ArtifactsAway, CannotListen, RedisFull
    └── RunError             the run started and could not give a score
        ├── EndpointRefused, EndpointSilent, EndpointDenied, EndpointWrongModel,
        │   EndpointRejected, EndpointBusy, EndpointBroken, EndpointNotJson
        ├── DatasetUnreachable, DatasetMissing, SubsetMissing, NoPromptFits, NltkMissing,
        │   ExtraMissing
        ├── DiskFull, DiskLow
        └── NothingScored, RunCrashed, RunKilled, RunLost, RunHung, RunTimedOut

An error carries its `code` (its class's name in snake case), and `params`: short facts for the text. Texts stand
in `handlers/texts`, one per code and language. Anything else that is raised is a bug: people see a run id only.
"""

from __future__ import annotations

import re
from typing import ClassVar


class ScopebotError(Exception):
    """Something a person can act on."""

    code: ClassVar[str] = "scopebot_error"

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, **params: str | float) -> None:
        self.params: dict[str, str | int | float] = params
        super().__init__(f"{self.code}: {params}" if params else self.code)


class RequestError(ScopebotError):
    """The request cannot be run as it stands."""


class UnknownBenchmark(RequestError):
    """No benchmark has this name; `nearest` has up to three that come near."""


class UnknownModel(RequestError):
    """No model is registered by this name, and no endpoint was given."""


class UnknownDataset(RequestError):
    """No private data set is registered by this name."""


class UnknownSubset(RequestError):
    """The benchmark has no such subset; `subsets` has those it has."""


class UnknownRun(RequestError):
    """There is no run with this id."""


class NoSuchRun(RequestError):
    """No run is what was said of it; `what` has that."""


class UnknownPreset(RequestError):
    """There is no preset of this name; `presets` has those there are."""


class UnknownKey(RequestError):
    """No key is registered by this name."""


class NotFromChat(RequestError):
    """A parameter that never comes from chat; `instead` says the way forward."""


class HostRefused(RequestError):
    """The endpoint's address is not one people may type; an admin registers it or allows its host."""


class CheckpointRefused(RequestError):
    """A checkpoint, tokenizer or hub id outside `allow_models`."""


class SandboxNeeded(RequestError):
    """The benchmark executes what the model wrote, and asks for a sandbox."""


class KeyNotForHost(RequestError):
    """A registered key is sent to its own hosts only."""


class InvalidValue(RequestError):
    """A field's value is not one it can have; `field`, `value` and `reason` say which and why."""


class NotAllowed(RequestError):
    """Who asks may not do that with these `runs`: others may."""


class SetupError(ScopebotError):
    """This installation lacks something."""


class KeyMissing(SetupError):
    """The worker has no value for a registered key."""


class JobKeyDiffers(SetupError):
    """The worker cannot check the bot's signature: it has another SCOPEBOT_JOB_KEY."""


class NoWorker(SetupError):
    """No worker is alive."""


class RedisAway(SetupError):
    """Redis does not answer."""


class ConfigInvalid(SetupError):
    """A setting or scopebot.toml is not valid."""


class ArtifactsDiffer(SetupError):
    """This process's artifact store is not the bot's; `url` says which it has."""


class ArtifactsAway(SetupError):
    """The artifact store cannot be read or written; `url` and `reason` say which and why."""


class RedisFull(SetupError):
    """Redis takes nothing, since its disk is full."""


class CannotListen(SetupError):
    """The web server's address cannot be had; `host`, `port` and `reason` say which and why."""


class RunError(ScopebotError):
    """The run started and could not give a score."""


class EndpointRefused(RunError):
    """Nothing listens at the endpoint's address."""


class EndpointSilent(RunError):
    """The endpoint accepts the connection and does not answer in time."""


class EndpointDenied(RunError):
    """401 or 403: the key is missing, wrong or not allowed."""


class EndpointWrongModel(RunError):
    """404: no such model or path; `offered` has what `/models` offers."""


class EndpointRejected(RunError):
    """400 or 422: the endpoint does not take the request."""


class EndpointBusy(RunError):
    """429: the endpoint's rate limit."""


class EndpointBroken(RunError):
    """5xx: the endpoint itself fails."""


class EndpointNotJson(RunError):
    """The address answers with something that is no completion, such as an HTML page."""


class DatasetUnreachable(RunError):
    """The data set is not on the worker and its hub cannot be reached."""


class DatasetMissing(RunError):
    """A registered data set's folder or files are not on the worker."""


class SubsetMissing(RunError):
    """A registered data set has no file for a `subset`; `found` are those that its folder has."""


class NoPromptFits(RunError):
    """No prompt of the data set is as long as was asked for, `min` to `max`."""


class NltkMissing(RunError):
    """The benchmark scores with NLTK data that the worker lacks; it would silently score 0."""


class ExtraMissing(RunError):
    """The benchmark needs a Python extra that the worker lacks."""


class NothingScored(RunError):
    """No sample could be scored."""


class DiskFull(RunError):
    """A disk was full; `host`, `folder` and `free` (GB) say which, `setting` what moves it."""


class DiskLow(RunError):
    """A disk has less room than a run should begin with, `least` GB; the rest as in `DiskFull`."""


class RunCrashed(RunError):
    """EvalScope itself failed; the last line of its log is in `detail`."""


class RunKilled(RunError):
    """The process that evaluated was killed, by the system for its memory, or by a fault in native code."""


class RunLost(RunError):
    """The worker was gone each time that the run was sent to one."""


class RunHung(RunError):
    """Nothing got on for `run_stalls_after_minutes`, although its process lived."""


class RunTimedOut(RunError):
    """The run took longer than `run_timeout_hours`."""
