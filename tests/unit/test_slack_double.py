"""The Slack double speaks to the real SDK as Slack does: Socket Mode, HTTP, interactions, and what goes wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError, web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from support.slack.control import Impossible, Slack

PLAIN = {"type": "plain_text", "text": "Text"}
MODAL = {
    "type": "modal", "callback_id": "form", "title": PLAIN, "submit": PLAIN,
    "blocks": [
        {
            "type": "input", "block_id": "limit", "label": PLAIN,
            "element": {"type": "number_input", "action_id": "n", "is_decimal_allowed": False},
        },
        {
            "type": "input", "block_id": "benchmark", "label": PLAIN, "optional": True,
            "element": {"type": "external_select", "action_id": "search", "min_query_length": 2},
        },
    ],
}  # fmt: skip
BUTTON = {"type": "button", "action_id": "go", "value": "r12", "text": {"type": "plain_text", "text": "Go on"}}


class Bot:
    """A bolt app that keeps what it hears."""

    def __init__(self, slack: Slack, **options: Any) -> None:
        self.slack = slack
        self.client = AsyncWebClient(token=slack.bot_token(), base_url=slack.api_url)
        self.app = AsyncApp(client=self.client, **options)
        self.heard: list[dict[str, Any]] = []
        self.app.use(self._keep)
        for event in ("app_mention", "message", "link_shared", "app_home_opened", "reaction_added", "tokens_revoked"):
            self.app.event(event)(_nothing)
        self.app.event("app_uninstalled")(_nothing)
        self.app.event("member_joined_channel")(_nothing)

    async def _keep(self, body: dict[str, Any], next: Callable[[], Any]) -> None:  # noqa: A002 - bolt's name
        self.heard.append(body)
        await next()

    async def hears(self, wanted: Callable[[dict[str, Any]], bool], count: int = 1) -> list[dict[str, Any]]:
        """Wait for events."""
        for _ in range(400):
            found = [body for body in self.heard if wanted(body.get("event", body))]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)
        raise TimeoutError([body.get("event", body).get("type") for body in self.heard])

    async def post(self, **content: Any) -> str:
        """Post in general."""
        posted = await self.client.chat_postMessage(
            **({"channel": self.slack.channel("general"), "text": "."} | content)
        )
        return str(posted["ts"])


async def _nothing() -> None: ...


@asynccontextmanager
async def connected(bot: Bot, **options: Any) -> AsyncIterator[AsyncSocketModeHandler]:
    """Connect a bot by Socket Mode."""
    handler = AsyncSocketModeHandler(bot.app, bot.slack.app_token, **options)
    await handler.connect_async()
    try:
        yield handler
    finally:
        await handler.close_async()


@pytest.fixture(scope="module")
def server() -> Iterator[Slack]:
    with Slack() as slack:
        yield slack


@pytest.fixture
def slack(server: Slack) -> Slack:
    server.reset()
    return server


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def of_type(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event.get("type") == kind


# events


async def test_a_mention_reaches_the_app_twice_and_is_acknowledged(slack: Slack) -> None:
    bot = Bot(slack)
    async with connected(bot):
        ts = await slack.aio.mention("ann", "general", "eval a < b, see https://x.org/y.")
        (mention,) = await bot.hears(of_type("app_mention"))
        (message,) = await bot.hears(of_type("message"))
        sent = await slack.aio.wait_for(
            lambda: [d for d in slack.deliveries() if d["acked_at"]][1:] and slack.deliveries()
        )
    assert mention["event"]["text"] == f"<@{slack.bot_user()}> eval a &lt; b, see <https://x.org/y>."
    assert (mention["event"]["ts"], message["event"]["ts"]) == (ts, ts)
    assert mention["event_id"] != message["event_id"]
    assert message["event"]["channel_type"] == "channel"
    assert [d["attempt"] for d in sent] == [0, 0]
    assert not slack.unacked()


async def test_direct_messages_come_once(slack: Slack) -> None:
    bot = Bot(slack)
    async with connected(bot):
        await slack.aio.dm("ann", f"<@{slack.bot_user()}> hello")
        (message,) = await bot.hears(of_type("message"))
        await asyncio.sleep(0.05)
    assert message["event"]["channel_type"] == "im"
    assert len(bot.heard) == 1


async def test_the_app_is_sent_its_own_posts_and_edits_which_bolt_passes_over(slack: Slack) -> None:
    bot = Bot(slack)
    async with connected(bot):
        ts = await bot.post()
        await bot.client.chat_update(channel=slack.channel("general"), ts=ts, text="now")
        await slack.aio.wait_for(lambda: [d for d in slack.deliveries() if d["acked_at"]][1:])
    assert not bot.heard
    slack.configure(echo=False)
    await bot.post()
    assert len(slack.deliveries()) == 2


async def test_a_mention_where_the_bot_is_not_reaches_nobody(slack: Slack) -> None:
    bot = Bot(slack)
    async with connected(bot):
        await slack.aio.mention("ann", "random", "hello?")
        await slack.aio.join("bot", "random")
        (joined,) = await bot.hears(of_type("member_joined_channel"))
        await slack.aio.mention("ann", "random", "hello!")
        (mention,) = await bot.hears(of_type("app_mention"))
    assert joined["event"]["user"] == slack.bot_user()
    assert mention["event"]["text"].endswith("hello!")


async def test_an_edit_that_adds_a_mention_mentions(slack: Slack) -> None:
    bot = Bot(slack)
    async with connected(bot):
        ts = await slack.aio.say("ann", "general", "eval gsm8k")
        await slack.aio.edit("ann", "general", ts, f"<@{slack.bot_user()}> eval gsm8k")
        (mention,) = await bot.hears(of_type("app_mention"))
    assert (mention["event"]["ts"], "edited" in mention["event"]) == (ts, True)


async def test_an_event_nobody_acknowledges_comes_again_with_its_id(slack: Slack) -> None:
    slack.configure(ack_within=0.1, retry_delays=[0.05, 0.05])
    bot = Bot(slack)
    heard: list[Any] = []

    async def deaf(_client: Any, request: Any) -> None:
        heard.append((request.retry_attempt, request.retry_reason, request.payload["event_id"]))

    async with connected(bot) as handler:
        handler.client.socket_mode_request_listeners = [deaf]
        await slack.aio.say("ann", "general", "hello")
        (lost,) = await slack.aio.wait_for(slack.unacked)
    assert [attempt for attempt, *_ in heard] == [0, 1, 2]
    assert [reason for _, reason, _ in heard] == ["", "timeout", "timeout"]
    assert len({event_id for *_, event_id in heard}) == 1
    assert lost["what"] == "message.channels"


async def test_events_wait_for_a_connection(slack: Slack) -> None:
    slack.say("ann", "general", "early")
    bot = Bot(slack)
    async with connected(bot):
        (message,) = await bot.hears(of_type("message"))
    assert message["event"]["text"] == "early"


async def test_two_sockets_share_the_events(slack: Slack) -> None:
    one, two = Bot(slack), Bot(slack)
    async with connected(one), connected(two):
        for number in range(6):
            await slack.aio.say("ann", "general", f"number {number}")
        await slack.aio.wait_for(lambda: len([d for d in slack.deliveries() if d["acked_at"]]) == 6)
    assert len(one.heard) == len(two.heard) == 3


@pytest.mark.parametrize("event_ids", [1, 11])
async def test_each_delivery_can_be_copied(slack: Slack, event_ids: int) -> None:
    slack.duplicate(11, same_event=event_ids == 1)
    bot = Bot(slack)
    async with connected(bot):
        await slack.aio.say("ann", "general", "hello")
        copies = await bot.hears(of_type("message"), 11)
    assert len({body["event_id"] for body in copies}) == event_ids
    assert len({body["event"]["ts"] for body in copies}) == 1


async def test_copies_may_share_their_envelope(slack: Slack) -> None:
    slack.duplicate(3, same_envelope=True)
    bot = Bot(slack)
    async with connected(bot):
        await slack.aio.say("ann", "general", "hello")
        await bot.hears(of_type("message"), 3)
        sent = await slack.aio.wait_for(lambda: all(d["acked_at"] for d in slack.deliveries()) and slack.deliveries())
    assert len(sent) == 3
    assert len({d["envelope"] for d in sent}) == 1


async def test_edits_and_deletions_say_what_was_there_before(slack: Slack) -> None:
    bot = Bot(slack)
    async with connected(bot):
        ts = await slack.aio.say("ann", "general", "first")
        await slack.aio.edit("ann", "general", ts, "second")
        await slack.aio.delete("ann", "general", ts)
        heard = [body["event"] for body in await bot.hears(of_type("message"), 3)]
    # bolt handles what comes in side by side
    _, changed, deleted = sorted(heard, key=lambda event: event["event_ts"])
    assert (changed["subtype"], changed["previous_message"]["text"]) == ("message_changed", "first")
    assert changed["message"]["text"] == "second"
    assert (deleted["subtype"], deleted["deleted_ts"]) == ("message_deleted", ts)


async def test_a_deleted_parent_leaves_a_tombstone(slack: Slack) -> None:
    bot = Bot(slack)
    ts = slack.say("ann", "general", "parent")
    await bot.post(thread_ts=ts)
    slack.delete("ann", "general", ts)
    assert [message.get("subtype") for message in slack.thread("general", ts)] == ["tombstone", None]
    await bot.post(thread_ts=ts)


async def test_an_app_hears_only_what_it_subscribes_to_and_may_see(slack: Slack) -> None:
    slack.subscribe(["app_mention", "message.im"])
    slack.scopes(remove=["im:history"])
    bot = Bot(slack)
    async with connected(bot):
        await slack.aio.say("ann", "general", "plain")
        await slack.aio.dm("ann", "direct")
        await slack.aio.mention("ann", "general", "hello")
        await bot.hears(of_type("app_mention"))
    assert len(bot.heard) == 1


async def test_shared_links_are_unfurled_where_the_domain_is_known(slack: Slack) -> None:
    slack.subscribe(unfurl_domains=["reports.example.com"])
    bot = Bot(slack)
    async with connected(bot):
        await slack.aio.share_link("ann", "general", "https://elsewhere.example.org/r12")
        ts = await slack.aio.share_link("ann", "general", "https://reports.example.com/r12?a=1&b=2")
        (shared,) = await bot.hears(of_type("link_shared"))
    event = shared["event"]
    assert (event["message_ts"], event["links"][0]["domain"]) == (ts, "reports.example.com")
    section = {"type": "section", "text": PLAIN}
    url = event["links"][0]["url"]
    await bot.client.chat_unfurl(
        unfurl_id=event["unfurl_id"], source=event["source"], unfurls={url: {"blocks": [section]}}
    )
    assert slack.unfurls()[0]["ts"] == ts
    with pytest.raises(SlackApiError, match="cannot_unfurl_url"):
        await bot.client.chat_unfurl(channel=event["channel"], ts=ts, unfurls={"https://x.org": {"blocks": [section]}})


async def test_an_uninstalled_app_hears_of_it_and_its_token_is_worth_nothing(slack: Slack) -> None:
    bot = Bot(slack)
    async with connected(bot):
        await slack.aio.say("ann", "general", "hello")
        await bot.hears(of_type("message"))
        await slack.aio.uninstall()
        await slack.aio.wait_for(
            lambda: {"tokens_revoked", "app_uninstalled"} <= {d["what"] for d in slack.deliveries()}
        )
    with pytest.raises(SlackApiError, match="account_inactive"):
        await bot.post()


# commands, buttons, modals


async def test_a_command_is_answered_in_its_acknowledgement(slack: Slack) -> None:
    bot = Bot(slack)

    @bot.app.command("/eval")
    async def on_eval(ack: Any, body: dict[str, Any]) -> None:
        await ack(text=f"got {body['text']}")

    async with connected(bot):
        asked = await slack.aio.command("ann", "random", "/eval", "qwen gsm8k")
        answer = await slack.aio.ack(asked)
    assert answer["answer"] == {"text": "got qwen gsm8k"}
    assert [shown["text"] for shown in slack.ephemerals("ann", "random")] == ["got qwen gsm8k"]


async def test_a_command_nobody_acknowledges_fails_and_does_not_come_again(slack: Slack) -> None:
    slack.configure(ack_within=0.1)
    bot = Bot(slack)

    @bot.app.command("/eval")
    async def on_eval() -> None: ...

    async with connected(bot):
        answer = await slack.aio.ack(await slack.aio.command("ann", "general", "/eval"))
    assert (answer["problem"], answer["acked_at"]) == ("timeout", 0)
    assert len(slack.unacked()) == len(slack.deliveries("slash_commands")) == 1


async def test_a_command_without_a_connection_fails_at_once(slack: Slack) -> None:
    asked = slack.command("ann", "general", "/eval")
    assert slack.ack(asked)["problem"] == "no socket"


async def test_a_response_url_takes_five_answers(slack: Slack) -> None:
    bot = Bot(slack)
    done: list[Any] = []

    @bot.app.command("/eval")
    async def on_eval(ack: Any, respond: Any) -> None:
        await ack()
        done.extend([(await respond(f"answer {number}")).status_code for number in range(6)])
        done.append((await respond(text="x", blocks=[{"type": "nothing"}])).status_code)

    async with connected(bot):
        await slack.aio.command("ann", "general", "/eval")
        await slack.aio.wait_for(lambda: len(done) == 7)
    assert done == [200] * 5 + [404, 404]
    assert [shown["text"] for shown in slack.ephemerals("ann")] == [f"answer {number}" for number in range(5)]
    assert [one["kind"] for one in slack.violations()] == ["used_url", "used_url"]


async def test_a_button_says_where_it_was_pressed(slack: Slack) -> None:
    bot = Bot(slack)
    pressed: list[dict[str, Any]] = []

    @bot.app.action("go")
    async def on_go(ack: Any, body: dict[str, Any], respond: Any) -> None:
        await ack()
        pressed.append(body)
        await respond(text="gone on", replace_original=True)

    async with connected(bot):
        thread = await slack.aio.say("ann", "general", "eval")
        ts = await bot.post(thread_ts=thread, blocks=[{"type": "actions", "block_id": "b", "elements": [BUTTON]}])
        await slack.aio.press("ann", "general", ts, "Go on")
        await slack.aio.wait_for(slack.responses)
    (body,) = pressed
    assert body["actions"][0] | {"action_ts": ""} == BUTTON | {"block_id": "b", "action_ts": ""}
    assert (body["message"]["ts"], body["container"]["thread_ts"]) == (ts, thread)
    assert slack.message("general", ts)["text"] == "gone on"


async def test_a_menu_of_a_message_keeps_what_was_chosen(slack: Slack) -> None:
    bot = Bot(slack)
    chosen: list[dict[str, Any]] = []
    options = [{"text": {"type": "plain_text", "text": name.upper()}, "value": name} for name in ("gsm8k", "mmlu")]
    menu = {"type": "static_select", "action_id": "pick", "options": options}

    @bot.app.action("pick")
    @bot.app.action("go")
    async def on_pick(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        chosen.append(body)

    async with connected(bot):
        ts = await bot.post(blocks=[{"type": "actions", "block_id": "b", "elements": [menu, BUTTON]}])
        with pytest.raises(Impossible, match="not on offer"):
            slack.press("ann", "general", ts, "pick", "aime")
        await slack.aio.ack(await slack.aio.press("ann", "general", ts, "pick", "MMLU"))
        await slack.aio.ack(await slack.aio.press("ann", "general", ts, "go"))
    assert chosen[0]["actions"][0]["selected_option"]["value"] == "mmlu"
    assert chosen[1]["state"]["values"]["b"]["pick"]["selected_option"]["value"] == "mmlu"


async def test_a_button_only_one_person_sees_carries_no_message(slack: Slack) -> None:
    bot = Bot(slack)
    pressed: list[dict[str, Any]] = []

    @bot.app.action("go")
    async def on_go(ack: Any, body: dict[str, Any], respond: Any) -> None:
        await ack()
        pressed.append(body)
        await respond(delete_original=True)

    async with connected(bot):
        await bot.client.chat_postEphemeral(
            channel=slack.channel("general"), user=slack.user("ann"), text="?",
            blocks=[{"type": "section", "text": PLAIN, "accessory": BUTTON}],
        )  # fmt: skip
        (shown,) = slack.ephemerals("ann")
        with pytest.raises(Impossible, match="somebody else"):
            slack.press("bob", "general", shown["ts"], "go")
        await slack.aio.press("ann", "general", shown["ts"], "r12")
        await slack.aio.wait_for(slack.responses)
    assert pressed[0]["container"]["is_ephemeral"]
    assert "message" not in pressed[0]
    assert not slack.ephemerals("ann")


async def test_a_modal_is_opened_filled_in_refused_and_accepted(slack: Slack) -> None:
    bot = Bot(slack)
    states: list[Any] = []

    @bot.app.command("/eval")
    async def on_eval(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        opened = await client.views_open(trigger_id=body["trigger_id"], view={**MODAL, "blocks": MODAL["blocks"][1:]})
        await client.views_update(view_id=opened["view"]["id"], hash=opened["view"]["hash"], view=MODAL)
        with pytest.raises(SlackApiError, match="hash_conflict"):
            await client.views_update(view_id=opened["view"]["id"], hash=opened["view"]["hash"], view=MODAL)

    @bot.app.options("search")
    async def on_search(ack: Any, payload: dict[str, Any]) -> None:
        names = [name for name in ("gsm8k", "gsm_plus", "mmlu") if name.startswith(payload["value"])]
        await ack(options=[{"text": {"type": "plain_text", "text": name.upper()}, "value": name} for name in names])

    @bot.app.view("form")
    async def on_form(ack: Any, view: dict[str, Any]) -> None:
        states.append(view["state"]["values"])
        too_many = int(view["state"]["values"]["limit"]["n"]["value"]) > 100
        await (ack(response_action="errors", errors={"limit": "too many"}) if too_many else ack())

    async with connected(bot):
        await slack.aio.command("ann", "general", "/eval")
        await slack.aio.wait_for(lambda: slack.views("ann") and len(slack.views("ann")[0]["blocks"]) == 2)
        view = slack.views("ann")[0]["id"]
        with pytest.raises(Impossible, match="from 2 characters"):
            await slack.aio.options("ann", view, "search", "g")
        offers = await slack.aio.options("ann", view, "search", "gsm")
        with pytest.raises(Impossible, match="filled in"):
            await slack.aio.submit("ann", view)
        refused = await slack.aio.submit("ann", view, {"limit": 1000})
        accepted = await slack.aio.submit("ann", view, {"limit": 10, "benchmark": "gsm8k"})
    assert [offer["value"] for offer in offers] == ["gsm8k", "gsm_plus"]
    assert (refused["errors"], refused["open"]) == ({"limit": "too many"}, [view])
    assert (accepted["errors"], accepted["open"], slack.views("ann")) == ({}, [], [])
    assert states[1]["benchmark"]["search"]["selected_option"] == offers[0]
    assert states[0]["benchmark"]["search"]["selected_option"] is None
    assert not slack.violations()


async def test_errors_of_fields_that_are_not_there_are_a_violation(slack: Slack) -> None:
    bot = Bot(slack)

    @bot.app.shortcut("start")
    async def on_start(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=MODAL)

    @bot.app.view("form")
    async def on_form(ack: Any) -> None:
        await ack(response_action="errors", errors={"nothing": "wrong"})

    async with connected(bot):
        await slack.aio.shortcut("ann", "start")
        (view,) = await slack.aio.wait_for(lambda: slack.views("ann"))
        answer = await slack.aio.submit("ann", view["id"], {"limit": 1})
    assert answer["problem"] == "invalid_errors"
    assert [one["kind"] for one in slack.violations()] == ["invalid_errors"]


async def test_a_trigger_holds_for_a_moment_and_once(slack: Slack) -> None:
    client = AsyncWebClient(token=slack.bot_token(), base_url=slack.api_url)
    trigger = slack.command("ann", "general", "/eval")["trigger_id"]
    await client.views_open(trigger_id=trigger, view=MODAL)
    with pytest.raises(SlackApiError, match="exchanged_trigger_id"):
        await client.views_open(trigger_id=trigger, view=MODAL)
    slack.configure(trigger_life=0.05)
    late = slack.command("ann", "general", "/eval")["trigger_id"]
    await asyncio.sleep(0.1)
    with pytest.raises(SlackApiError, match="expired_trigger_id"):
        await client.views_open(trigger_id=late, view=MODAL)
    with pytest.raises(SlackApiError, match="invalid_trigger_id"):
        await client.views_open(trigger_id="1.2.3", view=MODAL)


async def test_the_home_tab_is_published_and_its_buttons_work(slack: Slack) -> None:
    bot = Bot(slack)
    pressed: list[dict[str, Any]] = []

    @bot.app.action("go")
    async def on_go(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        pressed.append(body)

    async with connected(bot):
        await slack.aio.open_home("ann")
        (opened,) = await bot.hears(of_type("app_home_opened"))
        home = {"type": "home", "blocks": [{"type": "actions", "elements": [BUTTON]}]}
        await bot.client.views_publish(user_id=opened["event"]["user"], view=home)
        await slack.aio.ack(await slack.aio.click("ann", "home", "Go on"))
    assert "view" not in opened["event"]
    assert pressed[0]["view"]["type"] == "home"
    assert slack.rendered_text(slack.home("ann")) == "Go on"
    assert slack.home("bob") is None


async def test_a_message_shortcut_carries_its_message(slack: Slack) -> None:
    bot = Bot(slack)
    used: list[dict[str, Any]] = []

    @bot.app.shortcut("rerun")
    async def on_rerun(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        used.append(body)

    async with connected(bot):
        ts = await slack.aio.say("ann", "general", "eval qwen")
        await slack.aio.ack(await slack.aio.message_shortcut("bob", "rerun", "general", ts))
    assert (used[0]["type"], used[0]["message"]["text"]) == ("message_action", "eval qwen")


# connections


async def test_a_disconnect_frame_makes_the_app_connect_anew(slack: Slack) -> None:
    bot = Bot(slack)
    async with connected(bot):
        assert await slack.aio.disconnect() == 1
        await slack.aio.wait_for(lambda: slack.sockets() == 1)
        await slack.aio.say("ann", "general", "still there?")
        await bot.hears(of_type("message"))
    assert slack.stats()["calls apps.connections.open"] == 2


async def test_a_broken_connection_is_made_anew(slack: Slack) -> None:
    bot = Bot(slack)
    async with connected(bot, ping_interval=0.1):
        assert await slack.aio.cut() == 1
        await slack.aio.wait_for(lambda: slack.stats()["calls apps.connections.open"] == 2 and slack.sockets() == 1)
        await slack.aio.say("ann", "general", "still there?")
        await bot.hears(of_type("message"))


async def test_the_eleventh_socket_is_sent_away(slack: Slack) -> None:
    client, frames = AsyncWebClient(base_url=slack.api_url), list[Any]()
    async with ClientSession() as session:
        sockets = []
        for _ in range(11):
            slack.limits(0)
            url = (await client.apps_connections_open(app_token=slack.app_token))["url"]
            sockets.append(await session.ws_connect(url))
            frames.append(await sockets[-1].receive_json())
        with pytest.raises(WSServerHandshakeError, match="401"):
            await session.ws_connect(url)
        for socket in sockets:
            await socket.close()
    assert [frame["type"] for frame in frames] == ["hello"] * 10 + ["disconnect"]
    assert frames[-1]["reason"] == "too_many_websockets"


async def test_a_ticket_opens_one_socket_and_may_be_refused(slack: Slack) -> None:
    bot = Bot(slack)
    opened = await AsyncWebClient(base_url=slack.api_url).apps_connections_open(app_token=slack.app_token)
    handler = AsyncSocketModeHandler(bot.app, slack.app_token, ping_interval=0.1)
    try:
        slack.refuse_tickets()
        handler.client.wss_uri = opened["url"]
        connecting = asyncio.ensure_future(handler.connect_async())
        await slack.aio.wait_for(lambda: slack.stats().get("refused links", 0) >= 2)
        assert not slack.sockets()
        handler.client.wss_uri = None
        await asyncio.wait_for(connecting, 5)
        await slack.aio.wait_for(lambda: slack.sockets() == 1)
    finally:
        await handler.close_async()


async def test_the_dark_swallows_everything_without_a_word(slack: Slack) -> None:
    slack.configure(ack_within=0.2, retry_delays=[0.3, 0.3])
    bot = Bot(slack)
    async with connected(bot):
        await slack.aio.dark(0.4)
        await slack.aio.say("ann", "general", "hello?")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bot.client.auth_test(), 0.1)
        (message,) = await bot.hears(of_type("message"))
    assert [d["attempt"] for d in slack.deliveries() if d["acked_at"]] == [1]
    assert message["event"]["text"] == "hello?"


async def test_severed_sockets_stay_half_open(slack: Slack) -> None:
    slack.configure(ack_within=0.1, retry_delays=[0.1])
    bot = Bot(slack)
    async with connected(bot, ping_interval=0.2) as handler:
        first = handler.client.current_session
        await slack.aio.dark(0.05, sever=True)
        await slack.aio.wait_for(lambda: slack.sockets() == 1)
        await slack.aio.wait_for(lambda: handler.client.current_session is not first)
        await slack.aio.say("ann", "general", "hello")
        await bot.hears(of_type("message"))


# HTTP


@asynccontextmanager
async def served(bot: Bot) -> AsyncIterator[str]:
    """Serve a bot over HTTP."""
    runner = web.AppRunner(bot.app.server(port=0).web_app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/slack/events"
    finally:
        await runner.cleanup()


async def test_http_deliveries_are_signed(slack: Slack) -> None:
    bot = Bot(slack, signing_secret=slack.signing_secret)

    @bot.app.command("/eval")
    async def on_eval(ack: Any) -> None:
        await ack("got it")

    @bot.app.action("go")
    async def on_go(ack: Any) -> None:
        await ack()

    async with served(bot) as url:
        assert await slack.aio.http_mode(url)
        await slack.aio.mention("ann", "general", "hello")
        await bot.hears(of_type("app_mention"))
        asked = await slack.aio.command("ann", "general", "/eval", "a & b")
        assert (await slack.aio.ack(asked))["answer"] == {"text": "got it"}
        ts = await bot.post(blocks=[{"type": "actions", "elements": [BUTTON]}])
        assert (await slack.aio.ack(await slack.aio.press("ann", "general", ts, "go")))["acked_at"]


@pytest.mark.parametrize("signs", ["bad", "old"])
async def test_a_wrong_signature_is_not_taken(slack: Slack, signs: str) -> None:
    slack.configure(retry_delays=[0.01])
    bot = Bot(slack, signing_secret=slack.signing_secret)
    async with served(bot) as url:
        assert not await slack.aio.http_mode(url, signs=signs)
        await slack.aio.mention("ann", "general", "hello")
        lost = await slack.aio.wait_for(lambda: slack.unacked()[1:] and slack.unacked())
    assert {(d["status"], d["problem"], d["attempt"]) for d in lost} == {(401, "http_error", 1)}
    assert not bot.heard


async def test_http_retries_say_so_in_their_headers(slack: Slack) -> None:
    slack.configure(retry_delays=[0.01, 0.01])
    seen: list[Any] = []

    async def refuse(request: web.Request) -> web.Response:
        seen.append([request.headers.get(f"x-slack-retry-{name}") for name in ("num", "reason")])
        return web.Response(status=503 if len(seen) < 3 else 200)

    app = web.Application()
    app.router.add_post("/", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        await slack.aio.http_mode("http://{}:{}/".format(*runner.addresses[0][:2]), verify=False)
        await slack.aio.say("ann", "general", "hello")
        await slack.aio.wait_for(lambda: any(d["acked_at"] for d in slack.deliveries()))
    finally:
        await runner.cleanup()
    assert seen == [[None, None], ["1", "http_error"], ["2", "http_error"]]
