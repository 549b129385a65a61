"""How the parts of one process wake each other: what is due is done at once, without asking again and again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator


class Wakeup:
    """Wakes everyone who listens."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def wake(self) -> None:
        """Wake the listeners."""
        for listener in self._listeners:
            listener.set()

    @contextlib.contextmanager
    def listening(self, event: asyncio.Event | None = None) -> Iterator[asyncio.Event]:
        """Give an event (a new one, or one that listens to another wakeup too) that is set whenever it wakes."""
        event = event or asyncio.Event()
        self._listeners.add(event)
        try:
            yield event
        finally:
            self._listeners.discard(event)


class Wakeups:
    """What a process tells itself."""

    def __init__(self) -> None:
        self.runs = Wakeup()
        """A run changed, or has begun."""
        self.due = Wakeup()
        """Something is to be posted."""
        self.said = Wakeup()
        """Something was posted, or a group is settled."""


async def woken(event: asyncio.Event, within: float) -> bool:
    """Wait for an event and clear it; False if it did not come in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            await event.wait()
    came = event.is_set()
    event.clear()
    return came
