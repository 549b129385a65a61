"""What Feishu delivers, read by the SDK's dispatcher: over the long connection, or as requests whose sender it checks.

Its handlers run on the loop and return nothing, so they only hand the event over: keeping it is awaited afterwards.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from lark_oapi import EventDispatcherHandler
from lark_oapi.core.model import RawRequest
from lark_oapi.event.callback.model.p2_card_action_trigger import P2CardActionTriggerResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

logging.getLogger("Lark").handlers.clear()  # it writes to standard output, past our log

UNKNOWN = "processor not found"
"""How the SDK says that an event has no handler: it is none of ours, and not to be delivered again."""


class NotReady(Exception):
    """An event came before it could be understood; it is to be delivered again."""


class Heard(NamedTuple):
    """An event, as the SDK reads it: its `header` has type and id."""

    kind: str
    event: Any


class Asked(NamedTuple):
    """A request: the event it brings, or how it is answered where it brings none."""

    heard: Heard | None
    status: int
    body: bytes


class Dispatcher:
    """Reads events of the kinds that we hear, and no others."""

    def __init__(self, encrypt_key: str | None = None, token: str | None = None) -> None:
        self._taken: Heard | None = None
        builder = EventDispatcherHandler.builder(encrypt_key or "", token or "")
        self._handler = (
            builder.register_p2_im_message_receive_v1(self._take)
            .register_p2_im_message_recalled_v1(self._take)
            .register_p2_im_chat_member_bot_added_v1(self._take)
            .register_p2_im_chat_access_event_bot_p2p_chat_entered_v1(self._take)
            .register_p2_application_bot_menu_v6(self._take)
            .register_p2_card_action_trigger(self._take_press)
            .build()
        )

    def read(self, payload: bytes) -> Heard | None:
        """Return an event of the long connection, None for one that we have no use for."""
        if _kind(payload) not in KINDS:
            return None
        self._handler._do_without_validation(payload)  # noqa: SLF001 - as the SDK's own client calls it
        return self._last()

    def check(self, headers: Mapping[str, str], body: bytes) -> Asked:
        """Return what a request brings, if it is Feishu that sends it."""
        request = RawRequest()
        request.uri, request.headers, request.body = "/feishu/events", _as_sdk_reads(headers), body
        response = self._handler.do(request)
        said = bytes(response.content or b"")
        taken = self._last()
        if taken is not None:
            return Asked(taken, 200, b"{}")
        if response.status_code == 200:
            return Asked(None, 200, said)
        if UNKNOWN.encode() in said:
            return Asked(None, 200, b"{}")
        return Asked(None, 403, b'{"msg":"not from Feishu, or not for this app"}')

    def _last(self) -> Heard | None:
        """Return what was handed over just now."""
        taken, self._taken = self._taken, None
        return taken

    def _take(self, event: Any) -> None:
        self._taken = Heard(str(event.header.event_type), event)

    def _take_press(self, event: Any) -> P2CardActionTriggerResponse:
        self._take(event)
        return P2CardActionTriggerResponse({})


KINDS = frozenset({
    "im.message.receive_v1", "im.message.recalled_v1", "im.chat.member.bot.added_v1",
    "im.chat.access_event.bot_p2p_chat_entered_v1", "application.bot.menu_v6", "card.action.trigger",
})  # fmt: skip
"""The events that we hear. All others are acknowledged, and nothing comes of them."""


def _kind(payload: bytes) -> str:
    header = json.loads(payload).get("header") or {}
    return str(header.get("event_type", ""))


def _as_sdk_reads(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that the SDK looks at, spelled as it does."""
    wanted = ("X-Lark-Request-Timestamp", "X-Lark-Request-Nonce", "X-Lark-Signature", "X-Request-Id")
    return {name: headers.get(name, "") for name in wanted}
