"""Parallel requests and two workers: how many signatures, and how many different tokens.

python same_successor.py    # no server, no waiting: the clock is moved
"""

import asyncio
from collections import Counter

from linqi import (
    Key,
    MemoryStore,
    RenewalSettings,
    Sessions,
    Signer,
    SlidingRenewal,
    Threshold,
    Verifier,
)
from linqi.testing import Clock

REQUESTS = 500


def workers_of(clock, policy=None):
    """Return two workers of one application: they share the key, and nothing else."""
    key = Key.generate("ES256")
    settings = RenewalSettings() if policy is None else RenewalSettings(policy=policy)
    workers = []
    for _ in range(2):
        signer = Signer(key, issuer="https://shop.example", audience="shop", clock=clock)
        workers.append((SlidingRenewal(signer, settings), Verifier.trusting(signer)))
    return workers


async def ask(worker, token, times):
    """Return the successors that `times` parallel requests get of one worker."""
    renewal, verifier = worker
    made = await asyncio.gather(*(renewal.renew(verifier.verify(token)) for _ in range(times)))
    return [issued.token for issued in made]


async def show_sliding(name, policy=None):
    """Present one near-expiry token to both workers, to the second one 3 s later."""
    clock = Clock(1_800_000_000.0)
    workers = workers_of(clock, policy)
    first = workers[0][0].start("alice")
    clock.advance(first.refresh_in + 1)
    tokens = await ask(workers[0], first.token, REQUESTS)
    clock.advance(3)
    tokens += await ask(workers[1], first.token, REQUESTS)
    signatures = sum(renewal.counts.signatures for renewal, _ in workers)
    made = len(set(tokens))
    print(f"{name}: {len(tokens)} requests, {signatures} signatures, {made} new token(s)")


async def show_dual():
    """Present one refresh token to both workers, to the second one 3 s later."""
    clock = Clock(1_800_000_000.0)
    key = Key.generate("ES256")
    signer = Signer(key, issuer="https://shop.example", audience="shop", clock=clock)
    store, secret = MemoryStore(clock=clock), Key.generate("HS256")
    workers = [Sessions(store, signer, secret) for _ in range(2)]
    token = (await workers[0].sign_in("alice")).refresh_token
    pairs = []
    for worker in workers:
        pairs += await asyncio.gather(*(worker.refresh(token) for _ in range(REQUESTS)))
        clock.advance(3)
    outcomes = Counter(pair.outcome for pair in pairs)
    tokens = {pair.refresh_token for pair in pairs}
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    print(f"dual: {len(pairs)} refreshes, {told}, {len(tokens)} new token(s)")
    for worker in workers:
        await worker.close()


async def main():
    """Show all."""
    await show_sliding("grid")
    await show_sliding("plain", Threshold())
    await show_dual()


if __name__ == "__main__":
    asyncio.run(main())
