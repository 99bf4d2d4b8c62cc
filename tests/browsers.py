"""Real browsers for tests, each with the few calls that a test of linqi.js needs.

Chromium is driven by playwright; Firefox by WebDriver BiDi, which it speaks itself; WebKitGTK's
MiniBrowser by WebKitWebDriver (W3C WebDriver), on a display of its own (Xvfb). A profile has
`new_page` and `close`, a page `goto`, `evaluate`, `back` and `close`.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

import httpx2
import pytest
import websockets

from chrome import browsing
from free_ports import free_port

__all__ = ["ENGINES", "Browser", "Page", "Profile", "browser_of", "chosen_engines"]

ENGINES: Final = ("chromium", "firefox", "webkit")
_SECONDS: Final = 120
_PREFERENCES: Final = {
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#none",
    "toolkit.telemetry.enabled": False,
    "remote.active-protocols": 1,
}
"""Of Firefox: nothing is asked of the network beside the test's own server."""


class Page(Protocol):
    """A tab."""

    async def goto(self, url: str) -> Any:
        """Load a page, and wait until it is complete."""

    async def evaluate(self, function: str, argument: Any = None) -> Any:
        """Call an async function of the page's script, and return its result as JSON has it."""

    async def close(self) -> None:
        """Close the tab."""


class Profile(Protocol):
    """A browser without cookies and other tabs."""

    async def new_page(self) -> Any:
        """Open a tab."""

    async def close(self) -> None:
        """Close its tabs, and forget its cookies."""


class Browser(Protocol):
    """A running browser."""

    async def new_profile(self) -> Profile:
        """Return a profile that shares nothing with earlier ones."""


def chosen_engines() -> list[str]:
    """Return the engines of ``LINQI_BROWSERS``: some of `ENGINES`, or Chromium alone."""
    named = os.environ.get("LINQI_BROWSERS", "chromium").replace(",", " ").split()
    assert set(named) <= {*ENGINES}, f"LINQI_BROWSERS is {named}, expected some of {ENGINES}"
    return named


def browser_of(engine: str) -> contextlib.AbstractAsyncContextManager[Browser]:
    """Start a browser, without its own window, that accepts any certificate."""
    return {"chromium": _chromium, "firefox": _firefox, "webkit": _webkit}[engine]()


def _program(package: str, *names: str) -> str:
    """Return the path of a program; skip the test if there is none, except in CI."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"none of {names} is installed; .ci/run installs the package {package}")
        pytest.skip(f"none of {names} is installed: apt-get install {package}")
    return found


class _Chromium:
    def __init__(self, browser: Any) -> None:
        self._browser = browser

    async def new_profile(self) -> Profile:
        made: Profile = await self._browser.new_context(ignore_https_errors=True)
        return made


@contextlib.asynccontextmanager
async def _chromium() -> AsyncIterator[Browser]:
    async with browsing() as browser:
        yield _Chromium(browser)


_CALL: Final = """async (text) => {{
  const result = await ({function})(JSON.parse(text))
  return JSON.stringify(result ?? null)
}}"""


class _BiDi:
    """A connection of WebDriver BiDi; one command at a time."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._lock = asyncio.Lock()
        self._last = 0

    async def send(self, method: str, **params: Any) -> Any:
        """Return the result of a command; events are passed over."""
        async with self._lock, asyncio.timeout(_SECONDS):
            self._last += 1
            number = self._last
            await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
            while (answer := json.loads(await self._socket.recv())).get("id") != number:
                pass
        assert answer["type"] == "success", f"{method}: {answer}"
        return answer["result"]

    async def new_profile(self) -> Profile:
        return _FirefoxProfile(self, (await self.send("browser.createUserContext"))["userContext"])


class _FirefoxProfile:
    def __init__(self, connection: _BiDi, name: str) -> None:
        self._connection, self._name = connection, name

    async def new_page(self) -> Page:
        made = await self._connection.send(
            "browsingContext.create", type="tab", userContext=self._name
        )
        return _FirefoxPage(self._connection, made["context"])

    async def close(self) -> None:
        await self._connection.send("browser.removeUserContext", userContext=self._name)


class _FirefoxPage:
    def __init__(self, connection: _BiDi, context: str) -> None:
        self._connection, self._context = connection, context

    async def goto(self, url: str) -> None:
        await self._connection.send(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def evaluate(self, function: str, argument: Any = None) -> Any:
        done = await self._connection.send(
            "script.callFunction",
            functionDeclaration=_CALL.format(function=function),
            arguments=[{"type": "string", "value": json.dumps(argument)}],
            awaitPromise=True,
            target={"context": self._context},
        )
        assert done["type"] == "success", done["exceptionDetails"]["text"]
        return json.loads(done["result"]["value"])

    async def close(self) -> None:
        await self._connection.send("browsingContext.close", context=self._context)


@contextlib.asynccontextmanager
async def _firefox() -> AsyncIterator[Browser]:
    program = _program("firefox-esr", "firefox-esr", "firefox")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
            for name, value in _PREFERENCES.items()
        ]
        (Path(folder) / "user.js").write_text("".join(lines))
        log = Path(folder) / "log"
        command = [program, "--headless", "--no-remote", "--profile", folder]
        command += ["--remote-debugging-port", "0"]
        environment = {**os.environ, "HOME": folder, "MOZ_DISABLE_CONTENT_SANDBOX": "1"}
        with _running(command, log, environment):
            url = await _printed(log, r"WebDriver BiDi listening on (ws://\S+)")
            async with websockets.connect(
                f"{url}/session", max_size=None, open_timeout=_SECONDS
            ) as socket:
                connection = _BiDi(socket)
                wanted = {"alwaysMatch": {"acceptInsecureCerts": True}}
                await connection.send("session.new", capabilities=wanted)
                yield connection
                await connection.send("session.end")


class _WebKit:
    """A session of WebKitWebDriver; one command at a time."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._lock = asyncio.Lock()
        self.session = ""
        self._blank = ""

    async def start(self, program: str) -> None:
        """Start the browser."""
        wanted = {
            "acceptInsecureCerts": True,
            "webkitgtk:browserOptions": {"binary": program, "args": ["--automation"]},
            "timeouts": {"script": _SECONDS * 1000},
        }
        made = await self.send("POST", "/session", capabilities={"alwaysMatch": wanted})
        self.session = f"/session/{made['sessionId']}"
        self._blank = await self.send("GET", f"{self.session}/window")

    async def send(self, verb: str, path: str, **body: Any) -> Any:
        """Return the value of a command."""
        answer = await self._client.request(verb, path, json=body if verb == "POST" else None)
        value = answer.json()["value"]
        assert answer.status_code == 200, f"{path}: {value}"
        return value

    @contextlib.asynccontextmanager
    async def window(self, handle: str) -> AsyncIterator[None]:
        """Send commands to one tab."""
        async with self._lock:
            await self.send("POST", f"{self.session}/window", handle=handle)
            yield

    async def new_profile(self) -> Profile:
        """Return the one profile, emptied: a browser starts in seconds."""
        return self

    async def new_page(self) -> Page:
        """Open a tab."""
        async with self._lock:
            await self.send("POST", f"{self.session}/window", handle=self._blank)
            made = await self.send("POST", f"{self.session}/window/new", type="tab")
        return _WebKitPage(self, made["handle"])

    async def close(self) -> None:
        """Close the tabs, and forget the cookies of each one's origin."""
        for handle in await self.send("GET", f"{self.session}/window/handles"):
            if handle != self._blank:
                async with self.window(handle):
                    await self.send("DELETE", f"{self.session}/cookie")
                    await self.send("DELETE", f"{self.session}/window")


class _WebKitPage:
    def __init__(self, browser: _WebKit, handle: str) -> None:
        self._browser, self._handle = browser, handle

    async def goto(self, url: str) -> None:
        async with self._browser.window(self._handle):
            await self._browser.send("POST", f"{self._browser.session}/url", url=url)

    async def evaluate(self, function: str, argument: Any = None) -> Any:
        script = (
            "const [text, done] = arguments\n"
            f"const call = {_CALL.format(function=function)}\n"
            "call(text).then((value) => done([value]), (error) => done([null, `${error}`]))"
        )
        path = f"{self._browser.session}/execute/async"
        async with self._browser.window(self._handle):
            done = await self._browser.send(
                "POST", path, script=script, args=[json.dumps(argument)]
            )
        assert len(done) == 1, done[1]
        return json.loads(done[0])

    async def close(self) -> None:
        async with self._browser.window(self._handle):
            await self._browser.send("DELETE", f"{self._browser.session}/window")


@contextlib.asynccontextmanager
async def _webkit() -> AsyncIterator[Browser]:
    driver = _program("webkit2gtk-driver", "WebKitWebDriver")
    display = _program("xvfb", "Xvfb")
    program = _mini_browser()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home, log = Path(folder), Path(folder) / "display"
        command = [display, "-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "800x600x24"]
        with _running(command, log, {**os.environ}):
            number = await _printed(log, r"(\d+)\n")
            environment = {**os.environ, "DISPLAY": f":{number}", "HOME": folder}
            environment |= {"XDG_RUNTIME_DIR": folder, "LIBGL_ALWAYS_SOFTWARE": "1"}
            port = free_port()
            with _running([driver, f"--port={port}"], home / "driver", environment):
                url = f"http://127.0.0.1:{port}"
                async with httpx2.AsyncClient(base_url=url, timeout=_SECONDS) as client:
                    await _answering(client)
                    browser = _WebKit(client)
                    await browser.start(str(program))
                    yield browser
                    await browser.send("DELETE", browser.session)


@contextlib.contextmanager
def _running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a program with its output in a file, and end it."""
    with log.open("wb") as output:
        program = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield
    finally:
        program.terminate()
        try:
            program.wait(2)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


async def _printed(log: Path, pattern: str) -> str:
    """Return what a program prints when it is ready."""
    async with asyncio.timeout(_SECONDS):
        while (found := _found(log, pattern)) is None:
            await asyncio.sleep(0.02)
    return found


def _found(log: Path, pattern: str) -> str | None:
    found = re.search(pattern, log.read_text("utf-8", "replace"))
    return found[1] if found else None


def _mini_browser() -> Path:
    """Return the browser of the package, which is on no PATH."""
    return next(iter(sorted(Path("/usr/lib").glob("*/webkit2gtk-*/MiniBrowser"))))


async def _answering(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(_SECONDS):
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if (await client.get("/status")).status_code == 200:
                    return
            await asyncio.sleep(0.02)
