"""Run scripts/model_server.py without llama.cpp's prompt cache.

With it, an answer at temperature 0 depends on what was asked before: the tokens kept from an earlier prompt were
computed in other batches, their last bits differ, and now and then so does the next word.
"""

import runpy
from pathlib import Path
from typing import Any

import xllamacpp

_server = xllamacpp.Server


def without_cache(params: Any) -> Any:
    params.cache_prompt = False
    return _server(params)


xllamacpp.Server = without_cache
runpy.run_path(str(Path(__file__).resolve().parents[2] / "scripts" / "model_server.py"), run_name="__main__")
