"""The SDK's requests for messages: posted, answered in a thread, edited, shown to one person, looked through."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aiohttp
from lark_oapi import AccessTokenType, BaseRequest, HttpMethod
from lark_oapi.api.im.v1 import (
    CreateFileRequest,
    CreateImageRequest,
    CreateMessageReactionRequest,
    CreateMessageReactionRequestBody,
    CreateMessageRequest,
    CreateMessageRequestBody,
    Emoji,
    GetMessageRequest,
    ListMessageRequest,
    PatchMessageRequest,
    PatchMessageRequestBody,
    ReplyMessageRequest,
    ReplyMessageRequestBody,
)

if TYPE_CHECKING:
    from bot.feishu.address import Receiver

Card = dict[str, Any]
PAGE = 50


def create(receiver: Receiver, kind: str, content: dict[str, Any], uuid: str) -> BaseRequest:
    """Return the request that posts a message of a kind (`interactive` is a card) into a chat."""
    body = CreateMessageRequestBody.builder().receive_id(receiver.id).msg_type(kind).content(_json(content)).uuid(uuid)
    return CreateMessageRequest.builder().receive_id_type(receiver.kind).request_body(body.build()).build()


def reply(message_id: str, kind: str, content: dict[str, Any], uuid: str, *, in_thread: bool = True) -> BaseRequest:
    """Return the request that answers a message, in its thread."""
    body = (
        ReplyMessageRequestBody.builder().msg_type(kind).content(_json(content)).uuid(uuid).reply_in_thread(in_thread)
    )
    return ReplyMessageRequest.builder().message_id(message_id).request_body(body.build()).build()


def patch(message_id: str, card: Card) -> BaseRequest:
    """Return the request that replaces a card."""
    body = PatchMessageRequestBody.builder().content(_json(card)).build()
    return PatchMessageRequest.builder().message_id(message_id).request_body(body).build()


def show_to(user: str, chat: str, card: Card) -> BaseRequest:
    """Return the request that shows a card in a chat to one person alone."""
    body = {"chat_id": chat, "open_id": user, "msg_type": "interactive", "card": card}
    builder = BaseRequest.builder().http_method(HttpMethod.POST).uri("/open-apis/ephemeral/v1/send")
    return builder.token_types({AccessTokenType.TENANT}).body(body).build()


def get(message_id: str) -> BaseRequest:
    """Return the request for a message."""
    return GetMessageRequest.builder().message_id(message_id).build()


def newest(container: str, kind: str, page: str = "", since: int = 0) -> BaseRequest:
    """Return the request for the messages of a `chat` or a `thread`, the newest first; a thread knows no `since`."""
    builder = (
        ListMessageRequest.builder()
        .container_id_type(kind).container_id(container).sort_type("ByCreateTimeDesc").page_size(PAGE)
    )  # fmt: skip
    if page:
        builder = builder.page_token(page)
    return (builder.start_time(str(since)) if since and kind == "chat" else builder).build()


def react(message_id: str, emoji: str) -> BaseRequest:
    """Return the request that puts a reaction on a message."""
    reaction = Emoji.builder().emoji_type(emoji).build()
    body = CreateMessageReactionRequestBody.builder().reaction_type(reaction).build()
    return CreateMessageReactionRequest.builder().message_id(message_id).request_body(body).build()


def upload_image(content: bytes) -> tuple[BaseRequest, aiohttp.FormData]:
    """Return the request that uploads a picture, and its form."""
    form = aiohttp.FormData()
    form.add_field("image_type", "message")
    form.add_field("image", content, filename="chart.png", content_type="image/png")
    return CreateImageRequest.builder().build(), form


def upload_file(name: str, content: bytes) -> tuple[BaseRequest, aiohttp.FormData]:
    """Return the request that uploads a file, and its form."""
    form = aiohttp.FormData()
    form.add_field("file_type", "stream")
    form.add_field("file_name", name)
    form.add_field("file", content, filename=name, content_type="application/octet-stream")
    return CreateFileRequest.builder().build(), form


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
