"""Forms: what they ask for, what is read out of them, and what is said at which field."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.services import make_vocabulary
from handlers.commands.eval import EvalArgs
from handlers.commands.perf import PerfArgs
from handlers.form_options import benchmark_options
from handlers.form_reading import read
from handlers.forms import ANOTHER, MOCK, MOST_OPTIONS, Form, Value, form_for
from handlers.incoming import Language, Request
from handlers.intents.parsed import Vocabulary
from handlers.texts import CATALOGUES, Texts
from jobs.catalog import SUITES, snapshot
from jobs.config import Config

CONFIG = Config.model_validate({
    "models": {
        "prod": {"model": "qwen-plus", "api_url": "http://10.0.0.5:8000/v1", "key": "k", "tokenizer_path": "Qwen/x"},
        "small": {"model": "small", "api_url": "http://10.0.0.6/v1"},
        "dry": {"model": "mock_llm", "eval_type": "mock_llm"},
        "local": {"model": "/models/x", "eval_type": "llm_ckpt"},
    },
    "keys": {"k": {"env": "K", "hosts": ["10.0.0.5"]}, "open": {"env": "O", "hosts": ["api.example.com"]}},
    "datasets": {
        "faq": {"benchmark": "general_qa", "local_path": "/data/faq"},
        "prompts": {"benchmark": "line_by_line", "local_path": "/data/prompts.txt"},
    },
    "defaults": {"model": "prod"},
    "access": {"allow_hosts": ["10.1.0.0/16"]},
})  # fmt: skip
BARE = Config()
EN, ZH = Texts("en"), Texts("zh")


def vocabulary(config: Config = CONFIG) -> Vocabulary:
    return make_vocabulary(snapshot(), config)


def form(intent: str, *, config: Config = CONFIG, language: Language = "en") -> Form:
    made = form_for(intent, Texts(language), config, vocabulary(config))
    assert made is not None
    return made


def sent(
    intent: str,
    *,
    config: Config = CONFIG,
    language: Language = "en",
    owns_machine: bool = False,
    **values: Value,
) -> Request | dict[str, str]:
    return read(
        form(intent, config=config, language=language), values, texts=Texts(language), config=config,
        vocabulary=vocabulary(config), owns_machine=owns_machine,
    )  # fmt: skip


def args(request: Request | dict[str, str]) -> dict[str, Any]:
    assert isinstance(request, Request), request
    return dict(request.args)


def errors(request: Request | dict[str, str]) -> dict[str, str]:
    assert isinstance(request, dict), request
    return request


def fields(made: Form) -> dict[str, Any]:
    return {field.key: field for field in made.fields}


# what is asked for


def test_where_no_model_is_registered_the_stand_in_can_be_chosen() -> None:
    found = fields(form("eval", config=BARE))
    assert [value for value, _ in found["model"].options] == [MOCK, ANOTHER]
    said = args(sent("eval", config=BARE, model=MOCK, datasets=["sample_qa"]))
    assert said == {"model": "mock_llm", "eval_type": "mock_llm", "datasets": ["sample_qa"]}
    assert MOCK not in dict(fields(form("eval"))["model"].options)
    assert "model" not in fields(form("perf", config=BARE)), "it has no endpoint to test"


def test_only_an_evaluation_and_a_stress_test_have_a_form() -> None:
    for intent in ("status", "help", "none", "rerun"):
        assert form_for(intent, EN, CONFIG, vocabulary()) is None
    assert {form("eval").intent, form("perf").intent} == {"eval", "perf"}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("intent", ["eval", "perf"])
def test_a_form_is_in_the_persons_language_and_names_each_field_once(language: Language, intent: str) -> None:
    made = form(intent, language=language)
    keys = [field.key for field in made.fields]
    assert len(keys) == len(set(keys))
    assert made.submit == CATALOGUES[language]["forms.submit"]
    assert all(field.label for field in made.fields)
    assert all(
        field.label == CATALOGUES[language].get(f"forms.label.{field.key}", field.label) for field in made.fields
    )  # fmt: skip


def test_a_model_that_can_be_evaluated_is_offered_the_default_first_and_another_last() -> None:
    options = [value for value, _ in fields(form("eval"))["model"].options]
    assert options == ["prod", "small", "dry", ANOTHER]
    assert fields(form("eval"))["model"].initial == "prod"
    assert dict(fields(form("eval"))["model"].options)["prod"] == "prod (qwen-plus)"


def test_a_stress_test_is_offered_models_with_an_endpoint() -> None:
    assert [value for value, _ in fields(form("perf"))["model"].options] == ["prod", "small", ANOTHER]


def test_where_no_model_is_registered_the_name_is_needed_for_a_stress_test() -> None:
    made = fields(form("perf", config=BARE))
    assert "model" not in made
    assert made["other_model"].required
    assert "api_key_name" not in made


def test_prompt_lengths_are_asked_for_only_where_a_tokenizer_can_make_them() -> None:
    assert {"min_prompt_length", "max_prompt_length"} <= fields(form("perf")).keys()
    assert not {"min_prompt_length", "max_prompt_length"} & fields(form("perf", config=BARE)).keys()
    assert "random" not in dict(fields(form("perf", config=BARE))["dataset"].options)


def test_ranges_are_those_of_the_request() -> None:
    found = fields(form("eval"))
    assert (found["temperature"].least, found["temperature"].most, found["temperature"].whole) == (0, 2, False)
    assert (found["repeats"].least, found["repeats"].most, found["repeats"].whole) == (1, 100, True)
    assert (found["eval_batch_size"].least, found["eval_batch_size"].most) == (1, 512)
    assert (fields(form("perf"))["parallel"].least, fields(form("perf"))["parallel"].most) == (1, 4096)
    assert fields(form("perf"))["rate"].above == 0


# an evaluation


def test_an_evaluation_has_only_what_was_filled_in() -> None:
    request = sent("eval", model="prod", datasets=["gsm8k", "GSM-8K", "faq"], limit="")
    assert request == Request(intent="eval", args={"model": "prod", "datasets": ["gsm8k", "faq"]})


def test_everything_an_evaluation_can_say() -> None:
    said = args(
        sent(
            "eval", model=ANOTHER, other_model="qwen-max", api_url="https://api.example.com/v1",
            datasets=["sample"], limit="10%", few_shot_num="5", temperature="0.7", max_tokens="2k", repeats="3",
            seed="7", eval_batch_size="16", api_key_name="open",
        )
    )  # fmt: skip
    assert said == {
        "model": "qwen-max", "api_url": "https://api.example.com/v1", "datasets": ["sample_mcq", "sample_qa"],
        "limit": 0.1, "repeats": 3, "seed": 7, "eval_batch_size": 16,
        "generation_config": {"temperature": 0.7, "max_tokens": 2000},
        "dataset_args": {"sample_mcq": {"few_shot_num": 5}, "sample_qa": {"few_shot_num": 5}},
        "api_key_name": "open",
    }  # fmt: skip
    EvalArgs.model_validate(said)


@pytest.mark.parametrize(
    ("typed", "limit"),
    [
        ("100", 100), ("１００", 100), ("1k", 1000), ("1,000", 1000), ("１，０００", 1000), ("10%", 0.1), ("10％", 0.1),
        ("0.5", 0.5), ("1.0", 1), (" 5 ", 5), ("一百", 100), ("一半", 0.5), ("100%", None), ("", None),
        ("１００％", None),
    ],
)  # fmt: skip
def test_a_count_or_a_share_however_it_is_written(typed: str, limit: float | None) -> None:
    assert args(sent("eval", model="prod", datasets=["gsm8k"], limit=typed)).get("limit") == limit


@pytest.mark.parametrize("typed", ["0", "-1", "many", "1.5", "0%", "200%", "1e3", "--limit 3"])
def test_what_is_no_count_and_no_share_is_told_at_the_field(typed: str) -> None:
    found = errors(sent("eval", model="prod", datasets=["gsm8k"], limit=typed))
    assert found == {"limit": EN("forms.error.amount")}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("key", "bad", "good"),
    [
        ("few_shot_num", "-1", "0"), ("few_shot_num", "1.5", "５"), ("temperature", "2.1", "2"),
        ("temperature", "hot", "０．７"), ("max_tokens", "0", "1k"), ("max_tokens", "1.5", "16"),
        ("repeats", "101", "100"),
        ("seed", "-1", "0"), ("seed", "99999999999", "42"), ("eval_batch_size", "513", "512"),
    ],
)  # fmt: skip
def test_a_number_that_a_field_cannot_have_is_told_there_in_the_persons_language(
    key: str, bad: str, good: str, language: Language
) -> None:
    said: dict[str, Value] = {"model": "prod", "datasets": ["gsm8k"]}
    found = errors(sent("eval", language=language, **said, **{key: bad}))
    assert set(found) == {key}
    assert any(char.isdigit() for char in found[key])  # it says from where to where
    assert bool(set(found[key]) & set("请数的")) == (language == "zh")
    assert isinstance(sent("eval", **said, **{key: good}), Request)


def test_all_problems_are_told_at_once_each_at_its_field() -> None:
    found = errors(
        sent(
            "eval", model=ANOTHER, other_model="m", api_url="ftp://x", datasets=["gsm8kk", "faq"], limit="x",
            temperature="9", repeats="0", api_key_name="gone",
        )
    )  # fmt: skip
    assert set(found) == {"api_url", "datasets", "limit", "temperature", "repeats", "api_key_name"}


def test_a_benchmark_nobody_knows_is_told_with_what_comes_near() -> None:
    found = errors(sent("eval", model="prod", datasets=["gsm8kk", "nothing-like-it"]))
    assert "gsm8kk" in found["datasets"]
    assert "gsm8k?" in found["datasets"].replace(",", "?")
    assert "nothing-like-it" in found["datasets"]


def test_a_benchmark_that_runs_code_is_told_before_anything_starts() -> None:
    assert "allow_host_code" in errors(sent("eval", model="prod", datasets=["humaneval"]))["datasets"]
    allowed = Config.model_validate({"models": {"m": {"model": "m"}}, "access": {"allow_host_code": True}})
    assert args(sent("eval", config=allowed, model="m", datasets=["humaneval"]))["datasets"] == ["humaneval"]


def test_no_benchmark_is_told_as_what_is_needed() -> None:
    assert errors(sent("eval", model="prod", datasets=[])) == {"datasets": EN("forms.error.required")}
    assert errors(sent("eval", model="prod")) == {"datasets": EN("forms.error.required")}


# which model


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, {"model": "prod"}),  # as it was filled in
        ({"model": "small"}, {"model": "small"}),
        ({"model": None, "other_model": "small"}, {"model": "small"}),
        ({"model": ANOTHER, "other_model": "mock"}, {"model": "mock_llm", "eval_type": "mock_llm"}),
        (
            {"model": None, "other_model": " qwen-max ", "api_url": "https://api.example.com/v1 "},
            {"model": "qwen-max", "api_url": "https://api.example.com/v1"},
        ),
    ],
)
def test_a_model_is_chosen_or_typed(values: dict[str, Value], said: dict[str, str]) -> None:
    assert args(sent("eval", datasets=["gsm8k"], **values)) == {**said, "datasets": ["gsm8k"]}


@pytest.mark.parametrize(
    ("values", "where", "text"),
    [
        ({"model": None}, "model", "forms.error.which_model"),
        ({"model": ANOTHER}, "other_model", "forms.error.which_model"),
        ({"model": None, "api_url": "https://api.example.com/v1"}, "other_model", "forms.error.which_model"),
        ({"model": "prod", "other_model": "qwen-max"}, "other_model", "forms.error.two_models"),
        ({"model": "prod", "api_url": "https://api.example.com/v1"}, "api_url", "forms.error.two_models"),
        ({"model": "removed-yesterday"}, "model", "forms.error.choice"),
    ],
)
def test_a_model_that_is_not_clear_is_told_where(values: dict[str, Value], where: str, text: str) -> None:
    found = errors(sent("eval", datasets=["gsm8k"], **values))
    assert found[where] == EN(text)


def test_a_model_that_is_not_registered_needs_its_address() -> None:
    found = errors(sent("eval", datasets=["gsm8k"], model=ANOTHER, other_model="qwen-max"))
    assert found == {"api_url": EN("forms.error.url_needed", model="qwen-max")}
    found = errors(sent("eval", datasets=["gsm8k"], model=ANOTHER, other_model="qwen-max", language="zh"))
    assert found == {"api_url": ZH("forms.error.url_needed", model="qwen-max")}


@pytest.mark.parametrize(
    "url",
    ["host/v1", "ftp://host/v1", "http://", "http://user:pass@host/v1", "http://host:99999/v1", "http://[::1/v1",
     "http://ho st/v1", "javascript:alert(1)", "http://host:x/"],
)  # fmt: skip
def test_what_is_no_address_is_told_at_the_field(url: str) -> None:
    found = errors(sent("eval", datasets=["gsm8k"], model=ANOTHER, other_model="m", api_url=url))
    assert set(found) == {"api_url"}
    assert "http(s)" in found["api_url"]
    assert found["api_url"][0].isupper()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "http://192.168.1.2/v1", "http://[::1]/v1"])
def test_a_private_address_is_refused_at_the_field_before_anything_is_looked_up(url: str) -> None:
    said: dict[str, Value] = {"datasets": ["gsm8k"], "model": ANOTHER, "other_model": "m", "api_url": url}
    assert set(errors(sent("eval", **said))) == {"api_url"}


def test_the_owner_of_the_machine_and_an_allowed_network_may_be_named() -> None:
    said: dict[str, Value] = {"datasets": ["gsm8k"], "model": ANOTHER, "other_model": "m"}
    assert isinstance(sent("eval", owns_machine=True, api_url="http://127.0.0.1:8000/v1", **said), Request)
    assert isinstance(sent("eval", api_url="http://10.1.2.3/v1", **said), Request)
    # the address that an admin registered for it
    said["other_model"] = "prod"
    assert isinstance(sent("eval", api_url="http://10.0.0.5:8000/v1", **said), Request)


def test_a_name_is_never_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise AssertionError("asked the resolver")

    monkeypatch.setattr("socket.getaddrinfo", no_network)
    said: dict[str, Value] = {"datasets": ["gsm8k"], "model": ANOTHER, "other_model": "m"}
    assert isinstance(sent("eval", api_url="http://host.invalid/v1", **said), Request)


def test_a_key_goes_only_where_it_is_registered_for() -> None:
    assert set(errors(sent("eval", datasets=["gsm8k"], model="prod", api_key_name="open"))) == {"api_key_name"}
    assert args(sent("eval", datasets=["gsm8k"], model="prod", api_key_name="k"))["api_key_name"] == "k"
    other: dict[str, Value] = {"datasets": ["gsm8k"], "model": ANOTHER, "other_model": "m", "api_key_name": "open"}
    assert set(errors(sent("eval", api_url="https://evil.example.org/v1", **other))) == {"api_key_name"}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("other_model", "sk-proj-abcdefgh12345678"), ("other_model", "--api-key"), ("other_model", "@file"),
        ("api_url", "https://host/v1?token=abcdefghij1234567890XYZ"),
    ],
)  # fmt: skip
def test_what_may_not_come_from_chat_may_not_come_from_a_form(key: str, text: str) -> None:
    said: dict[str, Value] = {"other_model": "m", "api_url": "https://host/v1", key: text}
    found = errors(sent("eval", datasets=["gsm8k"], model=ANOTHER, **said))
    assert set(found) == {key}
    assert text not in found[key]


@pytest.mark.parametrize(
    ("intent", "key", "value"),
    [("eval", "temperature", "5"), ("eval", "repeats", "500"), ("perf", "max_tokens", "0"), ("perf", "parallel", "0,1"),
     ("eval", "repeats", "0")],
)  # fmt: skip
def test_what_the_requests_model_refuses_is_told_at_its_field_even_where_the_form_would_take_it(
    intent: str, key: str, value: str
) -> None:
    made = form(intent)
    loose = made.model_copy(
        update={"fields": tuple(f.model_copy(update={"least": None, "above": None, "most": None}) for f in made.fields)}
    )
    values: dict[str, Value] = {"datasets": ["gsm8k"], key: value}
    found = read(loose, values, texts=EN, config=CONFIG, vocabulary=vocabulary())
    assert set(errors(found)) == {key}


# a stress test


def test_a_stress_test_says_which_kind_of_load_it_is() -> None:
    assert args(sent("perf", model="prod")) == {"model": "prod", "parallel": [1]}
    assert args(sent("perf", model="prod", parallel="1, 2，4、8 16")) == {"model": "prod", "parallel": [1, 2, 4, 8, 16]}
    open_loop = args(sent("perf", model="prod", rate="0.5, 2"))
    assert open_loop == {"model": "prod", "rate": [0.5, 2], "open_loop": True}
    brake = args(sent("perf", model="prod", parallel="4", rate="2"))
    assert brake == {"model": "prod", "parallel": [4], "rate": [2]}
    for said in (open_loop, brake):
        PerfArgs.model_validate(said)


def test_everything_a_stress_test_can_say() -> None:
    said = args(
        sent(
            "perf", model=ANOTHER, other_model="qwen-max", url="https://api.example.com/v1", parallel="1,2",
            number="10,20", max_tokens="64", duration="1.5", dataset="openqa", stream=False, api_key_name="open",
        )
    )  # fmt: skip
    assert said == {
        "model": "qwen-max", "url": "https://api.example.com/v1", "parallel": [1, 2], "number": [10, 20],
        "max_tokens": 64, "duration": 1.5, "dataset": "openqa", "stream": False, "api_key_name": "open",
    }  # fmt: skip
    PerfArgs.model_validate(said)


def test_scopebots_own_prompts_and_streaming_are_not_said() -> None:
    made = fields(form("perf"))
    said = args(sent("perf", model="prod", dataset=made["dataset"].initial, stream=True))
    assert said == {"model": "prod", "parallel": [1]}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"parallel": "0"}, "parallel"), ({"parallel": "1, x"}, "parallel"), ({"parallel": "5000"}, "parallel"),
        ({"parallel": "1.5"}, "parallel"), ({"parallel": ",".join(map(str, range(1, 23)))}, "parallel"),
        ({"number": "0"}, "number"), ({"parallel": "1,2,3", "number": "10,20"}, "number"),
        ({"number": "2000000"}, "number"), ({"max_tokens": "0"}, "max_tokens"), ({"duration": "0"}, "duration"),
        ({"duration": "100000"}, "duration"), ({"rate": "0"}, "rate"), ({"rate": "1,2", "parallel": "4"}, "rate"),
        ({"dataset": "openqa", "prompt": "Say hello"}, "prompt"), ({"prompt": "prompts.txt"}, "prompt"),
        ({"prompt": "@/etc/passwd"}, "prompt"), ({"dataset": "gone"}, "dataset"),
        ({"dataset": "random"}, "max_prompt_length"),
        ({"dataset": "random", "min_prompt_length": "50", "max_prompt_length": "20"}, "max_prompt_length"),
        ({"model": "small", "dataset": "random", "max_prompt_length": "20"}, "dataset"),
        ({"model": ANOTHER, "other_model": "mock"}, "other_model"),
        ({"model": ANOTHER, "other_model": "m"}, "url"), ({"url": "https://host/v1"}, "url"),
    ],
)  # fmt: skip
def test_a_stress_test_that_cannot_be_run_is_told_at_its_field(
    values: dict[str, Value], where: str, language: Language
) -> None:
    found = errors(sent("perf", language=language, **({"model": "prod"} | values)))
    assert set(found) == {where}
    assert any("\u4e00" <= char <= "\u9fff" for char in found[where]) == (language == "zh")


def test_random_prompts_of_a_length_where_the_model_has_a_tokenizer() -> None:
    said = args(
        sent("perf", model="prod", dataset="random", min_prompt_length="10", max_prompt_length="1k")
    )  # fmt: skip
    assert said["dataset"] == "random"
    assert (said["min_prompt_length"], said["max_prompt_length"]) == (10, 1000)


@pytest.mark.parametrize("query", ["zzzzzz", "asdf", "qwerty", "banana"])
def test_what_is_like_no_name_finds_nothing(query: str) -> None:
    assert not benchmark_options(query, vocabulary(), EN)


@pytest.mark.parametrize(("query", "meant"), [("gms8k", "gsm8k"), ("hellaswg", "hellaswag"), ("ifevla", "ifeval")])
def test_a_misspelt_name_is_found(query: str, meant: str) -> None:
    assert benchmark_options(query, vocabulary(), EN)[0][0] == meant


# whatever is sent


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_sent_gives_a_request_its_intent_takes_or_errors_at_its_own_fields(data: st.DataObject) -> None:
    intent, model = data.draw(st.sampled_from([("eval", EvalArgs), ("perf", PerfArgs)]))
    made = form(intent)
    words = st.one_of(
        st.none(), st.text(max_size=12), st.sampled_from(["1", "10%", "1,2", "gsm8k", ANOTHER, "prod", "http://h/v1"])
    )
    values: dict[str, Value] = {
        field.key: data.draw(st.one_of(words, st.lists(st.text(max_size=8), max_size=3), st.booleans()))
        for field in made.fields
        if data.draw(st.booleans())
    }
    found = read(made, values, texts=EN, config=CONFIG, vocabulary=vocabulary())
    if isinstance(found, Request):
        model.model_validate(found.args)
    else:
        assert found
        assert set(found) <= fields(made).keys()
        assert all(found.values())


def test_a_form_is_read_in_a_few_milliseconds() -> None:
    made, known = form("perf"), vocabulary()
    values: dict[str, Value] = {"model": "prod", "parallel": "1,2,4", "number": "10", "rate": "x"}
    read(made, values, texts=EN, config=CONFIG, vocabulary=known)
    began = time.perf_counter()
    for _ in range(10):
        read(made, values, texts=EN, config=CONFIG, vocabulary=known)
    assert (time.perf_counter() - began) / 10 < 0.1  # generous: the machine may be busy


# benchmarks, as one types


def names(query: str, language: Language = "en") -> list[str]:
    return [value for value, _ in benchmark_options(query, vocabulary(), Texts(language))]


def test_before_anything_is_typed_ones_own_come_first_then_suites_samples_and_what_is_well_known() -> None:
    found = names("")
    assert found[:2] == ["faq", "prompts"]
    assert found[2 : 2 + len(SUITES)] == list(SUITES)
    assert found[2 + len(SUITES) : 4 + len(SUITES)] == ["sample_mcq", "sample_qa"]
    assert found[4 + len(SUITES) : 6 + len(SUITES)] == ["gsm8k", "mmlu"]
    assert len(found) == MOST_OPTIONS == len(set(found))


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("gsm8k", "gsm8k"), ("GSM-8K", "gsm8k"), ("ｇｓｍ８ｋ", "gsm8k"), ("mmlu", "mmlu"), ("mmlu pr", "mmlu_pro"),
        ("humaneval+", "humaneval_plus"), ("general", "general"), ("faq", "faq"), ("sample_q", "sample_qa"),
        ("gsm8kk", "gsm8k"),
    ],
)  # fmt: skip
def test_a_name_is_found_however_it_is_written(query: str, first: str) -> None:
    assert names(query)[0] == first


def test_what_begins_with_the_letters_comes_before_what_merely_has_them() -> None:
    found = names("math")
    assert found[0].startswith("math")
    assert found.index("math_500") < found.index("competition_math")
    assert names("mm")[:2] == ["mmlu", "mmlu_pro"]


def test_a_suite_is_found_by_its_name_in_either_language() -> None:
    assert names("通用")[0] == names("general")[0] == "general"
    assert names("中文")[0] == "chinese"


def test_prompts_of_stress_tests_are_no_benchmarks() -> None:
    values = [value for value, _ in benchmark_options("", vocabulary(), EN, CONFIG)]
    assert "faq" in values
    assert "prompts" not in values


@pytest.mark.parametrize("query", ["数学", "mathematics", "算术"])
def test_a_subject_finds_its_benchmarks_in_both_languages_the_well_known_first(query: str) -> None:
    found = names(query, "zh")
    assert "math_500" in found[:6]
    assert "gsm8k" in found[:6]


def test_a_suite_is_found_by_what_it_has_and_labels_say_how_large_a_benchmark_is() -> None:
    assert "chinese" in names("cmmlu")
    options = dict(benchmark_options("gsm8k", vocabulary(), EN))
    assert options["gsm8k"] == "gsm8k (1,319 samples)"
    assert "1,319" in dict(benchmark_options("gsm8k", vocabulary(), ZH))["gsm8k"]
    assert "ships with" in dict(benchmark_options("sample_qa", vocabulary(), EN))["sample_qa"]


@pytest.mark.parametrize("query", ["xq", "??", "x" * 5000, "\0", "(", "🙂", "\\", "[a-"])
def test_nonsense_is_answered_with_something_or_nothing_and_never_fails(query: str) -> None:
    assert len(names(query)) <= MOST_OPTIONS


def test_looking_up_takes_no_longer_than_a_key_stroke() -> None:
    known = vocabulary()
    benchmark_options("math", known, EN)
    began = time.perf_counter()
    for query in ("", "m", "ma", "mat", "math", "数学", "zzzz"):
        benchmark_options(query, known, EN)
    assert (time.perf_counter() - began) / 7 < 0.1  # generous: the machine may be busy


def test_every_option_can_be_sent() -> None:
    for value, _ in benchmark_options("", vocabulary(), EN, CONFIG)[:12]:
        found = sent("eval", model="prod", datasets=[value])
        assert isinstance(found, Request) or "allow_host_code" in found["datasets"], value
