"""The Slack double's Web API refuses what Slack's refuses, as the real SDK sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient
from support.slack.control import Slack

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
CHART = {
    "type": "data_visualization", "title": "t", "chart": {"type": "pie", "segments": [{"label": "a", "value": 1}]},
}  # fmt: skip
METADATA = {"event_type": "scopebot_post", "event_payload": {"key": "r12-done", "attempt": 1}}


@pytest.fixture(scope="module")
def server() -> Iterator[Slack]:
    with Slack(teams=2) as slack:
        yield slack


@pytest.fixture
def slack(server: Slack) -> Slack:
    server.reset()
    return server


@pytest.fixture
def client(slack: Slack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token(), base_url=slack.api_url)


@pytest.fixture
def general(slack: Slack) -> str:
    return slack.channel("general")


async def refusal(call: Any) -> Any:
    """Return the answer of a call that is refused."""
    with pytest.raises(SlackApiError) as refused:
        await call
    return refused.value.response


# arguments and tokens


async def test_auth_test_tells_the_scopes(slack: Slack, client: AsyncWebClient) -> None:
    answer = await client.auth_test()
    assert (answer["user_id"], answer["team_id"]) == (slack.bot_user(), slack.team_id())
    assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")


@pytest.mark.parametrize(
    ("token", "error"),
    [("xoxb-wrong", "invalid_auth"), ("", "not_authed"), ("app", "not_allowed_token_type")],
)
async def test_a_wrong_token_is_refused(slack: Slack, token: str, error: str) -> None:
    client = AsyncWebClient(token=slack.app_token if token == "app" else token, base_url=slack.api_url)
    assert (await refusal(client.auth_test()))["error"] == error


async def test_a_revoked_token_is_refused(slack: Slack, client: AsyncWebClient) -> None:
    slack.revoke()
    assert (await refusal(client.auth_test()))["error"] == "token_revoked"


async def test_unknown_methods_and_parameters_are_refused(client: AsyncWebClient, general: str) -> None:
    assert (await refusal(client.api_call("chat.shout")))["error"] == "unknown_method"
    answer = await refusal(client.chat_postMessage(channel=general, text="x", colour="red"))
    assert answer["error"] == "invalid_arguments"
    assert answer["response_metadata"]["messages"] == ["[ERROR] invalid parameter: colour [json-pointer:/colour]"]
    answer = await refusal(client.api_call("chat.update", json={"channel": general, "text": "x"}))
    assert answer["response_metadata"]["messages"] == ["[ERROR] missing required field: ts [json-pointer:/ts]"]
    answer = await refusal(client.api_call("chat.postMessage", json={"channel": general, "text": None}))
    assert answer["error"] == "invalid_arguments"


async def test_a_missing_scope_is_named(slack: Slack, client: AsyncWebClient, general: str) -> None:
    slack.scopes(remove=["chat:write", "channels:history"])
    answer = await refusal(client.chat_postMessage(channel=general, text="x"))
    assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write")
    assert "chat:write" not in answer["provided"].split(",")
    assert (await refusal(client.conversations_history(channel=general)))["needed"] == "channels:history"


def test_json_forms_and_queries_are_all_read(slack: Slack, general: str) -> None:
    client = WebClient(token=slack.bot_token(), base_url=slack.api_url)
    assert client.auth_test()["ok"]
    client.api_call("chat.postMessage", json={"channel": general, "text": "json", "blocks": [SECTION]})
    client.api_call("chat.postMessage", data={"channel": general, "text": "form", "blocks": '[{"type": "divider"}]'})
    client.api_call("chat.postMessage", params={"channel": general, "text": "query"})
    assert [message["text"] for message in slack.messages("general")] == ["json", "form", "query"]
    assert slack.messages("general")[1]["blocks"][0]["type"] == "divider"


# messages


@pytest.mark.parametrize(
    ("channel", "error"),
    [("hidden", "channel_not_found"), ("old", "is_archived"), ("C0NOWHERE", "channel_not_found")],
)
async def test_where_the_bot_may_not_post(slack: Slack, client: AsyncWebClient, channel: str, error: str) -> None:
    channel = slack.about()["teams"]["T1"]["channels"].get(channel, channel)
    assert (await refusal(client.chat_postMessage(channel=channel, text="x")))["error"] == error


async def test_public_channels_need_a_scope_of_their_own(slack: Slack, client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel=slack.channel("random"), text="x")
    slack.scopes(remove=["chat:write.public"])
    answer = await refusal(client.chat_postMessage(channel=slack.channel("random"), text="x"))
    assert answer["error"] == "not_in_channel"


async def test_a_message_to_a_person_opens_direct_messages(slack: Slack, client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel=slack.user("ann"), text="hello")
    assert posted["channel"] == slack.dm_channel("ann")
    assert posted["channel"].startswith("D")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"text": "x" * 40_000}, None),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({}, "no_text"),
        ({"text": "x", "blocks": [{"type": "nothing"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": "no json"}, "invalid_blocks_format"),
        (
            {"text": "x", "blocks": [SECTION | {"text": {"type": "mrkdwn", "text": "x" * 3000}}] * 5},
            "msg_blocks_too_long",
        ),
        ({"text": "x", "thread_ts": "1700000000.000000"}, "thread_not_found"),
        ({"text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": METADATA | {"event_payload": {"key": "x" * 8000}}}, "metadata_too_large"),
    ],
)
async def test_what_a_message_may_hold(client: AsyncWebClient, general: str, content: Any, error: str | None) -> None:
    call = client.api_call("chat.postMessage", json={"channel": general, **content})
    if error is None:
        assert (await call)["ok"]
    else:
        assert (await refusal(call))["error"] == error


async def test_refused_blocks_are_explained(client: AsyncWebClient, general: str) -> None:
    long = {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}
    answer = await refusal(client.chat_postMessage(channel=general, text="x", blocks=[SECTION, long]))
    messages = ["[ERROR] must be less than 151 characters [json-pointer:/blocks/1/text/text]"]
    assert answer["response_metadata"]["messages"] == messages


async def test_an_old_tenant_refuses_data_blocks(slack: Slack, client: AsyncWebClient, general: str) -> None:
    await client.chat_postMessage(channel=general, text="x", blocks=[CHART])
    slack.old_tenant("data_visualization", "data_table")
    answer = await refusal(client.chat_postMessage(channel=general, text="x", blocks=[CHART]))
    assert answer["error"] == "invalid_blocks"
    slack.old_tenant()
    await client.chat_postMessage(channel=general, text="x", blocks=[CHART])


async def test_an_edit_keeps_the_metadata_and_loses_the_blocks(
    slack: Slack, client: AsyncWebClient, general: str
) -> None:
    ts = (await client.chat_postMessage(channel=general, text="x", blocks=[SECTION], metadata=METADATA))["ts"]
    await client.chat_update(channel=general, ts=ts, text="y")
    message = slack.message("general", ts)
    assert message is not None
    assert (message["text"], message.get("blocks"), message["metadata"]) == ("y", None, METADATA)
    assert [version["text"] for version in slack.versions("general", ts)] == ["x", "y"]
    assert [edit["ts"] for edit in slack.edits("general")] == [ts]
    assert "edited" in message


async def test_an_edits_text_is_shorter_than_a_posts(client: AsyncWebClient, general: str) -> None:
    ts = (await client.chat_postMessage(channel=general, text="x"))["ts"]
    await client.chat_update(channel=general, ts=ts, text="x" * 4000)
    await client.chat_update(channel=general, ts=ts, text="测" * 1333)
    for long in ("x" * 4001, "测" * 1334, "&" * 801):
        answer = await refusal(client.chat_update(channel=general, ts=ts, text=long))
        assert answer["error"] == "msg_too_long"


async def test_only_the_bots_own_messages_can_be_changed(slack: Slack, client: AsyncWebClient, general: str) -> None:
    ts = slack.say("ann", "general", "mine")
    assert (await refusal(client.chat_update(channel=general, ts=ts, text="x")))["error"] == "cant_update_message"
    assert (await refusal(client.chat_delete(channel=general, ts=ts)))["error"] == "cant_delete_message"
    slack.delete("ann", "general", ts)
    assert (await refusal(client.chat_update(channel=general, ts=ts, text="x")))["error"] == "message_not_found"


async def test_ephemeral_messages_need_somebody_who_is_there(
    slack: Slack, client: AsyncWebClient, general: str
) -> None:
    bob = slack.user("bob")
    slack.leave("bob", "general")
    answer = await refusal(client.chat_postEphemeral(channel=general, user=bob, text="x"))
    assert answer["error"] == "user_not_in_channel"
    answer = await refusal(client.chat_postEphemeral(channel=slack.channel("random"), user=bob, text="x"))
    assert answer["error"] == "not_in_channel"
    await client.chat_postEphemeral(channel=general, user=slack.user("ann"), text="for ann")
    assert [shown["text"] for shown in slack.ephemerals("ann")] == ["for ann"]
    assert (await client.conversations_history(channel=general))["messages"] == []


async def test_metadata_comes_only_when_asked_for(client: AsyncWebClient, general: str) -> None:
    ts = (await client.chat_postMessage(channel=general, text="x", metadata=METADATA))["ts"]
    (plain,) = (await client.conversations_history(channel=general))["messages"]
    (full,) = (await client.conversations_replies(channel=general, ts=ts, include_all_metadata=True))["messages"]
    assert "metadata" not in plain
    assert full["metadata"] == METADATA


async def test_history_is_paged_newest_first_and_threads_oldest_first(
    slack: Slack, client: AsyncWebClient, general: str
) -> None:
    said = [slack.say("ann", "general", f"{number}") for number in range(5)]
    for number in range(3):
        slack.say("bob", "general", f"reply {number}", said[0])
    first = await client.conversations_history(channel=general, limit=2)
    cursor = first["response_metadata"]["next_cursor"]
    second = await client.conversations_history(channel=general, limit=2, cursor=cursor)
    assert [m["text"] for m in [*first["messages"], *second["messages"]]] == ["4", "3", "2", "1"]
    assert (first["has_more"], second["has_more"]) == (True, True)
    between = await client.conversations_history(channel=general, oldest=said[1], latest=said[3])
    inclusive = await client.conversations_history(channel=general, oldest=said[1], latest=said[3], inclusive=True)
    assert [m["text"] for m in between["messages"]] == ["2"]
    assert [m["text"] for m in inclusive["messages"]] == ["3", "2", "1"]
    thread = (await client.conversations_replies(channel=general, ts=said[0]))["messages"]
    assert [m["text"] for m in thread] == ["0", "reply 0", "reply 1", "reply 2"]
    assert (thread[0]["reply_count"], thread[1]["thread_ts"]) == (3, said[0])
    assert (await refusal(client.conversations_replies(channel=general, ts="1.0")))["error"] == "thread_not_found"


async def test_reactions_are_added_once(slack: Slack, client: AsyncWebClient, general: str) -> None:
    ts = slack.say("ann", "general", "x")
    await client.reactions_add(channel=general, timestamp=ts, name="eyes")
    answer = await refusal(client.reactions_add(channel=general, timestamp=ts, name="eyes"))
    assert answer["error"] == "already_reacted"
    await client.reactions_remove(channel=general, timestamp=ts, name="eyes")
    answer = await refusal(client.reactions_remove(channel=general, timestamp=ts, name="eyes"))
    assert answer["error"] == "no_reaction"


async def test_people_have_a_locale_when_asked_for(slack: Slack, client: AsyncWebClient) -> None:
    chen = slack.user("chen")
    assert "locale" not in (await client.users_info(user=chen))["user"]
    user = (await client.users_info(user=chen, include_locale=True))["user"]
    assert (user["locale"], user["tz"]) == ("zh-CN", "Asia/Shanghai")
    assert (await refusal(client.users_info(user="U0NOBODY")))["error"] == "user_not_found"


# limits and faults


async def test_a_channel_takes_four_posts_in_three_seconds(slack: Slack, client: AsyncWebClient, general: str) -> None:
    for _ in range(4):
        await client.chat_postMessage(channel=general, text="x")
    answer = await refusal(client.chat_postMessage(channel=general, text="x"))
    assert (answer.status_code, answer["error"]) == (429, "ratelimited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 3
    await client.chat_postMessage(channel=slack.channel("evals"), text="x")
    assert [one["kind"] for one in slack.violations()] == ["ratelimited"]
    slack.limits(0)
    await client.chat_postMessage(channel=general, text="x")


async def test_the_sdk_waits_as_long_as_it_is_told(slack: Slack, client: AsyncWebClient) -> None:
    slack.ratelimit("auth.test", retry_after=1)
    client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=1))
    began = time.monotonic()
    assert (await client.auth_test())["ok"]
    assert time.monotonic() - began >= 1


async def test_a_workspace_takes_fifty_edits_a_minute(slack: Slack, client: AsyncWebClient, general: str) -> None:
    ts = (await client.chat_postMessage(channel=general, text="x"))["ts"]
    async with aiohttp.ClientSession() as session:
        fast = AsyncWebClient(token=slack.bot_token(), base_url=slack.api_url, session=session)
        for number in range(50):
            await fast.chat_update(channel=general, ts=ts, text=f"{number}")
        answer = await refusal(fast.chat_update(channel=general, ts=ts, text="x"))
    assert answer["error"] == "ratelimited"
    assert slack.stats()["hasty edits"] == 49


async def test_a_post_whose_answer_is_lost_is_found_by_its_metadata(
    slack: Slack, client: AsyncWebClient, general: str
) -> None:
    client.retry_handlers.clear()
    slack.lose_answer("chat.postMessage")
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel=general, text="x", metadata=METADATA)
    history = await client.conversations_history(channel=general, include_all_metadata=True)
    assert [message["metadata"] for message in history["messages"]] == [METADATA]


@pytest.mark.parametrize(("when", "posts"), [("before", 0), ("after", 1)])
async def test_a_server_error_comes_before_or_after_the_deed(
    slack: Slack, client: AsyncWebClient, general: str, when: str, posts: int
) -> None:
    slack.fail("chat.postMessage", 503, when=when)
    with pytest.raises(SlackApiError):
        await client.chat_postMessage(channel=general, text="x")
    assert len(slack.messages("general")) == posts
    await client.chat_postMessage(channel=general, text="x")


async def test_connections_can_be_refused_for_a_while(slack: Slack) -> None:
    client = AsyncWebClient(base_url=slack.api_url)
    slack.refuse_connections(0.2)
    assert (await refusal(client.apps_connections_open(app_token=slack.app_token)))["error"] == "internal_error"
    await asyncio.sleep(0.25)
    assert (await client.apps_connections_open(app_token=slack.app_token))["url"].startswith("ws://127.0.0.1:")
    assert (await refusal(client.apps_connections_open(app_token="xapp-wrong")))["error"] == "invalid_auth"


# files


async def test_an_uploaded_image_can_be_shown_once_it_is_processed(
    slack: Slack, client: AsyncWebClient, general: str
) -> None:
    slack.configure(processing=0.2)
    thread = slack.say("ann", "general", "eval")
    uploaded = await client.files_upload_v2(
        channel=general, thread_ts=thread, filename="scores.png", content=b"\x89PNG...", title="Scores"
    )
    file_id = uploaded["file"]["id"]
    image = {"type": "image", "alt_text": "Scores", "slack_file": {"id": file_id}}
    answer = await refusal(client.chat_postMessage(channel=general, text="x", blocks=[image]))
    assert answer["error"] == "invalid_blocks"
    assert "file not ready" in answer["response_metadata"]["messages"][0]
    await asyncio.sleep(0.25)
    await client.chat_postMessage(channel=general, text="x", blocks=[image])
    assert slack.thread("general", thread)[1]["files"][0]["title"] == "Scores"
    unknown = image | {"slack_file": {"id": "F0NOTHING"}}
    assert (await refusal(client.chat_postMessage(channel=general, text="x", blocks=[unknown])))[
        "error"
    ] == "invalid_blocks"


async def test_a_file_that_was_not_uploaded_cannot_be_completed(client: AsyncWebClient, general: str) -> None:
    asked = await client.files_getUploadURLExternal(filename="a.txt", length=3)
    answer = await refusal(client.files_completeUploadExternal(files=[{"id": asked["file_id"]}], channel_id=general))
    assert answer["error"] == "file_not_found"


async def test_a_persons_file_is_read_with_the_bots_token(slack: Slack) -> None:
    slack.say("ann", "general", "here", files=[{"name": "cfg.yaml", "content": "model: qwen"}])
    url = slack.messages("general")[0]["files"][0]["url_private"]
    async with aiohttp.ClientSession() as session:
        async with session.get(url, headers={"Authorization": f"Bearer {slack.bot_token()}"}) as answer:
            assert await answer.text() == "model: qwen"
        async with session.get(url) as answer:
            assert answer.content_type == "text/html"


# workspaces


async def test_workspaces_do_not_see_each_other(slack: Slack, client: AsyncWebClient) -> None:
    other = AsyncWebClient(token=slack.bot_token("T2"), base_url=slack.api_url)
    await other.chat_postMessage(channel=slack.channel("general", "T2"), text="x")
    answer = await refusal(client.chat_postMessage(channel=slack.channel("general", "T2"), text="x"))
    assert answer["error"] == "channel_not_found"
    assert slack.messages("general") == []
    assert len(slack.messages("general", team="T2")) == 1


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated")  # the SDK uses it
async def test_an_app_is_installed_by_its_code_once(slack: Slack) -> None:
    client = AsyncWebClient(base_url=slack.api_url)
    known = {"client_id": slack.client_id, "client_secret": slack.client_secret}
    code = slack.authorize(team="T2")
    answer = await client.oauth_v2_access(code=code, **known)
    assert (answer["access_token"], answer["team"]["id"]) == (slack.bot_token("T2"), slack.team_id("T2"))
    assert (await refusal(client.oauth_v2_access(code=code, **known)))["error"] == "invalid_code"
    answer = await refusal(client.oauth_v2_access(code="x", client_id=slack.client_id, client_secret="wrong"))
    assert answer["error"] == "bad_client_secret"


async def test_slacks_page_sends_whoever_allows_the_app_back_with_a_code(slack: Slack) -> None:
    query = {"client_id": slack.client_id, "state": "s", "redirect_uri": "http://127.0.0.1:1/back", "team": "T2"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{slack.url}/oauth/v2/authorize", params=query, allow_redirects=False) as answer,
    ):
        assert answer.status == 302
        assert answer.headers["Location"].startswith("http://127.0.0.1:1/back?code=")


async def test_prompts_and_statuses_are_kept(slack: Slack, client: AsyncWebClient) -> None:
    channel, ts = slack.dm_channel("ann"), slack.dm("ann", "hello")
    prompts = [{"title": "Quick", "message": "eval gsm8k"}]
    await client.assistant_threads_setSuggestedPrompts(channel_id=channel, prompts=prompts)
    await client.assistant_threads_setStatus(channel_id=channel, thread_ts=ts, status="is thinking…")
    assert slack.prompts()[0]["prompts"] == prompts
    assert slack.statuses()[0]["status"] == "is thinking…"
    answer = await refusal(client.assistant_threads_setSuggestedPrompts(channel_id=channel, prompts=prompts * 5))
    assert answer["error"] == "invalid_arguments"


def test_a_seed_gives_the_same_tokens() -> None:
    tokens = []
    for _ in range(2):
        with Slack(seed=7) as slack:
            tokens.append((slack.bot_token(), slack.app_token, slack.signing_secret))
    assert tokens[0] == tokens[1]
