"""A pasted Python snippet that calls `run_task` or `run_perf_benchmark`: read, never run.

Only what is written out is taken: literals, names that hold them, and EvalScope's own constants and configuration
classes. Whatever would have to be computed is told by its name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from handlers.intents.admit import refused
from handlers.intents.flags import names_secret
from handlers.intents.parsed import Refused
from handlers.intents.task_config import Computed, Config, Kind, kind_of

CONSTANTS: Mapping[str, str] = {
    "EvalType.CUSTOM": "custom",
    "EvalType.MOCK_LLM": "mock_llm",
    "EvalType.CHECKPOINT": "llm_ckpt",
    "EvalType.TEXT2IMAGE": "text2image",
    "EvalType.TEXT2SPEECH": "text2speech",
    "EvalType.IMAGE_EDITING": "image_editing",
    "EvalType.OPENAI_API": "openai_api",
    "EvalType.SYSTEMONE_API": "systemone_api",
    "EvalType.AUTOTRUST_API": "autotrust_api",
    "EvalType.OPENAI_RESPONSES_API": "openai_responses_api",
    "EvalType.ANTHROPIC_API": "anthropic_api",
    "EvalType.LITELLM": "litellm",
    "EvalBackend.NATIVE": "Native",
    "EvalBackend.OPEN_COMPASS": "OpenCompass",
    "EvalBackend.VLM_EVAL_KIT": "VLMEvalKit",
    "EvalBackend.RAG_EVAL": "RAGEval",
    "EvalBackend.THIRD_PARTY": "ThirdParty",
    "JudgeStrategy.AUTO": "auto",
    "JudgeStrategy.RULE": "rule",
    "JudgeStrategy.LLM": "llm",
    "JudgeStrategy.LLM_RECALL": "llm_recall",
    "HubType.MODELSCOPE": "modelscope",
    "HubType.HUGGINGFACE": "huggingface",
    "HubType.LOCAL": "local",
    "ModelTask.TEXT_GENERATION": "text_generation",
    "ModelTask.IMAGE_GENERATION": "image_generation",
}
"""EvalScope's constants that a configuration names, and what they stand for."""
OLD_CONSTANTS: Mapping[str, str] = {"EvalType.SERVICE": "openai_api", "EvalType.SERVER": "openai_api"}
"""Those that older guides name."""

_CLASSES: Mapping[str, Kind] = {"TaskConfig": "eval", "Arguments": "perf"}
_RUNS: Mapping[str, Kind] = {"run_task": "eval", "run_perf_benchmark": "perf"}
_PARTS = frozenset({
    "GenerateConfig", "JudgeConfig", "JudgeModelConfig", "JudgeContractConfig", "SandboxTaskConfig", "MultiTurnArgs",
})  # fmt: skip
"""EvalScope's classes for what stands inside a configuration; they mean what a dictionary of it means."""
_HARMLESS = frozenset({"print", "pprint", "setup_logging", "basicConfig", "filterwarnings"})
_MOST_STEPS = 2000


def read_script(tree: ast.Module) -> list[Config]:
    """Return the configurations that a script runs; where it runs none, those that it only makes."""
    script = _Script()
    script.run(tree.body)
    found = script.asked or script.made()
    for config in found:
        config.out += script.out
    return found


class _Script:
    """What is known of a script's names as its statements are read one after another."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.asked: list[Config] = []
        self.out: list[Refused] = []
        self._functions: dict[str, Sequence[ast.stmt]] = {}
        self._made: list[Any] = []
        self._steps = _MOST_STEPS

    def made(self) -> list[Config]:
        """Return the configurations that were written and not run, each once; not those that are part of another."""
        configs = [value for value in self._made if isinstance(value, Config)]
        loose = [value for value in self._made if isinstance(value, dict) and kind_of(value) is not None]
        return list({id(config): config for config in configs or map(Config, loose)}.values())

    def run(self, body: Iterable[ast.stmt]) -> None:
        """Read statements in order."""
        for statement in body:
            self._steps -= 1
            if self._steps < 0:
                self.out.append(refused("script", "refused.script"))
                return
            self._statement(statement)

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Return():
                pass
            case ast.Assign(targets=targets, value=value):
                given = self._value(value)
                for target in targets:
                    self._assign(target, given)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, self._value(value))
            case ast.Expr(value=ast.Call() as call):
                self._call(call, alone=True)
            case ast.Expr(value=value):
                self._made.append(self._value(value))
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__")), body=body):
                self.run(body)
            case ast.FunctionDef(name=name, body=body, decorator_list=[]):
                self._functions[name] = body
            case _:
                self._unknown(statement)

    def _assign(self, target: ast.expr, given: Any) -> None:
        match target:
            case ast.Name(id=name):
                self.names[name] = given
                self._made.append(given)
            case ast.Attribute(value=holder, attr=name):
                held = self._value(holder)
                if isinstance(held, Config):
                    held.values[name] = given
            case ast.Subscript(value=ast.Attribute(attr="environ"), slice=key):
                self._variable(self._value(key))
            case ast.Subscript(value=holder, slice=key):
                held, at = self._value(holder), self._value(key)
                if isinstance(held, dict):
                    held[at if isinstance(at, str) else _source(key)] = given
                elif isinstance(held, list):
                    held[:] = [Computed(_source(holder))]
            case _:
                self._forget(target)

    def _variable(self, name: Any) -> None:
        """Refuse an environment variable: it is the worker's own."""
        said = name if isinstance(name, str) else "os.environ"
        secret = names_secret(said) or said.endswith("_KEY")
        self.out.append(refused(said, "refused.api_key" if secret else "refused.env"))

    def _unknown(self, statement: ast.stmt) -> None:
        """Nothing that a loop, a condition or the like may have changed is known any more."""
        self._forget(statement)
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and (kind := _RUNS.get(_name(node.func))) is not None:
                self.asked.append(Config({}, kind, [refused("script", "refused.script")]))

    def _forget(self, tree: ast.AST) -> None:
        for node in ast.walk(tree):
            holder: ast.AST = node
            while isinstance(holder, (ast.Attribute, ast.Subscript)):
                holder = holder.value
            changed = isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)) or isinstance(node, ast.Call)
            if changed and isinstance(holder, ast.Name):
                self.names[holder.id] = Computed(holder.id)
            for given in [*node.args, node.func] if isinstance(node, ast.Call) else ():
                self._touched(given)

    def _touched(self, node: ast.expr) -> None:
        """Whatever is handed to code that is not read may come back changed."""
        while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            node = node.value
        if not isinstance(node, ast.Name):
            return
        held = self.names.get(node.id)
        if isinstance(held, Config):
            held.values, held.out = {}, [*held.out, refused(node.id, "refused.computed")]
        elif isinstance(held, dict):
            held["**"] = Computed(node.id)
        self.names[node.id] = Computed(node.id)

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value) if value is None or isinstance(value, (str, bool, int, float)):
                return value
            case ast.Name(id=name):
                return self.names.get(name, Computed(name))
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return [self._value(item) for item in items]
            case ast.Dict(keys=keys, values=values):
                return self._dictionary(keys, values)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return -value
            case ast.JoinedStr(values=parts) if all(isinstance(part, ast.Constant) for part in parts):
                return "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if (known := _constant(owner, name)) is not None:
                return known
            case ast.Subscript(value=holder, slice=key):
                held, at = self._value(holder), self._value(key)
                inside = isinstance(held, dict) and isinstance(at, str) and at in held
                return held[at] if inside else Computed(_source(node))
            case ast.Call():
                return self._call(node)
            case _:
                return Computed(_source(node))

    def _dictionary(self, keys: Sequence[ast.expr | None], values: Sequence[ast.expr]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in zip(keys, values, strict=True):
            given = self._value(value)
            if key is None:
                found |= given if isinstance(given, dict) else {f"**{_source(value)}": Computed(_source(value))}
                continue
            at = self._value(key)
            if isinstance(at, (str, int)):
                found[str(at)] = given
            else:
                found[_source(key)] = Computed(_source(key))
        return found

    def _keywords(self, call: ast.Call) -> dict[str, Any]:
        given = self._dictionary(
            [None if word.arg is None else ast.Constant(word.arg) for word in call.keywords],
            [word.value for word in call.keywords],
        )
        for extra in call.args:
            held = self._value(extra)
            given = (held if isinstance(held, dict) else {_source(extra): Computed(_source(extra))}) | given
        return given

    def _call(self, call: ast.Call, *, alone: bool = False) -> Any:
        """Return what a call gives, where it is one of EvalScope's own that only holds values."""
        name = _name(call.func)
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if name in _RUNS:
            self._ask(_RUNS[name], call)
            return Computed(_source(call))
        if name == "from_dict" and owner is not None and _name(owner) in _CLASSES:
            config = Config(self._keywords(call), _CLASSES[_name(owner)])
        elif name in _CLASSES:
            config = Config(self._keywords(call), _CLASSES[name])
        elif (name == "dict" and owner is None) or name in _PARTS:
            return self._keywords(call)
        else:
            return self._other(call, name, owner, alone=alone)
        if alone:
            self._made.append(config)
        return config

    def _other(self, call: ast.Call, name: str, owner: ast.expr | None, *, alone: bool) -> Any:
        held = None if owner is None else self._value(owner)
        if alone and name == "update" and isinstance(held, dict):
            held |= self._keywords(call)
        elif name == "copy" and isinstance(held, dict):
            return dict(held)
        elif alone and owner is None and not call.args and name in self._functions:
            self.run(self._functions.pop(name))
        elif name not in _HARMLESS:
            for given in [*call.args, *(word.value for word in call.keywords), *([] if owner is None else [owner])]:
                self._touched(given)
        return Computed(_source(call))

    def _ask(self, kind: Kind, call: ast.Call) -> None:
        given = [*call.args, *(word.value for word in call.keywords if word.arg in {"task_cfg", "args"})]
        if not given or (isinstance(given[0], ast.Constant) and given[0].value is ...):
            return  # the function is only spoken of
        value = self._value(given[0])
        for one in value if isinstance(value, list) and value else [value]:
            if isinstance(one, Config):
                self.asked.append(Config(dict(one.values), kind, list(one.out)))
            elif isinstance(one, dict):
                self.asked.append(Config(dict(one), kind))
            else:
                reason = "refused.path" if isinstance(one, str) else "refused.computed"
                self.asked.append(Config({}, kind, [refused("task_cfg", reason)]))


def _constant(owner: str, name: str) -> str | None:
    said = f"{owner}.{name}"
    return CONSTANTS.get(said, OLD_CONSTANTS.get(said))


def _name(node: ast.expr) -> str:
    """Return the last part of a dotted name, empty for anything else."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _source(node: ast.expr) -> str:
    try:
        return ast.unparse(node)[:60]
    except (RecursionError, ValueError):
        return "…"
