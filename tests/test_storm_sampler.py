"""The counts of a worker under test."""

import asyncio
import time
from pathlib import Path

from linqi.events import TokenRenewed
from linqi_storm.apps.sampler import Sampler, read_samples


def signed(session: str, old_expires_at: float) -> TokenRenewed:
    """Return the event of a renewal that was signed."""
    return TokenRenewed(
        user="alice",
        session=session,
        old_expires_at=old_expires_at,
        new_expires_at=old_expires_at + 900,
        buffer=300,
        lag=1,
        signed=True,
    )


async def test_a_second_signature_of_a_renewal_is_seen_while_the_token_lives(
    tmp_path: Path,
) -> None:
    """Expired renewals are removed, so that the memory of counting is bounded."""
    sampler = Sampler(tmp_path / "samples.jsonl")
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def app(scope: object, receive: object, send: object) -> None:
        await inbox.get()
        await send({"type": "lifespan.startup.complete"})  # type: ignore[operator]
        await inbox.get()

    async def send(message: object) -> None:
        pass

    served = asyncio.create_task(
        sampler.around(app)({"type": "lifespan"}, inbox.get, send)  # type: ignore[arg-type]
    )
    await inbox.put({"type": "lifespan.startup"})
    await asyncio.sleep(0)
    now = time.time()
    for event in (
        *(signed("a", now + 9), signed("a", now + 9), signed("a", now + 8), signed("b", now + 9)),
        *(signed("c", now - 99), signed("c", now - 99)),
    ):
        sampler(event)
    await asyncio.sleep(1.2)
    await inbox.put({"type": "lifespan.shutdown"})
    await served
    samples = read_samples([tmp_path / "samples.jsonl"])
    assert sum(sample.signatures for sample in samples) == 6
    assert sum(sample.signed_twice for sample in samples) == 1
