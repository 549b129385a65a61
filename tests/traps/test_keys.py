"""Keys: found by name on the worker, sent to their hosts only, written nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from horses import Ended, Horses, model, sample, spec
from redis import Redis
from support.endpoint import Answer, Call, Endpoint, after, answers, echoes_the_key, every

from jobs.evalscope.failures import HIDDEN
from jobs.models import DatasetTarget

KEY = "sk-proj-0123456789abcdefABCDEF"
TOML = '[keys.mine]\nenv = "MY_KEY"\nhosts = ["127.0.0.1"]\n'
HAVING: dict[str, str | None] = {"MY_KEY": KEY}


def everything_in(redis: Redis) -> bytes:
    """Return the names and values of all keys."""
    found: list[Any] = []
    for key in redis.scan_iter():
        read = {
            b"string": redis.get,
            b"hash": redis.hgetall,
            b"list": lambda k: redis.lrange(k, 0, -1),
            b"set": redis.smembers,
            b"zset": lambda k: redis.zrange(k, 0, -1),
            b"stream": redis.xrange,
        }[redis.type(key)]
        found += [key, read(key)]
    return repr(found).encode()


def holding(secret: str, horses: Horses, ended: Ended) -> list[str]:
    """Return every file and place that holds a secret: run folder, artifacts, logs, output, Redis."""
    found = [str(path) for path in _files(ended) if secret.encode() in path.read_bytes()]
    if secret.encode() in everything_in(horses.redis):
        found.append("Redis")
    return found


def _files(ended: Ended) -> list[Path]:
    files = [path for path in ended.folder.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"worker.log", "result.json", "scopebot.toml"} <= names
    return files


def test_a_worker_without_the_key_says_which_variable_it_lacks(horses: Horses) -> None:
    with Endpoint() as endpoint:
        ended = horses.evaluate(
            spec(model(endpoint.url, key="mine")), toml=TOML, environment={"MY_KEY": None}, within=8
        )
    assert ended.code == "key_missing"
    assert ended.failure.params == {"key": "mine", "where": "$MY_KEY"}
    assert endpoint.calls == []


def test_a_key_nobody_registered_on_the_worker_is_missing(horses: Horses) -> None:
    with Endpoint() as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url, key="mine")), within=8)
    assert ended.code == "key_missing"
    assert endpoint.calls == []


def test_the_key_is_sent_and_is_in_no_file_no_log_and_not_in_redis(horses: Horses) -> None:
    with Endpoint(key=KEY) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url, key="mine")), toml=TOML, environment=HAVING)
    assert ended.code == "succeeded"
    assert {call.headers["authorization"] for call in endpoint.calls} == {f"Bearer {KEY}"}
    assert holding(KEY, horses, ended) == []
    assert ended.result.reproduce is not None
    assert ended.result.reproduce.command.endswith('--api-key "$MY_KEY"')


def test_a_key_from_a_file_is_read_there(horses: Horses, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")
    toml = f'[keys.mine]\nfile = "{tmp_path}/key"\nhosts = ["127.0.0.1"]\n'
    with Endpoint(key=KEY) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url, key="mine"), limit=1), toml=toml)
    assert ended.code == "succeeded"
    assert holding(KEY, horses, ended) == []
    assert ended.result.reproduce is not None
    assert ended.result.reproduce.command.endswith(f'--api-key "$(cat {tmp_path}/key)"')


def test_a_key_that_the_endpoint_quotes_is_not_passed_on(horses: Horses) -> None:
    with Endpoint(echoes_the_key) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url, key="mine")), toml=TOML, environment=HAVING, within=8)
    assert ended.code == "endpoint_denied"
    assert ended.failure.params["detail"] == f"Incorrect API key provided: {HIDDEN}."
    assert holding(KEY, horses, ended) == []


def test_a_key_that_is_quoted_for_some_samples_only_is_in_no_log(horses: Horses) -> None:
    with Endpoint(every(3, echoes_the_key)) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url, key="mine")), toml=TOML, environment=HAVING)
    assert ended.code == "succeeded"
    assert ended.result.benchmarks[0].errored == 2
    assert f"Incorrect API key provided: {HIDDEN}" in ended.log
    assert holding(KEY, horses, ended) == []


def test_a_key_that_is_quoted_for_every_sample_is_in_no_log(horses: Horses) -> None:
    with Endpoint(after(1, echoes_the_key)) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url, key="mine")), toml=TOML, environment=HAVING)
    assert ended.code == "endpoint_denied"
    assert HIDDEN in str(ended.failure.params["detail"])
    assert holding(KEY, horses, ended) == []


def test_a_key_is_not_sent_to_a_host_it_is_not_registered_for(horses: Horses) -> None:
    toml = '[keys.mine]\nenv = "MY_KEY"\nhosts = ["api.example.com"]\n'
    with Endpoint() as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url, key="mine")), toml=toml, environment=HAVING, within=8)
    assert ended.code == "key_not_for_host"
    assert ended.failure.params == {"key": "mine", "host": "127.0.0.1"}
    assert endpoint.calls == []


def test_a_key_without_hosts_is_not_sent_to_an_address_somebody_typed(horses: Horses) -> None:
    toml = '[keys.mine]\nenv = "MY_KEY"\n'
    with Endpoint() as endpoint:
        typed = horses.evaluate(
            spec(model(endpoint.url, key="mine", network="console")), toml=toml, environment=HAVING, within=8
        )
        assert endpoint.calls == []
        registered = horses.evaluate(spec(model(endpoint.url, key="mine"), limit=1), toml=toml, environment=HAVING)
    assert (typed.code, registered.code) == ("key_not_for_host", "succeeded")


def test_a_redirect_does_not_take_the_key_along(horses: Horses) -> None:
    with Endpoint() as other:

        def redirect(_call: Call) -> Answer:
            return Answer(307, "", headers={"Location": f"{other.url}/chat/completions"})

        with Endpoint(redirect) as endpoint:
            ended = horses.evaluate(spec(model(endpoint.url, key="mine")), toml=TOML, environment=HAVING, within=8)
        assert ended.code == "endpoint_rejected"
        assert other.calls == []
        with Endpoint(after(1, redirect)) as endpoint:  # only once the run goes on
            ended = horses.evaluate(spec(model(endpoint.url, key="mine")), toml=TOML, environment=HAVING)
        assert ended.result.benchmarks == ()
        assert all(KEY not in json.dumps(call.headers) for call in other.calls)


def test_the_command_to_reproduce_a_run_names_no_folder_of_the_worker_and_no_key(horses: Horses) -> None:
    with Endpoint() as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url)))
    assert ended.result.reproduce is not None
    command = ended.result.reproduce.command
    assert str(ended.folder) not in command
    for word in ("--work-dir", "--use-cache", "--no-timestamp", "--api-key", "EMPTY"):
        assert word not in command


def test_a_private_data_set_s_questions_stay_in_the_run_s_own_files(horses: Horses, tmp_path: Path) -> None:
    question = "Who signs off the secret budget of department seven?"
    record = {"query": question, "response": "Nobody"}
    (tmp_path / "hr_test.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    toml = f'[datasets.faq]\nbenchmark = "general_qa"\nlocal_path = "{tmp_path}"\nprivate = true\n'
    args = {"subset_list": ["hr"], "metric_list": ["Rouge"]}
    dataset = DatasetTarget(name="faq", benchmark="general_qa", local=True, private=True, args=args)
    with Endpoint(answers("Nobody")) as endpoint:
        ended = horses.evaluate(spec(model(endpoint.url), dataset), toml=toml)
    assert ended.code == "succeeded"
    assert any(question in call.question for call in endpoint.completions)
    assert question.encode() not in everything_in(horses.redis)
    assert question not in ended.log
    assert question not in ended.result.model_dump_json()


def test_two_runs_on_one_worker_do_not_share_a_key(horses: Horses) -> None:
    with Endpoint() as endpoint:
        horses.evaluate(spec(model(endpoint.url, key="mine"), limit=1), toml=TOML, environment=HAVING)
        first = len(endpoint.calls)
        horses.evaluate(spec(model(endpoint.url), sample(), limit=1))
    assert {call.headers["authorization"] for call in endpoint.calls[first:]} == {"Bearer EMPTY"}
