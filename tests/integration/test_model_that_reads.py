"""The whole bot before a language model that is of no use: a right answer within five seconds, and the log says how."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.app import Bot, open_bot
from bot.settings import BotSettings
from handlers.incoming import Incoming, Place
from jobs.models import EvalSpec
from tests.support.listening import Recorder

TEXT = "please evaluate mock on sample_mcq, only the zh subset, 4 samples"
ANSWERED_WITHIN = 5.0


def invented() -> str:
    """Return an answer of the right shape in which every value is made up."""
    said = {"model": "gpt-99", "dataset": "humaneval", "limit": "9999", "api_url": "http://evil.example/v1"}
    values = [{"name": name, "value": value} for name, value in said.items()]
    return json.dumps({"requests": [{"intent": "eval", "values": values}]})


class Model:
    """A server of OpenAI's kind that does what a test wants."""

    def __init__(self) -> None:
        self.does: str = ""

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if self.does == "hangs":
            await asyncio.sleep(60)
        if self.does == "is slow":
            await asyncio.sleep(5)
        if self.does == "is broken":
            return web.Response(status=500, text="oops")
        content = {"answers garbage": "I'd love to help!", "invents": invented()}.get(self.does, "{}")
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        made: dict[str, Any] = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"]}
        return web.json_response(made | {"choices": [choice]})


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def bot(model: Model, tmp_path: Path) -> AsyncIterator[Bot]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.complete)
    server = TestServer(app)
    await server.start_server()
    settings = BotSettings(
        data_dir=tmp_path, port=0, redis_url=None, database_url=None, artifacts_url=None,
        openai_base_url=str(server.make_url("/v1")), openai_api_key="k", llm_model="small",
    )  # fmt: skip
    async with open_bot(settings, workers=0) as bot:
        yield bot
    await server.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("does", "way"),
    [
        ("hangs", "the grammar reads alone"),
        ("is slow", "the grammar reads alone"),
        ("is broken", "the grammar reads alone"),
        ("answers garbage", "the grammar reads alone"),
        ("invents", "read by the language model"),
    ],
)
async def test_a_right_answer_comes_in_time_whatever_the_model_does(
    bot: Bot, model: Model, does: str, way: str
) -> None:
    model.does = does
    recorder = Recorder()
    place = Place(platform=recorder.name, channel="c", thread="t")
    incoming = Incoming(id="i1", place=place, user="u", text=TEXT, owns_machine=True)
    with structlog.testing.capture_logs() as logs:
        began_at = time.monotonic()
        (posted,) = await bot.receive(recorder, incoming)
        seconds = time.monotonic() - began_at
    assert seconds < ANSWERED_WITHIN
    assert way in [entry["event"] for entry in logs]
    assert posted.reply.group is not None, posted.reply.message.text
    (run,) = bot.services.store.runs()
    assert isinstance(run.spec, EvalSpec)
    assert (run.spec.model.name, run.spec.covers, run.spec.limit) == ("mock_llm", ("sample_mcq",), 4)
