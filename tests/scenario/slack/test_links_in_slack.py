"""A link to a run's page unfolds, where somebody posts it, to how the run stands; others' links and bad ones do not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from support.slack.control import Slack
from support.slack_bot import SlackBot
from support.slack_room import Room, shown

from bot.cli import main

pytestmark = pytest.mark.slow
PUBLIC = "https://scopebot.example.com"


@pytest.fixture(scope="module")
def slack() -> Iterator[Slack]:
    printed = CliRunner().invoke(main, ["manifest", "slack", "--json"], env={"SCOPEBOT_PUBLIC_URL": PUBLIC})
    with Slack() as slack:
        slack.use_manifest(json.loads(printed.stdout))
        yield slack


@pytest.fixture(scope="module")
def bot(slack: Slack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlackBot]:
    with SlackBot(tmp_path_factory.mktemp("bot"), slack, SCOPEBOT_PUBLIC_URL=PUBLIC) as bot:
        yield bot


@pytest.fixture
def room(slack: Slack, bot: SlackBot) -> Iterator[Room]:
    slack.forget()
    yield Room(bot)
    assert not slack.violations()


def link(room: Room) -> str:
    """Have somebody ask for a run, and return the link to its page."""
    ts = room.ask("ann", "evaluate prod on gsm8k, 20 samples")
    found = re.search(rf"{PUBLIC}/runs/{room.run.name}\?t=[\w.-]+", shown(room.thread(ts)[0]))
    assert found is not None
    return found[0]


def unfolded(room: Room, text: str, channel: str = "") -> dict[str, str]:
    """Have somebody write a message, and return what its links unfold to."""
    before = len(room.slack.unfurls())
    room.slack.say("bob", channel or room.channel, text)
    (made,) = room.until(lambda: room.slack.unfurls()[before:], "a link that unfolds")
    return {url: shown({"blocks": found["blocks"]}) for url, found in made["unfurls"].items()}


def test_a_link_unfolds_to_how_the_run_stands_and_at_the_end_to_its_score(room: Room) -> None:
    url = link(room)
    name = room.run.name
    assert unfolded(room, url) == {url: f"{name}: evaluating prod on gsm8k, 20 samples. waiting"}
    room.end(room.run)
    assert unfolded(room, f"look at {url}!")[url].startswith(f"{name}: prod — gsm8k 50.0 % [30.0 – 70.0 %]")
    assert not [post for post in room.posts() if post["user"] == room.slack.user("bob")]


@pytest.mark.parametrize("kind", ["channel", "im"])
def test_it_unfolds_where_the_bot_is_not_as_well(room: Room, kind: str) -> None:
    url = link(room)
    where = room.slack.add_channel(f"links-{kind}", kind, ["ann", "bob"], bot=False)
    assert set(unfolded(room, url, where)) == {url}


def test_a_token_that_is_forged_cut_off_or_of_another_run_opens_nothing(room: Room) -> None:
    other, url = link(room), link(room)
    token = url.partition("?t=")[2]
    flipped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    bad = [
        url[:-3], url.replace(token, flipped), url.replace(token, other.partition("?t=")[2]),
        url.replace(room.run.name, "r999999"), url.partition("?")[0], f"{PUBLIC}/healthz",
        f"{PUBLIC}/runs/r0?t={token}", f"{PUBLIC}/runs/[?t={token}",
    ]  # fmt: skip
    for index in range(0, len(bad), 4):
        assert set(unfolded(room, " ".join([*bad[index : index + 4], url]))) == {url}


def test_only_our_own_domain_is_meant(room: Room) -> None:
    url = link(room)
    hosts = ["other.example.com", "scopebot.example.com.evil.org", "sub.scopebot.example.com", "evil.org"]
    others = [url.replace("scopebot.example.com", host) for host in hosts]
    assert set(unfolded(room, " ".join([*others, url]))) == {url}
