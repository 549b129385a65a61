"""What goes wrong when a test wants it to."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from aiohttp import web

from support.feishu.world import Refused


@dataclass
class Fault:
    """One thing that happens to calls of a method ("POST /open-apis/im/v1/messages"), so many times."""

    method: str
    times: int
    kind: str
    """status, code, ratelimit, lose, delay."""
    value: float = 0
    after: bool = False

    def concerns(self, method: str) -> bool:
        """Tell whether a call is one of those."""
        return self.times > 0 and (self.method == "*" or method.startswith(self.method))


class Faults:
    """Those that are yet to happen."""

    def __init__(self) -> None:
        self.due: list[Fault] = []
        self.dark_until = 0.0
        self.endpoint: tuple[float, int] = (0.0, 0)
        """Until when no address is given out, and with which code that is refused."""
        self.half_dead = False
        """Open connections let nothing through any more."""

    async def before(self, request: web.Request, method: str) -> None:
        """Do what happens before a method is performed."""
        if time.monotonic() < self.dark_until:
            await asyncio.sleep(self.dark_until - time.monotonic())
            if request.transport is not None:
                request.transport.close()
            raise ConnectionResetError
        for fault in self._of(method, after=False):
            if fault.kind == "delay":
                await asyncio.sleep(fault.value)
            elif fault.kind == "code":
                raise Refused(int(fault.value), "as a test wants it", meant=True)
            elif fault.kind == "ratelimit":
                raise web.HTTPTooManyRequests(
                    text='{"code":99991400,"msg":"request trigger frequency limit"}', content_type="application/json",
                    headers={"x-ogw-ratelimit-reset": str(int(fault.value))},
                )  # fmt: skip
            elif fault.kind == "status":
                raise _failing(int(fault.value))

    def after(self, request: web.Request, method: str) -> None:
        """Do what happens once it is performed."""
        for fault in self._of(method, after=True):
            if fault.kind == "lose":
                if request.transport is not None:
                    request.transport.close()
                raise ConnectionResetError
            raise _failing(int(fault.value))

    def _of(self, method: str, *, after: bool) -> list[Fault]:
        found = [fault for fault in self.due if fault.after is after and fault.concerns(method)]
        for fault in found:
            fault.times -= 1
        self.due = [fault for fault in self.due if fault.times > 0]
        return found


def _failing(status: int) -> web.HTTPException:
    return {500: web.HTTPInternalServerError, 502: web.HTTPBadGateway, 503: web.HTTPServiceUnavailable}[status](
        text="not now"
    )
