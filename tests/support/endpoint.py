"""A real HTTP server on loopback that speaks OpenAI's chat completions strictly, or fails in one chosen way.

It refuses what a strict provider refuses (method, path, body, model, messages, key) and keeps every request with
its headers, so that a test can say what was sent and how often.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

MODEL = "tiny"
HTML = "<!doctype html><title>A portal</title><p>Log in to go on."


@dataclass(frozen=True)
class Call:
    """One request that came in."""

    number: int
    """1 for the first completion asked for; 0 for anything else."""
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def question(self) -> str:
        """The text of the last message."""
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: int = 200
    body: Any = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Hang(Exception):
    """Raised by a behaviour: take the request and never answer it."""


class Die(Exception):
    """Raised by a behaviour: from now on nothing listens here."""


Behaviour = Callable[[Call], Answer]


def answers(answer: Callable[[str], str] | str = "Paris") -> Behaviour:
    """Answer every question, by a function of it or always the same."""

    def behave(call: Call) -> Answer:
        text = answer if isinstance(answer, str) else answer(call.question)
        return Answer(body=completion(call, text))

    return behave


def completion(call: Call, text: str) -> dict[str, Any]:
    """Return a completion as OpenAI writes it."""
    prompt, words = sum(len(str(m["content"]).split()) for m in call.body["messages"]), len(text.split())
    return {
        "id": f"chatcmpl-{call.number}", "object": "chat.completion", "created": 1_700_000_000,
        "model": call.body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": words, "total_tokens": prompt + words},
    }  # fmt: skip


def fails(status: int, message: str = "made to fail", **headers: str) -> Behaviour:
    """Answer every completion with an error as OpenAI writes it."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": None}}
    return lambda call: Answer(status, body, headers=headers)


def echoes_the_key(call: Call) -> Answer:
    """Refuse the key and quote it in full, as careless gateways do."""
    message = f"Incorrect API key provided: {call.headers['authorization'].removeprefix('Bearer ')}."
    return Answer(401, {"error": {"message": message, "type": "invalid_request_error", "code": "invalid_api_key"}})


def html(_call: Call) -> Answer:
    """Answer with a page, as the wrong path on a web server does."""
    return Answer(body=HTML, content_type="text/html")


def no_choices(call: Call) -> Answer:
    """Answer with a completion without choices."""
    return Answer(body=completion(call, "") | {"choices": []})


def hangs(_call: Call) -> Answer:
    """Take the request and never answer."""
    raise Hang


def dies(_call: Call) -> Answer:
    """Stop listening."""
    raise Die


def after(count: int, then: Behaviour, first: Behaviour | None = None) -> Behaviour:
    """Work for so many completions, then behave otherwise."""
    first = first or answers()
    return lambda call: (first if call.number <= count else then)(call)


def every(nth: int, then: Behaviour, first: Behaviour | None = None) -> Behaviour:
    """Behave otherwise at questions, chosen by their text: the same ones at every retry, one in `nth` on average."""
    first, seen, lock = first or answers(), dict[str, int](), threading.Lock()

    def behave(call: Call) -> Answer:
        with lock:
            place = seen.setdefault(call.question, len(seen))
        return (then if place % nth == nth - 1 else first)(call)

    return behave


def only_new_max_tokens(call: Call) -> Answer:
    """Refuse `max_tokens`, as OpenAI's newer models do."""
    if "max_tokens" in call.body:
        message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
        return Answer(400, {"error": {"message": message, "code": "unsupported_parameter"}})
    return answers()(call)


class Endpoint:
    """The server, for as long as the block lasts.

    `key` is the only key it takes (any, where None); `html_on_get` makes every GET a web page.
    """

    def __init__(
        self, behaviour: Behaviour | None = None, *, key: str | None = None, html_on_get: bool = False
    ) -> None:
        self.behaviour = behaviour or answers()
        self.key = key
        self.html_on_get = html_on_get
        self.calls: list[Call] = []
        self.faults: list[str] = []
        """What no client may do and one did: a wrong path, a body that is no JSON, …"""
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._dead = False
        self._connections: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def completions(self) -> list[Call]:
        """The requests for a completion, leaving out the one-token question that checks the endpoint."""
        return [call for call in self.calls if call.number and call.body["messages"][-1]["content"] != "Hi"]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._stop_listening()
        self._thread.join()

    def answer(self, method: str, path: str, headers: dict[str, str], data: bytes) -> Answer:
        """Check the request as a strict provider does, and behave."""
        problem, body = self._problem(method, path, headers, data)
        with self._lock:
            number = 1 + sum(1 for call in self.calls if call.number) if path == "/v1/chat/completions" else 0
            call = Call(0 if problem and not body else number, method, path, headers, body)
            self.calls.append(call)
        if method == "GET" and self.html_on_get:
            return html(call)
        if problem is not None:
            return problem
        if path == "/v1/models":
            return Answer(body={"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        return self.behaviour(call)

    def _problem(
        self, method: str, path: str, headers: dict[str, str], data: bytes
    ) -> tuple[Answer | None, dict[str, Any]]:
        """Return the refusal of a request that is not as it should be, and its body."""
        if path not in {"/v1/chat/completions", "/v1/models"}:
            return self._fault(404, f"no such path: {path}"), {}
        if method != ("POST" if path.endswith("completions") else "GET"):
            return self._fault(405, f"{method} {path}"), {}
        kind, _, key = headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or not key:
            return self._fault(401, "no Authorization"), {}
        if self.key is not None and key != self.key:
            return _error(401, "invalid key"), {}
        if method == "GET":
            return None, {}
        try:
            body = json.loads(data)
            roles = [message["role"] for message in body["messages"]]
            texts = [message["content"] for message in body["messages"]]
        except (ValueError, KeyError, TypeError) as error:
            return self._fault(400, f"not a request: {error!r}"), {}
        if headers.get("content-type") != "application/json":
            return self._fault(415, f"content type {headers.get('content-type')}"), {}
        if not roles or not set(roles) <= {"system", "user", "assistant"} or not all(texts):
            return self._fault(400, f"messages: {roles}"), {}
        if body.get("model") != MODEL:
            return _error(404, f"The model `{body.get('model')}` does not exist"), body
        return None, body

    def _fault(self, status: int, message: str) -> Answer:
        self.faults.append(message)
        return _error(status, message)

    def hang(self) -> None:
        """Keep a request waiting until the test is over."""
        self._over.wait()

    def die(self) -> None:
        """Let nothing listen here any more, and drop what is connected."""
        self._stop_listening()

    @contextmanager
    def connected(self, connection: socket.socket) -> Iterator[None]:
        """Keep a connection in mind, to drop it when the server dies."""
        with self._lock:
            self._connections.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _stop_listening(self) -> None:
        with self._lock:
            first, self._dead = not self._dead, True
            connections = list(self._connections)
        if first:
            self._server.shutdown()
            self._server.server_close()
        for connection in connections:
            _drop(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with endpoint.connected(self.connection):
                super().handle()

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def do_PUT(self) -> None:
            self._serve()

        def _serve(self) -> None:
            data = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                answer = endpoint.answer(self.command, self.path, headers, data)
            except Hang:
                endpoint.hang()
                self.close_connection = True
                return
            except Die:
                endpoint.die()
                self.close_connection = True
                return
            text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            self.send_response(answer.status)
            for name, value in {"Content-Type": answer.content_type, **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    return Handler


def _drop(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _error(status: int, message: str) -> Answer:
    return Answer(status, {"error": {"message": message, "type": "invalid_request_error", "code": None}})


@contextmanager
def refusing_url() -> Iterator[str]:
    """Hold a port nobody listens on: every connection is refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"


@contextmanager
def unanswered_url() -> Iterator[str]:
    """Accept connections (the kernel does) and never read from them."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


def wait_until(done: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something another process does."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen")
        time.sleep(0.02)
