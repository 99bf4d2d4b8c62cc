"""A supervised background task: it is started again when it raises, and ends when it is closed."""

import asyncio
import logging
from typing import Any

import pytest

from linqi._background import BackgroundTask
from linqi.events import BackgroundTaskFailed, Dispatcher, Event


class Pauses:
    """A sleep that returns at once and records its durations."""

    def __init__(self) -> None:
        self.durations: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Return after the other tasks have run once."""
        self.durations.append(seconds)
        await asyncio.sleep(0)


def task_of(work: Any, events: list[Event], pauses: Pauses) -> BackgroundTask:
    """Return a task of `work` whose events are added to `events`."""
    dispatcher: Dispatcher[Event] = Dispatcher([events.append])
    return BackgroundTask("test", work, events=dispatcher, sleep=pauses)


async def test_work_that_raises_is_started_again_with_longer_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each failure is logged with its traceback and sent as an event; pauses double up to 30 s."""
    events: list[Event] = []
    pauses = Pauses()
    done = asyncio.Event()
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs <= 12:
            raise ValueError("broken")
        done.set()

    task = task_of(work, events, pauses)
    task.start()
    await done.wait()
    await task.close()
    assert len(events) == 12
    assert {event.detail for event in events if isinstance(event, BackgroundTaskFailed)} == {
        "ValueError"
    }
    assert all(0.05 * 2**n <= pause <= 0.1 * 2**n for n, pause in enumerate(pauses.durations[:9]))
    assert all(15 <= pause <= 30 for pause in pauses.durations[9:])
    assert caplog.text.count("ValueError: broken") == 12


async def test_a_cancellation_from_inside_is_a_failure_as_any_other() -> None:
    """Work that waits for a shared task goes on when that task is cancelled."""
    events: list[Event] = []
    went_on = asyncio.Event()
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise asyncio.CancelledError
        went_on.set()
        await asyncio.Event().wait()

    task = task_of(work, events, Pauses())
    task.start()
    await went_on.wait()
    assert task.is_running
    assert len(events) == 1
    await task.close()
    assert not task.is_running


async def test_closing_does_not_swallow_the_closers_cancellation() -> None:
    """A caller that is cancelled while it waits for a slow end gets its cancellation."""
    is_ending = asyncio.Event()
    may_end = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            is_ending.set()
            await may_end.wait()

    task = task_of(work, [], Pauses())
    task.start()
    await asyncio.sleep(0)
    closer = asyncio.create_task(task.close())
    await is_ending.wait()
    closer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closer
    may_end.set()


async def test_a_second_start_changes_nothing_and_a_return_ends_it() -> None:
    """One loop runs the work once."""
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1

    task = task_of(work, [], Pauses())
    task.start()
    task.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert runs == 1
    assert not task.is_running
    await task.close()


def test_on_another_loop_it_starts_anew() -> None:
    """A task of a loop that has ended does not prevent a start."""
    runs: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        runs.append(asyncio.get_running_loop())
        await asyncio.Event().wait()

    task = task_of(work, [], Pauses())

    async def use() -> None:
        task.start()
        await asyncio.sleep(0)

    asyncio.run(use())
    asyncio.run(use())
    assert len(set(map(id, runs))) == 2


async def test_the_end_of_the_loop_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """A loop that shuts down cancels its tasks; no failure is logged."""
    task = task_of(lambda: asyncio.sleep(3600), [], Pauses())
    task.start()
    await asyncio.sleep(0)
    (running,) = [t for t in asyncio.all_tasks() if t.get_name() == "linqi test"]
    running.cancel()
    await asyncio.wait([running])
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]
