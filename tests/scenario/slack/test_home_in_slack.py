"""The bot's home: what a person sees there, when it is published again, and what its buttons do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from redis import Redis
from support.slack.control import Impossible, Slack
from support.slack_bot import SlackBot
from support.slack_room import Room, shown

from bot.settings import BotSettings
from bot.slack.homes import LOOK_EVERY, RESTS
from bot.slack.manifest import manifest
from jobs.fleet import WORKERS
from jobs.lifecycle import RunState

pytestmark = pytest.mark.slow
NOTICED_WITHIN = 8.0
"""Seconds after which a change is to be seen by who has their home open."""


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    with Slack() as slack:
        slack.use_manifest(manifest(BotSettings(public_url=None)))
        yield slack


@pytest.fixture(scope="module")
def bot(slack: Slack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    with SlackBot(tmp_path_factory.mktemp("bot"), slack) as bot:
        yield bot


@pytest.fixture
def room(slack: Slack, bot: SlackBot) -> Iterator[Room]:
    slack.forget()
    yield Room(bot)
    assert not slack.violations()


@pytest.fixture
def user(slack: Slack) -> str:
    """Somebody who has asked for nothing yet."""
    name = f"user{len(slack.about()['teams']['T1']['users'])}"
    slack.add_user(name)
    return name


def home(room: Room, user: str) -> str:
    found = room.slack.home(user)
    return "" if found is None else shown(found)


def see(room: Room, user: str, *texts: str, without: str = "nothing of the kind") -> str:
    """Wait until somebody's home shows this, and return all that it shows."""

    def there() -> str | None:
        found = home(room, user)
        return found if found and without not in found and all(text in found for text in texts) else None

    return str(room.bot.until(there, NOTICED_WITHIN, f"a home with {texts} and without {without!r}"))


def open_home(room: Room, user: str, *texts: str) -> str:
    room.slack.open_home(user)
    return see(room, user, *texts)


def told(room: Room, user: str) -> list[str]:
    """Return what somebody was told directly."""
    mine = room.slack.dm_channel(user)
    return [shown(message) for message in room.slack.messages(mine) if message.get("bot_id")]


def ask(room: Room, user: str) -> str:
    """Have somebody ask for a run, and return its name."""
    room.slack.join(user, room.channel)
    room.ask(user, "evaluate prod on gsm8k, 20 samples")
    return room.run.name


def test_it_is_shown_again_when_something_changes_and_only_then(room: Room, user: str) -> None:
    slack = room.slack
    open_home(room, user, "None.")
    slack.forget()
    time.sleep(LOOK_EVERY + RESTS + 0.5)
    assert not slack.calls("views.publish"), "nothing changed"
    run = ask(room, user)
    room.begin(room.run)
    see(room, user, f"{run} running", "7 / 20")
    room.end(room.run)
    see(room, user, "Your last results", "50.0 %", without=f"Cancel {run}")
    room.settle()
    assert len(slack.calls("views.publish")) <= 8


def test_it_shows_ones_own_runs_what_waits_the_workers_and_what_to_begin(room: Room, user: str) -> None:
    run = ask(room, user)
    mine = open_home(room, user, f"*{run} waiting · prod · gsm8k*", f"Cancel {run}")
    for begun in ("Evaluate a model", "Stress test", "Status", "Results", "Benchmarks", "Help"):
        assert begun in mine
    assert "Your runs: 1" in mine
    assert "No worker is alive" in mine
    others = open_home(room, "chen", run)
    assert "你的任务" in others
    assert "没有。" in others
    assert "评测模型" in others
    assert f"取消 {run}" not in others
    room.end(room.run, RunState.CANCELLED)


def test_a_home_that_nobody_opened_is_not_published(room: Room, user: str) -> None:
    ask(room, user)
    room.slack.open_home(user, "messages")
    room.end(room.run, RunState.CANCELLED)
    time.sleep(1)
    assert room.slack.home(user) is None


@pytest.mark.parametrize(
    ("button", "title"), [("Evaluate a model", "New evaluation"), ("Stress test", "New stress test")]
)
def test_what_it_begins_is_asked_for_in_a_form(room: Room, user: str, button: str, title: str) -> None:
    open_home(room, user, button)
    room.slack.click(user, "home", button)
    (view,) = room.until(lambda: room.slack.views(user), "a form")
    assert view["title"]["text"] == title
    assert "Where to post" in shown(view)


def test_its_buttons_answer_the_person_directly_in_their_language(room: Room) -> None:
    open_home(room, "chen", "状态")
    for number, (button, answer) in enumerate([("状态", "没有正在运行"), ("评测集", "评测集"), ("帮助", "评测")], 1):
        room.slack.click("chen", "home", button)
        room.until(lambda n=number: len(told(room, "chen")) == n, button)
        assert answer in told(room, "chen")[-1]
    assert not room.posts()


def test_a_run_is_cancelled_from_there_once(room: Room, user: str) -> None:
    run = ask(room, user)
    open_home(room, user, f"Cancel {run}")
    pressed = room.slack.click(user, "home", f"Cancel {run}")
    assert room.slack.ack(pressed)["acked_at"]
    room.until(lambda: room.run.state is RunState.CANCELLED, "the end")
    assert f"Cancelled: {run}." in room.until(lambda: told(room, user), "an answer")[0]
    see(room, user, "None.", without=f"Cancel {run}")
    with pytest.raises(Impossible):
        room.slack.click(user, "home", f"Cancel {run}")


def test_a_paused_run_goes_on_from_there(room: Room, user: str) -> None:
    run = ask(room, user)
    room.begin(room.run)
    room.bot.store.move(room.run.id, RunState.PAUSED)
    open_home(room, user, f"Go on with {run}")
    room.slack.click(user, "home", f"Go on with {run}")
    room.until(lambda: room.run.state is not RunState.PAUSED, "going on")
    room.until(lambda: told(room, user), "an answer")
    see(room, user, run, without="Go on with")


def test_workers_are_shown_with_what_they_do(room: Room, user: str) -> None:
    with room.bot.redis() as redis:
        _live(redis, "gpu-1")
        try:
            open_home(room, user, "Workers: 1", "*gpu-1* EvalScope 1.14.1 · 2 × H100")
        finally:
            redis.hdel(WORKERS, "gpu-1")


def _live(redis: Redis, name: str) -> None:
    facts = {"evalscope": "1.14.1", "host": "h", "pid": "1", "gpus": "2 × H100", "seen": str(time.time())}
    redis.hset(WORKERS, name, json.dumps(facts))


def test_it_keeps_to_what_slack_takes_however_much_there_is(room: Room, user: str) -> None:
    ask(room, user)
    store, spec = room.bot.store, room.run.spec
    who = f"slack:{room.slack.user(user)}"
    many = spec.model_copy(update={"datasets": tuple(d.model_copy(update={"name": "x" * 100}) for d in spec.datasets)})
    store.add_group(
        source="many", platform="console", channel="c", thread="t", user=who, language="en", text="many",
        specs=[many] * 150,
    )  # fmt: skip
    found = open_home(room, user, "Your runs: 151", "And 141 more.")
    assert found.count("Cancel r") == 10
    assert len(room.slack.home(user)["blocks"]) <= 100
