"""The grammar on all sentences of bench/intents: as good as it was, and nothing starts that nobody asked for."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    sys.path.insert(0, str(BENCH))
    spec = importlib.util.spec_from_file_location("bench_intents", BENCH / "intents" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", ["first", "second"])
def test_the_labelled_sentences_are_read_as_their_writers_meant_them(bench: ModuleType, part: str) -> None:
    cases = bench.load(part)
    found = bench.figures(cases, bench.by_grammar(cases))
    assert len(cases) >= 200
    assert found["intent"] >= 0.98
    assert found["exact"] >= 0.95
    assert found["out of scope"] >= 0.98
    assert found["dangerous"] == 0


def test_a_frozen_part_that_was_changed_is_not_measured(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "second.jsonl").write_text((BENCH / "intents" / "second.jsonl").read_text() + "\n")
    monkeypatch.setattr(bench, "HERE", tmp_path)
    with pytest.raises(SystemExit, match="not what was frozen"):
        bench.load("second")
