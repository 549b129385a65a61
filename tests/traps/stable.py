"""A process with EvalScope imported, as a worker is, that forks a child for each job it reads.

A job is a line of JSON: `id`, `environment` (values, null takes one away), `output` (a file for the child's output)
and `code` to run. When the child has ended, a line `{"id"}` says so. It ends with its standard input.
"""

import json
import os
import selectors
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from jobs.worker import _preload


def main() -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    catalog = _preload()
    said = sys.stdout
    print(json.dumps({"ready": catalog.evalscope_version}), file=said, flush=True)
    children: dict[int, int] = {}
    waiting, heard = b"", b""
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    while True:
        if selector.select(0.01):
            heard = os.read(0, 65536)
            if not heard:
                break
            *lines, waiting = (waiting + heard).split(b"\n")
            for line in lines:
                job = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    _work(job, catalog)
                children[pid] = job["id"]
        for pid in list(children):
            if os.waitpid(pid, os.WNOHANG)[0]:
                print(json.dumps({"id": children.pop(pid)}), file=said, flush=True)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _work(job: dict[str, Any], catalog: Any) -> NoReturn:
    """Be the work-horse: the code finds the catalog as `catalog`."""
    with Path(job["output"]).open("ab") as output, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    for name, value in job["environment"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    try:
        exec(compile(job["code"], "<job>", "exec"), {"catalog": catalog})
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
