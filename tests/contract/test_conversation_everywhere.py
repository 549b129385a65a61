"""A conversation goes the same way on every platform: the same words, tables and buttons, the same runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from conversation import hold
from drivers import PLATFORMS
from support.endpoint import Answer, Call, Endpoint, completion

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def config() -> Iterator[str]:
    """A scopebot.toml with the model `slow`, which answers whether it is there and then nothing more."""
    over = threading.Event()

    def answer(call: Call) -> Answer:
        if call.question != "Hi":
            over.wait(60)
        return Answer(body=completion(call, "ANSWER: A"))

    with Endpoint(answer) as endpoint:
        yield f'[models.slow]\nmodel = "tiny"\napi_url = "{endpoint.url}"\n'
        over.set()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_conversation_goes_the_same_way_on_every_platform(
    platform: str, config: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        PLATFORMS[platform](tmp_path_factory.mktemp(platform), config) as drivers,
        ThreadPoolExecutor() as people,  # who talk at once, and do not disturb each other
    ):
        list(people.map(hold, drivers))
