"""The grammar's words as data: tags, suites, model families, and the words that are never names."""

from __future__ import annotations

import re
from collections.abc import Mapping


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


FLAGS = re.IGNORECASE | re.ASCII
"""How every pattern of the grammar is compiled: ASCII, so that `\\b` stands between a letter and 中文."""

URL = re.compile(r"https?://[^\s,;\"'<>()\[\]{}\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]{1,2000}", FLAGS)

RUN_REF = re.compile(r"(?<![\w\-./])r#?(\d{1,20})(?![\w\-]|\.\d)", FLAGS)
RUN_RANGE = re.compile(
    r"(?<![\w\-./])r#?(\d{1,9})\s?(?:-|–|—|~|\.\.\.?|…|\bto\b|\bthrough\b|到|至)\s?r?#?(\d{1,9})(?![\w\-]|\.\d)", FLAGS
)
RUN_WORDS = re.compile(
    r"\brun\s*#?\s?(\d{1,9})(?=\s*(?:$|[?!.,;:'\u4e00-\u9fff]|(?:status|results?|scores?|logs?|doing|going|finished|done|still|"
    r"now|progress|report|yet|look|please|pls|and|or|with|on|again|for|at|fail\w*|die|crash\w*|took|take|so|in|is|was|has|had|will|can|did|gonna)\b))|(?:运行|任务)\s*#?(\d{1,9})(?!\s*[条题个%\d])",
    FLAGS,
)

TAG_WORDS: Mapping[str, str] = {
    "Agent": r"agents?|agentic|智能体|代理能力",
    "Arena": r"arenas?|竞技场|对战",
    "Audio": r"audio|sound|音频|声音",
    "Chinese": r"chinese|中文|汉语|国内",
    "Coding": r"cod(?:e|ing)|programming|software|代码|编程|编码|写程序",
    "Commonsense": r"common[\s-]?sense|常识",
    "Custom": r"custom|自定义|自有",
    "Decision": r"decisions?|决策",
    "FunctionCalling": r"(?:function|tool)[\s-]?(?:call(?:ing|s)?|use)|函数调用|工具调用|工具使用|调用(?:工具|函数)",
    "Grounding": r"grounding|视觉定位|目标定位",
    "Hallucination": r"hallucinat(?:ions?|es?|ing)|幻觉",
    "ImageCaptioning": r"(?:image\s*)?caption(?:ing|s)?|图像描述|图片描述|看图说话",
    "ImageEditing": r"image[\s-]?edit(?:ing|s)?|图像编辑|图片编辑|修图",
    "InstructionFollowing": r"instruction[\s-]?follow(?:ing|s)?|following instructions|指令遵循|指令跟随|听从指令",
    "Knowledge": r"knowledge|知识",
    "LongContext": r"long[\s-]?(?:context|text|document)s?|长文本|长上下文|长文档",
    "MCQ": r"mcqs?|multiple[\s-]choice|选择题|单选题|多选题",
    "MachineTranslation": r"(?:machine\s+)?translati(?:on|ng)|翻译",
    "Math": r"math(?:s|ematics|ematical)?|arithmetic|数学|算术",
    "Medical": r"medical|medicine|clinical|health(?:care)?|医疗|医学|临床",
    "MultiLingual": r"multi[\s-]?lingual|languages|多语言|多语种",
    "MultiModal": r"multi[\s-]?modal|vision|visual|vlms?|多模态|视觉|图文",
    "MultiTurn": r"multi[\s-]?turn|多轮",
    "NER": r"ner|named[\s-]entit(?:y|ies)(?:\s+recognition)?|命名实体(?:识别)?|实体识别",
    "QA": r"qa|question[\s-]answering|问答",
    "ReadingComprehension": r"reading(?:\s+comprehension)?|阅读理解",
    "Reasoning": r"reasoning|logic(?:al)?|推理|逻辑",
    "Retrieval": r"retriev(?:al|e|ing)|检索",
    "SpeechRecognition": r"speech[\s-]?recognition|asr|语音识别",
    "TextToImage": r"text[\s-]?to[\s-]?image|t2i|image generation|文生图|图像生成",
    "TextToSpeech": r"text[\s-]?to[\s-]?speech|tts|speech synthesis|语音合成|文本转语音",
    "Video": r"videos?|视频",
    "Yes/No": r"yes[\s/-]*(?:or[\s-]*)?no|是非题|判断题",
}
"""EvalScope's tag → how people say it."""

TAGS = tuple((tag, re.compile(rf"(?<![\w\-])(?:{said})(?![\w\-])", FLAGS)) for tag, said in TAG_WORDS.items())


def tags_in(masked: str) -> tuple[str, ...]:
    """Return the tags that a sentence (its names masked) has words for."""
    return tuple(tag for tag, pattern in TAGS if pattern.search(masked))


_SUITE = (
    r"(?:\s*(?:benchmark|eval(?:uation)?|test))?"
    r"\s*(?:suite|benchmarks?|set|bundle|套件|套餐|评测集|基准|评测|测试集|合集)"
)
SUITE_WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("general", re.compile(rf"(?:(?<![\w\-])general|通用|综合){_SUITE}", FLAGS)),
    ("chinese", re.compile(rf"(?:(?<![\w\-])chinese|中文){_SUITE}", FLAGS)),
    ("multimodal", re.compile(rf"(?:(?<![\w\-])multi-?modal|多模态){_SUITE}", FLAGS)),
    (
        "sample",
        re.compile(
            rf"(?:(?<![\w\-])(?:sample|demo|built-?in|example)|示例|样例|内置|演示)(?:{_SUITE}|数据集?|\s+data)", FLAGS
        ),
    ),
)

ALIASES: Mapping[str, str] = {
    "gpqa": "gpqa_diamond",
    "humaneval+": "humaneval_plus",
    "mbpp+": "mbpp_plus",
    "bigbenchhard": "bbh",
    "lcb": "live_code_bench",
    "niah": "needle_haystack",
    "needleinahaystack": "needle_haystack",
    "大海捞针": "needle_haystack",
    "捞针": "needle_haystack",
    "humanityslastexam": "hle",
    "人类最后的考试": "hle",
    "人类终极考试": "hle",
    "longbench": "longbench_v2",
    "omnidoc": "omni_doc_bench",
    "simpleqachinese": "chinese_simpleqa",
    "中文simpleqa": "chinese_simpleqa",
    "τbench": "tau_bench",
    "τ2bench": "tau2_bench",
    "τ3bench": "tau3_bench",
}
"""What people call a benchmark besides its name and its pretty name (folded, `+` kept) → its name."""

ORDINARY = frozenset({"drop", "race", "frames", "copious", "blink", "pope", "slake", "arc", "amc", "kina"})
"""Benchmarks whose names are ordinary words: only where a benchmark is expected, or in capitals."""

FAMILIES = re.compile(
    r"(?:(?:qwen|qwq|qvq|gpt|chatgpt|deepseek|llama|codellama|claude|gemini|gemma|glm|chatglm|mistral|mixtral|ministral|"
    r"codestral|baichuan|internlm|internvl|minicpm|ernie|doubao|kimi|moonshot|hunyuan|smollm|falcon|grok|starcoder|vicuna|"
    r"stablelm|granite|nemotron|olmo|tulu|jamba|dbrx|minimax|abab|skywork|aquila|pangu|sonnet|opus|haiku)"
    r"[\w.\-:]*|(?:o[134]|yi|phi|step|nova|spark|command|seed|mimo|ling|llada|bloom|opt|bge|text-embedding)[\-.\d][\w.\-:]*|o[134])",
    FLAGS,
)
"""What a model id looks like by its first word."""

MODELISH = re.compile(
    r"(?=[\w.\-]*[\-\d])[A-Za-z][\w.\-]*/[\w.\-]*[A-Za-z][\w.\-:]*|[A-Za-z][\w.]*[\-_][\w.\-]*?\d+(?:\.\d+)?[bm](?:[\-_.][\w.\-]*)?|"
    r"[A-Za-z][\w.\-]*/[A-Za-z][\w.\-]*[\-\d][\w.\-:]*",
    FLAGS,
)
"""What a model id looks like by its shape: owner/name-7b, my-model-7b."""

CLEARS = re.compile(r"\b(?:no|clear|remove|reset|forget|unset|drop|delete)\b|清除|清空|取消|去掉|删除|不要|重置", FLAGS)
"""What takes a setting back."""

STOP = words(
    """a about again all also an and any are as at back be before best better both but by can check chosen compare
    could current data day days default do does done each else every everything except fast few first for from full
    get give go good great he hello help here hi how i if in instead into is it its job just keep last later least
    less let like limit list lots make many maybe me mean more most much my name never new next no none not nothing
    now number of off ok okay on once one only or order other our out over per please plus prompt question questions
    quick quickly random really report result results right run runs sample samples score scores see set settings
    she show single small so some something soon start still such sure task tasks tell test tests than thank thanks
    that the their them then there these they thing things this those though time times to today token tokens
    tomorrow too top total try two under until up us use using value very via wait want was way we week well were
    what when where which while who why will with without work would yes yesterday yet you your whole performance
    accuracy quality evaluation evaluations eval model models benchmark benchmarks dataset datasets endpoint api url
    server gpu gpus cpu production monday tuesday wednesday thursday friday saturday sunday hour hours minute minutes
    behalf average concurrency temperature seed speed purpose demand key keys mine half quarter local evaluate assess
    service going candidate release baseline build branch checkpoint checkpoints ckpt
    code measure everyone anything nobody huggingface modelscope hub vs versus against parallel greedy default config"""
)
"""Words that are never a name, however they stand."""

SENTENCE_WORDS = words(
    """on with and at using the my our please for of to evaluate run test use model benchmark samples questions shot
    limit temperature against from only first subset times"""
)
"""A slash command that holds one of these words is read as a sentence."""
