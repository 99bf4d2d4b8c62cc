"""The demonstration: a user stays signed in through several token lifetimes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from linqi import ConfigurationError
from linqi_report.processes import ServerDiedError, running
from linqi_storm.report.summary import Row, summarize
from linqi_storm.run.worker_pool import CAN_SHARE_PORT
from linqi_storm.schema.results import StormRun
from linqi_storm.serve.server import PASSWORD_VARIABLE
from linqi_tune.demo.outage import run_outage
from linqi_tune.demo.plain_then_grid import run_plain_then_grid
from linqi_tune.demo.theft import run_theft
from linqi_tune.demo.tune_and_prove import run_tuning

__all__ = ["run_demo"]

_PAUSE: Final = 0.25
"""Seconds between requests."""
_BURST: Final = 6
"""Parallel requests near expiry and every eighth time, as a browser sends for a page."""


@dataclass(slots=True)
class _Session:
    """The client's tokens and counters."""

    token: str
    first_token: str
    expires_at: float
    requests: int = 0
    unauthorized: int = 0
    failures: int = 0
    successors: set[str] = field(default_factory=set)
    adopted: int = 0
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=14))


def run_demo(
    *, seconds: float, lifetime: float, buffer: float, alg: str, storm_seconds: float, results: Path
) -> int:
    """Run the demonstration; return 0 if every check passed, else 1.

    The storms' results and reports are written to the folder `results`; a `storm_seconds` of 0
    leaves the storms out. On Windows, where no storm can run, they are left out too.

    Raises:
        OSError: The server cannot be started.
        ConfigurationError: The run is too short for a token to fall due.

    """
    if seconds <= lifetime - buffer:
        raise ConfigurationError(
            [
                f"the demo lasts {seconds:g} s, expected more than lifetime - buffer ="
                f" {lifetime - buffer:g} s: no token falls due before that"
            ]
        )
    console = Console()
    # Windows deletes no file that a process which is ending still has open.
    with tempfile.TemporaryDirectory(prefix="linqi-demo-", ignore_cleanup_errors=True) as folder:
        try:
            with _server(Path(folder), lifetime, buffer, alg) as (base, password):
                is_kept = asyncio.run(_run(console, base, password, seconds, lifetime, buffer))
            is_caught = run_theft(console, Path(folder))
            is_up = run_outage(console, Path(folder))
            is_calm = storm_seconds == 0 or _storm(console, results, storm_seconds)
            console.print(
                "\nto watch a session in a browser: make page (or linqi serve"
                " --lifetime-seconds 20 --buffer-seconds 8), then open http://localhost:8000/"
            )
            return 0 if is_kept and is_caught and is_up and is_calm else 1
        except (ServerDiedError, httpx2.TransportError) as error:
            console.print(f"[red]the demo ended early:[/red] {error}")
            return 1


def _storm(console: Console, results: Path, seconds: float) -> bool:
    """Run two storms in which all tokens expire together, then tune; return whether all passed."""
    if not CAN_SHARE_PORT:
        console.print("\nstorms and tuning left out: they need Linux or macOS, WSL or a container")
        return True
    results.mkdir(parents=True, exist_ok=True)
    plain, grid = run_plain_then_grid(console, results, seconds=seconds)
    is_calm = summarize(
        console,
        "all users sign in at once: the plain threshold, then the grid",
        [
            (
                "storm factor, peak over mean renewals: plain, grid",
                f"{_peak(plain)}, {_peak(grid)}",
                None,
            ),
            (
                "sessions signed out although they sent requests in time: plain, grid",
                f"{plain.sessions.forced_out}, {grid.sessions.forced_out}",
                plain.sessions.forced_out == grid.sessions.forced_out == 0,
            ),
            ("invariants, plain", _held(plain), not plain.broken),
            ("invariants, grid", _held(grid), not grid.broken),
        ],
    )
    return run_tuning(console, results, plain) and is_calm


def _peak(run: StormRun) -> str:
    """Return the storm factor; a machine that answers each token too late sees no renewal."""
    return f"{run.peaks[0].factor:.1f}" if run.peaks else "no renewals"


def _held(run: StormRun) -> str:
    """Return how many invariants held, and whether the generator kept up with its plan."""
    late = "" if run.generator.is_valid else "; the generator was late, so no latency counts"
    return f"{len(run.judged) - len(run.broken)} of {len(run.judged)}{late}"


async def _run(
    console: Console, base: str, password: str, seconds: float, lifetime: float, buffer: float
) -> bool:
    console.print(
        f"issuing server at {base}; lifetime {lifetime:g} s, buffer {buffer:g} s,"
        f" phase-locked; {seconds:g} s of requests"
    )
    async with httpx2.AsyncClient(base_url=base, timeout=10) as client:
        session = await _sign_in(client, "alice", password)
        first_expires_at = session.expires_at
        async with _shown(console, session, lifetime, buffer):
            await _use(client, session, seconds, buffer, console)
        wait = first_expires_at - time.time()
        if wait > 0:
            console.print(f"waiting {wait:.1f} s for the first token's exp")
            await asyncio.sleep(wait + 0.05)
        refused = await _me(client, session.first_token)
        answer = await client.get("/stats", headers=_bearer(session.token))
        answer.raise_for_status()
    return _summarise(console, session, answer.json(), refused)


async def _use(
    client: httpx2.AsyncClient,
    session: _Session,
    seconds: float,
    buffer: float,
    console: Console,
) -> None:
    """Send requests for `seconds`, one by one and in bursts, and use each successor received.

    While the token is near expiry requests are sent in bursts, which share one successor.
    """
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        turn += 1
        is_near = session.expires_at - time.time() < buffer
        count = _BURST if is_near or turn % 8 == 0 else 1
        # All requests of a burst carry the token that the client had when it began.
        await asyncio.gather(*[_request(client, session, console) for _ in range(count)])
        await asyncio.sleep(_PAUSE)


async def _request(client: httpx2.AsyncClient, session: _Session, console: Console) -> None:
    began = time.perf_counter()
    sent_with = session.token
    answer = await _me(client, sent_with)
    milliseconds = (time.perf_counter() - began) * 1000
    session.requests += 1
    session.unauthorized += answer.status_code == 401
    session.failures += answer.status_code not in (200, 401)
    left = session.expires_at - time.time()
    _show(
        session,
        console,
        f"GET /me {answer.status_code}  {milliseconds:5.1f} ms  {left:5.1f} s left",
    )
    successor = answer.headers.get("x-refresh-token")
    if successor is None:
        return
    session.successors.add(successor)
    expires_at = _expiry(successor)
    if expires_at > session.expires_at:  # a late response must not restore an older token
        session.token, session.expires_at = successor, expires_at
        session.adopted += 1
        _show(
            session,
            console,
            f"[bold green]successor adopted[/bold green]: near expiry with {left:.1f} s left,"
            f" now {expires_at - time.time():.1f} s",
        )


def _show(session: _Session, console: Console, line: str) -> None:
    session.lines.append(line)
    if not console.is_terminal:
        console.print(line, highlight=False)


@contextlib.asynccontextmanager
async def _shown(
    console: Console, session: _Session, lifetime: float, buffer: float
) -> AsyncIterator[None]:
    """Keep the live view of a terminal up to date; without a terminal lines are printed."""
    if not console.is_terminal:
        yield
        return
    with Live(console=console, refresh_per_second=10, transient=True) as live:

        async def refresh() -> None:
            while True:
                live.update(_view(session, lifetime, buffer))
                await asyncio.sleep(0.1)

        task = asyncio.create_task(refresh())
        try:
            yield
        finally:
            task.cancel()


def _view(session: _Session, lifetime: float, buffer: float) -> Group:
    left = max(0.0, session.expires_at - time.time())
    style = "yellow" if left < buffer else "green"
    head = Text(
        f"{left:5.1f} s left of the token {'(near expiry)' if left < buffer else ''}", style=style
    )
    bar = ProgressBar(total=lifetime, completed=left, width=60, complete_style=style)
    counts = Text(
        f"requests {session.requests}  renewals {session.adopted}  401s {session.unauthorized}"
    )
    return Group(head, bar, counts, *[Text.from_markup(line) for line in session.lines])


def _summarise(
    console: Console, session: _Session, stats: dict[str, Any], refused: httpx2.Response
) -> bool:
    renewals = len(session.successors)
    signatures = stats["renewal"]["signatures"]
    timed = stats["verification"]
    per_renewal = signatures / renewals if renewals else float("nan")
    is_refused = refused.status_code == 401 and "expired" in refused.headers["www-authenticate"]
    rows: list[Row] = [
        ("requests", str(session.requests), session.requests > 0 and session.failures == 0),
        ("renewals", str(renewals), renewals > 0),
        ("401s", str(session.unauthorized), session.unauthorized == 0),
        ("signatures per renewal", f"{per_renewal:g}", per_renewal == 1),
        ("requests that shared a signature", str(stats["renewal"]["coalesced"]), None),
        (
            f"verification p50 / p99, in the nearly idle server, {timed['count']} of them",
            f"{timed['p50_seconds'] * 1e6:.1f} / {timed['p99_seconds'] * 1e6:.1f} µs",
            None,
        ),
        (
            "the first token, unrenewed, after its exp",
            f"{refused.status_code} {refused.headers.get('www-authenticate', '')}",
            is_refused,
        ),
    ]
    return summarize(console, "sliding sessions", rows)


async def _sign_in(client: httpx2.AsyncClient, user: str, password: str) -> _Session:
    answer = await client.post("/login", json={"username": user, "password": password})
    answer.raise_for_status()
    token = answer.json()["access_token"]
    return _Session(token=token, first_token=token, expires_at=_expiry(token))


async def _me(client: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await client.get("/me", headers=_bearer(token))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _expiry(token: str) -> float:
    """Return ``exp`` as a client reads it, without verification, from the payload."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return float(claims["exp"])


@contextlib.contextmanager
def _server(folder: Path, lifetime: float, buffer: float, alg: str) -> Iterator[tuple[str, str]]:
    """Run `linqi serve` as a process on a free port; yield its URL and the users' password."""
    password = secrets.token_urlsafe(12)
    arguments = ["linqi", "serve", "--port", "0", "--data", str(folder / "data")]
    arguments += ["--lifetime-seconds", str(lifetime), "--buffer-seconds", str(buffer)]
    arguments += ["--alg", alg, "--timed", "--log-level", "warning"]
    environment = {PASSWORD_VARIABLE: password}
    log = folder / "server.log"
    with running(arguments, log, health="/healthz", environment=environment) as url:
        yield url, password
