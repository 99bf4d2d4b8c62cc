"""A wheel in a bare environment, outside the checkout: commands, and the first application."""

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from free_ports import free_port
from release_check.artifacts import metadata_of
from release_check.versions import ROOT, project_version

SECONDS = 60
# Pip asks the index for one package after the other: 14 extras have about 130.
INSTALL_SECONDS = 900
SETTINGS = """\
[verify]
issuer = "https://shop.test"
audience = "shop"

[keys]
file = "keys.json"

[paths]
public = ["/login"]
"""
# Pages that begin with an application, and what its server needs beside linqi.
FIRST_PAGES = ("README.md", "docs/quickstart.md", "README.zh-CN.md", "docs/zh/start.md")
# As the quickstart has it: the next token arrives within seconds.
SHORT = {"LINQI_RENEWAL__LIFETIME_SECONDS": "20", "LINQI_RENEWAL__BUFFER_SECONDS": "9"}
SERVER = ("uvicorn", "fastapi")


class Bare:
    """A new environment that has nothing but what is installed into it.

    Attributes:
        folder: Where it and the files of the commands are.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "env", with_pip=True)
        scripts = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
        self._python = str(scripts / "python")
        self._scripts = scripts
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }

    def install(self, *requirements: str) -> None:
        """Install `requirements` with pip."""
        self._pip_install(*requirements)

    def resolve(self, *requirements: str) -> None:
        """Let pip resolve `requirements`, and install nothing."""
        self._pip_install("--dry-run", *requirements)

    def _pip_install(self, *arguments: str) -> None:
        """Run pip, which says what it waits for if it is late: the index, once for each package."""
        options = ["--disable-pip-version-check", "--progress-bar=off"]
        self.python("-m", "pip", "install", *options, *arguments, seconds=INSTALL_SECONDS)

    def python(self, *arguments: str, seconds: float = SECONDS) -> str:
        """Run Python and return what it prints.

        Raises:
            RuntimeError: It ended with an exit code other than 0, or not within `seconds`.

        """
        return self._run([self._python, *arguments], seconds)

    def linqi(self, *arguments: str) -> str:
        """Run the command `linqi` and return what it prints."""
        return self._run([str(self._scripts / "linqi"), *arguments], SECONDS)

    def _run(self, command: list[str], seconds: float) -> str:
        shown = " ".join(command[1:])
        try:
            ran = subprocess.run(
                command,
                cwd=self.folder,
                env=self._environment,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            said = late.stdout or ""
            text = said if isinstance(said, str) else said.decode(errors="replace")  # but Windows
            last = text.rstrip().rpartition("\n")[2].strip() or "nothing"
            raise RuntimeError(
                f"{shown}: not ended after {seconds:g} s; it said last: {last}"
            ) from None
        if ran.returncode:
            raise RuntimeError(f"{shown}: exit {ran.returncode}\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    @contextmanager
    def serving(self, app: str) -> Iterator[str]:
        """Serve `app`, as ``module:app``, with uvicorn on a free port; yield its URL."""
        port = free_port()
        log = self.folder / "uvicorn.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [self._python, "-m", "uvicorn", app, "--port", str(port)],
                cwd=self.folder,
                env={**self._environment, **SHORT},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            url = f"http://127.0.0.1:{port}"
            end = time.monotonic() + SECONDS
            while server.poll() is None and time.monotonic() < end:
                try:
                    answer_of(f"{url}/")
                except OSError:
                    time.sleep(0.1)
                else:
                    yield url
                    return
            raise RuntimeError(f"uvicorn {app} does not answer:\n{log.read_text('utf-8')}")
        finally:
            server.terminate()
            server.wait(60)


def answer_of(url: str, method: str = "GET", token: str = "") -> tuple[int, dict[str, str], bytes]:
    """Return the status, the headers in lower case and the body of the answer to a request."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - loopback
    try:
        answer = urllib.request.urlopen(request, timeout=10)  # noqa: S310
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        found = {name.lower(): value for name, value in answer.headers.items()}
        return int(answer.status), found, answer.read()


def check_commands(bare: Bare) -> None:
    """Run the first commands, with no extra installed."""
    place = bare.python("-c", "import linqi; print(linqi.__file__)").strip()
    if not Path(place).resolve().is_relative_to(bare.folder.resolve()):
        raise RuntimeError(f"linqi was imported from {place}, not from the wheel")
    if bare.linqi("--version").strip() != f"linqi {project_version()}":
        raise RuntimeError("linqi --version says another version")
    for arguments in (["--help"], ["keygen"], ["init"]):
        bare.linqi(*arguments)
    if bare.python("-m", "linqi", "--help") != bare.linqi("--help"):
        raise RuntimeError("python -m linqi differs from linqi")
    (bare.folder / "linqi.toml").write_text(SETTINGS, "utf-8")
    bare.linqi("check")


def check_first_pages(bare: Bare) -> list[str]:
    """Serve each application of the first pages, and do with it what the pages say.

    Returns:
        The names of the applications.

    """
    bare.linqi("init")
    bare.linqi("keygen")
    examples = {
        Path(path): code
        for page in FIRST_PAGES
        for path, code in re.findall(
            r"<!-- example: (\S+\.py) -->\n```\w+\n(.*?)```\n<!-- end -->",
            (ROOT / page).read_text("utf-8"),
            re.S,
        )
    }
    names = []
    for path, code in examples.items():
        if not re.search(r"^app = ", code, re.M):
            continue
        name = f"{path.parent.name}_{path.stem}"
        (bare.folder / f"{name}.py").write_text(code, "utf-8")
        with bare.serving(f"{name}:app") as url:
            _sign_in_and_call(url)
            if client := examples.get(path.with_name("call.py")):
                _run_client(bare, client, url)
        names.append(name)
    return names


def _run_client(bare: Bare, code: str, url: str) -> None:
    """Run the client of a first page, which calls for a minute with tokens of 20 seconds."""
    port = url.rpartition(":")[2]
    (bare.folder / "call.py").write_text(code.replace(", 8000)", f", {port})"), "utf-8")
    lines = bare.python("-X", "utf8", "call.py", seconds=3 * SECONDS).splitlines()
    if not lines or not all("  200  " in line for line in lines):
        raise RuntimeError("call.py was refused:\n" + "\n".join(lines))
    if sum(line.endswith("token") for line in lines) < 2:  # in either language
        raise RuntimeError("call.py received no two tokens in a minute:\n" + "\n".join(lines))


def _sign_in_and_call(url: str) -> None:
    status, _, body = answer_of(f"{url}/login", "POST")
    if status != 200:
        status, _, body = answer_of(f"{url}/login")
    token = json.loads(body)["access_token"]
    status, _, body = answer_of(f"{url}/me", token=token)
    if status != 200 or json.loads(body)["user"] != "alice":
        raise RuntimeError(f"/me answers {status} {body!r} to a valid token")
    status, headers, _ = answer_of(f"{url}/me")
    if status != 401 or not headers.get("www-authenticate", "").startswith("Bearer"):
        raise RuntimeError(f"/me answers {status} without a token")
    end = time.monotonic() + float(SHORT["LINQI_RENEWAL__LIFETIME_SECONDS"])
    while "x-refresh-token" not in headers:
        if time.monotonic() > end:
            raise RuntimeError("no token was renewed in its lifetime")
        time.sleep(1)
        _, headers, _ = answer_of(f"{url}/me", token=token)
    status, _, _ = answer_of(f"{url}/me", token=headers["x-refresh-token"])
    if status != 200:
        raise RuntimeError(f"/me answers {status} to the next token")


def check_extras(bare: Bare, wheel: Path) -> list[str]:
    """Let pip resolve all extras of the wheel at once, and install nothing.

    What resolves together resolves alone. Fourteen runs of pip took minutes.

    Returns:
        The names of the extras.

    """
    extras = metadata_of(wheel).get_all("Provides-Extra", [])
    bare.resolve(f"{wheel}[{','.join(extras)}]")
    return extras
