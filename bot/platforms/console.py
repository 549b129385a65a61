"""The console: one person at the machine Scopebot runs on, on a terminal or as JSON lines."""

from __future__ import annotations

import getpass
import itertools
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text as RichText

from bot.platforms.base import EVERYONE, Audience, Platform, Posted, Receive
from bot.render.json_lines import json_line
from bot.render.terminal import render
from handlers.incoming import Incoming, Place
from handlers.message import Button, Buttons, Message, Progress

WIDE = 10_000


class Screen(Protocol):
    """Where the console's messages are shown."""

    def echo(self, text: str) -> None:
        """Show what the person said, where they did not type it here."""

    def post(self, message_id: str, thread: str, message: Message, *, live: bool) -> None:
        """Show a new message."""

    def edit(self, message_id: str, thread: str, message: Message, *, final: bool) -> None:
        """Show a message's new content."""


class JsonScreen:
    """JSON lines on standard output."""

    def echo(self, text: str) -> None:
        """See `Screen.echo`: what was said is no post of ours."""

    def post(self, message_id: str, thread: str, message: Message, *, live: bool) -> None:  # noqa: ARG002
        """See `Screen.post`."""
        print(json_line("post", message_id, thread, message), flush=True)  # noqa: T201 - the product's output

    def edit(self, message_id: str, thread: str, message: Message, *, final: bool) -> None:  # noqa: ARG002
        """See `Screen.edit`."""
        print(json_line("edit", message_id, thread, message), flush=True)  # noqa: T201 - the product's output


class TextScreen:
    """Text on standard output. On a terminal, live messages stay below everything else until they are final."""

    def __init__(self) -> None:
        # into a file or a pipe, nothing is wrapped or cut
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
        self._live: dict[str, Message] = {}
        self._region: Live | None = None

    @property
    def live_lines(self) -> list[str]:
        """What goes on now, a line per run, for a prompt's toolbar."""
        return [
            f"{part.label} {part.done}/{part.total if part.total is not None else '?'} {part.score} {part.note}"
            for message in self._live.values()
            for part in message.parts
            if isinstance(part, Progress)
        ]

    def echo(self, text: str) -> None:
        """See `Screen.echo`."""
        self._console.print(RichText(f"› {text}", style="cyan"))

    def post(self, message_id: str, thread: str, message: Message, *, live: bool) -> None:  # noqa: ARG002
        """See `Screen.post`."""
        if live and self._region is not None:
            self._live[message_id] = message
            self._refresh()
            return
        if live:
            self._live[message_id] = message
        self._print(message)

    def edit(self, message_id: str, thread: str, message: Message, *, final: bool) -> None:  # noqa: ARG002
        """See `Screen.edit`."""
        if not final:
            if message_id in self._live:
                self._live[message_id] = message
                self._refresh()
            return
        was_live = self._live.pop(message_id, None) is not None
        self._refresh()
        if was_live and self._region is not None:
            self._print(message)

    def region(self) -> Any:
        """Return a context in which live messages are drawn in place; only a terminal can."""
        if not self._console.is_terminal:
            return nullcontext()
        self._region = Live(console=self._console, refresh_per_second=8, transient=True)
        return self._region

    def _print(self, message: Message) -> None:
        if self._console.is_terminal:
            self._console.print(render(message))
            self._console.print()
            return
        with self._console.capture() as captured:
            self._console.print(render(message))
        for line in captured.get().splitlines():  # tables pad their cells
            self._console.out(line.rstrip(), highlight=False)
        self._console.out()

    def _refresh(self) -> None:
        if self._region is not None:
            self._region.update(Group(*(render(m) for m in self._live.values())))


class ConsolePlatform(Platform):
    """Sends the messages it was started with, one after another, and then what is typed, if anything is."""

    name = "console"
    edit_every = 0.25
    run_threads = False

    def __init__(self, messages: Sequence[str], *, as_json: bool, yes: bool, echo: bool, interactive: bool) -> None:
        self._echo = echo
        self._messages = messages
        self._yes = yes
        self._interactive = interactive
        self.session = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._screen: Screen = JsonScreen() if as_json else TextScreen()
        self._open_buttons: tuple[Button, ...] = ()
        self.refused = False
        self.waits = False
        self.groups: list[int] = []

    @property
    def place(self) -> Place:
        """The one conversation of this console."""
        return Place(platform="console", channel="console", thread=self.session)

    async def run(self, receive: Receive) -> None:
        """See `Platform.run`."""
        for text in self._messages:
            if self._echo:
                self._screen.echo(text)
            await self._say(text, receive)
        if not self._interactive:
            return
        async for text in self._typed():
            await self._say(text, receive)

    async def send(
        self,
        place: Place,
        message: Message,
        *,
        key: str,  # noqa: ARG002
        live: bool = False,
        audience: Audience = EVERYONE,  # noqa: ARG002 - there is one person
    ) -> str:
        """See `Platform.send`."""
        message = _without_shortcuts(message)
        message_id = f"m{next(self._numbers)}"
        self._open_buttons = _buttons(message) or self._open_buttons
        self._screen.post(message_id, place.thread, message, live=live)
        return message_id

    async def find(self, place: Place, key: str, since: datetime) -> str | None:  # noqa: ARG002
        """See `Platform.find`: what was posted is gone with the process that showed it."""
        return None

    async def edit(
        self,
        place: Place,
        message_id: str,
        message: Message,
        *,
        key: str,  # noqa: ARG002
        final: bool = False,
    ) -> None:
        """See `Platform.edit`."""
        self._screen.edit(message_id, place.thread, _without_shortcuts(message), final=final)

    async def close(self) -> None:
        """See `Platform.close`."""

    def drawing(self) -> Any:
        """Return a context in which progress is drawn in place, where the output is a terminal nobody types at."""
        screen = self._screen
        return screen.region() if isinstance(screen, TextScreen) and not self._interactive else nullcontext()

    async def _say(self, text: str, receive: Receive) -> None:
        """Send one message, or press the button whose number or label it is."""
        pressed = _pressed(text, self._open_buttons)
        self._open_buttons = ()
        self.waits = False
        if pressed is not None:
            await self._settle(await receive(self._incoming(button=pressed.id)), receive)
        else:
            await self._settle(await receive(self._incoming(text=text)), receive)

    async def _settle(self, posted: list[Posted], receive: Receive) -> None:
        for reply in (item.reply for item in posted):
            if reply.group is not None:
                self.groups.append(reply.group)
            self.refused = self.refused or reply.refused
            if not reply.waits:
                continue
            buttons = _buttons(reply.message)
            primary = next((button for button in buttons if button.primary), None)
            if self._yes and primary is not None:
                await self._settle(await receive(self._incoming(button=primary.id)), receive)
            else:
                self.waits = True

    async def press(self, button: str, receive: Receive) -> None:
        """Press a button that was not shown in answer to what was said."""
        await self._settle(await receive(self._incoming(button=button)), receive)

    def _incoming(self, *, text: str = "", button: str = "") -> Incoming:
        return Incoming(
            id=f"console:{self.session}:{next(self._numbers)}", place=self.place,
            user=f"console:{getpass.getuser()}", text=text, button=button, owns_machine=True,
        )  # fmt: skip

    async def _typed(self) -> AsyncIterator[str]:
        """Yield what the person types until they leave (Ctrl-D, Ctrl-C, quit)."""
        from prompt_toolkit import PromptSession
        from prompt_toolkit.patch_stdout import patch_stdout

        screen = self._screen
        toolbar = (lambda: "\n".join(screen.live_lines) or None) if isinstance(screen, TextScreen) else None
        session: PromptSession[str] = PromptSession("› ", bottom_toolbar=toolbar, refresh_interval=0.5)
        with patch_stdout(raw=True):
            while True:
                try:
                    text = (await session.prompt_async()).strip()
                except (EOFError, KeyboardInterrupt):
                    return
                if text.lower() in {"quit", "exit", "bye", "退出"}:
                    return
                if text:
                    yield text


def _pressed(text: str, buttons: Sequence[Button]) -> Button | None:
    said = text.strip().lower()
    for number, button in enumerate(buttons, start=1):
        if said in {str(number), button.label.lower()}:
            return button
    return None


def _without_shortcuts(message: Message) -> Message:
    """Leave out the buttons for what is as easily typed."""
    parts = tuple(part for part in message.parts if not (isinstance(part, Buttons) and part.shortcuts))
    return message.model_copy(update={"parts": parts})


def _buttons(message: Message) -> tuple[Button, ...]:
    return tuple(button for part in message.parts if isinstance(part, Buttons) for button in part.items)
