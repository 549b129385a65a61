"""A RAG evaluation in a sentence: which tool, which models in which part, which tasks, metrics and files."""

from __future__ import annotations

import re

from pydantic import JsonValue

from handlers.intents.lexicon import FLAGS, STOP
from handlers.intents.names import mask, mentions, wanted
from handlers.intents.numbers import NUMBER, to_int
from handlers.intents.parsed import Vocabulary

_TOOLS = (
    ("RAGAS", re.compile(r"\bragas\b", FLAGS)),
    ("MTEB", re.compile(r"\b(?:c-)?mteb\b", FLAGS)),
    ("clip_benchmark", re.compile(r"\bclip[\s_\-]?bench(?:mark)?\b", FLAGS)),
)
_METRICS = {
    "Faithfulness": r"faithful(?:ness)?|忠实(?:度|性)|可信度",
    "AnswerRelevancy": r"answer[\s_\-]?relevanc[ye]|(?:答案|回答)(?:的)?相关(?:性|度)",
    "ContextPrecision": r"context[\s_\-]?precision|上下文(?:的)?(?:精|准)(?:确|准)(?:率|度)",
    "ContextRecall": r"context[\s_\-]?recall|上下文召回(?:率)?",
    "ContextRelevance": r"context[\s_\-]?relevanc[ye]|上下文(?:的)?相关(?:性|度)",
    "AnswerCorrectness": r"answer[\s_\-]?correctness|(?:答案|回答)(?:的)?正确(?:性|率)",
    "AnswerSimilarity": r"answer[\s_\-]?similarity|(?:答案|回答)(?:的)?相似(?:性|度)",
    "FactualCorrectness": r"factual[\s_\-]?correctness|事实(?:的)?正确(?:性|率)",
    "NoiseSensitivity": r"noise[\s_\-]?sensitivity|噪声敏感(?:性|度)",
}
_METRIC_WORDS = tuple((name, re.compile(rf"(?<![\w]){said}(?![A-Za-z])", FLAGS)) for name, said in _METRICS.items())
_TASK = re.compile(
    r"(?<![\w\-/.])(?:[A-Z][A-Za-z0-9]*(?:Retrieval(?:PL)?|Classification|Clustering(?:P2P|S2S)?|Reranking|STS|BitextMining|"
    r"Summarization|PairClassification|Duplicates)|STS\d{0,2}B?|(?:LCQMC|PAWSX|AFQMC|ATEC|BQ|QBQTC|TNews|IFlyTek|OnlineShopping|"
    r"Waimai|JDReview|T2Reranking|MMarcoReranking|CMedQAv[12]|NFCorpus|SciFact|FiQA2018|ArguAna|SCIDOCS|TRECCOVID|HotpotQA|"
    r"MSMARCO|FEVER|Touche2020|Quora|NQ|DBPedia|ClimateFEVER|Cmnli|Ocnli))(?![\w\-])",
    re.ASCII,
)
_TASKS_SPELT = {
    name.lower(): name
    for name in (
        "T2Retrieval", "T2Reranking", "MMarcoRetrieval", "MMarcoReranking", "DuRetrieval", "CovidRetrieval",
        "CmedqaRetrieval", "EcomRetrieval", "MedicalRetrieval", "VideoRetrieval", "TNews", "IFlyTek", "STSBenchmark",
        "Banking77Classification", "AmazonReviewsClassification", "NFCorpus", "SciFact", "ArguAna",
    )
}  # fmt: skip
_SPELT = re.compile(rf"(?<![\w\-/.])(?:{'|'.join(_TASKS_SPELT)})(?![\w\-])", FLAGS)
"""Tasks that people write in small letters."""
_FILE = re.compile(
    r"(?<![\w/.\-])(?:[\w.\-]*/)*[\w\u4e00-\u9fff\-]+(?:\.[\w\-]+)*\.(?P<kind>jsonl?|csv|parquet|pdf|md|txt|docx?|html)(?![\w/])",
    FLAGS,
)
_ID = r"[A-Za-z][\w.\-]+(?:/[\w.\-]+)?"
_NO_NAME = r"(?!(?:model|by|from|with|on|using|and|for)\b)"
_IS = r"\s*(?:is|=|:|from|by|with|using|用|为|是|选)?\s*"
_ROLES: tuple[tuple[str, str, str], ...] = (
    ("critic_llm", r"critic(?:[\s_]+(?:llm|model))?|judge(?:\s+model)?", r"评[判审估](?:模型)?|裁判(?:模型)?"),
    ("generator_llm", r"generator(?:[\s_]+(?:llm|model))?", "生成(?:用的)?(?:大)?(?:模型)?"),
    ("reranker", r"rerank(?:er|ing)?(?:\s+model)?", r"重排(?:序)?(?:模型|器)?"),
    ("embeddings", r"embeddings?(?:\s+model)?", r"(?:向量|嵌入)(?:模型)?"),
)
"""Which model plays which part, and how the part is called in English and in Chinese."""
_ROLE_WORDS = tuple(
    (name, re.compile(pattern, FLAGS))
    for name, english, chinese in _ROLES
    for pattern in (
        rf"(?P<w>{_ID})\s+(?:as|for|being|supplying|providing|doing)\s+(?:the\s+|an?\s+)?(?:{english})\b",
        rf"用\s*(?P<w>{_ID})\s*(?:来)?(?:做|当|作为)?\s*(?:{chinese}|{english})",
        rf"(?:\b(?:{english})|{chinese}){_IS}(?P<w>{_NO_NAME}{_ID})",
    )
)
_N = rf"(?P<n>{NUMBER})"
_THINGS = r"(?:samples?|queries|images?|examples?|条|张|个样本)"
_NUMBERS = tuple(
    (name, re.compile(pattern, FLAGS))
    for name, pattern in (
        ("top_k", rf"\btop[\s_\-]?k?\s*[=:]?\s*{_N}"),
        ("top_k", rf"(?:取|召回)?前\s*{_N}(?!\s*(?:条|张|个样本))\s*(?:个)?(?:文档|结果)?"),
        (
            "test_size",
            (
                r"(?:\bgenerate|\bsynthesi[sz]e|\btest[\s_\-]?(?:set\s+)?(?:size|of)|生成|合成)\s*(?:an?\s+)?"
                rf"(?:test\s*set\s+(?:of|with)\s+|of\s+)?{_N}\s*-?\s*(?:test\s+)?(?:questions?|{_THINGS}|道|个|组)?"
            ),
        ),
        ("test_size", rf"{_N}[\s\-]*(?:questions?|samples?|items?)\s+(?:test\s*set|testset)"),
        ("limit", rf"\b(?:limits?|first)\s*(?:of|to|=|:)?\s*{_N}"),
        ("limit", rf"{_N}\s*{_THINGS}"),
        ("limit", rf"(?:限制|前)\s*{_N}\s*(?:条|张|个)?"),
    )
)
_LANGUAGES = (
    ("chinese", re.compile(r"\b(?:in\s+chinese|chinese)\b|中文", FLAGS)),
    ("english", re.compile(r"\bin\s+english\b|英文", FLAGS)),
)
_CLIP_TASKS = (
    ("zeroshot_classification", re.compile(r"\bzero[\s\-_]?shot[\s_]+classification|零样本分类", FLAGS)),
    ("zeroshot_retrieval", re.compile(r"\bzero[\s\-_]?shot[\s_]+retrieval|(?:零样本)?(?:图文)?检索", FLAGS)),
    ("image_caption", re.compile(r"\bimage[\s_\-]?caption(?:ing)?|图像描述|图片描述", FLAGS)),
)
_CLIP_SETS = re.compile(
    r"(?<![\w\-])(?:muge|flickr8k|flickr30k|mscoco_captions|mscoco|imagenet1k|imagenetv2|cifar10|cifar100|mnist|food101)"
    r"(?![\w\-])",
    FLAGS,
)
_DATA = frozenset({"json", "jsonl", "csv", "parquet"})
_OBJECT = re.compile(
    rf"(?:\b(?:on|of|for|evaluate|eval|test|run|benchmark|with|using|model)\s+|评测|测试|跑|用|测)\s*(?:一下)?\s*(?P<w>{_ID})",
    FLAGS,
)


def read_rag(text: str, vocabulary: Vocabulary) -> dict[str, JsonValue]:
    """Return what a RAG evaluation says."""
    args: dict[str, JsonValue] = {}
    left = _take_files(text, args)
    for tool, pattern in _TOOLS:
        if pattern.search(left):
            args.setdefault("tool", tool)
            left = pattern.sub(lambda match: " " * len(match[0]), left)
    for name, pattern in _ROLE_WORDS:
        match = pattern.search(left)
        said = None if match is None else match["w"].rstrip(".")
        if match is not None and name not in args and said and said.lower() not in STOP:
            args[name] = said
            left = _blank(left, match)
    left = _take_names(left, args)
    _take_numbers(left, args)
    found = mentions(left, vocabulary)
    models = [value for mention in wanted(left, found) if mention.kind == "model" for value in mention.values]
    models = models or _objects(mask(left, found))
    if not models and args.get("tool") == "MTEB" and "embeddings" in args:
        models = [str(args.pop("embeddings"))]
    if models:
        args["model"] = models[0]
    return args


def _take_files(left: str, args: dict[str, JsonValue]) -> str:
    docs: list[JsonValue] = []
    for match in list(_FILE.finditer(left)):
        if match["kind"].lower() in _DATA:
            args.setdefault("testset_file", match[0])
        else:
            docs.append(match[0])
        left = _blank(left, match)
    return left if not docs else _with(args, "docs", docs, left)


def _with(args: dict[str, JsonValue], name: str, value: JsonValue, left: str) -> str:
    args[name] = value
    return left


def _take_names(left: str, args: dict[str, JsonValue]) -> str:
    """Take metrics, tasks, data sets of clip_benchmark and the language."""
    metrics: list[JsonValue] = []
    for name, pattern in _METRIC_WORDS:
        for match in list(pattern.finditer(left)):
            metrics += [] if name in metrics else [name]
            left = _blank(left, match)
    left = _SPELT.sub(lambda match: _TASKS_SPELT[match[0].lower()], left)
    tasks = list(dict.fromkeys(match[0] for match in _TASK.finditer(left)))
    left = _TASK.sub(lambda match: " " * len(match[0]), left)
    if args.get("tool") == "clip_benchmark":
        sets = list(dict.fromkeys(match[0].lower() for match in _CLIP_SETS.finditer(left)))
        left = _CLIP_SETS.sub(lambda match: " " * len(match[0]), left)
        if sets:
            args["dataset_name"] = list[JsonValue](sets)
        task = next((name for name, pattern in _CLIP_TASKS if pattern.search(left)), None)
        if task is not None:
            args["task"] = task
    if args.get("tool") == "RAGAS" and (language := next((n for n, p in _LANGUAGES if p.search(left)), None)):
        args["language"] = language
    if metrics:
        args["metrics"] = metrics
    if tasks:
        args["tasks"] = list[JsonValue](tasks)
    return left


def _take_numbers(left: str, args: dict[str, JsonValue]) -> None:
    for name, pattern in _NUMBERS:
        match = pattern.search(left)
        number = None if match is None else to_int(match["n"])
        if match is None or number is None:
            continue
        args.setdefault("limits" if name == "limit" and args.get("tool") == "MTEB" else name, number)
        left = _blank(left, match)


def _objects(left: str) -> list[str]:
    """Return what stands where a model is expected."""
    words = [match["w"].rstrip(".-") for match in _OBJECT.finditer(left)]
    return [word for word in words if word.lower() not in STOP and re.search(r"[\d\-_/]", word)]


def _blank(text: str, match: re.Match[str]) -> str:
    return f"{text[: match.start()]}{' ' * (match.end() - match.start())}{text[match.end() :]}"
