"""Answers in words to a question that has buttons: "yes", "never mind", "2", "继续", or what a button says."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from dataclasses import replace

from handlers.context import Services
from handlers.incoming import Incoming, Place
from handlers.intents.clean import clean
from handlers.intents.numbers import to_int
from handlers.open_requests import OpenRequests
from handlers.paused import GO_ON, STOP, button_id, decide, is_at
from handlers.perform import guarded
from handlers.questions import CANCEL, Option, Question, Questions
from handlers.reply import Reply
from handlers.submit import answer
from handlers.texts import Texts
from jobs.lifecycle import RunState
from jobs.models import Run
from jobs.store import Store

LONGEST = 100
"""Characters of an answer in words."""

_YES = (
    "yes|yeah|yep|yup|y|sure|sure thing|ok|okay|k|fine|all right|alright|right|correct|agreed|lgtm|sounds good|"
    "of course|go|go ahead|go for it|run|run it|do it|do that|do so|start|start it|confirm|confirmed|proceed|"
    "+1|👍|👌|✅|"
    "是|是的|对|对的|好|好的|行|可以|可以的|确认|确定|同意|没问题|嗯|跑|运行|开始|来吧|当然"
)
_NO = (
    "no|nope|nah|n|cancel|cancel it|cancel that|never mind|nevermind|nvm|stop|stop it|don't|dont|do not|don't run|"
    "don't do it|don't do that|do not run|do not start|don't start|abort|forget it|forget about it|leave it|not now|"
    "rather not|better not|skip it|-1|👎|❌|"
    "不|不是|不了|不要|不要了|不用|不用了|不行|不跑|不跑了|别|别跑|别跑了|取消|取消掉|算了|否|停|停止|先不|先不跑|先不跑了"
)
_GO_ON = "go on|continue|carry on|keep going|继续|继续跑|接着跑|继续运行"
_STOP = "stop|stop it|no more|停|停止|停下|停下来|停掉|终止"
_CANCEL = "cancel|cancel it|cancel that|abort|取消|取消掉"
_POLITE = "please|pls|plz|thanks|thank you|thx|ty|then|now|just|it|吧|了|啊|呀|呢|哈|谢谢|谢了|请|就|那|一下"
_BUT = "oh|well|sorry|actually|ok|okay|hm|hmm|哦|嗯|好|好的|抱歉"
"""What may stand before a "no" without making a "yes" of it."""
_GAP = re.compile(r"[\s,.!?;:~。，！？；：、…()\"\u200d\ufe0f\U0001f3fb-\U0001f3ff]+")
_NTH = re.compile(r"(?:(?:option|number|no|choice) |选|第)?#?(\d{1,2}|[一二三四五六七八九])(?: ?(?:个|项|号|吧))?")


def _said(meant: str, before: str = _POLITE) -> re.Pattern[str]:
    """Return the pattern of a message that is nothing but what is meant and what may stand beside it.

    The longest way to read on is the only one that is tried, so that no text takes long.
    """
    after = _any(f"{meant}|{_POLITE}")
    return re.compile(rf"(?:(?!{_any(meant)}){_any(before)} ?)*+(?:{_any(meant)} ?)(?:{after} ?)*+")


def _any(words: str) -> str:
    """Return the pattern of the longest of the words that stands here."""
    longest = sorted(words.split("|"), key=len, reverse=True)
    return f"(?>{'|'.join(re.escape(word) + ('(?![a-z])' if word.isascii() else '') for word in longest)})"


_SAYS_YES = _said(_YES)
_SAYS_NO = _said(_NO, f"{_POLITE}|{_BUT}")
_SAYS_GO_ON = _said(f"{_GO_ON}|{_YES}")
_SAYS_STOP = _said(f"{_STOP}|{_NO}", f"{_POLITE}|{_BUT}")
_SAYS_CANCEL = _said(_CANCEL, f"{_POLITE}|{_BUT}")


async def answer_in_words(incoming: Incoming, services: Services) -> list[Reply] | None:
    """Return what comes of a message that answers the person's open question; None for one that answers none."""
    said = _folded(incoming.text)
    if not said or len(said) > LONGEST:
        return None
    question = await asyncio.to_thread(open_question, incoming, services.store)
    option = None if question is None else chosen(said, question)
    if question is not None and option is not None:
        press = incoming.model_copy(update={"button": f"q{question.id}:{option.id}", "place": question.place})
        reply = await guarded(answer(press, services), Texts(question.language))
        return [at(reply, question.place, incoming)]
    decision = decided(said)
    if decision is None:
        return None
    replies = []
    for run, place in await asyncio.to_thread(_paused, incoming, services.store):
        press = incoming.model_copy(update={"button": button_id(run, decision), "place": place})
        replies.append(at(await guarded(decide(press, services), Texts(incoming.speaks)), place, incoming))
    return replies or None


def at(reply: Reply, place: Place, incoming: Incoming) -> Reply:
    """Return a reply that belongs to a place, wherever the message came from."""
    return reply if place == incoming.place else replace(reply, place=place)


def chosen(said: str, question: Question) -> Option | None:
    """Return the option that a message takes: the first by a yes, the last by a no, any by its number or label."""
    said = _folded(said)
    for option in question.options:
        if option.label and said == _folded(option.label):
            return option
    nth = _NTH.fullmatch(said)
    if nth is not None:
        number = to_int(nth[1]) or 0
        return question.options[number - 1] if 0 < number <= len(question.options) else None
    if _SAYS_NO.fullmatch(said):
        return next((option for option in question.options if option.id == CANCEL), None)
    return question.options[0] if _SAYS_YES.fullmatch(said) else None


def decided(said: str) -> str | None:
    """Return what a message decides about a paused run: to go on, or to stop it; None where it does not say."""
    said = _folded(said)
    if _SAYS_CANCEL.fullmatch(said):  # a request of its own, which may mean more than what is paused
        return None
    if _SAYS_GO_ON.fullmatch(said):
        return GO_ON
    return STOP if _SAYS_STOP.fullmatch(said) else None


def open_question(incoming: Incoming, store: Store) -> Question | None:
    """Return the question that a word can answer: none where something else was asked since."""
    question = Questions(store.engine).open_to(incoming)
    asked = OpenRequests(store.engine).of(incoming)
    return None if question is not None and asked is not None and asked.asked_at > question.asked_at else question


def _paused(incoming: Incoming, store: Store) -> list[tuple[Run, Place]]:
    """Return the person's paused runs that are asked about in one place, the newest such place in a direct one."""
    channel = (incoming.place.platform, incoming.place.channel)
    found: list[tuple[Run, Place]] = []
    for run in store.runs(states=[RunState.PAUSED], channel=channel, limit=100):
        group = store.group(run.group_id)
        place = Place(platform=group.platform, channel=group.channel, thread=group.thread)
        wanted = found[0][1] if found else place if incoming.direct else incoming.place
        if run.user == incoming.user and is_at(group, wanted):
            found.append((run, place))
    return found[::-1]


def _folded(text: str) -> str:
    """Return a message without its punctuation, in small letters."""
    return _GAP.sub(" ", unicodedata.normalize("NFC", clean(text).casefold())).strip()
