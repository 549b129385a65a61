"""The language model that reads what people write: any endpoint of OpenAI's kind, four seconds, and no trust.

What a server offers differs: answers held to a JSON schema, else tool calls, else JSON with the schema in words. The
first that it takes is remembered. A server that fails again and again is left alone for a while.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import structlog

from handlers.intents.llm_prompt import messages
from handlers.intents.llm_reading import Reading, read_answer
from handlers.intents.llm_schema import schema

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from bot.settings import BotSettings
    from handlers.intents.parsed import Parsed, Vocabulary

log = structlog.get_logger(__name__)

WITHIN = 4.0
"""Seconds for all tries together."""
TRY_SHARE = 0.75
"""How much of it one try may take."""
MOST_TOKENS = 400
Mode = Literal["schema", "tools", "json"]
MODES: tuple[Mode, ...] = ("schema", "tools", "json")
FAILURES = 3
"""Failures in a row after which the server is left alone."""
FIRST_REST, LONGEST_REST = 15.0, 300.0
TOOL = "requests"
NOT_OFFERED = frozenset({400, 404, 415, 422, 501})
"""What a server answers to a way of asking that it does not know."""


class Classifier:
    """Asks the model; None wherever it is of no use, and the grammar decides alone."""

    def __init__(self, settings: BotSettings, *, within: float = WITHIN) -> None:
        """Ask what `settings` name; `within` is in seconds, for all tries together."""
        self._settings, self._within = settings, within
        self._client: AsyncOpenAI | None = None
        self._mode: Mode = MODES[0]
        self._failures = 0
        self._rests_until = -math.inf

    @property
    def used(self) -> bool:
        """A model is set."""
        settings = self._settings
        return settings.llm_model is not None and bool(settings.openai_api_key or settings.openai_base_url)

    async def classify(
        self, text: str, vocabulary: Vocabulary, *, thread_run: str | None = None, last_request: str = ""
    ) -> Parsed | None:
        """Return what the model reads in a message that holds no secret; None where it fails, or rests."""
        if not self.used or time.monotonic() < self._rests_until:
            return None
        about = {name: said for name, said in (("run", thread_run), ("last_request", last_request)) if said}
        began_at = time.monotonic()
        try:
            async with asyncio.timeout(self._within):
                reading = await self._ask(text, vocabulary, thread_run, about)
        except Exception as error:
            self._failed(error, time.monotonic() - began_at)
            return None
        self._failures = 0
        parsed = reading.parsed
        log.info(
            "read by the language model", intent=parsed and parsed.intent, mode=self._mode, dropped=reading.dropped,
            seconds=round(time.monotonic() - began_at, 2),
        )  # fmt: skip
        return parsed

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()

    async def _ask(
        self, text: str, vocabulary: Vocabulary, thread_run: str | None, about: Mapping[str, str]
    ) -> Reading:
        """Ask in the richest way that the server takes; once more where the network or the answer failed."""
        from openai import APIConnectionError, APIStatusError, InternalServerError

        asked: list[dict[str, Any]] = list(messages(text, vocabulary, about))
        again = True
        while True:
            try:
                answer = await self._complete(asked)
            except (APIConnectionError, InternalServerError):
                if not again:
                    raise
                again = False
                continue
            except APIStatusError as error:
                left = MODES[MODES.index(self._mode) + 1 :]
                if error.status_code not in NOT_OFFERED or not left:
                    raise
                log.info("the language model's server does not know a way of asking", mode=self._mode)
                self._mode = left[0]
                continue
            try:
                return read_answer(answer, text, vocabulary, thread_run)
            except ValueError as error:
                if not again:
                    raise
                again = False
                asked += [
                    {"role": "assistant", "content": answer[:2000]},
                    {"role": "user", "content": f"This is {error}. Answer with JSON alone, as {json.dumps(schema())}"},
                ]

    async def _complete(self, asked: list[dict[str, Any]]) -> str:
        """Return the model's answer."""
        client = self._opened()
        more: dict[str, Any] = {}
        if self._mode == "schema":
            shape = {"name": TOOL, "strict": True, "schema": schema()}
            more["response_format"] = {"type": "json_schema", "json_schema": shape}
        elif self._mode == "tools":
            function = {"name": TOOL, "description": "What the message asks for.", "parameters": schema()}
            more["tools"] = [{"type": "function", "function": function}]
            more["tool_choice"] = {"type": "function", "function": {"name": TOOL}}
        else:
            more["response_format"] = {"type": "json_object"}
        completion = await client.chat.completions.create(
            model=self._settings.llm_model or "", messages=asked, temperature=0, max_tokens=MOST_TOKENS,  # type: ignore[arg-type]
            timeout=self._within * TRY_SHARE, **more,
        )  # fmt: skip
        if completion.usage is not None:
            log.info(
                "tokens of the language model", prompt=completion.usage.prompt_tokens,
                completion=completion.usage.completion_tokens,
            )  # fmt: skip
        if not completion.choices:
            raise ValueError("no choices")
        message = completion.choices[0].message
        calls = [call for call in message.tool_calls or () if call.type == "function"]
        return calls[0].function.arguments if calls else message.content or ""

    def _opened(self) -> AsyncOpenAI:
        if self._client is None:
            from openai import AsyncOpenAI

            key = self._settings.openai_api_key or "EMPTY"
            self._client = AsyncOpenAI(api_key=key, base_url=self._settings.openai_base_url, max_retries=0)
        return self._client

    def _failed(self, error: Exception, seconds: float) -> None:
        """Take note of a failure; after some in a row, leave the server alone, for longer each time."""
        self._failures += 1
        reason = "no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"[:200]
        rest = 0.0
        if self._failures >= FAILURES:
            rest = min(LONGEST_REST, FIRST_REST * 2 ** (self._failures - FAILURES))
            self._rests_until = time.monotonic() + rest
        log.warning(
            "the grammar reads alone", reason=reason, seconds=round(seconds, 2), failures=self._failures, rests=rest
        )
