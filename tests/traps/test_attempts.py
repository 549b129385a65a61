"""A run's attempts: the report follows the scores, and what an attempt has done the next one does not do again."""

from __future__ import annotations

import json
import sqlite3

from horses import Ended, Horses, by_half, model, sample, spec
from support.endpoint import Endpoint, after, answers, fails

from jobs.evalscope.fixes import PLOTLY_JS, plotly_script

ALL = 34
LOOK = """
import pathlib
import jobs.tasks
real = jobs.tasks.announce

def announce(redis, event):
    print("LOOK", event.what, any(pathlib.Path().glob("reports/**/*.html")), flush=True)
    return real(redis, event)

jobs.tasks.announce = announce
"""
"""Says at each transition whether the report is written."""


def score(ended: Ended) -> list[object]:
    """Return all that a run says of its one benchmark's scores."""
    result = ended.result.benchmarks[0]
    return [[m.model_dump() for m in result.metrics], result.requested, result.succeeded, result.errored]


def _looks(ended: Ended) -> str:
    return "".join(line for line in ended.log.splitlines(keepends=True) if line.startswith("LOOK"))


def samples(ended: Ended) -> int:
    with sqlite3.connect(ended.artifacts / "samples.db") as database:
        (count,) = database.execute("SELECT count(*) FROM samples").fetchone()
    database.close()
    return int(count)


def lines(ended: Ended, kind: str) -> list[dict[str, object]]:
    """Return all predictions or reviews; raises where one is not whole."""
    found = list((ended.work / kind).rglob("*.jsonl"))
    return [json.loads(line) for path in found for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_html_report_follows_the_scores_and_loads_plotly_from_the_bot(horses: Horses) -> None:
    with Endpoint() as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url)), before=LOOK)
    assert [event.what for event in ended.events] == ["started", "succeeded", "report"]
    assert "LOOK started False\nLOOK succeeded False\nLOOK report True\n" in _looks(ended)
    reports = list(ended.artifacts.glob("reports/**/*.html"))
    assert [path.name for path in reports] == ["report.html"]
    assert reports[0].stat().st_mtime > (ended.artifacts / "result.json").stat().st_mtime
    html = reports[0].read_text(encoding="utf-8")
    assert f'src="/static/{PLOTLY_JS}"' in html
    assert 'src="http' not in html
    assert horses.artifacts(ended).shared(PLOTLY_JS) == plotly_script().read_bytes()


def test_another_attempt_asks_nothing_again_and_gives_the_same_score(horses: Horses) -> None:
    with Endpoint(answers(by_half)) as endpoint:
        run = spec(model(endpoint.url), limit=12)
        first = horses.evaluate(run)
        asked = len(endpoint.completions)
        second = horses.evaluate(run, again=first)
        assert (asked, len(endpoint.completions)) == (12, 12)
    assert (first.code, second.code) == ("succeeded", "succeeded")
    assert second.result.attempt == 2
    assert score(second) == score(first)
    assert first.result.benchmarks[0].headline is not None
    assert 0 < first.result.benchmarks[0].headline.score < 1
    assert (second.progress.done, second.progress.total) == (12, 12)
    assert second.progress.scores == first.progress.scores
    assert samples(second) == 12


def test_an_attempt_goes_on_where_one_that_failed_stopped(horses: Horses) -> None:
    with Endpoint(after(7, fails(401), answers(by_half))) as endpoint:
        run = spec(model(endpoint.url), limit=ALL)
        failed = horses.evaluate(run)
        endpoint.behaviour, asked = answers(by_half), len(endpoint.completions)
        ended = horses.evaluate(run, again=failed)
        assert len(endpoint.completions) - asked == ALL - 6
    with Endpoint(answers(by_half)) as endpoint:
        whole = horses.evaluate(spec(model(endpoint.url), limit=ALL))
    assert (failed.code, ended.code, whole.code) == ("endpoint_denied", "succeeded", "succeeded")
    assert score(ended) == score(whole)
    assert samples(ended) == samples(whole) == ALL
    assert len(lines(ended, "predictions")) == len(lines(ended, "reviews")) == ALL


def test_an_attempt_that_was_killed_while_it_wrote_leaves_nothing_torn(horses: Horses) -> None:
    with Endpoint(answers(by_half)) as endpoint:
        run = spec(model(endpoint.url))
        first = horses.evaluate(run)
        predictions, reviews = (next((first.work / kind).rglob("*.jsonl")) for kind in ("predictions", "reviews"))
        # one answer was half written, so it was not scored yet; another was being scored
        torn = json.loads(predictions.read_bytes().splitlines()[-1])["index"]
        scored = [line for line in reviews.read_bytes().splitlines() if json.loads(line)["index"] != torn]
        predictions.write_bytes(predictions.read_bytes()[:-40])
        reviews.write_bytes(b"\n".join(scored)[:-40])
        second = horses.evaluate(run, again=first)
        assert len(endpoint.completions) == 6 + 1  # the torn one alone is asked again
        third = horses.evaluate(run, again=second)
        assert len(endpoint.completions) == 6 + 1
    assert score(third) == score(second) == score(first)
    assert len(lines(third, "predictions")) == len(lines(third, "reviews")) == 6


def test_the_running_score_ends_equal_to_the_final_one_over_two_subsets(horses: Horses) -> None:
    both = sample(subset_list=["en", "zh"]).model_copy(update={"subsets": {"en": ALL, "zh": 22}})
    with Endpoint(answers(by_half)) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url), both, limit=8))
        assert len(endpoint.completions) == 16  # the limit counts for each subset
    headline = ended.result.benchmarks[0].headline
    assert headline is not None
    assert {subset.name: subset.num for subset in headline.subsets} == {"en": 8, "zh": 8}
    (running,) = ended.progress.scores
    assert (running.score, running.num, running.interval) == (headline.score, headline.num, headline.interval)
    assert (ended.progress.done, ended.progress.total) == (16, 16)
