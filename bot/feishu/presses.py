"""Presses of buttons in cards, and forms that are sent off there: what the person sees at once rides on the answer.

Feishu shows a toast for what is answered in three seconds. Whatever comes of a press is told there if it is told to
the person alone; where it is told to all, the toast says that it was taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bot.feishu.address import NAME
from bot.feishu.references import reference_of
from bot.render.feishu_forms import closed_form_card, form_card, values_of
from handlers.form_options import benchmark_options
from handlers.form_reading import read
from handlers.forms import form_for
from handlers.incoming import Incoming, Language, Place, language_of
from handlers.texts import Texts
from handlers.typed import as_command

if TYPE_CHECKING:
    from bot.app import Bot
    from bot.feishu.people import People
    from bot.outbox import Post
    from bot.platforms.base import Platform
    from bot.signed import Pressed, Signer
    from handlers.forms import Form, Value

TOLD_WITHIN = 1.2
"""Seconds for which the answer to a press waits for what comes of it; Feishu waits for three."""
TOAST = "toast:"
"""Begins what stands for the place where a press is answered by a toast."""
MOST_TOAST = 300
FORM = "form:"
"""Begins what the button says that sends off an intent's form."""
Answer = dict[str, Any]


class Toast:
    """What the answer to one press shows, once it is known."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def tell(self, kind: str, text: str) -> bool:
        """Show a text; False where something is shown already."""
        if self._answer.done():
            return False
        self._answer.set_result(_toast(kind, text))
        return True

    async def told(self, otherwise: str) -> Answer:
        """Return the answer, as soon as it is known what came of the press; after a while, that it was taken."""
        await asyncio.wait([self._answer], timeout=TOLD_WITHIN)
        self.tell("info", otherwise)
        return self._answer.result()


class Toasts:
    """The presses whose answer can still show something."""

    def __init__(self) -> None:
        self._waiting: dict[str, Toast] = {}

    @contextlib.contextmanager
    def waiting(self, press: str) -> Iterator[Toast]:
        """Take what is told of a press while its answer waits."""
        toast = self._waiting[press] = Toast()
        try:
            yield toast
        finally:
            del self._waiting[press]

    def tell(self, url: str, text: str) -> bool:
        """Show a text to who pressed; False where the press is answered already, or a toast does not hold it."""
        toast = self._waiting.get(url.removeprefix(TOAST)) if url.startswith(TOAST) else None
        return toast is not None and len(text) <= MOST_TOAST and toast.tell("info", text)

    def came_of(self, key: str, text: str) -> None:
        """Say to who pressed that it led to a post."""
        toast = self._waiting.get(key.partition("/")[0])
        if toast is not None:
            toast.tell("success", text)


class Presses:
    """Keeps presses and forms, and answers them."""

    def __init__(self, bot: Bot, platform: Platform, signer: Signer, people: People, toasts: Toasts) -> None:
        self._bot, self._platform, self._signer = bot, platform, signer
        self._people, self._toasts = people, toasts

    async def heard(self, event: Any) -> Answer:
        """Keep a press, and return what it is answered with."""
        action, context, operator = event.event.action, event.event.context, event.event.operator
        value = action.value.get("v") if action is not None and isinstance(action.value, dict) else None
        user = str(operator.open_id or "") if operator is not None else ""
        if not value or not user:
            return {}
        pressed = self._signer.read(str(value), team="")
        message_id = str((context and context.open_message_id) or "")
        post = await asyncio.to_thread(self._post, pressed.post, message_id)
        place = _place(post, str((context and context.open_chat_id) or ""), message_id)
        if pressed.button.startswith(FORM):
            return await self._sent_off(event, pressed, place, user, message_id)
        incoming = Incoming(
            id=f"{NAME}:press:{event.header.event_id}", place=place, user=f"{NAME}:{user}", button=pressed.button,
            post=pressed.post, direct=place.channel.startswith("@"),
            reply_url=f"{TOAST}{NAME}:press:{event.header.event_id}", fills_forms=True,
        )  # fmt: skip
        texts = await self._texts(user, post)
        with self._toasts.waiting(incoming.id) as toast:
            if not await self._bot.accept(self._platform, incoming):
                return _toast("info", texts("feishu.taken"))  # a copy: the first one was answered, or is
            return await toast.told(texts("feishu.taken"))

    # forms

    async def _sent_off(self, event: Any, pressed: Pressed, place: Place, user: str, message_id: str) -> Answer:
        """Keep what a form asks for, and show it as sent off; or show the errors of its fields."""
        intent = pressed.button.removeprefix(FORM)
        post = await asyncio.to_thread(self._post, pressed.post, message_id)
        texts = await self._texts(user, post)
        form = await self._form(intent, texts)
        if form is None:  # its button is too old, or not ours
            return _toast("warning", texts("button.expired"))
        values = values_of(event.event.action.form_value or {}, form)
        services = self._bot.services
        request = read(form, values, texts=texts, config=services.config, vocabulary=await services.vocabulary())
        if isinstance(request, dict):
            shown = await self._card(form, pressed.post, texts, values, request)
            return _raw(shown) | _toast("error", texts("feishu.form.errors"))
        where = place.model_copy(update={"thread": place.thread or message_id})
        incoming = Incoming(
            id=f"{NAME}:form:{pressed.post}", place=where, user=f"{NAME}:{user}",
            text=as_command(request), request=request, direct=place.channel.startswith("@"), fills_forms=True,
        )  # fmt: skip
        if not await self._bot.accept(self._platform, incoming):
            return _toast("warning", texts("feishu.form.sent_before"))
        closed = closed_form_card(as_command(request), title=form.title, reference=reference_of(pressed.post))
        return _raw(closed) | _toast("success", texts("feishu.taken"))

    async def form(self, intent: str, post: str, language: Language) -> dict[str, Any] | None:
        """Return the card of an intent's form; None for an intent that has none."""
        texts = Texts(language)
        form = await self._form(intent, texts)
        return None if form is None else await self._card(form, post, texts)

    async def _form(self, intent: str, texts: Texts) -> Form | None:
        services = self._bot.services
        return form_for(intent, texts, services.config, await services.vocabulary())

    async def _card(
        self,
        form: Form,
        post: str,
        texts: Texts,
        values: Mapping[str, Value] | None = None,
        errors: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        services = self._bot.services
        return form_card(
            form, submit=self._signer.value(f"{FORM}{form.intent}", post=post, team=""), texts=texts, values=values,
            errors=errors or {}, reference=reference_of(post),
            benchmarks=benchmark_options("", await services.vocabulary(), texts, services.config),
        )  # fmt: skip

    def _post(self, key: str, message_id: str) -> Post | None:
        """Return the post that was pressed; it reads the database."""
        outbox = self._bot.reporter.outbox
        return (outbox.by_key(key) if key else None) or outbox.by_message(NAME, message_id)

    async def _texts(self, user: str, post: Post | None) -> Texts:
        """Return the language of a press: that of what was pressed, where it is not English; else the person's."""
        if post is not None and language_of(post.message.text) == "zh":
            return Texts("zh")
        return Texts((await self._people.get(user)).language or "en")


def _place(post: Post | None, chat: str, message_id: str) -> Place:
    """Return the conversation that a press belongs to."""
    if post is not None:
        return post.place
    return Place(platform=NAME, channel=chat, thread=message_id)


def _toast(kind: str, text: str) -> Answer:
    return {"toast": {"type": kind, "content": text}}


def _raw(card: dict[str, Any]) -> Answer:
    return {"card": {"type": "raw", "data": card}}
