"""`make demo` prints what the README says it prints, but for what differs from run to run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.real_model

VARIES = (
    (r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:PORT"),
    (r"t=[\w.-]+", "t=TOKEN"),
    (r"\d+(\.\d+)? s\b", "N s"),
    (r"\d+ min N s", "N s"),
    (r"([Ww]orker) +\S+", r"\1 NAME"),
    (r'"local_path": "[^"]*/jobs/sample', '"local_path": "…/jobs/sample'),
    (r"NLTK_DATA=\S+", "NLTK_DATA=…"),
    (r"^# python.*$", "# VERSIONS"),
    (r"[ \t]+", " "),
)


def steady(text: str) -> str:
    for pattern, instead in VARIES:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return text.strip()


def test_the_readme_shows_what_the_demo_prints() -> None:
    shown = re.search(r"<!-- demo -->\n```\n(.*?)```\n<!-- /demo -->", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    demo = subprocess.run(
        [sys.executable, "scripts/demo.py"], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=150, check=False,
    )  # fmt: skip
    assert demo.returncode == 0, demo.stderr
    assert steady(demo.stdout).splitlines() == steady(shown[1]).splitlines()
