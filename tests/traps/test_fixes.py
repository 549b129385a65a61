"""Plain EvalScope still has each trap that Scopebot works around: a test that fails here names code to take out."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from horses import Horses, by_heart
from support.endpoint import Endpoint, after, answers, echoes_the_key, fails

from jobs.evalscope import fixes

KEY = "sk-proj-plain-0123456789abcdef"
PLAIN = """
import evalscope.report
if not {html}:  # it takes most of a small run's time
    evalscope.report.gen_html_report_file = lambda *args, **kwargs: ""
from evalscope.run import run_task
from jobs.sample import SAMPLE_DATASETS

def task(**fields):
    args = SAMPLE_DATASETS["sample_qa"].dataset_args | {{"subset_list": ["en"]}} | fields.pop("args", {{}})
    return {{
        "model": "tiny", "eval_type": "openai_api", "api_url": {url!r}, "api_key": {key!r},
        "datasets": ["general_qa"], "dataset_args": {{"general_qa": args}}, "limit": 4, "eval_batch_size": 1,
        "work_dir": folder, "no_timestamp": True, "model_args": {{"max_retries": 0}},
        "generation_config": {{"retries": 1}},
    }} | fields
"""
WITHOUT_NLTK = "import nltk\nnltk.data.path[:] = []\n"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint(answers(by_heart)) as endpoint:
        yield endpoint


def plain(horses: Horses, endpoint: Endpoint, code: str, *, html: bool = False, **environment: str | None) -> Any:
    return horses.plain(PLAIN.format(url=endpoint.url, key=KEY, html=html) + code, environment)


def test_the_fixes_are_for_the_evalscope_that_is_installed() -> None:
    assert importlib.metadata.version("evalscope") == fixes.VERSION


def test_without_nltk_s_data_plain_evalscope_scores_a_right_answer_0(
    horses: Horses, endpoint: Endpoint, tmp_path: Path
) -> None:
    """`provide_nltk_data`, `refuse_silent_zeros`."""
    found = plain(
        horses, endpoint,
        WITHOUT_NLTK + "r = run_task(task(args={'metric_list': ['Rouge', 'BLEU']}))['general_qa']\n"
        "found = {'summary': r.execution_summary.errored, 'scores': {m.identity.name: m.score for m in r.metrics}}",
        HOME=str(tmp_path), NLTK_DATA=None,
    )  # fmt: skip
    assert found == {"summary": 0, "scores": {"rouge": 1.0, "bleu": 0.0}}


def test_nltk_refuses_data_with_a_second_name_as_uv_installs_it(horses: Horses, tmp_path: Path) -> None:
    """`provide_nltk_data` copies it."""
    found = horses.plain(f"""
        import importlib.util, nltk, shutil
        (root,) = importlib.util.find_spec("llama_index").submodule_search_locations
        linked = pathlib.Path({str(tmp_path)!r})
        shutil.copytree(f"{{root}}/core/_static/nltk_cache/tokenizers/punkt_tab/english", linked / "once")
        shutil.copytree(linked / "once", linked / "tokenizers/punkt_tab/english", copy_function=os.link)
        nltk.data.path[:] = [str(linked)]
        try:
            found = nltk.word_tokenize("It loads.")
        except OSError as error:
            found = str(error)
    """)
    assert "multiply-linked" in found


def test_plain_evalscope_writes_the_html_report_before_it_returns_and_takes_plotly_from_afar(
    horses: Horses, endpoint: Endpoint
) -> None:
    """`postpone_html_report`, `localize_plotly`."""
    found = plain(
        horses, endpoint,
        "run_task(task())\nfound = [p.read_text() for p in pathlib.Path(folder).glob('reports/**/*.html')]", html=True,
    )  # fmt: skip
    assert len(found) == 1
    assert 'src="https://resources.modelscope.cn/' in found[0]


def test_plain_evalscope_appends_to_a_line_that_a_killed_attempt_left_torn(horses: Horses, endpoint: Endpoint) -> None:
    """`tasks.drop_torn_lines`."""
    found = plain(
        horses, endpoint,
        "run_task(task())\n"
        "(path,) = pathlib.Path(folder).glob('predictions/*/*.jsonl')\n"
        "path.write_bytes(path.read_bytes()[:-40])\n"
        "run_task(task(use_cache=folder))\n"
        "found = path.read_text().splitlines()",
    )  # fmt: skip
    assert len(endpoint.completions) == 4 + 1
    assert len(found) == 4  # the new line of the last sample continues the torn one
    assert found[-1].count('"index":') == 2


def test_plain_evalscope_logs_a_key_that_the_endpoint_quotes(horses: Horses, endpoint: Endpoint) -> None:
    """`hide_in_logs`."""
    endpoint.behaviour = echoes_the_key
    found = plain(
        horses, endpoint,
        "run_task(task(ignore_errors=True))\nfound = (pathlib.Path(folder) / 'logs' / 'eval_log.log').read_text()",
    )  # fmt: skip
    assert KEY in found


def test_plain_evalscope_ends_well_where_no_sample_did(horses: Horses, endpoint: Endpoint) -> None:
    """`EvalEngine.run` raises for a report without metrics."""
    endpoint.behaviour = fails(401)
    found = plain(horses, endpoint, "found = run_task(task(ignore_errors=True))['general_qa'].to_dict()")
    assert found["metrics"] == []
    assert found["execution_summary"]["errored"] == 4


def test_plain_evalscope_asks_a_dead_endpoint_to_the_end_and_scores_the_rest(
    horses: Horses, endpoint: Endpoint
) -> None:
    """`Observer.hopeless`."""
    endpoint.behaviour = after(2, fails(401))
    found = plain(horses, endpoint, "found = run_task(task(ignore_errors=True, limit=34))['general_qa'].to_dict()")
    assert len(endpoint.completions) == 34
    assert found["metrics"][0]["num"] == 2


def test_plain_evalscope_tries_five_times_with_ten_seconds_between_and_waits_without_end(
    horses: Horses, endpoint: Endpoint
) -> None:
    """`eval.TRANSPORT`, and `max_retries` 0."""
    found = plain(
        horses, endpoint,
        "from evalscope.api.model import GenerateConfig\nimport openai\n"
        "g = GenerateConfig()\n"
        "found = [g.retries, g.retry_interval, g.timeout, openai.OpenAI(api_key='x').max_retries]",
    )  # fmt: skip
    assert found == [5, 10, None, 2]


def test_plain_evalscope_cannot_resume_a_folder_nothing_was_run_in(horses: Horses, endpoint: Endpoint) -> None:
    """`use_cache` is passed only where the folder has a configuration."""
    found = plain(
        horses, endpoint,
        "try:\n    run_task(task(use_cache=folder))\nexcept ValueError as error:\n    found = str(error)",
    )  # fmt: skip
    assert "identity does not match" in found


def test_plain_evalscope_counts_the_limit_for_each_subset(horses: Horses, endpoint: Endpoint) -> None:
    """`handlers.plan.surprise` asks which is meant."""
    plain(horses, endpoint, "run_task(task(args={'subset_list': ['en', 'zh']}))\nfound = 1")
    assert len(endpoint.completions) == 8


def test_plain_evalscope_finds_a_wrong_endpoint_only_once_everything_is_loaded(
    horses: Horses, endpoint: Endpoint
) -> None:
    """`preflight.check_endpoint` asks before the data is loaded."""
    endpoint.behaviour = fails(404)
    found = plain(
        horses, endpoint,
        "try:\n    run_task(task())\nexcept Exception as error:\n    found = type(error).__name__\n",
    )  # fmt: skip
    assert found == "NotFoundError"
    assert len(endpoint.completions) == 1  # its first sample, after everything was loaded
