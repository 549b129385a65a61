"""Times that come again, in a sentence: "every weekday at 9:30 Berlin time", "每个工作日早上9点" → cron and zone."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import available_timezones

from handlers.intents.lexicon import FLAGS
from handlers.intents.numbers import to_int

EVERY_DAY, WEEKDAYS, WEEKEND = "*", "1-5", "0,6"

_DAYS_EN = ("sun(?:day)?", "mon(?:day)?", "tue(?:s(?:day)?)?", "wed(?:nesday)?", "thu(?:rs(?:day)?)?", "fri(?:day)?",
            "sat(?:urday)?")  # fmt: skip
_DAY_EN = rf"(?:{'|'.join(_DAYS_EN)})s?(?!\w)\.?"
_DAYS_PLURAL = r"(?:sun|mon|tues|wednes|thurs|fri|satur)days"
_DAY_ZH = "[一二三四五六日天]"
_WEEK_ZH = "(?:周|星期|礼拜)"
_AND = r"\s*(?:,\s*(?:and\s+)?|(?<!\w)and(?!\w)|&|/|、|和|与|及)\s*"
_TO = r"\s*(?:-|–|—|~|to|through|thru|until|till|到|至)\s*"
_EVERY = r"(?:every|each|on)\s+"
_COUNT = r"\d{1,2}|[a-z]{3,9}(?=[\s\-])"
_COUNT_ZH = r"\d{1,2}|[两二三四五六七八九十]{1,2}"

_PERIODS: tuple[tuple[str, str], ...] = (
    ("minutes", rf"\b(?:every|each)\s+(?P<n>{_COUNT})[\s\-]*min(?:ute)?s?\b|每隔?\s*(?P<m>{_COUNT_ZH})\s*分钟"),
    (
        "hours",
        rf"\b(?:every|each)\s+(?P<n>{_COUNT})[\s\-]*(?:hours?|hrs?|h)\b|每隔?\s*(?P<m>{_COUNT_ZH})\s*个?(?:小时|钟头)",
    ),
    ("hourly", r"\b(?:every|each|once\s+an?)\s+hour\b|\bhourly\b|每(?:个)?(?:小时|钟头)"),
    ("alternate", r"\bevery\s+(?:other|second|2nd|two|2)\s+days?\b|每隔[一1]天|隔天|每[两2二]天"),
    (
        "weekdays",
        (
            r"\b(?:(?:every|each|on|all)\s+)?(?:the\s+)?(?:weekdays?|work(?:ing)?\s?days?|business\s+days?)\b(?!\s+evaluation)"
            r"|每(?:个|天)?\s*工作日|(?:在|逢)?工作日"
        ),
    ),
    ("weekend", r"\b(?:(?:every|each|on|at)\s+)?(?:the\s+)?weekends?\b|每(?:个|逢)?周末|周末"),
    (
        "month",
        (
            r"\b(?:on\s+)?(?:the\s+)?(?P<n>\d{1,2}|first)(?:st|nd|rd|th)?\s+(?:day\s+)?of\s+(?:every|each|the)\s+month\b"
            r"|\b(?:(?:every|each)\s+month|monthly)\s+on\s+(?:the\s+)?(?P<n2>\d{1,2}|first)(?:st|nd|rd|th)?\b"
            r"|每(?:个)?月的?\s*(?P<m>\d{1,2}|[一二三四五六七八九十]{1,3})\s*[号日]"
        ),
    ),
    (
        "range",
        (
            rf"(?:{_EVERY}|from\s+)?(?P<low>{_DAY_EN}){_TO}(?P<high>{_DAY_EN})"
            rf"|每?(?:个)?{_WEEK_ZH}(?P<zlow>{_DAY_ZH}){_TO}{_WEEK_ZH}?(?P<zhigh>{_DAY_ZH})"
        ),
    ),
    (
        "list",
        (
            rf"(?:{_EVERY}|weekly\s+on\s+)(?P<days>{_DAY_EN}(?:{_AND}(?:(?:every|on)\s+)?{_DAY_EN}){{0,6}})"
            rf"|(?P<plural>{_DAYS_PLURAL}(?:{_AND}{_DAYS_PLURAL}){{0,6}})(?!\w)"
            rf"|每(?:个|逢)?{_WEEK_ZH}的?(?P<zdays>{_DAY_ZH}(?:(?:{_AND})?{_WEEK_ZH}?{_DAY_ZH}){{0,6}})"
            rf"(?![一二三四五六七八九十]*[点月])"
        ),
    ),
    (
        "day",
        (
            r"\b(?:every|each)\s+(?:single\s+)?(?P<part>day|morning|evening|night|afternoon|noon|midnight)s?\b|\b(?:daily|nightly|"
            r"once\s+a\s+day)(?![\w\-])|每(?:一)?(?:天|日)(?:的)?|每(?P<zpart>晚|早|夜)"
        ),
    ),
    ("week", r"\b(?:(?:every|each)\s+week|weekly|once\s+a\s+week)(?![\w\-])|每(?:个)?(?:周|星期|礼拜)"),
    ("monthly", r"\b(?:(?:every|each)\s+month|monthly)(?![\w\-])|每(?:个)?月"),
)
_PATTERNS = tuple((name, re.compile(pattern, FLAGS)) for name, pattern in _PERIODS)

_PART_ZH = r"(?P<part>凌晨|清晨|早上|早晨|早|上午|中午|下午|傍晚|晚上|晚间|晚|夜里|夜间|半夜|深夜)?\s*的?\s*"
_HALF = r"(?P<half>[ap]\.?m\b\.?)"
_AT = r"(?:\bat\s+|@\s*|\baround\s+)"
_HOUR = r"(?<![\d:.])(?P<hour>\d{1,2})"
_NOT_A_LOAD = r"(?!\d|\s*(?:rps|qps|req|concurren|parallel|%|[.:]\d|[kx]\b|samples?|tokens?|users?|shots?))"
_TIMES = tuple(
    re.compile(pattern, FLAGS)
    for pattern in (
        rf"{_AT}?(?P<word>\bnoon\b|\bmidnight\b|正午|午夜)",
        rf"{_AT}?{_PART_ZH}{_HOUR}\s*[:h](?P<minute>\d{{2}})(?::\d{{2}})?(?!\d)\s*{_HALF}?",
        rf"{_AT}?{_HOUR}\s*{_HALF}",
        rf"{_AT}?\b(?P<quarters>half|quarter)\s+(?P<past>past|to)\s+(?P<hour>\d{{1,2}}|[a-z]{{3,6}})(?:\s*{_HALF})?",
        (
            rf"{_PART_ZH}(?P<hour>\d{{1,2}}|[零〇一二两三四五六七八九十]{{1,3}})\s*[点點时](?!间|候|长|区)[钟整]?"
            r"(?:(?P<zh_half>半)|(?P<zh_quarters>[一三])刻|(?P<minute>\d{1,2}|[零〇一二三四五六七八九十]{1,4})分?(?![\d条个题]))?"
        ),
        rf"{_AT}?{_HOUR}\s*o'?clock",
        rf"{_AT}{_HOUR}{_NOT_A_LOAD}",
    )
)
_ALSO = re.compile(rf"{_AND}$", FLAGS)
_PART_AFTER = re.compile(r"\s*in\s+the\s+(?P<part>morning|afternoon|evening)\b|\s*at\s+night\b", FLAGS)

_OFFSET = re.compile(r"\b(?:UTC|GMT)\s*(?P<sign>[+-])\s*(?P<hours>\d{1,2})(?::00)?\b", FLAGS)
_ZONE_NAME = re.compile(
    r"(?<![\w/])(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc)/[\w+\-]+(?:/\w+)?",
    FLAGS,
)
_ABBREVIATIONS = {
    "utc": "UTC", "gmt": "GMT", "cet": "Europe/Berlin", "cest": "Europe/Berlin", "bst": "Europe/London",
    "est": "America/New_York", "edt": "America/New_York", "et": "America/New_York", "cst": "Asia/Shanghai",
    "pst": "America/Los_Angeles", "pdt": "America/Los_Angeles", "pt": "America/Los_Angeles", "jst": "Asia/Tokyo",
    "kst": "Asia/Seoul", "ist": "Asia/Kolkata", "sgt": "Asia/Singapore", "hkt": "Asia/Hong_Kong",
}  # fmt: skip
_ABBREVIATION = re.compile(rf"(?<![\w/])(?:{'|'.join(_ABBREVIATIONS)})(?![\w/])(?:\s+time\b)?", FLAGS)
_PLACES = {
    "北京": "Asia/Shanghai", "上海": "Asia/Shanghai", "中国": "Asia/Shanghai", "国内": "Asia/Shanghai",
    "杭州": "Asia/Shanghai", "深圳": "Asia/Shanghai", "香港": "Asia/Hong_Kong", "台北": "Asia/Taipei",
    "东京": "Asia/Tokyo", "日本": "Asia/Tokyo", "首尔": "Asia/Seoul", "新加坡": "Asia/Singapore",
    "伦敦": "Europe/London", "英国": "Europe/London", "柏林": "Europe/Berlin", "德国": "Europe/Berlin",
    "巴黎": "Europe/Paris", "纽约": "America/New_York", "美东": "America/New_York", "旧金山": "America/Los_Angeles",
    "洛杉矶": "America/Los_Angeles", "西雅图": "America/Los_Angeles", "美西": "America/Los_Angeles",
    "硅谷": "America/Los_Angeles", "莫斯科": "Europe/Moscow", "悉尼": "Australia/Sydney",
    "beijing": "Asia/Shanghai", "china": "Asia/Shanghai", "hangzhou": "Asia/Shanghai", "shenzhen": "Asia/Shanghai",
    "california": "America/Los_Angeles", "san francisco": "America/Los_Angeles", "sf": "America/Los_Angeles",
    "seattle": "America/Los_Angeles", "pacific": "America/Los_Angeles", "eastern": "America/New_York",
    "central european": "Europe/Berlin", "munich": "Europe/Berlin", "german": "Europe/Berlin", "uk": "Europe/London",
    "japan": "Asia/Tokyo", "india": "Asia/Kolkata", "bangalore": "Asia/Kolkata", "israel": "Asia/Jerusalem",
}  # fmt: skip
"""Places that people say, beside the cities that zones are named after."""


@dataclass(frozen=True)
class When:
    """When something is to come again; `cron` is None where it is not said to the minute."""

    cron: str | None
    timezone: str | None
    rest: str
    """The sentence without it."""


def read_when(text: str) -> When | None:
    """Return when a sentence says something is to come again, None where it says no such thing."""
    timezone, left = _zone(text)
    periods = ((name, found) for name, pattern in _PATTERNS if (found := pattern.search(left)) is not None)
    name, found = next(periods, (None, None))
    if name is None or found is None:
        return None
    left = _blank(left, [found.span()])
    times, left = _times(left, _part(found))
    return When(_cron(name, found, times), timezone, re.sub(r"\s+", " ", left).strip(" ,"))


def _cron(name: str, found: re.Match[str], times: list[tuple[int, int]]) -> str | None:
    if name in {"minutes", "hours"}:
        count = to_int(found["n"] or found["m"]) or 0
        most = 59 if name == "minutes" else 23
        if not 1 <= count <= most:
            return None
        return f"*/{count} * * * *" if name == "minutes" else f"0 */{count} * * *"
    if name == "hourly":
        return "0 * * * *"
    days = _days(name, found)
    minutes, hours = {minute for _, minute in times}, sorted({hour for hour, _ in times})
    if days is None or len(minutes) != 1:
        return None
    of_month, of_week = days
    return f"{minutes.pop()} {','.join(map(str, hours))} {of_month} * {of_week}"


def _days(name: str, found: re.Match[str]) -> tuple[str, str] | None:
    """Return the days of the month and of the week; None where they are not said."""
    if name in {"weekdays", "weekend", "day", "alternate"}:
        week = {"weekdays": WEEKDAYS, "weekend": WEEKEND}.get(name, "*")
        return ("*/2" if name == "alternate" else "*", week)
    if name == "month":
        said = found["n"] or found["n2"] or found["m"]
        day = 1 if said == "first" else to_int(said) or 0
        return (str(day), "*") if 1 <= day <= 31 else None
    if name == "range":
        low, high = (_day(found[a] or found[b]) for a, b in (("low", "zlow"), ("high", "zhigh")))
        return ("*", f"{low}-{high}" if low <= high else _listed([*range(low, 7), *range(high + 1)]))
    if name == "list":
        if found["zdays"]:
            numbers = [_day(char) for char in found["zdays"] if re.fullmatch(_DAY_ZH, char)]
        else:
            said = found["days"] or found["plural"]
            numbers = [_day(word) for word in re.findall(r"[a-z]+", said.lower()) if word not in {"and", "every", "on"}]
        return ("*", _listed(numbers))
    return None


def _listed(numbers: Iterable[int]) -> str:
    days = sorted(set(numbers))
    return WEEKDAYS if days == [1, 2, 3, 4, 5] else ",".join(map(str, days))


def _day(said: str) -> int:
    """Return the number of a day, Sunday is 0."""
    if said in "日天":
        return 0
    if said in "一二三四五六":
        return "一二三四五六".index(said) + 1
    return ("sun", "mon", "tue", "wed", "thu", "fri", "sat").index(said[:3].lower())


def _times(left: str, part: str) -> tuple[list[tuple[int, int]], str]:
    """Return hours and minutes, and the sentence without them; several only where they are listed."""
    found: list[tuple[int, int]] = []
    spans: list[tuple[int, int]] = []
    for match in sorted((m for pattern in _TIMES for m in pattern.finditer(left)), key=lambda m: (m.start(), -m.end())):
        if spans and match.start() < spans[-1][1]:
            continue
        if spans and not _ALSO.fullmatch(left[spans[-1][1] : match.start()]):
            break
        after = _PART_AFTER.match(left, match.end())
        time = _time(match, part or ("" if after is None else after["part"] or "night"))
        if time is not None:
            found.append(time)
            spans.append((match.start(), match.end() if after is None else after.end()))
    return found, _blank(left, spans)


def _time(match: re.Match[str], part: str) -> tuple[int, int] | None:
    """Return the hour and minute of one time; None for what is none."""
    said = match.groupdict()
    if said.get("word"):
        return (12, 0) if said["word"].lower() in {"noon", "正午"} else (0, 0)
    hour, minute = to_int(said["hour"]), to_int(said.get("minute") or "0")
    if said.get("quarters"):
        minute = 30 if said["quarters"].lower() == "half" else 15
        if said["past"].lower() == "to":
            hour, minute = None if hour is None else hour - 1, 60 - minute
    if said.get("zh_half"):
        minute = 30
    elif said.get("zh_quarters"):
        minute = 15 if said["zh_quarters"] == "一" else 45
    if hour is None or minute is None or not 0 <= hour <= 24 or minute > 59:
        return None
    half = (said.get("half") or "").replace(".", "").lower()
    return _hour(hour, half, said.get("part") or part) % 24, minute


def _hour(hour: int, half: str, part: str) -> int:
    """Return the hour of the day: 8 in the evening is 20."""
    late = half == "pm" or part in {"下午", "傍晚", "晚上", "晚间", "晚", "afternoon", "evening"}
    late = late or (part in {"夜里", "夜间", "深夜", "夜", "night"} and hour >= 6)
    if part == "中午":
        return hour + 12 if hour < 11 else hour
    if hour == 12 and (half == "am" or part in {"凌晨", "半夜", "晚上", "夜里", "深夜", "晚"}):
        return 0
    return hour + 12 if late and hour < 12 else hour


def _part(found: re.Match[str]) -> str:
    """Return the part of the day that a period names: every night at 10."""
    groups = found.groupdict()
    part = (groups.get("part") or groups.get("zpart") or "").lower()
    return (
        "night"
        if found[0].lower() == "nightly"
        else ""
        if part in {"day", "noon", "midnight"}
        else {"早": "早上"}.get(part, part)
    )


def _zone(text: str) -> tuple[str | None, str]:
    """Return the time zone that is said (IANA), and the sentence without it."""
    for zone, start, end in _zones(text):
        return zone, _blank(text, [(start, end)])
    return None, text


def _zones(text: str) -> Iterable[tuple[str, int, int]]:
    for match in _ZONE_NAME.finditer(text):
        known = _by_folded().get(match[0].casefold())
        if known:
            yield known, *_with_edges(text, match.start(), match.end())
    for match in _OFFSET.finditer(text):
        hours = int(match["hours"])
        sign = "-" if match["sign"] == "+" else "+"  # POSIX counts the other way
        yield f"Etc/GMT{sign}{hours}" if hours else "UTC", match.start(), match.end()
    for match in _place().finditer(text):
        yield _of_place(match["place"] or match["city"] or match["zh"]), match.start(), match.end()
    for match in _ABBREVIATION.finditer(text):
        word = match[0].split()[0]
        if word.isupper() or " " in match[0]:
            yield _ABBREVIATIONS[word.lower()], match.start(), match.end()


def _with_edges(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen a zone's place by what belongs to it: "(Europe/Berlin time)"."""
    after = re.compile(r"\s*(?:time(?:zone)?|时间|时区)", FLAGS).match(text, end)
    before = re.compile(r"(?:\bin|时区)?\s*$", FLAGS).search(text[:start])
    return (start if before is None else before.start(), end if after is None else after.end())


@functools.cache
def _by_folded() -> dict[str, str]:
    return {zone.casefold(): zone for zone in available_timezones()}


@functools.cache
def _cities() -> dict[str, str]:
    """Return the cities that zones are named after: new york → America/New_York."""
    return {
        zone.rpartition("/")[2].replace("_", " ").casefold(): zone
        for zone in sorted(available_timezones())
        if zone.count("/") == 1
        and zone.partition("/")[0] in {"Africa", "America", "Asia", "Australia", "Europe", "Pacific"}
    }


@functools.cache
def _place() -> re.Pattern[str]:
    names = sorted({*_PLACES, *_cities()}, key=len, reverse=True)
    english = "|".join(re.escape(name).replace(r"\ ", r"[\s_]") for name in names if name.isascii())
    chinese = "|".join(name for name in names if not name.isascii())
    return re.compile(
        rf"(?:\bin\s+)?(?<![\w/])(?P<place>{english})\s+(?:local\s+)?time(?:zone|\s+zone)?\b"
        rf"|\bin\s+(?P<city>{english})(?![\w/\-])"
        rf"|(?:按|用|以)?(?P<zh>{chinese})(?:当地)?(?:时间|时区)",
        FLAGS,
    )


def _of_place(said: str) -> str:
    folded = re.sub(r"[\s_]+", " ", said).casefold()
    return _PLACES.get(folded) or _cities()[folded]


def _blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    for start, end in spans:
        text = f"{text[:start]}{' ' * (end - start)}{text[end:]}"
    return text
