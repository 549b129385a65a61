"""What we hear, platform-neutral: who said what where, as text, as a click or as a form."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from jobs.models import Frozen

Language = Literal["en", "zh"]
UNOPENED = "new:"
"""What the thread of a place begins with that is named before it exists: the first post there opens it."""


class Place(Frozen):
    """Where a conversation happens. Without a thread it is the channel itself."""

    platform: str
    channel: str
    thread: str

    @property
    def unopened(self) -> bool:
        """Its thread is known by a name of ours: it hangs under the first thing that we post there."""
        return self.thread.startswith(UNOPENED)


class Request(Frozen):
    """What was asked for without words, as in a form: nothing of it has to be understood."""

    intent: str
    args: dict[str, JsonValue] = Field(default_factory=dict)


class Incoming(Frozen):
    """One message, click or form. `id` is unique for it, however often the platform delivers it."""

    id: str
    place: Place
    user: str
    text: str = ""
    button: str = ""
    """The id of the button that was pressed; empty for text."""
    post: str = ""
    """The key of the post that has the button: what starts something starts it once from each post."""
    request: Request | None = None
    """What a form or a shortcut asks for, in place of text."""
    kind: Literal["said", "edited", "deleted"] = "said"
    about: str = ""
    """The id of the message that was edited or deleted."""
    addressed: bool = True
    """It was said to us. False for what people write in a thread where they also talk to each other."""
    newly_addressed: bool = False
    """It is said to us since it was edited, and was not before."""
    direct: bool = False
    """In a conversation of this person and us alone."""
    unseen: bool = False
    """Nobody else saw that it was said, as with a slash command: an answer that starts nothing is for them alone."""
    reply_url: str = ""
    """Where the platform takes an answer for this person alone, for a while; empty where it has no such thing."""
    calls: dict[str, str] = Field(default_factory=dict)
    """How intents are called here whose own command the platform keeps for itself: {"help": "/scopebot help"}."""
    fills_forms: bool = False
    """The person can fill in a form that stands in a message."""
    language: Language | None = None
    """The person's own language, where the platform knows it."""
    timezone: str = ""
    """The person's time zone (IANA), where the platform knows it."""
    owns_machine: bool = False
    """The person sits at the machine Scopebot runs on: they may name its loopback endpoints."""

    @property
    def alone(self) -> bool:
        """Nobody saw it, and it is in no conversation: what it lacks is typed again with the whole of it."""
        return self.unseen and self.place.unopened

    @property
    def speaks(self) -> Language:
        """The language to answer in: that of what was said in words, else the person's own."""
        if language_of(self.text) == "zh":
            return "zh"
        wordless = not self.text or self.text.startswith("/")
        return (self.language or "en") if wordless else "en"


def language_of(text: str) -> Language:
    """Chinese if the text has a Chinese character, else English."""
    return "zh" if any("\u4e00" <= char <= "\u9fff" for char in text) else "en"
