"""The page about MCP servers shows files that run together (docs/frameworks/mcp.md)."""

import contextlib
import re
import runpy
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest

from example_files import EXAMPLES, ROOT, shown_on
from free_ports import free_port
from node_provider import node_and_packages

PAGE = ROOT / "docs" / "frameworks" / "mcp.md"
EXAMPLE = EXAMPLES / "frameworks" / "mcp"
FILES = ("linqi.toml", "server.py", "client.py", "issuer.mjs")


@contextmanager
def running(command: list[str], folder: Path, url: str) -> Iterator[None]:
    """Run a program until the end of the block, from when it answers at `url`."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(url, timeout=2)
                break
            assert process.poll() is None
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(60)


def test_the_page_shows_the_example() -> None:
    """Every file of it."""
    shown = [path for path, _ in shown_on(PAGE)]
    assert sorted(Path(path).name for path in shown) == sorted(FILES)


def copied(folder: Path) -> dict[str, int]:
    """Copy the example into `folder` with ports of its own; return them."""
    ports = {port: free_port() for port in ("3000", "8000", "8400")}
    for name in FILES:
        text = (EXAMPLE / name).read_text()
        for port, free in ports.items():
            text = re.sub(rf"\b{port}\b", str(free), text)
        (folder / name).write_text(text)
    return ports


def signed_in(url: str) -> bool:
    """Click through the pages of the provider, as a reader would."""
    with httpx2.Client(follow_redirects=True, timeout=10) as browser:
        answer = browser.get(url)
        for _ in range(4):
            form = re.search(r'<form[^>]* action="([^"]+)"', answer.text)
            if form is None:
                break
            fields = dict(re.findall(r'name="(\w+)" value="(\w*)"', answer.text))
            place = urljoin(str(answer.url), unescape(form[1]))
            answer = browser.post(place, data=fields | {"login": "alice", "password": "x"})
        assert "close this page" in answer.text, answer.text
    return True


@pytest.mark.long
def test_the_files_of_the_page_run_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The client finds the provider from the server alone, signs in twice, and calls both tools."""
    ports = copied(tmp_path)
    node, packages = node_and_packages()
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    opened: list[str] = []

    def opens(url: str) -> bool:
        opened.append(url)
        return signed_in(url)

    monkeypatch.setattr(webbrowser, "open", opens)
    monkeypatch.syspath_prepend(str(tmp_path))
    issuer = f"http://127.0.0.1:{ports['3000']}/jwks"
    uvicorn = [sys.executable, "-m", "uvicorn", "server:app", "--port", str(ports["8000"])]
    with (
        running([node, "issuer.mjs"], tmp_path, issuer),
        running(uvicorn, tmp_path, f"http://127.0.0.1:{ports['8000']}/"),
    ):
        runpy.run_path(str(tmp_path / "client.py"), run_name="__main__")
    assert capsys.readouterr().out == (
        "list_notes {'result': []}\nadd_note {'result': 'kept for alice'}\n"
    )
    assert len(opened) == 2
