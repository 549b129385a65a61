"""Logs hold no token, whoever wrote it into an error."""

from __future__ import annotations

import pytest

from bot.logs import without_secrets


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("401, url='wss://wss.slack.com/link?ticket=abc-123&app_id=A1'", "app_id=A1"),
        ("{'Authorization': 'Bearer xoxb-12-34-abc'}", "Authorization"),
        ("token xapp-1-A1-22-ff is bad", "is bad"),
        ("POST https://hooks.slack.com/commands/T1/22/ff failed", "failed"),
    ],
)
def test_what_stands_for_a_token_is_left_out(said: str, kept: str) -> None:
    event = without_secrets(None, "warning", {"reason": said, "wait": 1.0})
    assert kept in event["reason"]
    assert not any(secret in event["reason"] for secret in ("abc-123", "xoxb-", "xapp-1", "T1/22/ff", "34-abc"))
