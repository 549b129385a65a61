"""What is offered where a request lacks something: registered models, and benchmarks for what is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from handlers.context import Context
from handlers.intents.lexicon import TAGS
from handlers.message import Button, Buttons, Message, Part
from handlers.reply import Reply

PICK = "pick:"
"""How the id of a button begins that says the word behind it, as an answer to what was asked."""
MOST = 8
"""Things that are offered at once."""
TYPICAL = ("gsm8k", "mmlu", "ceval", "humaneval", "ifeval")
"""Benchmarks that are offered where nothing was said of what is needed."""
NEEDS: Mapping[str, tuple[str, ...]] = {
    "Math": ("gsm8k", "math_500", "aime24", "competition_math"),
    "Reasoning": ("gsm8k", "math_500", "aime24", "bbh"),
    "Coding": ("humaneval", "mbpp", "live_code_bench"),
    "Knowledge": ("mmlu", "ceval", "cmmlu", "mmlu_pro"),
    "MCQ": ("mmlu", "ceval", "cmmlu", "mmlu_pro"),
    "Chinese": ("ceval", "cmmlu", "chinese_simpleqa"),
    "MultiModal": ("mmmu", "mm_bench", "math_vista"),
    "InstructionFollowing": ("ifeval", "multi_if"),
    "FunctionCalling": ("bfcl_v3", "bfcl_v4"),
    "LongContext": ("needle_haystack", "longbench_v2"),
    "Agent": ("tau_bench",),
    "Hallucination": ("truthful_qa", "halueval", "simple_qa"),
    "Commonsense": ("hellaswag", "winogrande", "piqa"),
    "MultiLingual": ("mgsm", "mmmlu"),
    "TextToImage": ("general_t2i", "tifa160", "genai_bench"),
}
"""EvalScope's tag → benchmarks that are usual for it."""


def ask_which_model(context: Context, key: str) -> Reply:
    """Ask for the model; `key` is the question's text, which has another where none is registered."""
    registered = list(context.services.config.models)
    text = context.texts(key if registered else f"{key}.none", models=", ".join(registered))
    return Reply(Message(text=text, parts=picks(registered)), waits=True, missing="model")


def ask_which_benchmark(context: Context) -> Reply:
    """Ask for the benchmark, with those that are usual for what the message needs."""
    needs = [tag for tag, pattern in TAGS if tag in NEEDS and pattern.search(context.incoming.text)]
    names = list(dict.fromkeys(name for tag in needs for name in NEEDS[tag]))
    key = "ask.which_datasets.need" if names else "ask.which_datasets"
    text = context.texts(key, names=", ".join(names[:MOST]), needs=", ".join(needs))
    return Reply(Message(text=text, parts=picks(names or TYPICAL)), waits=True, missing="datasets")


def picks(names: Iterable[str]) -> tuple[Part, ...]:
    """Return buttons that say a name each, as an answer."""
    buttons = tuple(Button(id=f"{PICK}{name}", label=name) for name in list(filter(None, names))[:MOST])
    return (Buttons(items=buttons),) if buttons else ()


def without_picks(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return a message's parts without the buttons that answer: nothing waits for an answer."""
    return tuple(part for part in parts if not (isinstance(part, Buttons) and part.items[0].id.startswith(PICK)))
