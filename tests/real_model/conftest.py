"""SmolLM2-135M behind llama.cpp's own server, and real benchmark data."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from talking import ROOT

SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    """The model's server, once for all tests."""
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve().parents[2] / "scripts" / "model_server.py")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    deadline = threading.Timer(60, server.kill)
    deadline.start()
    url = server.stdout.readline().strip()
    deadline.cancel()
    try:
        assert url, "the model's server did not start"
        yield url
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()


@pytest.fixture(scope="session")
def seeded_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real benchmark data as a ModelScope cache."""
    seed = SHARED / "bin" / "seed_datasets.py"
    if not seed.exists():
        pytest.skip(f"no benchmark data: {seed} is not there")
    cache = tmp_path_factory.mktemp("modelscope")
    subprocess.run([sys.executable, str(seed), str(cache)], check=True, stdout=subprocess.DEVNULL)
    return cache
