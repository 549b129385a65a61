"""How well requests are understood: labelled sentences, read by the grammar, by a language model, and by both.

`first.jsonl` is for developing on; `second.jsonl` was written by somebody who had not read the grammar, and is
frozen by its hash. Any server of OpenAI's kind can be measured (OPENAI_BASE_URL, OPENAI_API_KEY,
SCOPEBOT_LLM_MODEL); without one, the grammar alone. A dangerous start is a run that would begin (or be
cancelled), unasked, from a message that asks for none.

Bounds on the second part, for the grammar alone: intent ≥ 95 %, intent and all values ≥ 85 %, out of scope found
≥ 97 %, no dangerous start, p99 ≤ 10 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]

from common import check, finish  # noqa: E402 - found by the path above

from bot.classifier import WITHIN, Classifier  # noqa: E402
from bot.settings import BotSettings  # noqa: E402
from handlers.intents.combine import CHANGES, combine  # noqa: E402
from handlers.intents.parsed import Parsed, Vocabulary  # noqa: E402
from handlers.understand import understand  # noqa: E402
from jobs.catalog import snapshot  # noqa: E402

MODELS = frozenset({"prod", "qwen-plus", "qwen-turbo", "smollm2", "deepseek-v3"})
VOCABULARY = Vocabulary(snapshot(), models=MODELS)
HASHES = HERE / "frozen.sha256"
INTENT, EXACT, OUT_OF_SCOPE, P99_MS = 0.95, 0.85, 0.97, 10.0


@dataclass(frozen=True)
class Case:
    """A sentence and what it asks for."""

    text: str
    intent: str
    args: Mapping[str, Any]
    more: tuple[tuple[str, Mapping[str, Any]], ...]
    lang: str
    kind: str
    args_any: bool
    """Only the intent is labelled."""

    @classmethod
    def of(cls, line: str) -> Case:
        """Read one line."""
        said = json.loads(line)
        more = tuple((each["intent"], each["args"]) for each in said.get("more", ()))
        any_args = bool(said.get("args_any"))
        return cls(said["text"], said["intent"], said["args"], more, said["lang"], said["kind"], any_args)


@dataclass(frozen=True)
class Read:
    """How one sentence was read, and how long that took."""

    parsed: Parsed
    seconds: float


def right(case: Case, parsed: Parsed) -> bool:
    """Tell whether a reading has the intent and all values, of each request of the sentence."""
    wanted = [(case.intent, case.args), *case.more]
    found = [(one.intent, one.args) for one in (parsed, *parsed.more)]
    if case.args_any or case.intent == "none":
        return found[0][0] == case.intent
    return len(found) == len(wanted) and all(
        intent == other and same(args, values) for (intent, args), (other, values) in zip(wanted, found, strict=True)
    )


def same(wanted: Any, found: Any) -> bool:
    """Tell whether two values are the same, lists of names in any order, and 0.0 as 0."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return wanted.keys() == found.keys() and all(same(value, found[name]) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        if all(isinstance(each, str) for each in wanted):
            return sorted(wanted) == sorted(map(str, found))
        return len(wanted) == len(found) and all(map(same, wanted, found))
    if isinstance(wanted, list) != isinstance(found, list):
        one, several = (found, wanted) if isinstance(wanted, list) else (wanted, found)
        return len(several) == 1 and same(one, several[0])
    return bool(wanted == found)


def slots(args: Mapping[str, Any]) -> Counter[str]:
    """Return each value of a request under its name."""
    found: Counter[str] = Counter()
    for name, value in args.items():
        for each in value if isinstance(value, list) else [value]:
            found[f"{name}={json.dumps(each, sort_keys=True)}"] += 1
    return found


def dangerous(case: Case, parsed: Parsed) -> bool:
    """Tell whether a reading starts, stops or changes something, unasked, that nobody asked for."""
    if case.kind not in {"out_of_scope", "injection"} and case.intent != "none":
        return False
    return any(one.intent in CHANGES and not one.doubt and not one.missing for one in (parsed, *parsed.more))


def figures(cases: Sequence[Case], reads: Sequence[Read]) -> dict[str, float]:
    """Return the figures of one way of reading."""
    pairs = list(zip(cases, reads, strict=True))
    out = [(case, read) for case, read in pairs if case.intent == "none"]
    wanted, found, both = 0, 0, 0
    for case, read in pairs:
        if case.intent != "none" and not case.args_any:
            mine, theirs = slots(case.args), slots(read.parsed.args if read.parsed.intent == case.intent else {})
            wanted, found, both = wanted + mine.total(), found + theirs.total(), both + (mine & theirs).total()
    times = sorted(read.seconds for read in reads)
    return {
        "intent": sum(read.parsed.intent == case.intent for case, read in pairs) / len(pairs),
        "exact": sum(right(case, read.parsed) for case, read in pairs) / len(pairs),
        "slot F1": 2 * both / (wanted + found) if wanted + found else 1.0,
        "out of scope": sum(read.parsed.intent == "none" for _, read in out) / len(out) if out else 1.0,
        "dangerous": float(sum(dangerous(case, read.parsed) for case, read in pairs)),
        "p50 ms": 1000 * times[len(times) // 2],
        "p99 ms": 1000 * times[min(len(times) - 1, int(0.99 * len(times)))],
    }


def by_grammar(cases: Sequence[Case]) -> list[Read]:
    """Read with the grammar alone, each sentence after a first time that fills caches."""
    understand("evaluate prod on gsm8k", VOCABULARY)
    reads = []
    for case in cases:
        began_at = time.perf_counter()
        parsed = understand(case.text, VOCABULARY)
        reads.append(Read(parsed, time.perf_counter() - began_at))
    return reads


async def by_model(cases: Sequence[Case], classifier: Classifier) -> list[Read]:
    """Read with the model alone; what it does not answer is none."""
    reads = []
    for case in cases:
        began_at = time.perf_counter()
        parsed = await classifier.classify(case.text, VOCABULARY)
        reads.append(Read(parsed or Parsed(intent="none", question="failed"), time.perf_counter() - began_at))
    return reads


def together(grammar: Sequence[Read], model: Sequence[Read]) -> list[Read]:
    """Read with both, as the bot does."""
    return [
        Read(
            combine(mine.parsed, None if theirs.parsed.question == "failed" else theirs.parsed)
            if mine.parsed.by == "grammar"
            else mine.parsed,
            mine.seconds + theirs.seconds,
        )
        for mine, theirs in zip(grammar, model, strict=True)
    ]  # fmt: skip


def show(name: str, cases: Sequence[Case], reads: Sequence[Read]) -> dict[str, float]:
    """Print the figures, in all and for each language."""
    for language in ("all", "en", "zh", "mixed"):
        chosen = [number for number, case in enumerate(cases) if language in {"all", case.lang}]
        if chosen:
            found = figures([cases[n] for n in chosen], [reads[n] for n in chosen])
            row = "  ".join(f"{key} {value:.3f}" for key, value in found.items())
            print(f"{name:8} {language:6} {len(chosen):4}  {row}")
    return figures(cases, reads)


def compare(cases: Sequence[Case], grammar: Sequence[Read], both: Sequence[Read]) -> None:
    """Print who decided, and how often the model's word helped or hurt."""
    print("decided by:", dict(Counter(read.parsed.by for read in both)))
    helped = hurt = asked = weak = mended = 0
    for case, mine, ours in zip(cases, grammar, both, strict=True):
        before, after = right(case, mine.parsed), right(case, ours.parsed)
        helped, hurt = helped + (after and not before), hurt + (before and not after)
        asked += bool(ours.parsed.doubt)
        if case.intent != "none" and (not before or mine.parsed.missing):
            weak += 1
            mended += after
    print(f"the model helped {helped} times and hurt {hurt}; {asked} are asked about")
    print(f"of {weak} that the grammar reads wrong or asks about, the model mends {mended}")


def failures(cases: Sequence[Case], reads: Sequence[Read]) -> None:
    """Print what was read wrong."""
    for case, read in zip(cases, reads, strict=True):
        if not right(case, read.parsed):
            requests = [(one.intent, one.args) for one in (read.parsed, *read.parsed.more)]
            print(f"  {case.kind:12} {case.text}\n    wanted {case.intent} {dict(case.args)}\n    read   {requests}")


def load(part: str) -> list[Case]:
    """Return a part; the second one only as it was frozen."""
    path = HERE / f"{part}.jsonl"
    content = path.read_bytes()
    frozen = dict(line.split()[::-1] for line in HASHES.read_text().splitlines()) if HASHES.exists() else {}
    if path.name in frozen and hashlib.sha256(content).hexdigest() != frozen[path.name]:
        raise SystemExit(f"{path.name} is not what was frozen")
    return [Case.of(line) for line in content.decode().splitlines() if line.strip()]


def measure(part: str, *, verbose: bool, with_llm: bool, within: float) -> int:
    """Measure and print."""
    cases = load(part)
    groups: dict[str, int] = defaultdict(int)
    for case in cases:
        groups[case.kind] += 1
    print(f"{part}: {len(cases)} sentences, {dict(groups)}")
    grammar = by_grammar(cases)
    found = show("grammar", cases, grammar)
    if verbose:
        failures(cases, grammar)
    classifier = Classifier(BotSettings(), within=within)
    if with_llm and classifier.used:
        model = asyncio.run(by_model(cases, classifier))
        both = together(grammar, model)
        show("model", cases, model)
        best = show("both", cases, both)
        compare(cases, grammar, both)
        if verbose:
            failures(cases, both)
        print(f"dangerous starts with both: {best['dangerous']:.0f}")
    return finish([
        check("intents missed", 100 * (1 - found["intent"]), "%", 100 * (1 - INTENT)),
        check("requests not exact", 100 * (1 - found["exact"]), "%", 100 * (1 - EXACT)),
        check("out of scope missed", 100 * (1 - found["out of scope"]), "%", 100 * (1 - OUT_OF_SCOPE)),
        check("dangerous starts", found["dangerous"], "starts", 0.0),
        check("p99", found["p99 ms"], "ms", P99_MS),
    ])  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("part", nargs="?", default="second", choices=["first", "second"])
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--no-llm", action="store_true")
    parser.add_argument("--within", type=float, default=WITHIN, help="seconds that the model may take, as on a CPU")
    given = parser.parse_args()
    sys.exit(measure(given.part, verbose=given.verbose, with_llm=not given.no_llm, within=given.within))
