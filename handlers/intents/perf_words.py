"""How a stress test's load and settings are said, as data: one pattern a way of saying it."""

from __future__ import annotations

import re

from handlers.intents.lexicon import FLAGS
from handlers.intents.numbers import NUMBER

_ONE = r"\d{1,9}(?:\.\d{1,4})?(?:[kK](?!\w))?"
_SEP = r"\s*(?:,\s*and\b|,|、|/|->|→|\band\b|\bthen\b|和|再到|\s)\s*"
_LIST = rf"(?:{_ONE}(?:{_SEP}{_ONE}){{0,19}}|{NUMBER})(?![\w.]\d|,\d|\d)"
L = rf"(?P<list>{_LIST})"
"""One number or several: 1,2,4,8."""
_NOT_OTHER = (
    r"(?!\s*-?(?:x\b|×|times\b|倍|%|concurrent|parallel|users?\b|(?:total\s+)?(?:requests?|calls?|queries|prompts?|samples?)\b|"
    r"tokens?\b|rps\b|qps\b|req\b|s\b|sec|min|hours?\b|秒|分|小时|(?:个|次|条)?\s*(?:请求(?!数)|调用|查询)|each\b|per\b))"
)
"""What follows is not the unit of something else: in "concurrency 1, 2, 4, 10 requests each" the 10 is no level."""
_TO = (
    r"\s*(?:每次|逐次|逐步|一路)?(?:翻倍|加倍|doubling|doubled)?\s*"
    r"(?:to|through|up\s+to|until|till|-|–|—|~|\.\.+|到|至|一直到|直到|加到|增加到|压到|升到|涨到|逐步到|逐渐到)\s*"
)
R = (
    rf"(?:from\s+|从\s*|由\s*)?(?P<low>\d{{1,5}}){_TO}(?P<high>\d{{1,5}})"
    r"(?:\s*,?\s*(?:in\s+)?(?:steps?\s+(?:of\s+)?|步长\s*(?:为|是)?\s*|每次(?:加|增加)\s*)(?P<step>\d{1,4}))?"
)
"""A range, doubling unless a step is said: from 1 to 32."""
_IS = (
    r"\s*(?:[=:]|\bof\b|\bat\b|\bis\b|\bto\b|levels?\b|设置?为|设成|改成|改为|换成|调到|调成|分别(?:为|是)?|依次(?:为|是)?|"
    r"为|是|取|用)?\s*"
)
_CONCURRENCY = (
    r"(?:\blevels?(?=\s*(?:of\s+|[:=]\s*)?\d)|\b(?:conc(?:urrenc(?:y|ies))?)(?:\s+(?:levels?|ranges?))?|\bparallel(?:ism)?(?!\s+requests)|\b(?:ramp|sweep)(?:ing)?(?:\s+up)?"
    r"(?:\s+(?:over|through|concurrency|users))*|并发(?:用户)?(?:数|度|量|级别|梯度)?|同时)"
)
_RAMPED = r"\b(?:ramp|sweep)(?:ing)?(?:\s+up)?\s+(?:the\s+)?\x01+\s*(?:over|through|at|with|to|across)?\s*"
_AT_ONCE = (
    r"\s*-?(?:(?:concurrent|parallel|simultaneous|virtual)\s*(?:requests?|users?|connections?|clients?|calls?|streams?)?"
    r"|requests?\s+(?:in\s+parallel|at\s+(?:once|a\s+time))|in\s+parallel|at\s+(?:once|a\s+time)|users?(?!\w)"
    r"|clients?(?!\w)|threads?(?!\w)|workers?(?!\w)|concurrency\b(?!\s*\d)|个?并发(?:用户|请求)?(?!数|\s*\d)|路并发|个?线程|个?用户)"
)
_REQUEST = r"(?:requests?|calls?|queries|prompts?(?!\s*length)|samples?)"
_EACH = (
    r"(?:each\b|per\s+(?:level|step|concurrency(?:\s+level)?|stage)\b|every\s+(?:level|step)\b|"
    r"(?:at|for)\s+(?:each|every)(?:\s+(?:level|step|concurrency))?\b)"
)
_ZH_EACH = r"每(?:个|一)?(?:并发(?:数|级别)?|档|级|级别|轮|阶段|梯度)(?:位|次)?"
_ZH_REQUEST = r"(?:个|次|条)?\s*(?:请求|调用|查询)"
_SECONDS = r"(?P<unit>s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|秒钟?|分钟?|小时)(?![A-Za-z])"
_PER_SECOND = (
    rf"(?:{_REQUEST}\s*(?:per|a|/|each)\s*(?:second|sec|s)\b|req(?:uest)?s?\s*/\s*s(?:ec)?\b|rps\b|qps\b|r/s\b)"
)
_MODE = r"(?:output|completion|generated|response|输出|生成|回复)"
_INPUT = r"(?:input|prompt|context|输入|提示词?|上下文)"

_NUMBER = rf"(?P<list>{NUMBER})"
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("warmup_num", rf"\bwarm[\s-]?up\s*(?:with|of|num|[=:])?\s*{_NUMBER}\s*(?:{_REQUEST})?"),
    ("warmup_num", rf"{_NUMBER}\s*warm[\s-]?up\s*(?:{_REQUEST})?"),
    ("warmup_num", rf"预热\s*{_NUMBER}\s*(?:{_ZH_REQUEST}|次)?"),
    ("range", rf"{_CONCURRENCY}{_IS}{R}"),
    ("range", rf"{R}{_AT_ONCE}"),
    ("upto", rf"{_CONCURRENCY}\s*(?:up\s+to|逐步(?:加|增加)?到|最[高大](?:到)?|加到)\s*(?P<list>\d{{1,5}})"),
    (
        "range",
        r"\bstart(?:ing)?\s+(?:at|from|with)\s+(?P<low>\d{1,5})\s*(?:,|and)*\s*(?:then\s+)?(?:doubl\w+|doubling)(?:\s+each\s+time)?\s*(?:until|up\s+to|to|till)\s*(?P<high>\d{1,5})",
    ),
    (
        "range",
        r"从\s*(?P<low>\d{1,5})\s*(?:开始|起)[,，]?\s*(?:每次|逐次|逐步|依次)?(?:翻倍|加倍|倍增)(?:直到|一直到|到|至)\s*(?P<high>\d{1,5})",
    ),
    ("parallel", r"(?<![\w])c\s*=\s*(?P<list>\d{1,5}(?:,\d{1,5})*)"),
    ("number", r"(?<![\w])n\s*=\s*(?P<list>\d{1,7}(?:,\d{1,7})*)"),
    ("parallel", r"同时\s*(?:发|跑)?\s*(?P<list>\d{1,5})\s*个?(?:请求|用户)"),
    ("number", r"[×x*]\s*(?P<list>\d{1,7})\s*(?:total|requests?)"),
    ("range", rf"{_RAMPED}{R}{_NOT_OTHER}"),
    ("parallel", rf"{_RAMPED}{L}{_NOT_OTHER}"),
    ("parallel", rf"{_CONCURRENCY}{_IS}{L}{_NOT_OTHER}"),
    ("rate", rf"(?:\b(?:request\s+)?rates?\b|\bqps\b|\brps\b|(?:请求)?速率){_IS}{L}(?:\s*{_PER_SECOND})?{_NOT_OTHER}"),
    ("rate", rf"(?:\bat\s+|\bwith\s+)?{L}\s*{_PER_SECOND}"),
    ("rate", rf"每秒\s*{L}\s*(?:{_ZH_REQUEST})?"),
    ("unit_half", r"\bfor\s+(?:an?|one)\s+(?P<unit>minute|hour)\s+and\s+a\s+half\b"),
    ("unit_half", r"一个?(?P<unit>分|小)(?:钟|时)?半"),
    ("unit", r"\bfor\s+(?:an?|one)\s+(?P<unit>minute|hour)\b"),
    ("half", r"(?:\bfor\s+)?\bhalf\s+an?\s+(?P<unit>min(?:ute)?|hour)\b"),
    ("half", r"(?:持续|跑|压|测)?半\s*个?(?P<unit>分|小)[钟时]"),
    (
        "duration",
        rf"(?:\bfor|\blasting|\bduration|\bover|持续|时长|跑|压|运行|测)?{_IS}{_NUMBER}\s*-?{_SECONDS}",
    ),
    ("duration", rf"\bduration{_IS}{_NUMBER}"),
    (
        "multiple",
        (
            rf"{_NUMBER}\s*(?:x|×|times)\s*(?:as\s+many\s+)?(?:the\s+concurrency|(?:{_REQUEST}\s*)?{_EACH}|{_REQUEST})"
            rf"(?:\s*{_EACH})?"
        ),
    ),
    (
        "multiple",
        rf"(?:{_ZH_EACH}\s*)?(?:(?:请求|requests?)\s*(?:总?数)?\s*(?:是|为)?)?\s*(?:并发数?的\s*)?{_NUMBER}\s*倍(?:的?(?:请求|并发)数?)?",
    ),
    (
        "prompt_length",
        (
            rf"{_INPUT}s?\s*(?:lengths?|长度|tokens?|size)?{_IS}(?:anywhere\s+)?(?:between\s+|from\s+|从|在)?\s*(?P<low>\d{{1,7}})"
            rf"(?:{_TO}|\s+and\s+|和)(?P<high>\d{{1,7}})"
        ),
    ),
    ("min_prompt_length", rf"\bmin(?:imum|\.)?[\s_\-]*{_INPUT}[\s_\-]*(?:length|tokens?){_IS}{_NUMBER}"),
    ("min_prompt_length", rf"最[小短]{_INPUT}长度{_IS}{_NUMBER}"),
    ("max_prompt_length", rf"\bmax(?:imum|\.)?[\s_\-]*{_INPUT}[\s_\-]*(?:length|tokens?){_IS}{_NUMBER}"),
    ("max_prompt_length", rf"最[大长]{_INPUT}长度{_IS}{_NUMBER}"),
    ("prompt_length", rf"{_INPUT}s?\s*(?:(?:lengths?|长度|tokens?|size){_IS}|of\s+){_NUMBER}\s*(?:个?\s*tokens?)?"),
    ("prompt_length", rf"{_NUMBER}[\s\-]*(?:个\s*)?tokens?\s*(?:long\s+)?{_INPUT}s?"),
    ("prompt_length", rf"{_INPUT}\s*{_NUMBER}\s*个?\s*tokens?"),
    ("prompt_length", rf"{_NUMBER}[\s\-]*(?:tokens?\s+)?in\b(?=\W+\d|\W*(?:and|/))"),
    ("max_tokens", rf"{_NUMBER}[\s\-]*(?:tokens?\s+)?out\b"),
    ("prompt_length", rf"{_NUMBER}[\s\-]*(?:of\s+)?(?:input|context)(?:\s+tokens?)?(?![A-Za-z])"),
    ("prefix_length", rf"(?:\bprefix(?:\s+length)?|前缀(?:长度)?){_IS}{_NUMBER}"),
    (
        "both_tokens",
        rf"\bmin(?:imum)?\s+and\s+max(?:imum)?\s+(?:output\s+)?tokens?\s*(?:are\s+)?(?:both)?{_IS}{_NUMBER}",
    ),
    ("max_tokens", rf"\bmax(?:imum)?\s+tokens?\s+limit{_IS}{_NUMBER}"),
    (
        "max_tokens",
        rf"{_NUMBER}[\s\-]*(?:tokens?\s*)?(?:(?:max(?:imum)?|{_MODE})[\s\-]+tokens?|(?:of\s+)?(?:output|completion|输出)(?![A-Za-z]))",
    ),
    (
        "max_tokens",
        (
            rf"(?:\bmax(?:imum|\.)?[\s_\-]*(?:(?:new|output)[\s_\-]*)?tokens?|{_MODE}\s*(?:length|长度|tokens?)|"
            rf"最大(?:输出|生成)?(?:长度|\s*token数?)?|{_MODE}(?:不超过|最多|上限)?){_IS}{_NUMBER}(?:\s*个?\s*tokens?)?"
        ),
    ),
    (
        "max_tokens",
        rf"(?:\bat\s+most|\bup\s+to|最多|不超过)\s*(?:生成|输出)?\s*{_NUMBER}\s*个?\s*(?:(?:new|output)\s+)?tokens?",
    ),
    (
        "min_tokens",
        (
            rf"(?:\bmin(?:imum|\.)?[\s_\-]*(?:output[\s_\-]*)?tokens?|\bat\s+least|最少(?:输出|生成)?|至少(?:输出|生成)?)"
            rf"{_IS}{_NUMBER}(?:\s*个?\s*tokens?)?"
        ),
    ),
    ("temperature", rf"(?:\btemp(?:erature)?|温度){_IS}{_NUMBER}"),
    ("top_p", rf"\btop[\s_\-]?p{_IS}{_NUMBER}"),
    ("seed", rf"(?:\b(?:random\s+)?seed|随机种子|种子){_IS}{_NUMBER}"),
    ("range", rf"(?<!rate )(?<!rates )(?<!qps )(?<!rps )(?<!速率)(?=from\b|从|由){R}(?!\d){_NOT_OTHER}"),
    (
        "max_tokens",
        rf"(?:\b(?:a\s+)?max(?:imum)?\s+of|\bwith|\bcap(?:ped)?\s+at)\s+{_NUMBER}\s+(?:new\s+|output\s+)?tokens?(?!\s*(?:of\s+)?(?:input|prompt|context))",
    ),
    ("number", rf"(?:\bnumber(?:\s+of\s+requests)?|\brequests|请求(?:总)?数){_IS}{L}{_NOT_OTHER}"),
    ("number", rf"(?:{_ZH_EACH})\s*都?(?:各)?(?:发送?|跑|测)?\s*{L}\s*(?:{_ZH_REQUEST}|个|次|条)?"),
    ("parallel", rf"{L}{_AT_ONCE}"),
    (
        "number",
        (
            rf"(?:\b(?:send|with|of)\s+)?{L}\s*(?P<total>total\s+)?{_REQUEST}\s*(?P<each>{_EACH})?"
            r"(?P<all>\s*(?:in\s+(?:total|all)|altogether))?"
        ),
    ),
    ("number", rf"{L}\s*{_EACH}"),
    ("number", rf"请求{_IS}{_NUMBER}(?!\s*[秒s分x倍])"),
    ("number", rf"(?P<all>(?:总共|一共|总计|共)\s*)?(?:发送?|跑)?\s*{L}\s*{_ZH_REQUEST}"),
)
PATTERNS = tuple((name, re.compile(pattern, FLAGS)) for name, pattern in _PATTERNS)
"""Setting → a pattern whose group `list` has its number or numbers. What an earlier one reads, a later does not see."""

_METRIC = (
    r"(?P<p>avg|average|mean|p50|p90|p95|p99|平均)?\s*(?:的)?\s*"
    r"(?P<metric>latency|ttft?|tpot|time\s+to\s+first\s+token|time\s+per\s+output\s+token|response\s+times?|首\s*(?:字|token)\s*(?:延迟|时间)|延迟|响应时间)"
)
_BELOW = (
    r"\s*(?:is\s+|are\s+|must\s+|should\s+|has\s+to\s+|needs?\s+to\s+|stays?\s+|remains?\s+|be\s+|keeps?\s+|kept\s+|at\s+or\s+|of\s+|控制在|保持)*"
    r"(?:<=?|≤|under|below|within|less\s+than|at\s+most|(?:at\s+)?no\s+more\s+than|not\s+exceed(?:ing)?|不超过|小于|低于|不大于|在)\s*"
)
_TIME = r"(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>ms|milliseconds?|毫秒|s(?:ec(?:ond)?s?)?|秒)(?![A-Za-z])"
CRITERIA = (
    re.compile(rf"{_METRIC}{_BELOW}{_TIME}", FLAGS),
    re.compile(
        rf"{_METRIC}\s*(?:要|必须|需要|需|得|应|能|都|保证)*(?:在|控制在|保持在|不超过|低于|小于)?\s*{_TIME}\s*(?:以内|之内|以下|内)",
        FLAGS,
    ),
    re.compile(
        rf"(?:<=?|≤|under|below|within|less\s+than|sub[\s-]?)\s*{_TIME}[^.;,\d]{{0,40}}?(?<![\w]){_METRIC}", FLAGS
    ),
)
"""An SLA: p99 latency under 2 s."""
TUNE = re.compile(
    r"\bsla\b|\b(?:max(?:imum)?|highest|largest|top|most)\s+(?:possible\s+|sustainable\s+)?(?:request\s+|arrival\s+)?(?P<en>concurrency|concurrent|rate|qps|rps|throughput)|"
    r"\bauto[\s-]?tun(?:e|ing)\b|\bhow\s+many\s+(?:concurrent\s+|parallel\s+|simultaneous\s+)?(?:users|requests)\s+can\b|\btune\s+it\s+automatically\b|自动(?:找|调|测)出?|(?:撑|扛|支撑|承受)(?:住|得住|到)?\s*多[大少高]的?\s*(?:请求)?(?P<zh2>并发|速率|吞吐|QPS)?|最[大高]的?(?:请求)?(?P<zh>并发|速率|吞吐|QPS)(?!数?\s*[为是]?\s*\d)|自动调优",
    FLAGS,
)
STREAM_OFF = re.compile(
    r"\b(?:no|non|without|disable|not)[\s\-]*stream(?:ing|ed)?\b|\bstream(?:ing)?\s*[=:]?\s*(?:off|false|disabled)\b|"
    r"(?:非|不用?|关闭|关掉|关了|不要|不开)流式(?:输出)?", FLAGS,
)  # fmt: skip
STREAM_ON = re.compile(
    r"\b(?:with\s+)?stream(?:ing|ed)?(?:\s+(?:on|responses?|mode))?\b|(?:开启|使用|用)?流式(?:输出)?", FLAGS
)
APIS = (
    ("embedding", re.compile(r"\bembeddings?\b|向量(?:化)?|嵌入", FLAGS)),
    ("rerank", re.compile(r"\brerank(?:er|ing|s)?\b|重排(?:序)?", FLAGS)),
    ("responses", re.compile(r"\bresponses\s+(?:api|endpoint)\b|responses\s*接口", FLAGS)),
)
"""What is tested where it is no chat: named by EvalScope's short names."""
MULTI_TURN = re.compile(r"\bmulti[\s-]?turn\b|多轮(?:对话)?", FLAGS)
DATASET = re.compile(
    r"(?:\b(?:on|with|using)\s+|用|使用)?(?:the\s+)?(?<![\w\-])(?P<name>random|openqa|line_by_line|longalpaca|share_gpt_zh|"
    r"share_gpt_en|speed_benchmark|随机)\s*(?:data\s*sets?|prompts?|data|inputs?|数据集?|提示词)?(?![\w\-])",
    FLAGS,
)
OPEN_LOOP = re.compile(r"\bopen[\s-]?loop\b|开环", FLAGS)
TOKENIZER = re.compile(
    r"\btokenizer\s*(?:[=:]|用|是|为|is|from|at|with)?\s*(?P<w>/?[A-Za-z][\w.\-]*(?:/[\w.\-]+)*)|分词器\s*(?:[=:]|用|是|为)?\s*(?P<w2>[A-Za-z][\w./\-]*)",
    FLAGS,
)
LOAD = re.compile(
    r"\d\s*(?:requests?)?\s*(?:at\s+a\s+time|at\s+once|in\s+parallel)\b|(?<![\w])c\s*=\s*\d|"
    rf"{_CONCURRENCY}\s*(?:[=:]|of\b|at\b|为|是|从|由|range|levels?)?\s*(?:of\s+|from\s+)?\d|\d\s*个?(?:路)?并发|[一二两三四五六七八九十百]+\s*(?:个|路)?并发|并发(?:数|度)?\s*(?:为|是|到)?\s*[一二两三四五六七八九十百]|\d\s*-?(?:concurrent|parallel|simultaneous)|"
    rf"{_PER_SECOND}|每秒\s*[\d一二两三四五六七八九十]|\d\s*(?:users?|clients?)\b|\bttft?\b|\btpot\b|\b(?:max|most)\s+concurrent\b|{_ZH_EACH}.{{0,6}}请求",
    FLAGS,
)
"""What only a stress test has: levels of concurrency, rates, response times."""
