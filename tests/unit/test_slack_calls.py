"""What an answer of Slack's means, and what is not called again too soon."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

import bot.slack.calls
from bot.platforms.base import Denied, MessageGone, PlaceClosed, PlatformError, RateLimited
from bot.slack.calls import BlocksRefused, Calls, answer_of, retry_after, seconds_of


def refusal(error: str = "", status: int = 200, headers: dict[str, str] | None = None, **more: Any) -> SlackApiError:
    data = {"ok": False, "error": error, **more} if error else None
    return SlackApiError("no", SimpleNamespace(data=data, status_code=status, headers=headers or {}))


class Client:
    """Answers each call as it is told."""

    def __init__(self, *answers: SlackApiError | dict[str, Any]) -> None:
        self.answers = list(answers)
        self.called: list[str] = []

    async def api_call(self, method: str, **_: Any) -> Any:
        self.called.append(method)
        answer = self.answers.pop(0) if self.answers else {"ok": True}
        if isinstance(answer, SlackApiError):
            raise answer
        return SimpleNamespace(data=answer)


def calls(*answers: SlackApiError | dict[str, Any]) -> tuple[Calls, Client]:
    client: Any = Client(*answers)
    return Calls(client), client


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (refusal("not_in_channel"), PlaceClosed),
        (refusal("is_archived"), PlaceClosed),
        (refusal("message_not_found"), MessageGone),
        (refusal("thread_not_found"), MessageGone),
        (refusal("token_revoked"), Denied),
        (refusal("missing_scope", needed="chat:write"), Denied),
        (refusal("invalid_blocks"), BlocksRefused),
        (refusal("msg_blocks_too_long"), BlocksRefused),
        (refusal("invalid_arguments", response_metadata={"messages": ["[ERROR] /blocks/1"]}), BlocksRefused),
        (refusal("invalid_arguments"), PlatformError),
        (refusal("something_new"), PlatformError),
        (refusal("ratelimited", 429), RateLimited),
        (refusal("", 429), RateLimited),
    ],
)
async def test_a_refusal_says_that_nothing_was_done(error: SlackApiError, meaning: type[Exception]) -> None:
    workspace, _ = calls(error)
    with pytest.raises(PlatformError) as raised:
        await workspace.call("chat.postMessage")
    assert type(raised.value) is meaning


@pytest.mark.parametrize(
    "error", [refusal("internal_error"), refusal("fatal_error"), refusal("", 500), refusal("", 503), refusal("", 200)]
)
async def test_an_answer_that_leaves_it_open_is_no_refusal(error: SlackApiError) -> None:
    workspace, _ = calls(error)
    with pytest.raises(SlackApiError):
        await workspace.call("chat.postMessage")


@pytest.mark.parametrize(("said", "seconds"), [("30", 30.0), ("0", 1.0), ("", 1.0), ("soon", 1.0), ("2.5", 2.5)])
def test_what_slack_says_of_when_to_ask_again(said: str, seconds: float) -> None:
    assert seconds_of(said) == seconds
    assert retry_after(refusal("ratelimited", 429, {"retry-after": said})) == seconds
    assert retry_after(refusal("ratelimited", 429, {"Retry-After": said})) == seconds


def test_a_refusal_that_is_not_slacks_has_no_answer() -> None:
    assert answer_of(SlackApiError("unreadable", SimpleNamespace(status=502))) == (502, {})  # type: ignore[arg-type]
    assert answer_of(refusal("", 503)) == (503, {})


async def test_a_method_is_not_called_before_its_time_and_others_are() -> None:
    workspace, client = calls(refusal("ratelimited", 429, {"Retry-After": "1"}))
    for _ in range(5):
        with pytest.raises(RateLimited):
            await workspace.call("chat.update")
    await workspace.call("chat.postMessage")
    assert client.called == ["chat.update", "chat.postMessage"]
    await asyncio.sleep(1.05)
    await workspace.call("chat.update")
    assert client.called[-1] == "chat.update"


async def test_a_post_waits_for_its_turn_as_long_as_slack_says() -> None:
    workspace, _ = calls(refusal("ratelimited", 429, {"Retry-After": "1"}))
    with pytest.raises(RateLimited):
        await workspace.call("chat.postMessage")
    began = asyncio.get_running_loop().time()
    await workspace.turn("C1")
    assert asyncio.get_running_loop().time() - began > 0.9


async def test_no_method_is_called_with_a_token_that_was_just_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.slack.calls, "DENIED_FOR", 0.2)
    workspace, client = calls(refusal("token_revoked"), refusal("token_revoked"))
    for method in ("chat.update", "chat.postMessage", "users.info"):
        with pytest.raises(Denied, match=r"chat\.update: token_revoked"):
            await workspace.call(method)
    assert workspace.denied
    await asyncio.sleep(0.25)
    with pytest.raises(Denied, match=r"users\.info"):
        await workspace.call("users.info")
    await asyncio.sleep(0.25)
    await workspace.call("chat.update")
    assert client.called == ["chat.update", "users.info", "chat.update"]


async def test_a_scope_that_is_missing_denies_one_method_alone() -> None:
    workspace, client = calls(refusal("missing_scope", needed="reactions:write"))
    with pytest.raises(Denied, match="needs reactions:write"):
        await workspace.call("reactions.add")
    await workspace.call("chat.postMessage")
    assert client.called == ["reactions.add", "chat.postMessage"]
