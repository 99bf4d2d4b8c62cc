"""docs/guides/logs.md, followed with each server."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from free_ports import free_port
from waiting import wait_until

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples" / "logs"
COMMANDS = {
    "uvicorn": "uvicorn app:app --log-config logging.json --port {port}",
    "hypercorn": "hypercorn app:app --log-config json:logging.json --bind 127.0.0.1:{port}",
    "granian": "granian app:app --interface asgi --log --log-config logging.json --port {port}",
    "gunicorn": "gunicorn app:app --worker-class uvicorn_worker.UvicornWorker"
    " --log-config-json logging.json --bind 127.0.0.1:{port}",
    "daphne": "daphne app_daphne:app --port {port}",
}
PAGE = EXAMPLES.parent.parent / "guides" / "logs.md"


@pytest.mark.parametrize("server", COMMANDS)
def test_each_server_writes_the_events_as_json_lines(server: str, tmp_path: Path) -> None:
    """With the command of the page; each line of linqi is one object, once."""
    port = free_port()
    command = COMMANDS[server].format(port=port)
    assert command.rpartition(" --")[0] in PAGE.read_text()
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *shlex.split(command)],
            cwd=EXAMPLES,
            env={**os.environ, "PYTHONPATH": str(EXAMPLES)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def refused() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/cart", timeout=5).status_code == 401
        except httpx2.TransportError:
            return False

    def lines() -> list[str]:
        return [line for line in log.read_text().splitlines() if "token_refused" in line]

    try:
        wait_until(refused, 90, log.read_text)
        wait_until(lines, 90, log.read_text)
    finally:
        process.terminate()
        process.wait(60)
    (line,) = lines()
    told = json.loads(line)
    assert (told["event"], told["code"], told["path"]) == ("token_refused", "no_token", "/cart")
    assert told["time"].endswith("+00:00")
