"""Time limits of calls whose driver may lose a cancellation."""

import asyncio
import time

import pytest

from linqi.stores._time_limit import TimeLimit


async def slow_write() -> None:
    """Hold up the event loop until the limit is over, and end in the same turn."""
    time.sleep(0.03)  # noqa: ASYNC251 - it is the fault


async def test_a_cancellation_that_is_lost_is_repeated() -> None:
    """Before Python 3.12 `asyncio.wait_for` returns as if nothing had been cancelled."""

    async def work() -> None:
        async with TimeLimit.after(0.01):
            await asyncio.wait_for(slow_write(), 60)
            await asyncio.sleep(60)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await work()
    assert time.monotonic() - began < 30
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


async def test_work_that_does_not_stop_is_cancelled_again() -> None:
    """Each time counts, and none of them is left over for the caller."""
    told = 0

    async def work() -> None:
        nonlocal told
        async with TimeLimit.after(0):
            while told < 3:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    told += 1
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await work()
    assert told == 3
    await asyncio.sleep(0.2)


async def test_work_in_time_and_its_errors_are_left_alone() -> None:
    """Nothing is cancelled later."""
    async with TimeLimit.after(0.05):
        pass
    with pytest.raises(ValueError, match="its own"):
        async with TimeLimit.after(0.05):
            raise ValueError("its own")
    await asyncio.sleep(0.1)


async def test_a_cancellation_from_outside_is_no_time_out() -> None:
    """Not even if the time is over as well: the caller wants the task to end."""

    async def work() -> None:
        async with TimeLimit.after(0.01):
            inside.set()
            await asyncio.sleep(60)

    inside = asyncio.Event()
    task = asyncio.create_task(work())
    await inside.wait()
    time.sleep(0.03)  # noqa: ASYNC251 - both come in one turn
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_inner_limit_leaves_the_outer_one_in_force() -> None:
    """They end at the same instant."""

    async def work() -> None:
        async with TimeLimit.after(0.01):
            async with TimeLimit.after(0.01), asyncio.timeout(0.01):
                await asyncio.sleep(60)
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await work()


def test_a_limit_needs_a_task() -> None:
    """A callback of the event loop cannot be cancelled."""

    async def enter() -> None:
        loop = asyncio.get_running_loop()
        failed = loop.create_future()

        def call() -> None:
            try:
                TimeLimit.after(1).__aenter__().send(None)
            except RuntimeError as error:
                failed.set_result(str(error))

        loop.call_soon(call)
        assert "needs a task" in await failed

    asyncio.run(enter())
