"""What is made to fail: answers lost on the way, refusals and errors that are nobody's fault, and the dark."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field


@dataclass
class Fault:
    """What happens to the next `times` calls of a method."""

    kind: str
    """`lose`, `status`, `ratelimit`, `error` or `delay`."""
    times: int = 1
    before: bool = True
    """Whether it happens instead of what was asked for, not after it."""
    status: int = 500
    seconds: float = 1.0
    error: str = "internal_error"


@dataclass
class Faults:
    """The faults of all methods; `*` stands for any method."""

    by_method: dict[str, list[Fault]] = field(default_factory=dict)
    dark_until: float = 0.0
    hits: int = 0

    def add(self, method: str, fault: Fault) -> None:
        """Add a fault, behind those that the method has."""
        self.by_method.setdefault(method, []).append(fault)

    def take(self, method: str) -> Fault | None:
        """Return what happens to this call."""
        for key in (method, "*"):
            faults = self.by_method.get(key)
            if faults:
                fault = faults[0]
                fault.times -= 1
                if fault.times <= 0:
                    faults.pop(0)
                self.hits += 1
                return fault
        return None

    @property
    def dark(self) -> bool:
        """Whether nothing gets through, and nobody hears of it."""
        return time.monotonic() < self.dark_until

    async def light(self) -> None:
        """Wait for the dark to end."""
        while self.dark:
            await asyncio.sleep(max(0.01, self.dark_until - time.monotonic()))
