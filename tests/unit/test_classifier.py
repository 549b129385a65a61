"""The language model's server: whatever it does, an answer comes in time, and the log says which way was taken."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

import bot.classifier
from bot.classifier import Classifier
from bot.settings import BotSettings
from handlers.intents.parsed import Vocabulary
from jobs.catalog import snapshot

VOCABULARY = Vocabulary(snapshot(), models=frozenset({"prod"}))
TEXT = "evaluate prod on gsm8k, 20 samples"
GOOD = json.dumps({
    "requests": [{"intent": "eval", "values": [
        {"name": "model", "value": "prod"}, {"name": "dataset", "value": "gsm8k"}, {"name": "limit", "value": "20"},
    ]}],
})  # fmt: skip
ARGS = {"model": "prod", "datasets": ["gsm8k"], "limit": 20}


class Model:
    """A server of OpenAI's kind that answers as a test wants it."""

    def __init__(self) -> None:
        self.answers: list[Any] = [GOOD]
        """In turn, the last one for ever: an answer, an HTTP status, or seconds to wait."""
        self.asked: list[dict[str, Any]] = []
        self.takes = {"json_schema", "tools", "json_object"}

    async def complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        way = "tools" if "tools" in body else body["response_format"]["type"]
        if way not in self.takes:
            return web.json_response({"error": {"message": f"no {way} here"}}, status=400)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = GOOD
        if isinstance(answer, int):
            return web.json_response({"error": {"message": "not now"}}, status=answer)
        message: dict[str, Any] = {"role": "assistant", "content": answer}
        if way == "tools":
            call = {"id": "c", "type": "function", "function": {"name": "requests", "arguments": answer}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 900, "completion_tokens": 40, "total_tokens": 940}
        made = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}
        return web.json_response(made | {"usage": usage})


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def classifier(model: Model) -> AsyncIterator[Classifier]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.complete)
    server = TestServer(app)
    await server.start_server()
    settings = BotSettings(openai_base_url=str(server.make_url("/v1")), openai_api_key="k", llm_model="small")
    classifier = Classifier(settings)
    yield classifier
    await classifier.close()
    await server.close()


async def test_a_message_is_read_by_schema_without_the_sdks_own_tries(classifier: Classifier, model: Model) -> None:
    with structlog.testing.capture_logs() as logs:
        parsed = await classifier.classify(TEXT, VOCABULARY, thread_run="r3")
    assert parsed is not None
    assert (parsed.intent, parsed.args, parsed.by) == ("eval", ARGS, "llm")
    (asked,) = model.asked
    assert asked["response_format"]["json_schema"]["strict"] is True
    assert asked["temperature"] == 0
    assert json.loads(asked["messages"][-1]["content"]) == {"message": TEXT, "thread": {"run": "r3"}}
    told = {entry["event"]: entry for entry in logs}
    assert told["tokens of the language model"]["prompt"] == 900
    assert told["read by the language model"]["mode"] == "schema"


@pytest.mark.parametrize(
    ("takes", "tries"), [({"tools", "json_object"}, 2), ({"json_object"}, 3)], ids=["tool calls", "JSON alone"]
)
async def test_a_server_that_lacks_a_way_of_asking_is_asked_in_another_which_is_remembered(
    classifier: Classifier, model: Model, takes: set[str], tries: int
) -> None:
    model.takes = takes
    for _ in range(2):
        parsed = await classifier.classify(TEXT, VOCABULARY)
        assert parsed is not None
        assert parsed.args == ARGS
    assert len(model.asked) == tries + 1


async def test_an_answer_that_is_none_is_mended_once(classifier: Classifier, model: Model) -> None:
    model.answers = ["Sure! Here you go", GOOD]
    parsed = await classifier.classify(TEXT, VOCABULARY)
    assert parsed is not None
    assert len(model.asked) == 2
    assert "no answer" in model.asked[1]["messages"][-1]["content"]


@pytest.mark.parametrize("answer", ["garbage", "", 500, 429, 401, '{"requests": 3}'])
async def test_a_server_that_is_of_no_use_leaves_it_to_the_grammar(
    classifier: Classifier, model: Model, answer: Any
) -> None:
    model.answers = [answer]
    with structlog.testing.capture_logs() as logs:
        assert await classifier.classify(TEXT, VOCABULARY) is None
    assert len(model.asked) <= 2
    assert any(entry["event"] == "the grammar reads alone" for entry in logs)


async def test_values_that_nobody_said_are_dropped(classifier: Classifier, model: Model) -> None:
    model.answers = [GOOD.replace('"20"', '"2000"').replace("gsm8k", "mmlu")]
    parsed = await classifier.classify(TEXT, VOCABULARY)
    assert parsed is not None
    assert parsed.args == {"model": "prod"}


@pytest.mark.parametrize("seconds", [5.0, 60.0])
async def test_a_server_that_hangs_or_is_slow_takes_four_seconds_at_most(
    classifier: Classifier, model: Model, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bot.classifier.WITHIN <= 4
    monkeypatch.setattr(classifier, "_within", 0.4)
    model.answers = [seconds]
    began_at = time.monotonic()
    assert await classifier.classify(TEXT, VOCABULARY) is None
    assert time.monotonic() - began_at < 1.5


async def test_a_server_that_fails_again_and_again_is_left_alone_and_tried_later(
    classifier: Classifier, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.classifier, "FIRST_REST", 0.2)
    model.answers = [401]
    for _ in range(5):
        assert await classifier.classify(TEXT, VOCABULARY) is None
    assert len(model.asked) == 3
    model.answers = [GOOD]
    await asyncio.sleep(0.3)
    assert await classifier.classify(TEXT, VOCABULARY) is not None
    assert await classifier.classify(TEXT, VOCABULARY) is not None


@pytest.mark.parametrize(
    "settings", [{}, {"llm_model": "m"}, {"openai_api_key": "k"}], ids=["nothing", "no server", "no model"]
)
async def test_nothing_is_asked_where_no_model_is_set(settings: dict[str, str]) -> None:
    known: dict[str, Any] = {"llm_model": None, "openai_api_key": None, "openai_base_url": None}
    classifier = Classifier(BotSettings(**(known | settings)))
    assert not classifier.used
    assert await classifier.classify(TEXT, VOCABULARY) is None
