"""Serves a `FakeIssuer` on a loopback port, in a thread."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from linqi.testing.issuer_answer import AnsweringIssuer

__all__ = ["serving"]


@contextlib.contextmanager
def serving(issuer: AnsweringIssuer) -> Iterator[str]:
    """Serve `issuer` while the context lasts; return the URL.

    While it is down without a status, connections are closed without a response.
    """

    class Handler(_Handler):
        answers = issuer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    answers: AnsweringIssuer

    def do_GET(self) -> None:
        """Answer one request."""
        issuer = self.answers
        time.sleep(issuer.seconds)
        sent = {name.lower(): value for name, value in self.headers.items()}
        try:
            answer = issuer.answer(f"http://{sent.get('host', '')}{self.path}", sent)
        except ConnectionRefusedError:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as http.server has it
        """Print nothing."""
