"""Runs the checks of a cell, and judges them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from matrix.checks import CHECKS, Check
from matrix.contract import FILE
from matrix.faults import Fault, fault_of
from matrix.servers import SERVERS, Server, serving
from matrix.site import Site, Tokens, client_of

__all__ = ["Cell", "Outcome", "make_folder", "run_cell"]

_CHECK_SECONDS: Final = 40.0
_SETTINGS: Final = """\
[verify]
issuer = "https://shop.example"
audience = "shop"

[keys]
file = "keys.json"

[renewal]
lifetime_seconds = 900
buffer_seconds = 300
whole_second_times = false

[paths]
public = ["/go", "/state"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one check in one cell.

    Attributes:
        wrapped: What was wrong behind linqi; None if nothing was.
        unwrapped: What was wrong without linqi, where that was run.
        fault: The fault that is listed for it.

    """

    check: str
    wrapped: str | None
    unwrapped: str | None
    fault: Fault | None

    @property
    def complaint(self) -> str | None:
        """Why the outcome is not acceptable; None if it is."""
        if self.wrapped is None:
            return None if self.fault is None else "passes: the listed fault is not there any more"
        if self.unwrapped is None:
            return f"{self.wrapped} (unwrapped it passes)"
        if self.fault is None:
            return f"{self.wrapped} (unwrapped: {self.unwrapped}): not listed"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One framework on one server, with the outcomes of its checks."""

    framework: str
    server: str
    outcomes: Sequence[Outcome]
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether everything is as it should be, or as the list of faults says."""
        return all(outcome.complaint is None for outcome in self.outcomes)


def make_folder(folder: Path) -> None:
    """Fill `folder` with what the servers read: settings, a key and a file."""
    from linqi.cli import main

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "linqi.toml").write_text(_SETTINGS)
    (folder / "keys.json").unlink(missing_ok=True)
    public = ["--public-out", str(folder / "jwks.json")]
    main(["keygen", "--out", str(folder / "keys.json"), *public])
    (folder / "file").mkdir(exist_ok=True)
    (folder / "file" / "data.bin").write_bytes(FILE)


async def run_cell(framework: str, name: str, folder: Path, only: Collection[str]) -> Cell:
    """Run the checks of one cell; those that fail, or are listed as faults, unwrapped too."""
    began = time.monotonic()
    server = SERVERS[name]
    chosen = [check for check in CHECKS.values() if not only or check.name in only]
    faults = {check.name: fault_of(framework, name, check.name) for check in chosen}
    listed = {name for name, fault in faults.items() if fault}
    wrapped = await _run(server, framework, folder, chosen, listed, is_wrapped=True)
    again = {
        check: _shown_by(framework, faults[check.name])
        for check in chosen
        if wrapped[check.name] or check.name in listed
    }
    unwrapped: dict[str, str | None] = {}
    for other in set(again.values()):
        checks = [check for check, shown_by in again.items() if shown_by == other]
        unwrapped |= await _run(server, other, folder, checks, listed, is_wrapped=False)
    outcomes = [
        Outcome(
            check=check.name,
            wrapped=wrapped[check.name],
            unwrapped=unwrapped.get(check.name),
            fault=faults[check.name],
        )
        for check in chosen
    ]
    seconds = time.monotonic() - began
    return Cell(framework=framework, server=name, outcomes=outcomes, seconds=seconds)


def _shown_by(framework: str, fault: Fault | None) -> str:
    """Return the framework whose unwrapped application is run beside `framework`."""
    return framework if fault is None or not fault.shown_by else fault.shown_by


async def _run(
    server: Server,
    framework: str,
    folder: Path,
    checks: Sequence[Check],
    listed: Collection[str],
    *,
    is_wrapped: bool,
) -> dict[str, str | None]:
    """Return what was wrong in each of `checks`."""
    wrong: dict[str, str | None] = {}
    async with contextlib.AsyncExitStack() as stack:
        try:
            serve = serving(server, framework, folder, is_wrapped=is_wrapped)
            port, lifespan = await stack.enter_async_context(serve)
        except RuntimeError as error:
            return {check.name: str(error) for check in checks}
        http = await stack.enter_async_context(client_of(server, port))
        site = Site(
            server=server,
            port=port,
            is_wrapped=is_wrapped,
            lifespan=lifespan,
            tokens=Tokens(folder / "linqi.toml"),
            http=http,
        )
        # Where a stream is known to go on, that is not waited for as long.
        hasty = replace(site, patience=2.0)
        sites = {check: hasty if check.name in listed else site for check in checks}
        # The check that waits for an expiry runs beside the others.
        waiting = [check for check in checks if check.name == "WebSocket at exp"]
        beside = [asyncio.ensure_future(_wrong(check, site)) for check in waiting]
        for check in checks:
            if check not in waiting and not check.is_after:
                wrong[check.name] = await _wrong(check, sites[check])
        for check, task in zip(waiting, beside, strict=True):
            wrong[check.name] = await task
    for check in checks:
        if check.is_after:
            wrong[check.name] = await _wrong(check, site)
    return wrong


async def _wrong(check: Check, site: Site) -> str | None:
    """Return what is wrong, in one line."""
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check.run(site)
    except Exception as error:  # noqa: BLE001 - whatever it is goes into the table
        return f"{type(error).__name__}: {error}".splitlines()[0].removeprefix("WrongAnswer: ")
    return None
