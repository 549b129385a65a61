"""Processes die at every point of posting: each key is posted exactly once, in order."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.board import Board, heard, place, reply
from support.peers import FakePeers

import bot.sender
from bot.outbox import Outbox, Post
from bot.sender import Sender
from bot.wakeups import Wakeups
from handlers.incoming import Place
from jobs.db import migrate, open_engine


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.sender, "FIRST_WAIT", 0.01)


class Killed(BaseException):
    """The process dies here."""


class CrashingOutbox(Outbox):
    """An outbox whose process dies on one side of a step."""

    crash: str = ""

    def take(self, *args: Any) -> tuple[Post, bool] | None:
        self._at("before take")
        taken = super().take(*args)
        self._at("after take")
        return taken

    def sent(self, *args: Any) -> None:
        self._at("before sent")
        super().sent(*args)
        self._at("after sent")

    def _at(self, point: str) -> None:
        if self.crash == point:
            raise Killed


POINTS = ["", "before take", "after take", "before post", "after post", "before sent", "after sent"]


class Posting(RuleBasedStateMachine):
    """Processes come, post and die at any point; the platform fails on either side of a post."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.engine = open_engine(f"sqlite:///{Path(self.folder.name) / 'x.db'}")
        migrate(self.engine)
        self.wall: list[tuple[Place, str]] = []
        self.grave: set[str] = set()
        self.recorded: list[tuple[Place, str]] = []
        self.processes = 0

    @rule(thread=st.sampled_from("ab"), count=st.integers(0, 3), copies=st.integers(1, 2))
    def record(self, thread: str, count: int, copies: int) -> None:
        source = f"i{len(self.recorded)}.{thread}.{count}"
        for _ in range(copies):
            Outbox(self.engine).record(heard(source, place(thread)), [reply()] * count)
        self.recorded += [(place(thread), f"{source}/{n}") for n in range(count)]

    @rule(crash=st.sampled_from(POINTS), fails=st.sampled_from(["", "before", "after"]), skip=st.integers(0, 2))
    def run_a_process(self, crash: str, fails: str, skip: int) -> None:
        """One process posts what it can; at the `skip`th time it reaches the point it dies."""
        self.processes += 1
        name = f"process {self.processes}"
        asyncio.run(self._run(name, crash, fails, skip))
        self.grave.add(name)

    async def _run(self, name: str, crash: str, fails: str, skip: int) -> None:
        outbox, board = CrashingOutbox(self.engine), Board(self.wall)
        died = asyncio.Event()
        fail = iter([True])

        def at(point: str) -> None:
            nonlocal skip
            if died.is_set():  # what is left of a dead process does nothing
                raise Killed
            if point == crash:
                skip -= 1
                if skip < 0:
                    died.set()
                    raise Killed

        outbox._at = at  # type: ignore[method-assign]

        async def before(_: str) -> None:
            at("before post")
            if fails == "before" and next(fail, False):
                raise ConnectionError

        async def after(_: str) -> None:
            at("after post")
            if fails == "after" and next(fail, False):
                raise TimeoutError

        board.before, board.after = before, after
        sender = Sender(outbox, board, FakePeers(name, self.grave), Wakeups())
        await sender.look()
        lanes = list(sender._lanes.values())
        await asyncio.gather(*lanes, return_exceptions=True)

    @invariant()
    def nothing_is_posted_twice_or_out_of_order(self) -> None:
        assert len(set(self.wall)) == len(self.wall)
        for thread in "ab":
            posted = [key for where, key in self.wall if where == place(thread)]
            due = [key for where, key in self.recorded if where == place(thread)]
            assert posted == due[: len(posted)]

    def teardown(self) -> None:
        asyncio.run(self._run("the last", "", "", 0))
        assert sorted(self.wall, key=str) == sorted(self.recorded, key=str), "each is posted exactly once"
        assert Outbox(self.engine).due("p", None) == {}
        self.engine.dispose()
        self.folder.cleanup()


Posting.TestCase.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)
TestEachKeyIsPostedExactlyOnceWhateverDiesWherever = Posting.TestCase
