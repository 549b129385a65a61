"""Signed links: whoever has one sees one run's page, or only its report, for 30 days.

A report holds scripts that a model may have written, and they can read their own address. So a report's link
carries a token that opens the report and nothing else.
"""

from __future__ import annotations

import hashlib
import time

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

DAY = 24 * 3600
LIFETIME = 30 * DAY
"""Seconds a link opens its page."""

_PAGE, _REPORT = "page", "report"


class LinkError(Exception):
    """A link opens nothing."""


class LinkExpired(LinkError):
    """The link was good and is too old."""


class LinkInvalid(LinkError):
    """The link was never good for this page, or was cut off on its way."""


class Links:
    """Makes links to runs, and checks them."""

    def __init__(self, secret_key: str, public_url: str) -> None:
        self.public_url = public_url
        """Where people reach the bot; set again once the web server knows its own port."""
        signing = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        self._tokens: dict[tuple[int, str], str] = {}
        self._day = 0
        self._serializer = URLSafeTimedSerializer(secret_key, salt="scopebot link", signer_kwargs=signing)

    @property
    def base(self) -> str:
        """What every address of ours begins with."""
        return self.public_url.rstrip("/")

    def run_url(self, run_id: int) -> str:
        """Return the link to a run's page; it opens the report too."""
        return f"{self.base}/runs/r{run_id}?t={self._token(run_id, _PAGE)}"

    def report_url(self, run_id: int) -> str:
        """Return the link to a run's HTML report; it opens nothing else."""
        return f"{self.base}/runs/r{run_id}/report?t={self._token(run_id, _REPORT)}"

    def check(self, run_id: int, token: str, *, report: bool = False) -> None:
        """Raise `LinkInvalid` or `LinkExpired` unless the token opens the page (or with `report` that)."""
        try:
            opens = self._serializer.loads(token, max_age=LIFETIME)
        except SignatureExpired as error:
            raise LinkExpired from error
        except BadData as error:
            raise LinkInvalid from error
        if opens not in ([run_id, _PAGE], [run_id, _REPORT] if report else None):
            raise LinkInvalid

    def _token(self, run_id: int, page: str) -> str:
        """Return the day's token: a message that says the same has the same link."""
        if self._day != (today := int(time.time()) // DAY):
            self._day, self._tokens = today, {}
        if (run_id, page) not in self._tokens:
            token = self._serializer.dumps([run_id, page])
            self._tokens[run_id, page] = token if isinstance(token, str) else token.decode()
        return self._tokens[run_id, page]
