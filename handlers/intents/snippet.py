"""EvalScope's configurations in a message: Python, YAML or JSON, in a code block, in `python -c` or just as it is."""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from handlers.intents.admit import refused
from handlers.intents.parsed import Parsed
from handlers.intents.python_snippet import read_script
from handlers.intents.shell import split
from handlers.intents.task_config import Config, all_requests, fits, kind_of, request

_LONGEST = 20_000
"""Characters that are read as a configuration; nobody types more."""
_CALLS = re.compile(r"\b(?:(?P<eval>run_task|TaskConfig)|(?P<perf>run_perf_benchmark|Arguments))\s*\(")
_NAMED = re.compile(r"\b\w{0,40}(?:task|perf|eval)_?(?:cfg|config|args)\w{0,40}\s*(?::[^=\n]{1,60})?=(?!=)", re.ASCII)
_FENCED = re.compile(r"```[\w+\-]{0,20}[ \t]*\n?(.*?)```", re.DOTALL)
_INLINE = re.compile(r"(?:^|[\s$>])python[\d.]{0,5}\s+(?:-\w\s+){0,3}-c\s+(?=[\"'])", re.ASCII)
_HEREDOC = re.compile(
    r"(?:^|[\s$>])python[\d.]{0,5}\s+(?:-\s+)?<<-?\s*[\"']?(\w{1,20})[\"']?[^\n]*\n(.*?)\n\s*\1\s*$",
    re.ASCII | re.DOTALL | re.MULTILINE,
)
_CODE_LINE = re.compile(
    r"^(?:>>> )?(?:from\s+[\w.]+\s+import\b|import\s+\w|[A-Za-z_][\w.]*(?:\[[^\]\n]*\])?\s*(?::\s*[\w.\[\]]+\s*)?=(?!=)"
    r"|[A-Za-z_][\w.]*\(|#|if __name__|def \w|for \w|with \w|try:|\{)",
    re.ASCII | re.MULTILINE,
)
_PROMPT = re.compile(r"^(?:>>>|\.\.\.)(?: |$)", re.MULTILINE)
_KEY_LINE = re.compile(
    r"(?:^\s{0,20}|[{,]\s{0,20})[\"']?(?:model|datasets|eval_backend|eval_config|url|api_url|parallel|number)[\"']?\s*:"
    r"(?=[\s\"'\[{\d]|$)",
    re.MULTILINE,
)
_QUOTED_KEY = re.compile(r"\{\s*[\"'][\w.\-]{1,60}[\"']\s*:")
_MOST_TRIMMED = 40
_DEEPEST = 20


def parse_snippet(text: str) -> Parsed | None:
    """Return the requests of the configurations in cleaned `text`, None where there is none."""
    text = text[:_LONGEST]
    if not (_CALLS.search(text) or _NAMED.search(text) or _KEY_LINE.search(text)):
        return None
    for code, fenced in _pieces(text):
        found = all_requests(_configs(code, fenced=fenced))
        if found is not None:
            return found
    return _broken(text)


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Give what may be code, most surely so first, and whether it stands in a code block of its own."""
    match = _INLINE.search(text)
    if match is not None and (words := split(text[match.end() :]).words):
        yield words[0].text, True
    for match in _HEREDOC.finditer(text):
        yield match[2], True
    blocks = [block[1] for block in _FENCED.finditer(text)]
    if blocks:
        yield "\n".join(map(textwrap.dedent, blocks)), True
    for block in blocks:
        yield block, True
    if not blocks:
        yield text.replace("`", ""), False


def _configs(code: str, *, fenced: bool) -> list[Config]:
    """Return the configurations of one piece. YAML comes last: to it, every name in Python is a text."""
    if _CALLS.search(code) or _NAMED.search(code):
        return _scripts(code)
    quoted, key = _QUOTED_KEY.search(code), _KEY_LINE.search(code)
    found = _documents(code, _json, fenced=fenced) or (_scripts(code) if quoted else [])
    braced = quoted is not None and key is not None and quoted.start() <= key.start()
    return found or ([] if braced and not fenced else _documents(code, _yaml, fenced=fenced))


def _documents(code: str, load: Callable[[str], Any], *, fenced: bool) -> list[Config]:
    """Return the configurations that YAML or JSON holds: a whole block of it, or where a message goes over to it."""
    match = _KEY_LINE.search(code)
    if match is None:
        return []
    brace = code.find("{", 0, match.end())
    starts = dict.fromkeys([0, brace if brace >= 0 else match.start(), match.start()])
    for start in starts:
        for said in (code[start:], code[start : code.rfind("}") + 1]):
            value = load(textwrap.dedent(said.strip("\n")))
            found = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
            if found and all(all(isinstance(key, str) for key in one) for one in found):
                written = fenced or said.lstrip().startswith(("{", "["))
                if all(kind_of(one) is not None if written else fits(one) for one in found):
                    return [Config(one) for one in found]
    return []


def _json(said: str) -> Any:
    """Return what JSON holds, None where it is none."""
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return None


def _yaml(said: str) -> Any:
    """Return what YAML holds; None where it holds nothing that is safe and plain."""
    if not said.strip() or _too_deep(said):
        return None
    import yaml

    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(said, Loader=yaml.SafeLoader)):
            return None  # one line of it can stand for millions
        return yaml.safe_load(said)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError, AttributeError):
        return None


def _too_deep(said: str) -> bool:
    """Tell whether brackets, or the dashes of lists in lists, are nested more than anybody nests them."""
    depth = deepest = 0
    for char in said:
        depth += (char in "[{") - (char in "]}")
        deepest = max(deepest, depth)
    return deepest > _DEEPEST or "- " * _DEEPEST in said or "? " * _DEEPEST in said


def _scripts(code: str) -> list[Config]:
    tree = _parse_python(code)
    return [] if tree is None else read_script(tree)


def _parse_python(code: str) -> ast.Module | None:
    """Return the tree of the code in `code`: from where it begins to look like code to where it no longer does."""
    code = _PROMPT.sub("", code)
    first = _CODE_LINE.search(code)
    call = _CALLS.search(code) or _NAMED.search(code)
    starts = [start.start() for start in (first, call) if start is not None]
    for start in dict.fromkeys([0, *starts] if code[:1].isspace() or first is None else starts):
        said = textwrap.dedent(code[start:])
        if (tree := _tree(said)) is not None:
            return tree
        lines = said.split("\n")
        for end in range(len(lines) - 1, max(0, len(lines) - _MOST_TRIMMED), -1):
            if (tree := _tree("\n".join(lines[:end]))) is not None:
                return tree
        if (tree := _tree(said[: said.rfind(")") + 1])) is not None:
            return tree
    return None


def _tree(code: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if tree.body else None


def _broken(text: str) -> Parsed | None:
    """Say of what is code and cannot be read that it cannot: nothing of it is guessed."""
    call = _CALLS.search(text)
    if call is None or not (_CODE_LINE.search(text) or "```" in text):
        return None
    if any(_parse_python(code) is not None for code, _ in _pieces(text)):
        return None
    return request(Config({}, "perf" if call["perf"] else "eval", [refused("python", "refused.syntax")]))
