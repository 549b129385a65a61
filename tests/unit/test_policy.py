"""Only typed, checked fields get through."""

from pathlib import Path

import pytest

from bot.services import make_vocabulary
from handlers.incoming import Incoming, Place
from handlers.policy import generation_settings, resolve_datasets, resolve_model
from jobs.catalog import snapshot
from jobs.config import Config
from jobs.errors import (
    CheckpointRefused,
    HostRefused,
    InvalidValue,
    KeyNotForHost,
    NotFromChat,
    SandboxNeeded,
    UnknownBenchmark,
    UnknownKey,
    UnknownModel,
    UnknownSubset,
)
from jobs.models import DatasetTarget, ModelTarget

CONFIG = Config.model_validate({
    "models": {"prod": {"model": "qwen-plus", "api_url": "http://10.0.0.5:8000/v1", "key": "k"}},
    "keys": {"k": {"env": "K", "hosts": ["10.0.0.5"]}, "open": {"env": "O"}},
    "datasets": {
        "faq": {"benchmark": "general_qa", "local_path": "/data/faq", "subset_list": ["hr", "it"], "private": True}
    },
    "access": {"allow_hosts": ["10.1.0.0/16", "*.corp.net"], "allow_models": ["Qwen/*"]},
})  # fmt: skip


def incoming(*, owns_machine: bool = False) -> Incoming:
    return Incoming(id="1", place=Place(platform="p", channel="c", thread="t"), user="u", owns_machine=owns_machine)


async def model(name: str, *, owns_machine: bool = False, **said: str | None) -> ModelTarget:
    fields = {"api_url": None, "eval_type": None, "key": None} | said
    return await resolve_model(name, incoming=incoming(owns_machine=owns_machine), config=CONFIG, **fields)


def datasets(
    *names: str, settings: dict[str, dict[str, object]] | None = None, **changes: object
) -> list[DatasetTarget]:
    config = CONFIG.model_copy(update=changes)
    return resolve_datasets(names, settings or {}, make_vocabulary(snapshot(), config), config)


async def test_a_registered_model_keeps_its_endpoint_and_key() -> None:
    target = await model("prod")
    assert (target.model, target.api_url, target.key, target.network) == (
        "qwen-plus", "http://10.0.0.5:8000/v1", "k", "registered",
    )  # fmt: skip


async def test_mock_needs_no_endpoint() -> None:
    assert (await model("mock")).eval_type == "mock_llm"


async def test_an_unknown_model_without_an_endpoint_is_asked_for() -> None:
    with pytest.raises(UnknownModel, match="prod"):
        await model("qwen-max")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1", "http://localhost:8000/v1", "http://[::1]/v1", "http://192.168.1.4/v1",
        "http://169.254.169.254/latest", "http://[::ffff:169.254.169.254]/v1", "http://[fd00:ec2::254]/",
        "http://100.100.100.200/", "http://0.0.0.0/", "http://[64:ff9b::a9fe:a9fe]/", "http://2130706433/",
    ],
)  # fmt: skip
async def test_a_typed_private_address_is_refused_in_chat(url: str) -> None:
    with pytest.raises(HostRefused):
        await model("m", api_url=url)


async def test_the_owner_of_the_machine_may_type_its_loopback_but_no_metadata_address() -> None:
    assert (await model("m", api_url="http://127.0.0.1:8000/v1", owns_machine=True)).network == "console"
    with pytest.raises(HostRefused):
        await model("m", api_url="http://169.254.169.254/v1", owns_machine=True)


async def test_allowed_networks_and_hosts_may_be_typed() -> None:
    assert (await model("m", api_url="http://10.1.2.3/v1")).network == "checked"
    assert (await model("m", api_url="http://llm.corp.net/v1")).network == "checked"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/b", "http://", "https://user:pw@host/v1", "nonsense"])
async def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue):
        await model("m", api_url=url)


async def test_a_registered_key_is_sent_to_its_own_hosts_only() -> None:
    with pytest.raises(KeyNotForHost):
        await model("m", api_url="http://10.1.2.3/v1", key="k")
    with pytest.raises(KeyNotForHost):  # a key without hosts goes nowhere but with its registered model
        await model("m", api_url="http://10.1.2.3/v1", key="open")


async def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(UnknownKey):
        await model("prod", key="nope")


async def test_a_typed_endpoint_does_not_get_the_registered_models_key() -> None:
    assert (await model("prod", api_url="http://10.1.2.3/v1")).key is None


async def test_a_checkpoint_outside_the_allow_list_is_refused() -> None:
    with pytest.raises(CheckpointRefused):
        await model("/etc/models/x")
    with pytest.raises(InvalidValue):  # allowed, but not yet supported: never run as something else
        await model("Qwen/Qwen2.5-7B")


async def test_an_eval_type_that_is_not_supported_is_refused() -> None:
    with pytest.raises(InvalidValue):
        await model("prod", eval_type="custom")


def test_a_suite_is_expanded_and_each_benchmark_stands_once() -> None:
    assert [d.name for d in datasets("sample", "sample_qa", "gsm8k", "GSM-8K")] == ["sample_mcq", "sample_qa", "gsm8k"]


def test_no_path_of_a_data_set_leaves_the_configuration() -> None:
    (faq,) = datasets("faq")
    assert (faq.benchmark, faq.local, faq.private) == ("general_qa", True, True)
    assert "/data" not in faq.model_dump_json()


def test_a_misspelt_benchmark_names_the_nearest() -> None:
    with pytest.raises(UnknownBenchmark, match="gsm8k"):
        datasets("gsm9k")


def test_an_unknown_subset_names_those_there_are() -> None:
    with pytest.raises(UnknownSubset, match="anatomy"):
        datasets("mmlu", settings={"mmlu": {"subset_list": ["alchemy"]}})


def test_chosen_subsets_alone_count() -> None:
    (mmlu,) = datasets("mmlu", settings={"mmlu": {"subset_list": ["anatomy"], "few_shot_num": 0}})
    assert mmlu.subsets == {"anatomy": 135}
    assert mmlu.args == {"subset_list": ["anatomy"], "few_shot_num": 0}


@pytest.mark.parametrize("field", ["local_path", "dataset_id", "prompt_template", "metric_list", "extra_params"])
def test_a_field_that_is_not_for_chat_is_refused(field: str) -> None:
    with pytest.raises(NotFromChat):
        datasets("gsm8k", settings={"gsm8k": {field: "x"}})


def test_code_benchmarks_need_an_admins_word() -> None:
    with pytest.raises(SandboxNeeded):
        datasets("humaneval")
    access = CONFIG.access.model_copy(update={"allow_host_code": True})
    assert datasets("humaneval", access=access)[0].name == "humaneval"


@pytest.mark.parametrize(
    "said", [{"temperature": 5}, {"temperature": "hot"}, {"max_tokens": 0}, {"extra_body": {"x": 1}}, {"top_p": 2}]
)
def test_a_generation_setting_out_of_range_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(InvalidValue):
        generation_settings(said)


def test_what_is_said_goes_over_what_is_registered() -> None:
    settings = generation_settings({"temperature": 1}, {"temperature": 0, "max_tokens": 64})
    assert (settings.temperature, settings.max_tokens) == (1, 64)


def test_no_local_path_of_this_machine_reaches_a_spec() -> None:
    assert str(Path.cwd()) not in "".join(d.model_dump_json() for d in datasets("sample"))
