"""Secrets people paste into chat: found by their shape, so that they are never stored, logged or passed on."""

from __future__ import annotations

import re

REDACTED = "[redacted]"

_START = r"(?<![A-Za-z0-9_\-.])"
_OPENAI = (
    r"sk-(?:(?:proj|svcacct|admin|or-v1|lf)-[A-Za-z0-9_\-]{8,}|x{3,}(?![\w\-])|[A-Za-z0-9]{20,}|"
    r"(?=[A-Za-z_\-]{0,80}\d)[A-Za-z0-9_\-]{16,})"
)
_NAMED = (
    r"(?P<named>(?i:\b(?:api[ _-]?key|access[ _-]?key|secret|password|token)\b)[\"']?\s*(?:[=:]|\bis\b|是)?\s*[\"']?)"
    r"(?=[A-Za-z_\-]{0,80}\d)(?=[\d_\-]{0,80}[A-Za-z])[A-Za-z0-9_\-+/]{20,}"
)
_SHAPES: tuple[tuple[str, str], ...] = (
    ("anthropic_key", _START + r"sk-ant-[A-Za-z0-9_\-]{3,}"),
    ("openai_key", _START + _OPENAI),
    ("slack_token", _START + r"(?:xox[abeprs]|xapp)-[A-Za-z0-9\-]{8,}"),
    ("aws_key", _START + r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("jwt", _START + r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?"),
    ("github_token", _START + r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    ("huggingface_token", _START + r"hf_[A-Za-z0-9]{20,}"),
    ("bearer_token", r"(?i:\bbearer)\s+(?=[A-Za-z_\-.~+/=]{0,80}\d)[A-Za-z0-9_\-.~+/=]{16,}"),
    ("key_assignment", _NAMED),
)
_KINDS = tuple((kind, re.compile(shape, re.ASCII)) for kind, shape in _SHAPES)


def find_secrets(text: str) -> list[str]:
    """Return the kinds of secrets that stand in `text`, each once."""
    found = []
    for kind, shape in _KINDS:
        text, count = shape.subn(REDACTED, text)
        if count:
            found.append(kind)
    return found


def redact(text: str) -> str:
    """Return `text` with every secret replaced by `[redacted]`."""
    for _, shape in _KINDS:
        text = shape.sub(_hide, text)
    return text


def _hide(match: re.Match[str]) -> str:
    """Leave the name and the quote before a secret, so that the code it stands in can still be read."""
    return f"{match.groupdict().get('named', '')}{REDACTED}"
