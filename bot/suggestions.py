"""Sentences that people can begin with and that work, from the registry. Where a model is registered, they name it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from handlers.policy import SUPPORTED_EVAL_TYPES
from handlers.registry import intents

if TYPE_CHECKING:
    from handlers.incoming import Language
    from jobs.config import Config

SHOWN = ("eval", "perf", "benchmarks", "status")
STAND_INS = {"eval": "qwen-plus", "perf": "prod"}
"""The models that the examples of the registry name."""
STAND_IN_BENCHMARK = "gsm8k"
MOCK, SAMPLE = "mock", "sample_mcq"
"""Can be evaluated without being registered or downloaded."""


def suggestions(language: Language, config: Config) -> list[str]:
    """Return up to four sentences, one for each thing that people do most."""
    known = intents()
    said = {name: known[name].examples[language][0] for name in SHOWN if name in known}
    return list(_with_models(said, config).values())


def _with_models(said: dict[str, str], config: Config) -> dict[str, str]:
    """Return sentences about models that are registered: the default one, else the first."""
    default = config.defaults.model
    known = [name for name, entry in config.models.items() if entry.eval_type in {None, *SUPPORTED_EVAL_TYPES}]
    names = sorted(known, key=lambda name: name != default)
    models = {"eval": names or [MOCK], "perf": [name for name in names if config.models[name].api_url is not None]}
    found = {}
    for intent, sentence in said.items():
        if intent not in models:
            found[intent] = sentence
        elif models[intent] == [MOCK]:  # with a benchmark that needs no network either, in full: it is small
            short = re.split(r"[,，]", sentence)[0].replace(STAND_INS[intent], MOCK)
            found[intent] = short.replace(STAND_IN_BENCHMARK, SAMPLE)
        elif models[intent]:
            found[intent] = sentence.replace(STAND_INS[intent], models[intent][0])
    return found
