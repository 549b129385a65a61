"""Every text a person reads, in English and Chinese. A key that one language lacks fails a test."""

from __future__ import annotations

from handlers.incoming import Language
from handlers.texts.en import TEXTS as EN
from handlers.texts.zh import TEXTS as ZH
from jobs.errors import ScopebotError
from jobs.models import Failure

CATALOGUES: dict[Language, dict[str, str]] = {"en": EN, "zh": ZH}


class Texts:
    """The texts of one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._catalogue = CATALOGUES[language]

    def __call__(self, key: str, /, **params: object) -> str:
        """Return a text with its facts filled in; raises KeyError for a key that is not there."""
        return self._catalogue[key].format(**params)

    def count(self, key: str, count: int, /, **params: object) -> str:
        """Return a text about so many: that of one has a key of its own."""
        return self(f"{key}.one" if count == 1 else key, count=count, **params)

    def error(self, error: ScopebotError | Failure) -> str:
        """Return what happened and what to do. Facts a text names and an error lacks read as "?"."""
        key = f"error.{error.code}"
        if "" in error.params.values() and f"{key}.none" in self._catalogue:  # there is none of what it lists
            key += ".none"
        template = self._catalogue.get(key, self._catalogue["error.unknown"])
        facts = {name: _phrase(self._catalogue, name, value) for name, value in error.params.items()}
        return " ".join(template.format_map(_Lenient(facts)).split())


class _Lenient(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "?"


def _phrase(catalogue: dict[str, str], name: str, value: object) -> object:
    """Return a fact as people read it: a reason has a text of its own where it has a key."""
    return catalogue.get(f"{name}.{value}", value)
