"""Workers under test are replaced without losing a request."""

import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

from linqi import Key, KeySet
from linqi_storm.apps.embedded import AppSpec
from linqi_storm.run.worker_pool import WorkerPool

CALLERS, REPLACEMENTS = 8, 10


def test_requests_on_new_connections_are_answered_while_workers_are_replaced(
    tmp_path: Path,
) -> None:
    """A server of uvicorn alone closes one connection per replacement that it just accepted."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "key.json")
    spec = AppSpec(kind="sliding", lifetime=8, buffer=3, jwks=str(tmp_path / "key.json"), workers=1)
    has_ended = threading.Event()
    answers: list[bytes] = []
    with WorkerPool([spec], tmp_path).running() as workers:
        address = urlsplit(workers.url)

        def keep_asking() -> None:
            while not has_ended.is_set():
                answers.append(answer_of(str(address.hostname), int(address.port or 0)))

        callers = [threading.Thread(target=keep_asking) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        for _ in range(REPLACEMENTS):
            workers.replace_all()
        has_ended.set()
        for caller in callers:
            caller.join()
    assert len(answers) > 10 * REPLACEMENTS
    assert {answer[:13] for answer in answers} == {b"HTTP/1.1 200 "}


def answer_of(host: str, port: int) -> bytes:
    """Return the first bytes that answer a request on a connection of its own, or the error."""
    with socket.create_connection((host, port), timeout=60) as made:
        try:
            made.sendall(b"GET /healthz HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n")
            return made.recv(64)
        except OSError as error:
            return repr(error).encode()
