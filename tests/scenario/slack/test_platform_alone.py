"""The Slack platform against the double: simpler forms for older workspaces, pictures, refused tokens, strangers."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth.installation_store import Bot as InstalledBot
from sqlalchemy import Engine
from support.peers import FakePeers
from support.slack.control import Slack

import bot.platforms.slack
import bot.sender
import bot.slack.calls
from bot.outbox import Outbox
from bot.platforms.base import Denied, PlaceClosed, PlatformError
from bot.platforms.slack import SlackPlatform
from bot.sender import Sender
from bot.settings import BotSettings
from bot.slack.installations import Installations
from bot.slack.workspaces import Workspaces
from bot.wakeups import Wakeups
from handlers.incoming import Incoming, Place
from handlers.message import Chart, Message, Progress, Series, Table, Text
from handlers.reply import Reply
from jobs.db import migrate, open_engine
from jobs.models import EvalSpec
from jobs.store import Store

pytestmark = pytest.mark.slow
TABLE = Table(columns=("model", "score"), rows=(("prod", "0.71"), ("other", "0.64")), numeric=("score",))
CHART = Chart(
    title="Scores", kind="bar", categories=("gsm8k", "mmlu"),
    series=(Series(name="prod", values=(0.7, 0.6)), Series(name="other", values=(0.5, 0.4))),
)  # fmt: skip
MESSAGE = Message(text="r1 is done.", parts=(Text(text="All scores:"), TABLE, CHART))
GOING_ON = Message(text="r1 goes on.", parts=(Progress(label="r1 running", done=7, total=20),))


@pytest.fixture(scope="module")
def server() -> Iterator[Slack]:
    with Slack() as slack:
        yield slack


@pytest.fixture
def slack(server: Slack) -> Slack:
    server.reset()
    return server


def make_settings(folder: Path, slack: Slack, **fields: Any) -> BotSettings:
    given = {"data_dir": folder, "slack_api_url": slack.api_url, "slack_bot_token": slack.bot_token()}
    return BotSettings(**(given | fields))


@pytest_asyncio.fixture
async def platform(slack: Slack, tmp_path: Path) -> AsyncIterator[SlackPlatform]:
    platform = SlackPlatform(SimpleNamespace(settings=make_settings(tmp_path, slack)))  # type: ignore[arg-type]
    yield platform
    await platform.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'scopebot.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


def general(slack: Slack) -> Place:
    return Place(platform="slack", channel=f"{slack.team_id()}/{slack.channel('general')}", thread="")


async def send(platform: SlackPlatform, slack: Slack, message: Message = MESSAGE) -> dict[str, Any]:
    """Send a message, and return it as it stands in the channel: alone there, but for those before."""
    before = len(slack.messages("general"))
    sent = await platform.send(general(slack), message, key=secrets.token_hex(4))
    posted = slack.messages("general")[before:]
    assert [f"{one['channel']}/{one['ts']}" for one in posted] == [sent]
    return dict(posted[0])


def kinds(message: dict[str, Any]) -> list[str]:
    return [block["type"] for block in message["blocks"]]


def refusals(slack: Slack) -> int:
    """Return how many posts and edits were refused, and forget them: an older workspace may refuse."""
    found = [one["kind"] for one in slack.violations()]
    assert set(found) <= {"invalid_blocks"}
    slack.forget()
    return len(found)


# older workspaces


async def test_a_workspace_of_today_gets_tables_charts_and_tasks_as_such(slack: Slack, platform: SlackPlatform) -> None:
    assert kinds(await send(platform, slack)) == ["section", "section", "data_table", "data_visualization"]
    assert kinds(await send(platform, slack, GOING_ON)) == ["section", "task_card"]
    assert refusals(slack) == 0
    assert not slack.files()


@pytest.mark.parametrize("refused", ["data_table", "data_visualization", "task_card"])
async def test_an_older_workspace_gets_a_plain_table_and_a_picture_and_is_remembered(
    slack: Slack, platform: SlackPlatform, refused: str
) -> None:
    slack.old_tenant("data_table", "data_visualization", "task_card")
    first = GOING_ON if refused == "task_card" else MESSAGE
    await send(platform, slack, first)
    assert refusals(slack) == 1
    assert kinds(await send(platform, slack)) == ["section", "section", "table", "image"]
    assert kinds(await send(platform, slack, GOING_ON)) == ["section", "section"]
    assert refusals(slack) == 0, "what it does not take is not offered again"
    assert [file["name"] for file in slack.files()] == ["chart-1.png"]


async def test_a_workspace_that_takes_no_table_at_all_gets_text(slack: Slack, platform: SlackPlatform) -> None:
    slack.old_tenant("data_table", "data_visualization", "task_card", "table")
    message = await send(platform, slack)
    assert refusals(slack) == 2, "rich, then plain"
    assert set(kinds(message)) <= {"section", "context", "rich_text"}
    assert "0.71" in slack.rendered_text(message)
    await send(platform, slack)
    assert refusals(slack) == 0


async def test_a_workspace_is_offered_everything_again_after_a_while(
    slack: Slack, platform: SlackPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.platforms.slack, "SIMPLER_FOR", 0.0)
    slack.old_tenant("data_table", "data_visualization", "task_card")
    assert "table" in kinds(await send(platform, slack))
    slack.old_tenant()
    assert "data_table" in kinds(await send(platform, slack))


async def test_a_message_that_is_too_long_says_nothing_about_its_workspace(
    slack: Slack, platform: SlackPlatform
) -> None:
    slack.error("chat.postMessage", "msg_blocks_too_long")
    assert "table" in kinds(await send(platform, slack))
    assert "data_table" in kinds(await send(platform, slack))


async def test_a_picture_that_is_still_processed_is_waited_for_and_uploaded_once(
    slack: Slack, platform: SlackPlatform
) -> None:
    slack.old_tenant("data_table", "data_visualization", "task_card")
    slack.configure(processing=1.5)
    assert kinds(await send(platform, slack)) == ["section", "section", "table", "image"]
    assert len(slack.files()) == 1


async def test_a_picture_that_is_never_ready_is_told_as_text_and_tables_stay_tables(
    slack: Slack, platform: SlackPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.platforms.slack, "PICTURE_WAITS", (0.1, 0.1))
    slack.old_tenant("data_table", "data_visualization", "task_card")
    slack.configure(processing=3600.0)
    message = await send(platform, slack)
    assert "image" not in kinds(message)
    assert "table" in kinds(message)
    assert "gsm8k" in slack.rendered_text(message)
    slack.configure(processing=0.0)
    other = MESSAGE.model_copy(update={"parts": (TABLE, CHART.model_copy(update={"title": "Others"}))})
    assert "image" in kinds(await send(platform, slack, other))


async def test_a_picture_that_cannot_be_uploaded_is_told_as_text(slack: Slack, platform: SlackPlatform) -> None:
    slack.old_tenant("data_table", "data_visualization", "task_card")
    slack.fail("files.getUploadURLExternal", 503, times=1)
    message = await send(platform, slack)
    assert kinds(message)[:3] == ["section", "section", "table"]
    assert "image" not in kinds(message)


async def test_an_edit_shows_the_picture_that_was_uploaded_before(slack: Slack, platform: SlackPlatform) -> None:
    slack.old_tenant("data_table", "data_visualization", "task_card")
    posted = await send(platform, slack)
    message = MESSAGE.model_copy(update={"text": "r1 is done, and here is its report."})
    await platform.edit(general(slack), f"{posted['channel']}/{posted['ts']}", message, key="k", final=True)
    edited = slack.message("general", posted["ts"])
    assert edited is not None
    assert edited["text"] == message.text
    assert kinds(edited) == kinds(posted)
    assert len(slack.files()) == 1


async def test_what_no_form_of_a_message_helps_with_closes_its_place(slack: Slack, platform: SlackPlatform) -> None:
    slack.error("chat.postMessage", "invalid_blocks", times=3)
    with pytest.raises(PlaceClosed):
        await platform.send(general(slack), MESSAGE, key="k")
    assert not slack.messages("general")


# looking up what was posted


async def test_a_post_is_found_by_its_key_in_its_thread_and_in_the_channel(
    slack: Slack, platform: SlackPlatform
) -> None:
    place, since = general(slack), datetime.now(UTC) - timedelta(minutes=1)
    root = await platform.send(place, MESSAGE, key="root")
    thread = place.model_copy(update={"thread": root})
    reply = await platform.send(thread, MESSAGE, key="reply")
    assert await platform.find(place, "root", since) == root
    assert await platform.find(thread, "reply", since) == reply
    assert await platform.find(thread, "other", since) is None


async def test_what_went_into_the_channel_as_its_thread_was_gone_is_found_there(
    slack: Slack, platform: SlackPlatform
) -> None:
    place, since = general(slack), datetime.now(UTC) - timedelta(minutes=1)
    gone = place.model_copy(update={"thread": f"{slack.channel('general')}/1700000000.000100"})
    sent = await platform.send(gone, MESSAGE, key="k")
    assert await platform.find(gone, "k", since) == sent


async def test_a_post_behind_hundreds_of_others_is_found(slack: Slack, platform: SlackPlatform) -> None:
    slack.limits(0)
    since = datetime.now(UTC) - timedelta(minutes=1)
    sent = await platform.send(general(slack), MESSAGE, key="k")
    slack.say_many([{"user": "ann", "channel": "general", "text": f"{number}"} for number in range(450)])
    assert await platform.find(general(slack), "k", since) == sent


# what is recorded and cannot be posted


async def post_all(platform: SlackPlatform, outbox: Outbox) -> None:
    sender = Sender(outbox, platform, FakePeers("me"), Wakeups())
    await sender.look()
    await sender.idle()


async def test_a_post_that_is_refused_for_ever_does_not_hold_up_those_behind_it(
    slack: Slack, platform: SlackPlatform, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_WAIT", "LONGEST_WAIT"):
        monkeypatch.setattr(bot.sender, name, 0.01)
    slack.error("chat.postMessage", "something_new", times=bot.sender.REFUSALS)
    outbox, asked = Outbox(engine), Incoming(id="i1", place=general(slack), user="slack:U1", text="?")
    outbox.record(asked, [Reply(Message(text="one")), Reply(Message(text="two"))])
    await post_all(platform, outbox)
    assert [message["text"] for message in slack.messages("general")] == ["two"]
    assert [post.state for post in outbox.answers("i1")] == ["dropped", "sent"]


async def test_what_is_asked_about_a_paused_run_comes_to_its_owner_where_its_channel_is_closed(
    slack: Slack, platform: SlackPlatform, engine: Engine, mock_spec: Callable[..., EvalSpec]
) -> None:
    closed = f"{slack.team_id()}/{slack.channel('hidden')}"
    group, _ = Store(engine).add_group(
        source="i1", platform="slack", channel=closed, thread="", user=f"slack:{slack.user('ann')}", language="en",
        text="?", specs=[mock_spec()],
    )  # fmt: skip
    outbox, place = Outbox(engine), Place(platform="slack", channel=closed, thread="")
    outbox.record_question("r1-a1", place, Message(text="Go on?"), group=group)
    await post_all(platform, outbox)
    (question,) = slack.messages(slack.dm_channel("ann"))
    assert question["text"] == "Go on?"


# tokens


async def test_a_refused_token_is_not_tried_again_and_again(
    slack: Slack, platform: SlackPlatform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bot.slack.calls, "DENIED_FOR", 0.5)
    await send(platform, slack)
    slack.revoke()
    slack.forget()
    for _ in range(20):
        with pytest.raises(Denied, match="token_revoked"):
            await platform.send(general(slack), MESSAGE, key="k")
    assert len(slack.calls()) == 1
    assert "install the app again" in capsys.readouterr().out


@pytest.fixture
def installations(engine: Engine) -> Installations:
    return Installations(engine)


@pytest_asyncio.fixture
async def workspaces(slack: Slack, tmp_path: Path, installations: Installations) -> AsyncIterator[Workspaces]:
    workspaces = Workspaces(make_settings(tmp_path, slack, slack_bot_token=None), installations)
    yield workspaces
    await workspaces.close()


async def install(installations: Installations, slack: Slack) -> None:
    bot = InstalledBot(
        bot_token=slack.bot_token(), bot_id="B1", bot_user_id=slack.bot_user(), team_id=slack.team_id(),
        installed_at=datetime.now(UTC).timestamp(),
    )  # fmt: skip
    await installations.async_save_bot(bot)


async def test_a_reinstalled_workspace_speaks_with_its_new_token_at_once(
    slack: Slack, workspaces: Workspaces, installations: Installations
) -> None:
    await install(installations, slack)
    workspace = await workspaces.get(slack.team_id())
    slack.revoke()
    with pytest.raises(Denied):
        await workspace.calls.call("chat.postMessage", channel=slack.channel("general"), text="one")
    assert await workspaces.get(slack.team_id()) is workspace, "the token is still the same"
    slack.reinstall()
    await install(installations, slack)
    again = await workspaces.get(slack.team_id())
    await again.calls.call("chat.postMessage", channel=slack.channel("general"), text="two")
    assert [message["text"] for message in slack.messages("general")] == ["two"]


async def test_what_comes_while_slack_cannot_say_whose_token_it_is_is_not_acknowledged(
    slack: Slack, workspaces: Workspaces, installations: Installations
) -> None:
    """Bolt acknowledges what comes with a SlackApiError, and with None: the one may come again, and the other not."""

    async def authorize(team: str) -> Any:
        context: Any = None
        return await workspaces(context=context, enterprise_id=None, team_id=team, user_id=None)

    await install(installations, slack)
    slack.fail("auth.test", 503)
    with pytest.raises(PlatformError) as raised:
        await authorize(slack.team_id())
    assert not isinstance(raised.value, SlackApiError)
    authorized = await authorize(slack.team_id())
    assert authorized.bot_user_id == slack.bot_user()
    assert await authorize("T404") is None


async def test_a_token_that_is_no_good_is_asked_about_once_in_a_while(
    slack: Slack, workspaces: Workspaces, installations: Installations
) -> None:
    await install(installations, slack)
    slack.revoke()
    for _ in range(10):
        with pytest.raises(Denied):
            await workspaces.get(slack.team_id())
    assert len(slack.calls("auth.test")) == 1
