"""A chat platform in a process of its own, which outlives the bots that are killed: strict, and it forgets nothing.

It delivers a message until it is acknowledged, keeps every post under its key and every edit, fails now and then on
either side of a post, and can kill a bot at the very moment at which that one posts, edits or acknowledges.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

AGAIN_AFTER = 1.0
"""Seconds after which a message that nobody acknowledged is delivered again."""


class Recorder:
    """The recorder's process, as a test sees it."""

    def __init__(self, *, fails: float = 0.0, seed: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(fails), str(seed)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def say(self, incoming: dict[str, Any], copies: int = 1) -> None:
        """Have somebody say something."""
        _call(f"{self.url}/say", {"incoming": incoming, "copies": copies})

    def trap(self, pid: int, what: str, when: str, count: int) -> None:
        """Kill a process `before` or `after` it does `what` for the `count`th time from now."""
        _call(f"{self.url}/trap", {"pid": pid, "what": what, "when": when, "count": count})

    def state(self) -> dict[str, Any]:
        """Return `posts`, `edits` and `wrong`: what no bot may do."""
        with urllib.request.urlopen(f"{self.url}/state", timeout=30) as answer:
            return dict(json.load(answer))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _call(url: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, fails: float, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.fails = fails
        self.random = random.Random(seed)
        self.waiting: list[dict[str, Any]] = []
        self.posts: list[dict[str, Any]] = []
        self.edits: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.trap: dict[str, Any] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of bots that died in the middle."""

    def spring(self, what: str, when: str) -> None:
        """Kill the bot if this is the moment."""
        if self.trap.get("what") == what and self.trap["when"] == when:
            self.trap["count"] -= 1
            if self.trap["count"] <= 0:
                pid, self.trap = self.trap["pid"], {}
                os.kill(pid, signal.SIGKILL)

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        what = path.strip("/")
        with self.lock:
            if what == "trap":
                self.trap = body
                return {}
            self.spring(what, "before")
            if what in {"send", "edit"} and self.random.random() < self.fails:
                return None
            done = getattr(self, f"on_{what}")(body)
            self.spring(what, "after")
            lost = what == "send" and self.random.random() < self.fails
            return None if lost else done

    def on_say(self, body: dict[str, Any]) -> dict[str, Any]:
        self.waiting += [{"due": 0.0, "incoming": body["incoming"], "n": n} for n in range(body["copies"])]
        return {}

    def on_next(self, _: dict[str, Any]) -> dict[str, Any]:
        due = [entry for entry in self.waiting if entry["due"] <= time.monotonic()][:20]
        for entry in due:
            entry["due"] = time.monotonic() + AGAIN_AFTER
        return {"messages": [{"incoming": entry["incoming"], "n": entry["n"]} for entry in due]}

    def on_ack(self, body: dict[str, Any]) -> dict[str, Any]:
        self.waiting = [e for e in self.waiting if (e["incoming"]["id"], e["n"]) != (body["id"], body["n"])]
        return {}

    def on_send(self, body: dict[str, Any]) -> dict[str, Any]:
        if any(post["key"] == body["key"] for post in self.posts):
            self.wrong.append(f"posted twice: {body['key']}")
        self.posts.append(body | {"id": f"m{len(self.posts)}"})
        return {"id": self.posts[-1]["id"]}

    def on_edit(self, body: dict[str, Any]) -> dict[str, Any]:
        if not any(post["id"] == body["id"] for post in self.posts):
            self.wrong.append(f"edited what is not there: {body['id']}")
        if not body["final"] and any(edit["id"] == body["id"] and edit["final"] for edit in self.edits):
            self.wrong.append(f"edited after the final edit: {body['id']}")
        self.edits.append(body)
        return {}

    def on_find(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"id": next((post["id"] for post in self.posts if post["key"] == body["key"]), None)}

    def on_state(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"posts": self.posts, "edits": self.edits, "wrong": self.wrong, "waiting": len(self.waiting)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        self._answer(address.path, dict(urllib.parse.parse_qsl(address.query)))

    def do_POST(self) -> None:
        self._answer(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, path: str, body: dict[str, Any]) -> None:
        answer = self.server.answer(path, body)
        data = json.dumps(answer).encode()
        self.send_response(503 if answer is None else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None: ...


if __name__ == "__main__":
    with Server(float(sys.argv[1]), int(sys.argv[2])) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()
