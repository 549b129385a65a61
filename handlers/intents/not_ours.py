"""Messages that ask for nothing of ours, however many of our words they hold: instructions to a bot, prose to write."""

from __future__ import annotations

import re
from collections.abc import Iterable

from handlers.intents.lexicon import FLAGS, STOP, words


def _any(*patterns: str) -> re.Pattern[str]:
    """Return the pattern of any of these."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), FLAGS)


_WHO = r"(?:system|assistant|developer|admin(?:istrator)?|root)"
_MESSAGE = r"(?:message|prompt|notice|override|note|update|command|alert)"
_WHOSE = r"(?:(?:all|any|every|of|your|my|the|these|those|our|me|us|out|everyone's)\s+)*"
_RULES = (
    r"(?:instructions?|rules?|prompts?|guidelines?|restrictions?|polic(?:y|ies)|limits?|checks?|confirmations?|"
    r"everything\s+above)"
)
_SECRETS = (
    r"(?:api[\s_\-]?keys?|secrets?|passwords?|(?:api|access|auth|bot|secret)[\s_\-]tokens?|credentials?|"
    r"env(?:ironment)?\s+var\w*|\.env)"
)
_SHOWS = r"(?:reveal|print|show|leak|dump|send|tell|give|echo|list|output|repeat|expose|paste)"
_INSTRUCTS = _any(
    # rules are to be set aside
    rf"\b(?:ignor|disregard|forget|overrid|bypass)(?:e|es|ing)?\s+{_WHOSE}"
    rf"(?:(?:previous|prior|above|earlier|former|preceding|existing|safety|system|other)\s+)*{_RULES}",
    r"\bwithout\s+(?:asking|confirmation|permission)\b(?=.*\b(?:all|everyone|everybody|every)\b)",
    r"忽略(?:掉)?(?:以上|上面|之前|前面|此前|所有|一切|你的|系统)*的?(?:所有|全部|一切)?的?(?:指令|指示|规则|提示|限制|要求|设定)",
    r"无视(?:以上|之前|所有|你的)*的?(?:指令|规则|限制)",
    # somebody of rank seems to speak
    rf"(?:^|\n|\W)(?:\[|<|#+\s*|\*\*)?{_WHO}(?:\s+{_MESSAGE})?(?:\]|>|\*\*)?\s*[:>]",
    rf"[\[<]{_WHO}[\]>]",
    r"</?(?:system|instructions?|im_start|im_end|admin)\b",
    r"\[/?(?:INST|SYS)\]|<<SYS>>",
    r"(?:^|\n|\W)(?:系统|管理员|开发者)(?:消息|提示|指令|通知|命令)\s*[::]",
    # the bot is to be somebody else
    r"\byou\s+are\s+(?:now|no\s+longer)\b|\bfrom\s+now\s+on,?\s+you\b",
    r"\b(?:pretend|imagine|act|behave|role-?play)\s+(?:that\s+)?"
    r"(?:as\s+(?:if|a|an|the)|to\s+be|you(?:'re|\s+are)|like)\b",
    r"\b(?:developer|god|debug|sudo|jailbreak|maintenance|admin)\s+mode\b|\bjailbreak\b|\bDAN\b(?=.*\b(?:mode|you)\b)",
    r"你现在(?:是|已经)|从现在(?:起|开始)[,，]?\s*你|你不再是|(?:假装|扮演|假设)(?:你|成|自己)?(?:是|成)?|开发者模式|管理员模式|越狱",
    # what it was told, or a secret, is to be shown
    r"\bsystem\s+prompt\b|\byour\s+(?:initial\s+)?(?:prompt|instructions)\b|系统提示词|你的(?:提示词|系统指令)",
    rf"\b{_SHOWS}\s+{_WHOSE}{_SECRETS}\b",
    r"(?:告诉|发给|输出|打印|显示|泄露|列出)(?:我|给我|一下)?(?:你的|所有|全部|系统)?的?(?:api\s*key|密钥|密码|口令|令牌|环境变量)",
)
_PROSE = (
    r"(?:poem|haiku|song|story|essay|joke|limerick|e?-?mail|letter|tweet|post\s+about|blog(?:\s+post)?|article|"
    r"summary\s+of|function|script|speech|slide\w*|cover\s+letter|unit\s+tests?|regex|sql)"
)
_PROSE_ZH = (
    r"(?:诗|歌|故事|笑话|文章|作文|邮件|信(?!息)|脚本|代码(?!评|基|能|生|的)|函数|总结|周报|段子|博客|推文|文案)"
)
_WRITES = _any(
    r"\b(?:write|compose|draft|tell|make\s+up|sing|generate|create)\s+(?:me\s+|us\s+)?(?:a|an|the|some|another)\s+"
    rf"(?:\w+\s+){{0,2}}?{_PROSE}\b",
    r"\b(?:translate|paraphrase|proofread|rephrase|summari[sz]e)\s+(?:this|that|the|these|it|following|my|\"|')",
    r"(?:写|作|编|来|讲|起草|拟|唱)(?:一|个|首|篇|段|封|份|点|下|几|我|给|帮|我听|一下|两)*(?:关于|有关|讲)?"
    rf"[^,。,!?]{{0,16}}?{_PROSE_ZH}",
    r"(?:翻译|润色|改写|校对)(?:一下|成|下|这|:|,|为)",
)
_ASKS_TO_RUN = re.compile(r"\b(?:evaluate|eval|benchmark|stress|load[\s-]test)\b|评测|压测|测评", FLAGS)
_LONGEST_TALK = 80
_GREETS = re.compile(
    r"\W*(?:(?:hi+|hey+|hello|yo|hiya|howdy|good\s+(?:morning|afternoon|evening|day)|morning|greetings|how\s+are\s+you(?:\s+(?:doing|today))?|"
    r"你好|您好|嗨|哈喽|早上好|早安|早|下午好|晚上好|在吗|在不在)(?:\W+|$)(?:there|all|everyone|bot|scopebot|大家|呀|啊)?\W*)+",
    FLAGS,
)
_FILLER = words(
    """could should would display provide present got currently happening still there here anything something kind sort
    bit way little any stuff guys team folks mate buddy hey quickly asap urgently current moment far yet soon later
    already really actually basically again run runs running job jobs evaluation evaluations eval evals test tests task
    tasks status progress result results score scores bot scopebot work working ones those doing things am im let lets
    whats hows tell showing view open look looking see into onto thanks thank cheers btw ok okay well hmm um so now
    finished done ended complete completed fail failed failing break broke crash crashed die died error errors wrong
    slow stuck hang hanging started waiting queue queued recent newest overall far online web page ui link url browser
    benchmark benchmarks dataset datasets commands command features options offer able available do does did did they"""
)
_FILLER_ZH = re.compile(
    "任务|运行|评测|测试|压测|情况|现在|目前|最近|刚才|刚刚|今天|一下|一个|那个|这个|哪个|那次|这次|上次|次|可以|能不能|能否|麻烦|帮我|帮忙|"
    "给我|告诉|知道|看看|瞧瞧|什么|怎么样|怎么|怎样|如何|多少|哪些|有没有|是不是|为什么|失败|出错|报错|挂|慢|卡|完成|结束|全部|所有|都|还|再|又|"
    "看一眼|给个|可视化|你们|我们|大家|机器人|功能|命令|评测集|数据集|基准|模型|页面|网页|链接|打开|打不开|"
    "[的了吗呢啊吧呀嘛么是在有我你他它请帮下这那给把和与到就去来上里想要说用做会能看查列出显示发也眼链接]"
)
_THANKS = re.compile(
    r"\W*(?:thanks?(?:\s+(?:you|a\s+(?:lot|million|bunch)|so\s+much|again))*|thx|ty|cheers|much\s+appreciated|nice|great(?:\s+(?:job|work))?|"
    r"cool|awesome|perfect|well\s+done|good\s+(?:job|bot|work)|谢谢(?:你|您|啦|了)?|多谢|感谢|辛苦了?|棒|太棒了|厉害|不错)"
    r"(?:\W+(?:that\s+(?:was|is)\s+)?(?:very\s+|really\s+|so\s+)?(?:thanks?|you|great|helpful|nice|good|awesome|perfect|bot|scopebot|everyone|all|谢谢|了|啦|哈))*\W*",
    FLAGS,
)


def small_talk(text: str) -> str | None:
    """Return the key of the answer to a greeting or to thanks that say nothing more, None for anything else."""
    if len(text) > _LONGEST_TALK or not text.strip():
        return None
    return "none.hello" if _GREETS.fullmatch(text) else "none.thanks" if _THANKS.fullmatch(text) else None


def is_not_ours(text: str) -> bool:
    """Tell whether a message gives orders about the bot itself, or wants something written."""
    if _INSTRUCTS.search(text):
        return True
    written = _WRITES.search(text)
    return written is not None and not _ASKS_TO_RUN.search(text[: written.start()])


_CHATS = _any(
    # opinions
    r"\b(?:what|how)\s+do\s+(?:you|u|we|people)\s+(?:think|feel|like)\b|\b(?:any|your)\s+thoughts\b|\bimh?o\b",
    r"\bdo\s+you\s+(?:like|think|know|believe|remember|prefer)\b",
    r"\bi'?d\s+bet\b|\bgut\s+feeling\b|困死|累死",
    r"\b(?:i|we)\s+(?:really\s+|just\s+|also\s+|still\s+)?(?:think|believe|heard|read|saw|love|loved|hate|hated|wonder|guess|"
    r"feel|bet|doubt|hope|wish|like|enjoyed|remember|forgot)\b",
    r"\b(?:isn't|aren't|wasn't|doesn't|don't|won't|didn't)\s+(?:it|they|that|you|he|she|we)\s*\?|\bright\s*\?\s*$",
    r"你(?:觉得|认为|喜欢|知道|听说)|我(?:觉得|认为|听说|看到|喜欢|猜|感觉|希望)|大家(?:觉得|怎么看)|怎么看(?!到)",
    r"(?<![撤停消算])(?:了|的|是)吧|是不是(?:太|有点|已经)|挺(?:老|旧|难|好|水|简单|有意思)|太(?:难|老|旧|卷|贵|慢|简单|水|高|低|好|差)了",
    # news and small talk
    r"\bdid\s+(?:you|anyone|anybody)\s+(?:see|hear|read|know|notice)\b|\bhave\s+you\s+(?:seen|heard|read)\b",
    r"\bfyi\b|\bbtw,?\s+(?:the|i|we)\b|\blol\b|\bhaha",
    r"\b(?:meeting|lunch|dinner|coffee|weekend\s+plans|holiday|vacation|marathon|birthday|football|movie|weather|salary|"
    r"interview|the\s+news|blog\s+post|the\s+paper\s+(?:says|claims|reports)|newsletter|slides\s+for)\b",
    r"听说|据说|会议|开会|午饭|吃饭|咖啡|周末(?:去|干|打算)|放假|请假|天气|工资|面试|新闻|论文(?:里|说|讲)|跑步|马拉松|电影",
    # other questions
    r"\bwho\s+(?:made|created|invented|wrote|published|built|won|is|was|are|maintains)\b|\bwhen\s+(?:was|is|did|will)\s",
    r"\bhow\s+(?:do|does|did)\s+(?:\S+\s+){1,4}work\b",
    r"\b(?:explain|teach)\s+(?:to\s+)?(?:me\s+)?(?:how|what|why|the\s+(?:idea|concept|difference))\b",
    r"\bwhat(?:'s|\s+is|\s+are)\s+(?:the\s+)?(?:point|history|meaning|idea|best\s+way)\b",
    r"(?<!benchmark\s)(?<!benchmarks\s)(?<!dataset\s)(?<!datasets\s)\bshould\s+(?:i|we)\s+(?:use|buy|pick|choose|learn|read|train)\b",
    r"\bwhich\s+(?:gpu|laptop|cloud|framework|library|paper|book|course)\b",
    r"解释一下|讲讲|科普|谁(?:做|写|发布|提出|发明)|哪家|买(?:哪|什么|个)|贵不贵",
)
_ASKS = (
    r"(?:please|pls|plz|kindly|(?:can|could)\s+(?:you|u|we)|(?:would|will)\s+you|"
    r"(?:i|we)(?:'d|\s+would)?\s+(?:want|like|need)\s+(?:you\s+)?(?:to)?|"
    r"let'?s|help\s+me|go\s+(?:ahead\s+and|and)|now|then|just|and|so|also)"
)
_DOES = (
    r"(?:evaluat\w*|eval|re-?run|run|test|benchmark|score|measure|assess|stress|load[\s-]test|hammer|ramp|sweep|compare|cancel|"
    r"stop|abort|kill|resume|continue|repeat|show|list|give|get|check|schedule|post|try|put|start|kick|do|see|find|launch)"
)
_ASKS_ZH = r"(?:请|帮我|帮忙|麻烦|给我|替我|我(?:想|要|需要)|能不能|可以|能否)"
_DOES_ZH = (
    r"(?:(?:评测|测评|压测|评估)(?!会|组|团队|岗|方向|平台)|跑(?:一下|个|一遍|一次|\s*[\x01\x02])|测(?:一下|个|一测|\s*[\x01\x02])|"
    r"重跑|取消|对比|压一下)"
)
_COMMANDS = _any(
    r"\bhow\s+did\b|\bwhat\s+did\b",
    rf"(?:^|[,.;:!?\n]\s*|\b{_ASKS}\s+)(?:(?:please|pls|just|quickly|also|now|go|first)\s+)*{_DOES}\b",
    rf"{_ASKS_ZH}(?:你)?(?:再|先)?(?:帮我|帮忙)?(?:把|用|拿|对|在|跑|测|评|压|看|对比|取消|停|重)",
    rf"(?:^|[,.;:!?。，；\n]\s*)(?:用|拿|在|对|把)?[^,.;!?。，；]{{0,24}}?{_DOES_ZH}",
)


def is_chat(masked: str) -> bool:
    """Tell whether a sentence (its names masked) gives an opinion, news or small talk, and asks for nothing done."""
    return _CHATS.search(masked) is not None and _COMMANDS.search(masked) is None


def wanders(masked: str, named: Iterable[tuple[int, int]], most: int) -> bool:
    """Tell whether a sentence is about other things than the words of ours in it, which stand at `named`.

    More than `most` words of its own (of Chinese: twice as many characters) are other things.
    """
    rest = masked
    for start, end in named:
        rest = f"{rest[:start]}{' ' * (end - start)}{rest[end:]}"
    own = [word for word in re.findall(r"[a-z][a-z']+", rest.lower()) if word not in STOP and word not in _FILLER]
    chinese = re.findall(r"[\u4e00-\u9fff]", _FILLER_ZH.sub("", rest))
    return len(own) > most or len(chinese) > 2 * most
