"""One scenario from its sign-ins to its history and the harness's own verdict."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from distributed.crowd import Client, Leaver, Recorder, Thief, Victim
from distributed.fleet import Fleet
from distributed.history import FOLDER, Header, write
from distributed.verdict import Verdict, verdict_of

STAYERS, LEAVERS, VICTIMS = 40, 10, 4
PAUSE = 0.4
CALM_SECONDS = 2.0
HEALED_SECONDS = 5.0
"""For what was cut off to connect again."""


async def ordeal(
    running: Fleet, header: Header, harm: Callable[[], Awaitable[None]], *, pause: float = PAUSE
) -> Verdict:
    """Have 50 honest clients and a thief live through `harm`, and judge what they recorded."""
    recorder = Recorder(running.urls)
    leavers = [Leaver(number, recorder, pause) for number in range(LEAVERS)]
    victims = [Victim(number, recorder, pause / 2) for number in range(VICTIMS)]
    stayers = [Client(number, recorder, pause) for number in range(STAYERS)]
    await asyncio.gather(*(client.sign_in() for client in (*stayers, *victims)))
    thief = Thief(recorder, victims, pause)
    living = [asyncio.create_task(one.live()) for one in (*stayers, *victims, *leavers, thief)]
    await asyncio.sleep(CALM_SECONDS)
    began = time.monotonic()
    await harm()
    healed = time.monotonic()
    await asyncio.sleep(HEALED_SECONDS + CALM_SECONDS)
    recorder.is_over = True
    await asyncio.gather(*living)
    await _sweep(stayers, leavers)
    await recorder.close()
    history = write(FOLDER / f"{header.scenario}.jsonl", header, recorder.operations)
    events = [
        {"worker": number, **event}
        for number, worker in enumerate(running.workers)
        for event in worker.told()
    ]
    (FOLDER / f"{header.scenario}.events.json").write_text(json.dumps(events))
    found = verdict_of(history)
    _show(running, header, found, began, healed)
    return found


async def _sweep(stayers: list[Client], leavers: list[Leaver]) -> None:
    """Ask once more: those who are signed in are known (I3), those who left are not."""

    async def ask(client: Client) -> None:
        for _ in range(20):
            if client.pair is None or (await client.refresh()).status in (200, 400, 401):
                return
            await asyncio.sleep(0.5)

    for client in stayers:
        await ask(client)
    for leaver in leavers:
        for pair in leaver.left:
            await leaver.probe(pair, 0)


def _show(running: Fleet, header: Header, found: Verdict, began: float, healed: float) -> None:
    print(
        f"\n{header.scenario}: {found.operations} operations, {found.unavailable} x 503,"
        f" {found.unanswered} unanswered, {found.signed_out_sessions} signed out,"
        f" {found.undone} sign-outs undone, {found.caught}/{found.thefts} thefts caught,"
        f" latest access {found.latest:.2f} s after its end, longest wait {found.wait:.1f} s;"
        f" harm of {healed - began:.1f} s"
    )
    for number, worker in enumerate(running.workers):
        told = Counter(event["event"] for event in worker.told())
        print(f"  worker {number}: {dict(told)}")
    for fault in (*found.faults, *found.signed_out[:3], *found.revived[:3])[:8]:
        print(f"  {fault}")
