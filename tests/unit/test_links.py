"""Links open one run's page, for their time, and nothing else."""

import time
from urllib.parse import parse_qs, urlsplit

import pytest

from bot.web.links import LIFETIME, LinkExpired, LinkInvalid, Links


@pytest.fixture
def links() -> Links:
    return Links("a secret", "https://bot.example/")


def token(url: str) -> str:
    return parse_qs(urlsplit(url).query)["t"][0]


def test_addresses(links: Links) -> None:
    assert links.run_url(12).startswith("https://bot.example/runs/r12?t=")
    assert links.report_url(12).startswith("https://bot.example/runs/r12/report?t=")


def test_public_url_may_become_known_later(links: Links) -> None:
    links.public_url = "http://127.0.0.1:4711"
    assert links.run_url(12).startswith("http://127.0.0.1:4711/runs/r12?t=")


def test_own_link_opens_page_and_report(links: Links) -> None:
    links.check(12, token(links.run_url(12)))
    links.check(12, token(links.run_url(12)), report=True)


def test_report_link_opens_the_report_only(links: Links) -> None:
    links.check(12, token(links.report_url(12)), report=True)
    with pytest.raises(LinkInvalid):
        links.check(12, token(links.report_url(12)))


@pytest.mark.parametrize("report", [False, True])
def test_other_run(links: Links, *, report: bool) -> None:
    for url in (links.run_url(12), links.report_url(12)):
        with pytest.raises(LinkInvalid):
            links.check(13, token(url), report=report)


def test_other_key(links: Links) -> None:
    with pytest.raises(LinkInvalid):
        links.check(12, token(Links("another secret", "https://bot.example").run_url(12)))


@pytest.mark.parametrize("forged", ["", "x", "a.b.c", "…", "\x00", "WzEyLCJwYWdlIl0.aaaaaa.bbbb"])
def test_forged(links: Links, forged: str) -> None:
    with pytest.raises(LinkInvalid):
        links.check(12, forged)


def test_every_changed_character_breaks_it(links: Links) -> None:
    good = token(links.run_url(12))
    for place, letter in enumerate(good[:-1]):  # the last one has bits that carry nothing
        changed = good[:place] + ("A" if letter != "A" else "B") + good[place + 1 :]
        with pytest.raises((LinkInvalid, LinkExpired)):
            links.check(12, changed)


def test_expires(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    good, now = token(links.run_url(12)), time.time()
    monkeypatch.setattr(time, "time", lambda: now + LIFETIME - 5)
    links.check(12, good)
    monkeypatch.setattr(time, "time", lambda: now + LIFETIME + 5)
    with pytest.raises(LinkExpired):
        links.check(12, good)
    with pytest.raises(LinkInvalid):  # an old link tells nothing about another run
        links.check(13, good[:-3] + "AAA")
