"""Every flag of EvalScope's own parsers is understood as they read it, or refused by name in both languages."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from handlers.intents.flags import COMMANDS, EVAL_TYPES, NEVER, table
from handlers.intents.parsed import Vocabulary
from handlers.intents.python_snippet import CONSTANTS
from handlers.registry import intents
from handlers.texts import Texts
from handlers.understand import understand
from jobs.catalog import snapshot
from jobs.evalscope.parameters import parsers, read_parameters

VOCABULARY = Vocabulary(snapshot())
PARSERS = parsers()
JSON = {
    "dataset_args": {"gsm8k": {"few_shot_num": 0}}, "extra_args": {"ignore_eos": True},
    "sla_params": [{"p99_latency": "<=2"}],
}  # fmt: skip


def flags() -> Iterator[Any]:
    for command, parser in PARSERS.items():
        for action in parser._actions:
            for flag in action.option_strings:
                if not isinstance(action, argparse._HelpAction):
                    yield pytest.param(command, action, flag, id=f"{command} {flag}")


def values(action: argparse.Action) -> list[str]:
    """Words that EvalScope's parser takes for this flag."""
    if action.nargs == 0:
        return []
    one = {int: "2", float: "0.5", json.loads: json.dumps(JSON.get(action.dest, {"a": {"b": 1}}))}.get(action.type, "x")
    if action.choices:
        one = next(str(choice) for choice in action.choices)
    if type(action).__name__ in {"ParseStrArgsAction", "ParseKVAction"}:
        one = "temperature=0.5"
    if action.dest == "outputs":
        one = "/"
    return [one] * (2 if action.nargs in {"+", "*"} else 1)


def test_all_of_evalscopes_commands_are_known() -> None:
    assert set(PARSERS) == set(COMMANDS) == set(NEVER)
    assert set(COMMANDS.values()) <= set(intents())


def test_the_snapshot_has_every_parameter_as_the_real_parsers_have_it() -> None:
    assert snapshot().parameters == read_parameters(prose=False)
    assert not any(info.help for info in snapshot().parameters)
    for command, parser in PARSERS.items():
        assert set(table(command).kinds) == {action.dest for action in parser._actions} - {"help"}
        assert set(NEVER[command]) <= set(table(command).kinds) | {"outputs_dir", "headers"}


def test_evalscopes_evaluation_types_and_constants_are_its_own() -> None:
    constants = pytest.importorskip("evalscope.constants")
    assert {*EVAL_TYPES, "custom"} == set(table("eval").choices["eval_type"])
    for said, value in CONSTANTS.items():
        owner, _, name = said.partition(".")
        assert getattr(getattr(constants, owner), name) == value
    owners = {said.partition(".")[0] for said in CONSTANTS}
    real = {f"{owner}.{name}" for owner in owners for name in vars(getattr(constants, owner)) if name.isupper()}
    assert set(CONSTANTS) == real


@pytest.mark.parametrize(("command", "action", "flag"), list(flags()))
def test_a_flag_is_understood_as_evalscope_reads_it_or_refused_by_name_in_both_languages(
    command: str, action: argparse.Action, flag: str
) -> None:
    words = [flag, *values(action)]
    meant = getattr(PARSERS[command].parse_args(words), action.dest)
    parsed = understand(f"evalscope {command} {shlex.join(words)}", VOCABULARY)
    reasons = {entry.name: entry.reason for entry in parsed.refused}
    assert parsed.intent == COMMANDS[command]
    assert "refused.unknown_flag" not in reasons.values()
    if action.dest in reasons:
        assert action.dest not in parsed.args
        for language in ("en", "zh"):
            told = Texts(language)(reasons[action.dest], name=action.dest)  # type: ignore[arg-type]
            assert action.dest in told
            assert len(told) > 20
        return
    assert not reasons
    if COMMANDS[command] == command:
        assert parsed.args == {action.dest: meant}
        assert type(parsed.args[action.dest]) is type(meant)
        intents()[command].args.model_validate(parsed.args)
    elif action.dest == "tag":
        assert parsed.args == {"tags": meant}
    else:
        assert action.dest in {"list", "all"}


@pytest.mark.parametrize(("command", "action", "flag"), list(flags()))
def test_a_flag_is_known_by_every_beginning_that_evalscope_knows_it_by(
    command: str, action: argparse.Action, flag: str
) -> None:
    for end in range(3, len(flag)):
        if flag[:end] in PARSERS[command]._option_string_actions:
            continue
        try:
            words = [flag[:end], *values(action)]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(PARSERS[command], "error", lambda message: (_ for _ in ()).throw(ValueError(message)))
                PARSERS[command].parse_args(words)
            known = True
        except (ValueError, SystemExit):
            known = False
        parsed = understand(f"evalscope {command} {shlex.join(words)}", VOCABULARY)
        unknown = any(entry.reason == "refused.unknown_flag" for entry in parsed.refused)
        assert unknown is not known, words
