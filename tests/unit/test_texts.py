"""Every text in English and Chinese, with the same facts in both."""

import re
import string
from pathlib import Path

import pytest

from handlers.registry import intents
from handlers.texts import CATALOGUES, EN, ZH, Texts
from jobs import errors
from jobs.lifecycle import RunState
from jobs.models import Failure, Progress

ROOT = Path(__file__).parents[2]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def leaves(kind: type[errors.ScopebotError]) -> list[type[errors.ScopebotError]]:
    children = kind.__subclasses__()
    return [leaf for child in children for leaf in leaves(child)] if children else [kind]


def test_no_text_is_missing_in_either_language() -> None:
    assert set(EN) == set(ZH)


@pytest.mark.parametrize("key", sorted(EN))
def test_both_languages_tell_the_same_facts(key: str) -> None:
    assert fields(EN[key]) == fields(ZH[key])


@pytest.mark.parametrize("key", sorted(ZH))
def test_no_chinese_text_was_left_in_english(key: str) -> None:
    words = re.sub(r"`[^`]*`|\{[^}]*\}", "", ZH[key])
    if key not in {"result.field.tokens", "result.field.worker"} and re.search("[A-Za-z]", words):
        assert re.search(r"[\u4e00-\u9fff]", words)


def test_every_error_a_person_can_act_on_has_a_text() -> None:
    missing = {kind.code for kind in leaves(errors.ScopebotError)} - {
        key.removeprefix("error.") for key in EN if key.startswith("error.")
    }
    assert not missing


def test_every_reason_the_parsers_give_has_a_text() -> None:
    source = "".join(path.read_text() for path in (ROOT / "handlers" / "intents").glob("*.py"))
    used = set(re.findall(r'"(refused\.[a-z_]+)"', source))
    assert used
    assert not used - set(EN)


def test_every_state_phase_and_intent_has_a_text() -> None:
    phases = Progress.model_fields["phase"].annotation.__args__  # type: ignore[union-attr]
    needed = {f"state.{state}" for state in RunState} | {f"phase.{phase}" for phase in phases}
    needed |= {f"help.about.{name}" for name in intents()}
    assert not needed - set(EN)


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_a_fact_an_error_lacks_reads_as_a_question_mark_and_never_raises(language: str) -> None:
    text = Texts(language).error(Failure(code="endpoint_denied"))  # type: ignore[arg-type]
    assert "?" in text or "？" in text


def test_an_error_nobody_knows_is_still_told() -> None:
    assert "why" in Texts("en").error(Failure(code="brand_new", params={"detail": "why"}))


def test_a_reason_is_told_in_the_persons_language() -> None:
    error = errors.InvalidValue(field="limit", value="-1", reason="range")
    assert EN["reason.range"] in Texts("en").error(error)
    assert ZH["reason.range"] in Texts("zh").error(error)


def test_every_text_a_handler_asks_for_is_there() -> None:
    sources = [*(ROOT / "handlers").rglob("*.py"), *(ROOT / "bot").rglob("*.py")]
    used = {key for path in sources for key in re.findall(r'texts\(\s*"([a-z_.]+)"', path.read_text())}
    assert len(used) > 40
    assert not used - set(EN)
