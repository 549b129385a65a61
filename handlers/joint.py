"""The result of a request as it stands in the store, with what its runs were gone on with."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.context import Links
from handlers.group_cards import joint_result
from handlers.message import Message
from handlers.texts import Texts
from jobs.models import Run
from jobs.store import Store


def result_of(runs: Sequence[Run], store: Store, texts: Texts, links: Links) -> Message:
    """Return the result message of one request's runs, all of them ended. It reads the database."""
    return joint_result(runs, texts, links, followed=store.followers(runs), beside=store.asked_with(runs))
