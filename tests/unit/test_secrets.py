"""Secrets in chat are found by their shape, model names are not taken for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.intents.secrets import REDACTED, find_secrets, redact

SECRETS = [
    ("openai_key", "sk-abcdEFGH1234567890abcdEFGH"),
    ("openai_key", "sk-proj-Ab1_cdEFGH1234567890"),
    ("openai_key", "sk-abcdefghijklmnopqrstuvwx"),
    ("openai_key", "sk-xxx"),
    ("anthropic_key", "sk-ant-api03-abcDEF_123-xyz"),
    ("slack_token", "xoxb-123456789012-abcdefABCDEF"),
    ("slack_token", "xoxp-123456789012-abcdefABCDEF"),
    ("slack_token", "xapp-1-A012-345-abcdef"),
    ("aws_key", "AKIAIOSFODNN7EXAMPLE"),
    ("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"),
    ("github_token", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
    ("huggingface_token", "hf_abcdefghijklmnopqrstuvwxyz01"),
    ("bearer_token", "Bearer abcdef0123456789abcdef"),
    ("bearer_token", "Authorization: bearer abcdef0123456789abcdef=="),
    ("key_assignment", "api_key=0123456789abcdef0123456789abcdef"),
    ("key_assignment", "my API key is 0123456789abcdef0123"),
    ("key_assignment", 'password: "correcthorse1batterystaple"'),
]


@pytest.mark.parametrize(("kind", "secret"), SECRETS)
@pytest.mark.parametrize("around", ["{}", "use {} please", "密钥是{}。", '"{}"', "--api-key {}", "key={},"])
def test_a_secret_is_found_and_taken_out(kind: str, secret: str, around: str) -> None:
    text = around.format(secret)
    assert kind in find_secrets(text)
    assert secret not in redact(text)
    assert REDACTED in redact(text)
    assert find_secrets(redact(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn",
        "scikit-learn and sk-learn-extra",
        "risk-abcdefgh12345678901234",
        "task-123",
        "desk-1234567890123456789",
        "Qwen/Qwen2.5-7B-Instruct",
        "deepseek-r1-distill-qwen-32b-20250120",
        "hf_hub",
        "max_tokens=512",
        "eyJ",
        "xoxo-love",
        "the bearer of this",
        "bearer authentication scheme",
        "with key prod-openai",
        "api key name prod-openai-team-1",
        "token: qwen-plus",
        "sk-learn-is-a-library-people-use",
        "ghp_short",
        "AKIA",
        "评测 qwen-plus，100 条",
        "evaluate sk-model on gsm8k",
        "api_key=EMPTY",
        "--api-key $DASHSCOPE_API_KEY",
    ],
)
def test_what_is_no_secret(text: str) -> None:
    assert find_secrets(text) == []
    assert redact(text) == text


@given(st.text(max_size=200), st.sampled_from([secret for _, secret in SECRETS]), st.text(max_size=200))
def test_a_secret_between_blanks_is_never_left(before: str, secret: str, after: str) -> None:
    assert secret not in redact(f"{before} {secret} {after}")
