"""Bot processes that live and die as a test says."""

from __future__ import annotations


class FakePeers:
    """Implements `bot.alive.Peers`; `grave` is shared by the processes of a test."""

    def __init__(self, name: str, grave: set[str] | None = None) -> None:
        self.id = name
        self.grave: set[str] = set() if grave is None else grave
        self.is_sure = True

    def sure(self) -> bool:
        return self.is_sure

    async def dead(self, process: str) -> bool:
        return process != self.id and process in self.grave
