"""Pasted Python, YAML and JSON: what is written out is taken, what is computed is told by its name, nothing runs."""

from __future__ import annotations

import ast
import inspect
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.intents import python_snippet, snippet
from handlers.intents.parsed import Parsed, Vocabulary
from handlers.understand import understand
from jobs.catalog import snapshot

VOCABULARY = Vocabulary(snapshot(), models=frozenset({"prod"}))
BASE = {"model": "m", "datasets": ["gsm8k"]}
DICT = "{'model': 'm', 'datasets': ['gsm8k']}"
FULL = {
    "model": "m",
    "api_url": "http://h/v1",
    "eval_type": "openai_api",
    "datasets": ["gsm8k", "mmlu"],
    "dataset_args": {"gsm8k": {"few_shot_num": 0}, "mmlu": {"subset_list": ["anatomy"]}},
    "generation_config": {"temperature": 0.0, "max_tokens": 64, "stream": True},
    "eval_batch_size": 8,
    "limit": 5,
}


def ask(text: str) -> Parsed:
    return understand(text, VOCABULARY)


def reasons(parsed: Parsed) -> set[tuple[str, str]]:
    return {(entry.name, entry.reason) for entry in parsed.refused}


OBJECTS = """
sampling = GenerateConfig(top_p=0.5)
task = TaskConfig(model='m', datasets='gsm8k', generation_config=sampling)
task.eval_type = EvalType.SERVICE
task.dataset_hub = HubType.LOCAL
run_task(task)
"""
WRITTEN = "\n".join(f"    {name}={value!r}," for name, value in FULL.items())


@pytest.mark.parametrize(
    ("text", "args"),
    [
        (f"run_task({DICT})", BASE),
        (f"run_task(task_cfg={DICT})", BASE),
        (f"please run_task({DICT}) thanks", BASE),
        (f"evalscope.run.run_task({DICT})", BASE),
        (f"result = run_task({DICT})\nprint(result)", BASE),
        (f"from evalscope import *\n\ntask_cfg = TaskConfig(\n{WRITTEN}\n)\nrun_task(task_cfg)", FULL),
        (f"from evalscope import TaskConfig\nTaskConfig(\n{WRITTEN}\n)", FULL),
        (f"task_cfg = dict(\n{WRITTEN}\n)", FULL),
        (f"task_cfg = {FULL!r}", FULL),
        (f"cfg: dict = {FULL!r}\nrun_task(TaskConfig(**cfg))", FULL),
        (f"run_task(TaskConfig.from_dict({FULL!r}))", FULL),
        (f"Run this for me:\n```python\nimport os\n# my run\nrun_task({FULL!r})\n```\nthank you!", FULL),
        (f"```\n>>> from evalscope import run_task\n>>> run_task({DICT})\n```", BASE),
        (f"Could you run this?\n\nfrom evalscope import run_task\nrun_task({DICT})\n\nThanks, it's urgent.", BASE),
        (f'python -c "from evalscope import run_task; run_task({DICT})"', BASE),
        (f"python - <<'EOF'\nfrom evalscope import run_task\nrun_task({DICT})\nEOF", BASE),
        (f"def main():\n    run_task({DICT})\n\nif __name__ == '__main__':\n    main()", BASE),
        ("name = 'm'\nsets = ['gsm8k']\nrun_task({'model': name, 'datasets': sets})", BASE),
        ("c = {}\nc['model'] = 'm'\nc['datasets'] = ['gsm8k']\nrun_task(c)", BASE),
        ("task_cfg = TaskConfig(model='m')\ntask_cfg.datasets = ['gsm8k']\nrun_task(task_cfg)", BASE),
        (f"c = {DICT}\nc.update(limit=3)\nrun_task(c)", BASE | {"limit": 3}),
        (f"run_task({{**{DICT}, 'seed': 7}})", BASE | {"seed": 7}),
        (
            OBJECTS,
            BASE | {"eval_type": "openai_api", "dataset_hub": "local", "generation_config": {"top_p": 0.5}},
        ),
        (f"run_task({{**{DICT}, 'eval_type': 'server', 'eval_backend': 'Native'}})",
         BASE | {"eval_type": "openai_api", "eval_backend": "Native"}),
        (json.dumps(FULL), FULL),
        (f"```json\n{json.dumps(FULL, indent=2)}\n```", FULL),
        (f"please evaluate this:\n{json.dumps(FULL, indent=2)}", FULL),
        ("model: m\ndatasets:\n  - gsm8k\n", BASE),
        ("run this\n```yaml\nmodel: m   # ours\ndatasets: [gsm8k]\nlimit: 5\n```", BASE | {"limit": 5}),
        ('model: m\ndatasets: [gsm8k]\ndataset_args: {"gsm8k": {"few_shot_num": 0}}',
         BASE | {"dataset_args": {"gsm8k": {"few_shot_num": 0}}}),
        ("model: m\ndatasets: [gsm8k]\ngeneration_config: {temperature: 0.5}\nlimit: 0.1",
         BASE | {"generation_config": {"temperature": 0.5}, "limit": 0.1}),
    ],
)  # fmt: skip
def test_a_configuration_says_what_it_says(text: str, args: dict[str, Any]) -> None:
    parsed = ask(text)
    assert (parsed.intent, parsed.by, parsed.refused, parsed.more) == ("eval", "command_line", (), ())
    assert parsed.args == args
    assert all(type(parsed.args[name]) is type(value) for name, value in args.items())


PERF = {"model": "m", "url": "http://h/v1", "parallel": [1, 2], "number": [10, 20], "stream": True}


@pytest.mark.parametrize(
    "text",
    [
        "from evalscope.perf.main import run_perf_benchmark\nrun_perf_benchmark(Arguments("
        + ", ".join(f"{name}={value!r}" for name, value in PERF.items())
        + "))",
        f"from evalscope.perf import *\ntask_cfg = Arguments(**{PERF!r})\nrun_perf_benchmark(task_cfg)",
        f"run_perf_benchmark({PERF!r})",
        f"perf_args = {PERF!r}",
        json.dumps(PERF),
        "model: m\nurl: http://h/v1\nparallel: [1, 2]\nnumber: [10, 20]\nstream: true",
    ],
)
def test_a_stress_test_in_python_yaml_or_json_is_one(text: str) -> None:
    parsed = ask(text)
    assert (parsed.intent, parsed.args, parsed.refused, parsed.pasted) == ("perf", PERF, (), True)


def test_one_level_of_load_is_a_list_of_one() -> None:
    parsed = ask("run_perf_benchmark({'model': 'm', 'url': 'http://h/v1', 'parallel': 4, 'number': 40})")
    assert (parsed.args["parallel"], parsed.args["number"]) == ([4], [40])


CFG = f"cfg = {DICT}"


@pytest.mark.parametrize(
    ("text", "args"),
    [
        (f"a, b = 1, 2\n{CFG}\nrun_task(cfg)", BASE),
        (f"known = {{'a': {DICT}}}\nrun_task(known['a'])", BASE),
        (f"{CFG}\nother = cfg.copy()\nother['limit'] = 5\nrun_task(cfg)", BASE),
        (f"{CFG}\nother = cfg.copy()\nother['limit'] = 5\nrun_task(other)", BASE | {"limit": 5}),
        (f"{CFG}\ncfg.update(limit=5)\nrun_task(cfg)", BASE | {"limit": 5}),
        (f"{CFG}\ncfg['limit'], cfg2 = 5, 6\nrun_task({DICT})", BASE),
        (f"def main():\n    run_task({DICT})\n\nif __name__ == '__main__':\n    main()", BASE),
        ("run_task({'model': f'm', 'datasets': ['gsm8k']})", BASE),
        (f"(lambda: 1)()\nrun_task({DICT})", BASE),
        (f"task: dict = {DICT}\nrun_task(task)", BASE),
    ],
)
def test_a_script_is_followed_as_far_as_its_values_are_written_out(text: str, args: dict[str, Any]) -> None:
    parsed = ask(f"```python\n{text}\n```")
    assert (parsed.intent, parsed.args, parsed.refused) == ("eval", args, ())


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        (f"{CFG}\nif later:\n    cfg['limit'] = 5\nrun_task(cfg)", "task_cfg", "refused.computed"),
        (f"{CFG}\nfor cfg in many:\n    pass\nrun_task(cfg)", "task_cfg", "refused.computed"),
        (f"{CFG}\nhelper(cfg['dataset_args'])\nrun_task(cfg)", "task_cfg", "refused.computed"),
        (f"{CFG}\nhelper(*cfg)\nrun_task(cfg)", "task_cfg", "refused.computed"),
        (f"{CFG}\ndel cfg['model']\nrun_task(cfg)", "task_cfg", "refused.computed"),
        (f"known = {{'a': {DICT}}}\nrun_task(known['b'])", "task_cfg", "refused.computed"),
        ("names = ['gsm8k']\nnames[0] = x\nrun_task({'model': 'm', 'datasets': names})", "datasets",
         "refused.computed"),
        ("n = 5\nrun_task({'model': 'm', 'datasets': ['gsm8k'], 'limit': f'{n}'})", "limit", "refused.computed"),
        (f"import os\nos.environ['OPENAI_API_KEY'] = 'hunter2'\nrun_task({DICT})", "OPENAI_API_KEY", "refused.api_key"),
        (f"import os\nos.environ['HF_ENDPOINT'] = 'http://h'\nrun_task({DICT})", "HF_ENDPOINT", "refused.env"),
        (f"import os\nos.environ[name] = '1'\nrun_task({DICT})", "os.environ", "refused.env"),
        ("while True:\n    run_task(cfg)", "script", "refused.script"),
        ("task = TaskConfig(model='m')\ntune(task)\nrun_task(task)", "task_cfg", "refused.computed"),
    ],
)  # fmt: skip
def test_what_a_script_computes_or_changes_elsewhere_is_not_guessed(text: str, name: str, reason: str) -> None:
    parsed = ask(f"```python\n{text}\n```")
    assert (name, reason) in reasons(parsed)
    assert "hunter2" not in parsed.model_dump_json()


def test_a_script_of_thousands_of_statements_is_read_only_so_far_and_that_is_said() -> None:
    text = f"```python\nrun_task({DICT})\n" + "x=1\n" * 4000 + "```"
    parsed = ask(text)
    assert parsed.args == BASE
    assert ("script", "refused.script") in reasons(parsed)


def test_two_runs_are_two_requests() -> None:
    text = f"run_task({DICT})\nrun_perf_benchmark({PERF!r})"
    parsed = ask(text)
    assert [(one.intent, one.args) for one in (parsed, *parsed.more)] == [("eval", BASE), ("perf", PERF)]
    both = ask(f"run_task([{DICT}, TaskConfig(model='n', datasets=['mmlu'])])")
    assert [one.args["model"] for one in (both, *both.more)] == ["m", "n"]


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("run_task({'model': 'm', 'datasets': ['gsm8k'], 'limit': n * 2})", "limit", "refused.computed"),
        ("run_task({'model': 'm', 'datasets': ['gsm8k'], 'limit': int('5')})", "limit", "refused.computed"),
        ("run_task(TaskConfig(model='m', datasets=['gsm8k'], limit=5 + 5))", "limit", "refused.computed"),
        ("run_task({'model': os.getenv('MODEL'), 'datasets': ['gsm8k']})", "model", "refused.computed"),
        ("run_task({'model': f'm{x}', 'datasets': ['gsm8k']})", "model", "refused.computed"),
        ("run_task({'model': 'm', 'datasets': [x for x in y]})", "datasets", "refused.computed"),
        ("run_task({'model': 'm', 'datasets': ['gsm8k', name]})", "datasets", "refused.computed"),
        ("run_task({'model': 'm', 'datasets': ['gsm8k'], 'dataset_args': {'gsm8k': {'few_shot_num': k}}})",
         "dataset_args.gsm8k.few_shot_num", "refused.computed"),
        ("cfg = {'model': 'm', 'datasets': ['gsm8k']}\nchange(cfg)\nrun_task(cfg)", "task_cfg", "refused.computed"),
        (f"cfg = TaskConfig(**{DICT})\nchange(cfg)\nrun_task(cfg)", "task_cfg", "refused.computed"),
        (f"cfg = TaskConfig(**{DICT})\nchange(cfg)", "cfg", "refused.computed"),
        ("limit = 5\nlimit += 1\nrun_task({'model': 'm', 'datasets': ['gsm8k'], 'limit': limit})", "limit",
         "refused.computed"),
        ("l = [1]\nfor l in [5]: pass\nrun_task({'model': 'm', 'datasets': ['gsm8k'], 'limit': l})", "limit",
         "refused.computed"),
        (f"run_task({{**{DICT}, **more}})", "**more", "refused.computed"),
        ("for d in ['a', 'b']:\n    run_task({'model': 'm', 'datasets': [d]})", "script", "refused.script"),
        ("try:\n    run_task({'model': 'm', 'datasets': ['gsm8k']})\nexcept Exception:\n    pass", "script",
         "refused.script"),
        ("run_task('config.yaml')", "task_cfg", "refused.path"),
        ("run_task(make())", "task_cfg", "refused.computed"),
        (f"os.environ['OPENAI_API_KEY'] = 'abc'\nrun_task({DICT})", "OPENAI_API_KEY", "refused.api_key"),
        (f"os.environ['CUDA_VISIBLE_DEVICES'] = '0'\nrun_task({DICT})", "CUDA_VISIBLE_DEVICES", "refused.env"),
        ("run_task(TaskConfig(model=MyModel(), datasets=['gsm8k']))", "model", "refused.computed"),
        ("run_task({'model': 'm', 'datasets': ['gsm8k'], 'nonsense': 1})", "nonsense", "refused.unknown_flag"),
        ("run_task({'model': 'm', 'datasets': ['gsm8k'], 'work_dir': '/x'})", "work_dir", "refused.managed"),
        ("run_task({'model': 'm', 'datasets': ['gsm8k'], 'judge': {'api_key': 'abc'}})", "judge.api_key",
         "refused.api_key"),
        ("run_task({'model': 'm', 'datasets': ['gsm8k'], 'eval_backend': 'OpenCompass'})", "eval_backend",
         "refused.backend"),
        ("run_task({'model': 'm', 'datasets': ['gsm8k'], 'limit': 'many'})", "limit", "refused.value"),
        ("run_task({'model': 'm', 'datasets': ['gsm8k'], 'limit': 1e999})", "limit", "refused.value"),
        ("run_task({'model': 'm', 'datasets': ['gsm8k'], 'dataset_args': {'gsm8k': {'local_path': '/etc'}}})",
         "dataset_args.gsm8k.local_path", "refused.path"),
        ("run_task({'model': 'm', 'datasets': ['gsm8k'", "python", "refused.syntax"),
        ("```python\nrun_perf_benchmark(Arguments(model='m' url='http://h'))\n```", "python", "refused.syntax"),
    ],
)  # fmt: skip
def test_what_is_not_written_out_or_not_for_chat_is_refused_by_its_name(text: str, name: str, reason: str) -> None:
    parsed = ask(text)
    assert parsed.intent in {"eval", "perf"}
    assert (name, reason) in reasons(parsed)
    assert name not in parsed.args
    assert "abc" not in parsed.model_dump_json()


@pytest.mark.parametrize("key", ["api_key", "API_KEY", "apiKey", "secret_key", "Authorization"])
@pytest.mark.parametrize(
    "text",
    [
        "run_task({{'model': 'm', 'datasets': ['gsm8k'], '{key}': 'hunter2'}})",
        "run_task({{'model': 'm', 'datasets': ['gsm8k'], '{key}': get('hunter2')}})",
        "run_task(TaskConfig(model='m', datasets=['gsm8k'], judge={{'models': [{{'{key}': 'hunter2'}}]}}))",
        "run_task({{'model': 'm', 'datasets': ['gsm8k'], 'generation_config': {{'a': {{'{key}': 'hunter2'}}}}}})",
        "model: m\ndatasets: [gsm8k]\ngeneration_config:\n  '{key}': hunter2",
        "run_task({{'eval_backend': 'RAGEval', 'eval_config': {{'tool': 'RAGAS', 'eval': {{'{key}': 'hunter2'}}}}}})",
    ],
)
def test_a_secret_is_refused_by_its_name_wherever_it_stands_and_goes_nowhere(text: str, key: str) -> None:
    parsed = ask(text.format(key=key))
    assert any(entry.reason == "refused.api_key" and entry.name.endswith(key) for entry in parsed.refused)
    assert "hunter2" not in parsed.model_dump_json()


@pytest.mark.parametrize("tool", ["RAGAS", "MTEB", "clip_benchmark"])
def test_a_rag_evaluation_is_recognised_and_told_not_to_be_there_yet(tool: str) -> None:
    config = {"eval_backend": "RAGEval", "eval_config": {"tool": tool, "eval": {"top_k": 3}}}
    for text in (f"run_task({config!r})", json.dumps(config), f"run_task(TaskConfig(**{config!r}))"):
        parsed = ask(text)
        assert (parsed.intent, parsed.question, parsed.by) == ("none", "none.rag", "command_line")
        assert reasons(parsed) == {("rag", "refused.not_yet")}


@pytest.mark.parametrize(
    "text",
    [
        "what does run_task(...) do?",
        "how do I use TaskConfig?",
        "model: prod, dataset: gsm8k, limit: 5",
        "evaluate prod on gsm8k",
        "import numpy as np\nx = 5",
        "task_cfg = 5",
        '{"a": 1}',
        "url: http://h/v1",
        "what does run_task() return?",
        "Datasets: there are many.\nModel: it is good.",
    ],
)
def test_what_is_no_configuration_is_read_as_before(text: str) -> None:
    assert ask(text).by != "command_line"


def test_nothing_of_a_snippet_is_ever_executed(tmp_path: Any) -> None:
    path = tmp_path / "made"
    harm = f"open({str(path)!r}, 'w').close()"
    for text in (
        f"{harm}\nrun_task({DICT})",
        f"run_task({{'model': {harm}, 'datasets': ['gsm8k']}})",
        f"run_task({{'model': 'm', 'datasets': __import__('os').system('touch {path}')}})",
        f"model: !!python/object/apply:os.system ['touch {path}']\ndatasets: [gsm8k]",
        f'python -c "{harm}; run_task({DICT})"; touch {path}',
    ):
        ask(text)
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        "a = {}\na['model'] = a\na['datasets'] = a\nrun_task(a)",
        "a = ['x'] * 5\nb = [a] * 9\nrun_task({'model': 'm', 'datasets': b})",
        "\n".join(f"x{n + 1} = [{', '.join([f'x{n}'] * 9)}]" for n in range(30))
        + "\nrun_task({'model': 'm', 'datasets': x30})",
        "x0 = ['y']\n" + "\n".join(f"x{n + 1} = [{', '.join([f'x{n}'] * 9)}]" for n in range(30))
        + "\nrun_task({'model': 'm', 'datasets': x30})",
        "model: &a [x, x, x, x, x, x, x, x]\ndatasets: &b [*a, *a, *a, *a, *a, *a]\nlimit: [*b, *b, *b, *b, *b]",
        "model: m\ndatasets: [gsm8k]\na0: &a0 {b: 1}\n"
        + "\n".join(f"a{n + 1}: &a{n + 1}\n  <<: [{', '.join([f'*a{n}'] * 9)}]" for n in range(9)),
        f"run_task({'(' * 5000}1{')' * 5000})",
        f"run_task({{'model': {'-' * 15_000}1}})",
        f"run_task({{'model': {'1+' * 9000}1}})",
        f"run_task({{'model': a{'.b' * 9000}}})",
        f"run_task({{'model': {'[' * 5000}",
        f"model: m\ndatasets: {'[' * 9000}",
        f"model: m\ndatasets: {'{a: ' * 4000}",
        "model: m\ndatasets:\n  " + "- " * 9000,
        "model: m\n" + "\n".join(f"{' ' * n}a:" for n in range(190)),
        "run_task(" + "{'model': 'm'}\n" * 1000,
        "run_task({'model': 'm', 'limit': " + "9" * 6000 + "})",
        "model: m\ndatasets: [gsm8k]\nlimit: " + "9" * 6000,
        "model: m\ndatasets: [a]\n" * 500,
        "task_cfg = {\n" * 2000,
        "x=" * 9000 + "run_task()",
        "run_task(\x00)",
    ],
)  # fmt: skip
def test_what_is_made_to_break_the_parser_is_answered_in_no_time(text: str) -> None:
    begun = time.thread_time()
    ask(text)
    assert time.thread_time() - begun < 3


CODE = st.sampled_from([
    "run_task(", "TaskConfig(", "run_perf_benchmark(", "Arguments(", ")", "{", "}", "[", "]", "'model'", "model", "=",
    ":", ",", "'m'", "'datasets'", "datasets", "['gsm8k']", "gsm8k", "\n", "    ", "api_key", "'api_key'", "'hunter2'",
    "**", "task_cfg = ", "dict(", "for x in y:", "lambda:", "f'{x}'", "import os", "```", "python -c ", '"', "- ",
    "#", "5",
    "-", "eval_backend: RAGEval", "'eval_backend': 'RAGEval'", "api_key: hunter2", "evalscope eval ", "evalscope perf ",
    "--api-key hunter2", "--judge '{\"api_key\": \"hunter2\"}'", "--generation-config api_key=hunter2", "--help", "&&",
    "API_KEY=hunter2 ", "evalscope benchmark-info ", "--tag ", "evalscope service ", "What does --limit do?", "\\\n",
])  # fmt: skip


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys(inner)}
    return {key for inner in value for key in keys(inner)} if isinstance(value, list) else set()


def check(parsed: Parsed) -> None:
    for one in (parsed, *parsed.more):
        assert not any(
            "apikey" in key.replace("_", "").replace("-", "").lower() for key in keys(one.args) - {"api_key_name"}
        )
        json.dumps(one.model_dump(mode="json"), allow_nan=False)


@given(st.lists(st.one_of(CODE, st.text(max_size=4)), max_size=30).map("".join))
def test_no_text_breaks_the_parser_or_brings_a_key_into_the_arguments(text: str) -> None:
    check(ask(text))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["api_key", "apiKey", "limit"]), st.text(max_size=6)), inner, max_size=3
        ),
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(["api_key", "judge", "dataset_args", "generation_config", "limit", "url", "extra_args", "stop"])


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.sampled_from(["python", "json", "call"]))
def test_any_configuration_is_read_and_never_brings_a_key_into_the_arguments(config: dict[str, Any], way: str) -> None:
    config |= {"model": "m", "datasets": ["gsm8k"], "api_key": "hunter2"}
    text = {
        "python": f"run_task({config!r})",
        "json": json.dumps(config),
        "call": f"run_task(TaskConfig(**{config!r}))",
    }[way]
    parsed = ask(text)
    check(parsed)
    assert parsed.intent == "eval"
    assert ("api_key", "refused.api_key") in reasons(parsed)
    assert "hunter2" not in json.dumps(parsed.args)


def test_the_reader_runs_no_code_of_others() -> None:
    """It may parse, and nothing else: no eval, exec, compile or import of what was said."""
    for module in (python_snippet, snippet):
        tree = ast.parse(inspect.getsource(module))
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        named = {called.id for called in calls if isinstance(called, ast.Name)}
        assert not named & {"eval", "exec", "compile", "__import__", "import_module"}
