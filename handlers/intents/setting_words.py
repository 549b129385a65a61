"""How an evaluation's settings are said, as data: one pattern a way of saying it."""

from __future__ import annotations

import re

from handlers.intents.lexicon import FLAGS
from handlers.intents.numbers import FRACTION, NUMBER

N = rf"(?P<n>{NUMBER})"
_IS = (
    r"\s*(?:(?:is\s+)?set\s+(?:to|at)\b|[=:]|\bto\b|\bof\b|\bat\b|\bis\b|"
    r"设置?为|设成|调到|改成|取|给|用|选|为|是|设)?\s*"
)
_END = r"(?![\w\-/]|\.\d)"
EN_UNIT = (
    r"(?:samples?|questions?|examples?|problems?|items?|prompts?|cases?|rows?|entries|instances?|data\s*points?|"
    r"records?|q(?:uestion)?s|qns|instances)(?!\w)"
)
_ZH_COUNTED = r"(?:条|道题?|题(?!目?集)|个?(?:样本|问题|例子|题目|数据点)|份样本)"
ZH_UNIT = rf"(?:{_ZH_COUNTED}|个(?=$|[,\s。]))"

_TOKENS_EN = r"\bmax(?:imum|\.)?[\s_\-]*(?:(?:new|output)[\s_\-]*)?tokens?"
_TOKENS_ZH = r"最大(?:输出|生成)?(?:长度|token数?)"
_AT_MOST = r"(?:\bat most|\bup to|\bmax(?:imum)?(?: of)?|\bno more than|最多|最大|不超过)"
_AT_ONCE = (
    r"(?:at a time|at once|in parallel|(?:parallel|concurrent)(?:\s+(?:requests?|workers?))?|workers?(?!\w)|"
    r"threads?(?!\w)|个?线程|个?并发|路并发)"
)
_BATCH = r"(?:\b(?:eval[\s_]?)?batch(?:[\s_\-]?size)?|\bconcurrency|批次?大小|批量(?:大小)?|并发(?:数|度)?)"
_REPEAT = (
    r"(?:\brepeats?|\brepeat(?:ed|ing)?(?:\s+(?:it|each|every|all))*(?:\s+(?:one|sample|question))?|"
    r"重复|每题|每条|每个问题)"
)
_LIMIT_WORD = (
    r"(?:\blimit(?:ed)?|限制|上限|样本数|样本量|条数|题数|数量|抽样|抽取|采样|抽|\bcap(?:ped)?(?:\s+(?:it|them))?\s+at|"
    r"\b(?:num[_ ]?)?samples?(?:\s*size)?)"
)
_ADJECTIVES = r"(?:(?!and\b|shot|tokens?\b|times\b|models?\b)[A-Za-z\x02]+\s+){0,2}?"
_EACH_SUBSET = r"(?:per|(?:for|in|from)\s+each)\s+(?:subset|subject|category|benchmark|dataset|task)\b"
PER_SUBSET = re.compile(
    r"\b(?:per|(?:(?:for|in|from|of)\s+)?(?:each|every))\s+(?:subset|subject|category)\b|每个?(?:子集|学科|科目|类别)",
    FLAGS,
)
"""The number is meant as EvalScope's limit is: for each subset."""
_ZH_SHARE = r"百分之[零一二两三四五六七八九十\d]{1,5}|[二三四五六七八九十\d]{1,3}分之[一二三四五六七八九\d]{1,3}"

_NUMBERS: tuple[tuple[str, str], ...] = (
    ("generation_config.temperature", rf"(?:\btemp(?:erature)?|温度){_IS}{N}{_END}"),
    ("generation_config.top_p", rf"(?:\btop[\s_\-]?p|核采样){_IS}{N}{_END}"),
    ("generation_config.top_k", rf"\btop[\s_\-]?k{_IS}{N}{_END}"),
    ("generation_config.max_tokens", rf"(?:{_TOKENS_EN}|{_TOKENS_ZH}){_IS}{N}{_END}"),
    ("generation_config.max_tokens", rf"\bmax(?:imum)?\s+tokens?\s+limit{_IS}{N}{_END}"),
    ("generation_config.max_tokens", rf"{_AT_MOST}\s*(?:生成|输出)?\s*{N}\s*个?\s*(?:new |output )?(?:tokens?|令牌)"),
    (
        "generation_config.max_tokens",
        rf"(?:\b(?:a\s+)?max(?:imum)?\s+of|\bwith|\busing|\bwithin|\bcap(?:ped)?\s+at)\s+{N}\s+(?:new\s+|output\s+)?tokens?",
    ),
    ("generation_config.max_tokens", rf"{N}\s*(?:max(?:imum)?\s+tokens?|tokens?\s+(?:max(?:imum)?|at most|limit))"),
    ("seed", rf"(?:\b(?:random\s+)?seed|随机种子|种子){_IS}{N}{_END}"),
    ("few_shot", rf"{N}[\s\-]?shots?\b"),
    ("few_shot", rf"\b(?:few[\s_\-]?shots?(?:[\s_]?num)?|shots?){_IS}{N}{_END}"),
    ("few_shot", rf"{N}\s*(?:个\s*)?(?:few[\s\-]?shot|in-context)\s*(?:examples?|samples?|demo\w*|示例|样例)"),
    ("few_shot", r"(?P<n>零|(?<![\d.])0)\s?样本"),
    ("few_shot", r"\b(?:with\s+|without\s+)?(?P<n>no|any)\s+(?:few-?shot\s+)?examples?(?:\s+in\s+the\s+prompts?)?\b"),
    ("few_shot", r"(?P<n>不)(?:给|带|用|加|放)(?:任何)?(?:示例|样例|例子)"),
    ("few_shot", rf"{N}\s*个\s*(?:示例|样例|范例)"),
    ("eval_batch_size", rf"{_BATCH}{_IS}{N}{_END}"),
    ("eval_batch_size", rf"{N}\s*{_AT_ONCE}"),
    ("repeats", rf"{_REPEAT}{_IS}(?:跑|做|测)?\s*{N}\s*(?:times|x\b|次|遍)?"),
    ("repeats", rf"{N}\s*(?:repeats?|repetitions?|times|次|遍|轮)(?![A-Za-z])"),
    ("limit", rf"(?P<n>(?:\d{{1,3}}(?:\.\d{{1,6}})?|{NUMBER})\s*(?:%|per\s?cent\b))"),
    ("limit", rf"(?P<n>{_ZH_SHARE})"),
    ("limit", r"(?P<n>[一二两三四五六七八九\d]成)(?![绩功本果员都立为])"),
    ("limit", rf"(?<![\w\-])(?P<n>{FRACTION})(?![A-Za-z\-])"),
    ("limit", rf"(?:\b(?:first|top)|前)\s*{N}\s*(?:{EN_UNIT}|{ZH_UNIT})?"),
    ("limit", rf"{N}[\s\-]*{_ADJECTIVES}{EN_UNIT}"),
    ("limit", rf"{N}\s*\x02+\s*{EN_UNIT}"),
    ("limit", rf"{N}\s*{_ZH_COUNTED}"),
    ("limit", rf"{N}\s*个\s*{EN_UNIT}"),
    ("limit", rf"{_LIMIT_WORD}\s*(?:it\s+)?{_IS}{N}{_END}"),
    ("limit", rf"{N}\s*{_EACH_SUBSET}"),
    ("limit", rf"{N}\s+(?:each|apiece)\b"),
    ("limit", rf"\x02\s+{N}{_END}(?!\s*(?:[\-]|shots?|x\b|times|tokens?|repeats?|gpus?|次|遍|轮))"),
    ("limit", rf"(?:各|每个)\s*(?:跑|测|取)?\s*{N}(?![\d.]|\s*(?:shot|次|遍|轮|tokens?))"),
    ("limit", rf"每个(?:子集|数据集|评测集)\s*{N}\s*{ZH_UNIT}?"),
    ("limit", rf"(?:只跑|只测|跑|测)\s*{N}\s*个"),
)
_SECONDS = r"(?P<unit>s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|秒|分钟?)"
TIMEOUTS = (
    re.compile(
        rf"(?:\b(?:request\s+|with\s+(?:a\s+)?)?time-?out|(?:请求)?超时(?:时间)?){_IS}{N}\s*-?{_SECONDS}?(?![A-Za-z])",
        FLAGS,
    ),
    re.compile(
        rf"{N}\s*-?{_SECONDS}\s*(?:的\s*)?(?:time-?out|超时|before\s+(?:it|they|a\s+request)\s+times?\s+out)", FLAGS
    ),
)
"""How long one request may take."""
NUMBERS = tuple((name, re.compile(pattern, FLAGS)) for name, pattern in _NUMBERS)
"""Setting → a pattern whose group n is its number. In order: what an earlier one reads, a later one does not see."""

_WORD = r"[A-Za-z0-9][\w.\-]{0,80}"
_MODEL = rf"{_WORD}(?:/{_WORD})?"
_KEY_NAME = rf"(?P<w>(?!(?:is|and|on|for|to|in)\b){_WORD})"
_KEY_IS = r"\s*(?:(?:named?|called|is|是|用|为|叫|名叫|[=:])\s*){0,2}"
_KEY_EN = r"(?:\b(?:with|using|use|and|via)\s+)?(?:the\s+|my\s+)?(?:api[\s_\-]?)?(?<![\w\-])key"
_HUB = r"(?P<w>hugging\s?face|modelscope|hf|魔搭|抱抱脸)(?:\s*(?:hub|datasets?))?(?:上?的?(?:数据集?)|上?下载)?"
_WORDS: tuple[tuple[str, str], ...] = (
    ("dataset_hub", rf"(?:\b(?:from|on|via|using|use|with|through)\s+(?:the\s+)?|从|用|使用|走)?\s*{_HUB}(?![\w/\-])"),
    ("api_key_name", rf"{_KEY_EN}{_KEY_IS}{_KEY_NAME}"),
    ("api_key_name", rf"(?:用|使用|以)?\s*(?:名为)?(?:密钥|秘钥)(?:名)?{_KEY_IS}{_KEY_NAME}"),
)
_API = r"(?:\s+(?:apis?|endpoint|protocol|format|接口|协议))"
_EVAL_TYPES: tuple[tuple[str, str], ...] = (
    *(
        (
            name,
            rf"(?:\beval[\s_]type\s*(?:是|为|=|:|is|of)?\s*|按\s*|\b(?:as|with|via)\s+)?(?<![\w\-/.]){name}(?![\w\-/.])(?:\s*(?:类型|的))?",
        )
        for name in (
            "llm_ckpt",
            "openai_responses_api",
            "anthropic_api",
            "litellm",
            "text2image",
            "text2speech",
            "image_editing",
        )
    ),
    (
        "openai_responses_api",
        rf"(?:\b(?:via|through|with|using|over|on)\s+)?(?:the\s+)?(?:openai\s+)?\bresponses{_API}|(?:用|通过|走)?\s*responses\s*(?:接口|api)",
    ),
    (
        "anthropic_api",
        rf"(?:\b(?:via|through|with|using|over|on)\s+)?(?:the\s+|an\s+)?\b(?:anthropic|claude){_API}|(?:用|通过|走)?\s*anthropic\s*(?:接口|api|协议)",
    ),
    ("litellm", r"(?:\b(?:via|through|with|using|over)\s+)?\blitellm\b|(?:用|通过|走)\s*litellm"),
    (
        "llm_ckpt",
        r"\blocal\s+(?:checkpoint|weights|ckpt)\b|(?:按|用)?本地\s*(?:权重|checkpoint|ckpt|模型权重)(?:加载)?",
    ),
    (
        "text2image",
        r"\b(?:text[\s\-]?(?:to|2)[\s\-]?image|t2i)\s+(?:model|eval(?:uation)?|benchmark|run)\b|文生图(?:模型|评测)",
    ),
    (
        "text2speech",
        r"\b(?:text[\s\-]?(?:to|2)[\s\-]?speech|tts)\s+(?:model|eval(?:uation)?|benchmark|run)\b|语音合成(?:模型|评测)|tts\s*模型",
    ),
    ("image_editing", r"\bimage[\s\-]?edit(?:ing)?\s+(?:model|eval(?:uation)?|benchmark|run)\b|图像编辑(?:模型|评测)"),
)
EVAL_TYPES = tuple((name, re.compile(pattern, FLAGS)) for name, pattern in _EVAL_TYPES)
"""How a model is reached, where that is said."""
WORDS = tuple((name, re.compile(pattern, FLAGS)) for name, pattern in _WORDS)
"""Setting → a pattern whose group w is its value."""

_CARD = r"(?P<name>(?<![\w\-/])(?:a10g?|a100|a800|h20|h100|h200|h800|b200|l4|l40s?|rtx\s?\d{4}|v100))(?![\w\-/]|\.\d)"
_CARDS = _CARD.replace("(?![", "s?(?![")
_COUNT = r"(?P<gpus>\d{1,2}|one|two|three|four|eight|[一两二三四八])"
_GPUS = r"(?:gpus?|(?:graphics\s+)?cards?|显?卡)"
_ON = r"(?:\b(?:on|with|using|use|across|over)\s+|用|在|使用)?(?:an?\s+|the\s+|our\s+)?"
_JUDGE_ZH = r"(?:裁判|评委|评审|judge)"
_STATEMENTS: tuple[tuple[str, str], ...] = (
    ("judge", r"\bjudge\s+strategy\s*(?:is|=|:|to|of|用|选|是|为)?\s*(?P<strategy>auto|rule|llm[\s_\-]recall|llm)\b"),
    (
        "judge",
        r"(?:裁判|评委|评审|judge)(?:模型)?(?:的)?策略\s*(?:用|为|是|设为|=|:)?\s*(?P<strategy>auto|rule|llm[_\s]recall|llm)(?![\w])",
    ),
    ("judge", r"\b(?P<strategy>rule|auto|llm[\s_\-]recall)(?:[\s\-]based)?\s+(?:judge|judging|judgment)\b"),
    (
        "judge",
        (
            rf"(?:,\s*)?(?:\b(?:with|using|use|and|have|let)\s+)*(?P<model>{_MODEL})\s+(?:as|to\s+be|act(?:ing)?\s+as|for)\s+(?:the\s+|a\s+|an\s+|our\s+)?"
            r"(?:llm[\s\-])?(?:judge|judging|grader)(?:\s+model)?"
        ),
    ),
    ("judge", rf"\b(?:have|let)\s+(?P<model>{_MODEL})\s+(?:judge|grade|score)\s+(?:it|them|the\s+answers?)"),
    ("judge", rf"\b(?:judged|graded)\s+(?:by|with|using)\s+(?P<model>{_MODEL})"),
    (
        "judge",
        (
            rf"(?:\b(?:with|using|use|and)\s+)?(?:an?\s+|the\s+)?\bjudge(?:\s+model)?\s*(?:should\s+be|is|=|:|with|by|by\s+using|being|用|选|是|为)?\s*"
            rf"(?P<model>(?!(?:and|with|on|strategy|model|it|the|them|for|is|to|please|with)\b){_MODEL})"
        ),
    ),
    (
        "judge",
        rf"(?:用|让|由|拿|以|请|找)\s*(?P<model>{_MODEL})\s*(?:来|去)?(?:做|当|作为|担任|充当|来当)?\s*{_JUDGE_ZH}(?:模型)?",
    ),
    ("judge", rf"{_JUDGE_ZH}(?:模型)?\s*(?:用|是|为|选|:|=)?\s*(?P<model>{_MODEL})"),
    ("judge", rf"(?:用|让|由)\s*(?P<model>{_MODEL})\s*(?:来)?(?:打分|评分|判分|评判)"),
    ("judge", r"\b(?:with\s+)?(?:an?\s+)?(?P<strategy>llm)[\s\-](?:as[\s\-]a[\s\-])?judge\b"),
    (
        "stream",
        r"\b(?:no|non|without|disable|not|don'?t|do\s+not)[\s\-]*(?:use\s+)?stream(?:ing|ed)?\b(?P<off>)|(?:非|不用?|关闭|关掉|关了|不要|不开|别用)(?:用)?流式(?:输出)?",
    ),
    ("stream", r"\bstream(?:ing|ed)?\s*(?:=|:|is)?\s*(?:off|false|disabled)\b(?P<off>)"),
    (
        "stream",
        r"\b(?:with\s+|use\s+)?stream(?:ing|ed)?(?:\s+(?:on|mode|output|responses?|enabled))?\b|(?:开启?|使用|用|打开)?流式(?:输出)?",
    ),
    (
        "sandbox",
        (
            r"(?:\b(?:in|inside|with|using|within)\s+(?:a\s+|an\s+|the\s+)?)?(?:\bdocker(?:ed)?\s+)?\bsandbox(?:ed|ing)?\b(?:\s+(?:on|enabled|mode))?"
            r"|(?:在|用|开启?|启用|放)?(?:docker\s*)?沙[箱盒](?:环境)?(?:里|中|内)?(?:执行|运行)?"
        ),
    ),
    ("gpu", rf"{_ON}{_COUNT}\s*(?:x|×|\*|块|张|个)?\s*{_CARDS}(?:\s*{_GPUS})?"),
    ("gpu", rf"{_ON}{_COUNT}\s*(?:x|×|块|张|个)?\s*{_GPUS}(?![\w])"),
    ("gpu", rf"{_ON}{_CARD}(?:\s*{_GPUS})?(?:\s*(?:上|机器|节点))?"),
    ("gpu", r"(?:\b(?:on|with|using)\s+)(?:an?\s+|the\s+)?gpu\b|(?:用|在)\s*(?:gpu|显卡)(?:上)?"),
    (
        "analysis_report",
        (
            r"(?:\b(?:and|with|plus|also|include|including|add|append|attach|generate|write|give\s+me|want)\s+)*(?:an?\s+|the\s+)?\banalysis\s+report\b"
            r"|(?:并|再|顺便)?(?:带|要|加上?|生成|出|附上?|写)?(?:一份|一个|个|份)?分析报告"
        ),
    ),
    (
        "use_cache",
        (
            r"\b(?:us(?:e|ing)|from|with|reus(?:e|ing))\s+(?:the\s+)?"
            r"(?:cached?\s*(?:results?|answers?|predictions?|outputs?|responses?)?(?:\s+(?:of|from))?|(?:answers?|predictions?|responses?)\s+(?:of|from))"
            r"\s+(?:run\s+)?r?#?(?P<run>\d{1,9})(?:\s+(?:results?|answers?|predictions?|outputs?|responses?))?"
        ),
    ),
    ("use_cache", r"(?:用|使用|复用|沿用|接着用)\s*r?(?P<run>\d{1,9})\s*的?(?:缓存|预测|答案|结果缓存)(?:结果)?"),
    ("use_cache", r"(?:预测(?:结果)?|答案|缓存|回答)?\s*(?:直接)?(?:复用|沿用|重用)\s*r(?P<run>\d{1,9})\s*的?"),
    (
        "use_cache",
        r"\b(?:reus(?:e|ing)|us(?:e|ing)|tak(?:e|ing)|keep(?:ing)?)\s+(?:the\s+)?(?:cached\s+)?(?:answers?|predictions?|outputs?|responses?)\s+(?:that\s+)?r#?(?P<run>\d{1,9})(?:\s+(?:has\s+)?(?:already\s+)?(?:made|gave|produced|has|have|got))?",
    ),
    ("use_cache", r"\b(?:with|use|using|from)\s+(?:the\s+)?cache\b(?P<run>)|(?:用|使用)缓存"),
)
_OWN_WORDS = [pattern for name, pattern in _STATEMENTS if name in {"use_cache", "analysis_report"}]
STATED = re.compile("|".join(_OWN_WORDS).replace("?P<run>", "?:"), FLAGS)
"""Settings whose words are also those of intents: an analysis report, the results of r12."""
STATEMENTS = tuple((name, re.compile(pattern, FLAGS)) for name, pattern in _STATEMENTS)
"""Settings that are stated as such, with what is said of them in groups of their own."""

WHOLE_SET = r"(?:(?:whole|entire|full|complete)\s+(?:set|thing|benchmark|data\s?set|test\s?set))"
"""How all of a benchmark is called."""
BARE_URL = re.compile(r"(?<![\w./@])(?:localhost|\d{1,3}(?:\.\d{1,3}){3}):\d{2,5}(?:/[\w./\-]{0,200})?", FLAGS)

_MARKER = (
    r"(?:no,?\s*wait|wait|sorry|scratch\s+that|i\s+mean|actually|or\s+rather|no|"
    r"不对|不不|不是|不|说错了|改成|应该是|还是)"
)
CORRECTION = re.compile(
    rf"(?P<a>{NUMBER})(?P<unit>\s*(?:%|{EN_UNIT}|{ZH_UNIT}))?\s*[,.\-—…]*\s*"
    rf"(?:(?:{_MARKER}[\s,.]*){{1,3}}|[a-z',\s]{{1,40}}?(?=\bmake\s+(?:it|that)\b)|[^\d,。]{{0,10}}太[少多]了?[,\s]*(?=改成|换成|还是))"
    rf"(?:make\s+(?:it|that)\s+|应该是|改成|换成|还是)?(?P<b>{NUMBER})(?P<unit2>\s*(?:%|{EN_UNIT}|{ZH_UNIT}))?",
    FLAGS,
)
"""One number put in the place of another: "20, no wait, 50"."""
