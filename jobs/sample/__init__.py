"""Describe the sample benchmark: two small, very easy data sets that need no network.

* ``sample_mcq``: multiple-choice questions for EvalScope's ``general_mcq``,
* ``sample_qa``: questions with a one-word answer for EvalScope's ``general_qa``,

each with an English (``en``) and a Chinese (``zh``) subset, written for this project. Any good model gets
close to 100 % on both; a very small one gets part of ``sample_qa`` right.

EvalScope's Rouge compares English answers word by word, letter case and punctuation included ("Paris." is
not "Paris"). So ``sample_qa`` asks only for names, numbers in digits and lower-case words, and its filters
take the first sentence of an answer, or what the answer puts in bold, without punctuation around it.
``general_qa`` gives each question to the model as it stands (it applies no prompt template), so each question
says itself what form of answer it wants.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLE_ROOT = Path(__file__).resolve().parent

# {letters} becomes "A,B,C,D"; EvalScope reads the letter after the last "ANSWER:" of a reply.
MCQ_PROMPT_TEMPLATE = (
    "Choose the right answer. Reply in the format 'ANSWER: [LETTER]', where [LETTER] is one of {letters}.\n"
    "请选出正确答案，并按 'ANSWER: [LETTER]' 的格式回复。\n\n"
    "{question}\n\n"
    "{choices}"
)
QA_PROMPT_TEMPLATE = "{question}"

# The first words in bold, if any; else the first sentence. Either without quotes and full stops around it.
QA_ANSWER_PATTERN = (
    r"^(?:[\s\S]*?\*\*([^*\n]*[^*\n.:。：])[.。]?\*\*"
    r"|[\s*\"'“”‘’「」]*([^.!?。！？\n]*[^.!?。！？\n\s*\"'“”‘’「」]))"
)


@dataclass(frozen=True)
class SampleDataset:
    """Hold one sample data set and how EvalScope is to load it.

    ``subsets`` maps each subset to its number of samples; ``dataset_args`` is the value that belongs under
    ``benchmark`` in EvalScope's own ``dataset_args``.
    """

    name: str
    benchmark: str
    subsets: dict[str, int]
    dataset_args: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Return the folder that holds the files ``<subset>_<split>.jsonl``."""
        return Path(self.dataset_args["local_path"])

    @property
    def total(self) -> int:
        """Return the number of samples in all subsets."""
        return sum(self.subsets.values())


SAMPLE_DATASETS: dict[str, SampleDataset] = {
    "sample_mcq": SampleDataset(
        name="sample_mcq",
        benchmark="general_mcq",
        subsets={"en": 32, "zh": 20},
        dataset_args={
            "local_path": str(SAMPLE_ROOT / "mcq"),
            "subset_list": ["en", "zh"],
            "prompt_template": MCQ_PROMPT_TEMPLATE,
            "few_shot_num": 0,
        },
    ),
    "sample_qa": SampleDataset(
        name="sample_qa",
        benchmark="general_qa",
        subsets={"en": 34, "zh": 22},
        dataset_args={
            "local_path": str(SAMPLE_ROOT / "qa"),
            "subset_list": ["en", "zh"],
            "prompt_template": QA_PROMPT_TEMPLATE,
            "few_shot_num": 0,
            "metric_list": ["Rouge"],
            "filters": {"remove_until": "</think>", "regex": {"regex_pattern": QA_ANSWER_PATTERN}},
        },
    ),
}

PROMPTS = "prompts"
"""The name of the prompts that a stress test sends where none are named: forty of this project's own writing."""
PROMPTS_FILE = SAMPLE_ROOT / "prompts" / "prompts.txt"
"""One prompt a line, English and Chinese."""
