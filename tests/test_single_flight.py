"""Single flight: one task per key, shared by all callers while it runs."""

import asyncio

import pytest

from linqi._single_flight import SingleFlight


async def test_all_who_ask_share_one_task() -> None:
    """Ten waiters share one call and its result; a later call starts a new task."""
    flight: SingleFlight[str, int] = SingleFlight()
    calls = 0

    async def make() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return calls

    assert await asyncio.gather(*[flight("k", make) for _ in range(10)]) == [1] * 10
    assert await flight("k", make) == 2
    assert len(flight) == 0


async def test_an_error_reaches_every_waiter_and_is_forgotten() -> None:
    """The next call starts a new task."""
    flight: SingleFlight[str, int] = SingleFlight()

    async def fail() -> int:
        raise OSError("once")

    async def work() -> int:
        return 7

    results = await asyncio.gather(flight("k", fail), flight("k", fail), return_exceptions=True)
    assert [type(result) for result in results] == [OSError, OSError]
    assert await flight("k", work) == 7


async def test_a_task_whose_waiters_all_left_ends_quietly() -> None:
    """Its error reaches no waiter, and asyncio does not report it as never retrieved."""
    flight: SingleFlight[str, int] = SingleFlight()
    go = asyncio.Event()

    async def fail() -> int:
        await go.wait()
        raise OSError

    waiter = asyncio.create_task(flight("k", fail))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert flight.has("k")
    go.set()
    await asyncio.sleep(0.01)
    assert not flight.has("k")


async def test_a_waiter_that_leaves_takes_nothing_from_the_others() -> None:
    """Its cancellation stops neither the task nor another waiter."""
    flight: SingleFlight[str, int] = SingleFlight()
    go = asyncio.Event()

    async def work() -> int:
        await go.wait()
        return 7

    first, second = (asyncio.create_task(flight("k", work)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go.set()
    assert await second == 7


async def test_closing_cancels_the_tasks_and_their_waiters() -> None:
    """No waiter waits for a task that was stopped."""
    flight: SingleFlight[str, int] = SingleFlight()
    waiter = asyncio.create_task(flight("k", asyncio.Event().wait))
    await asyncio.sleep(0)
    flight.close()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiter, 30)
    assert len(flight) == 0


async def test_a_call_that_comes_as_the_task_ends_gets_its_result() -> None:
    """A task that is done and not yet removed still answers."""
    flight: SingleFlight[str, int] = SingleFlight()
    late: list[asyncio.Task[int]] = []

    async def work() -> int:
        late.append(asyncio.create_task(flight("k", lambda: asyncio.sleep(0, 8))))
        return 7  # the task is done before that call begins, and removed after it

    assert await flight("k", work) == 7
    assert await asyncio.wait_for(late[0], 30) == 7
