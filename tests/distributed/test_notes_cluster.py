"""Notes of the workers in a Valkey cluster: one key for each kind, on whichever node it lies."""

import pytest

from linqi._notes import KeepsNotes
from linqi.stores.store_url import open_store
from valkey_cluster import cluster

pytestmark = pytest.mark.distributed


async def test_notes_are_kept_in_a_cluster_and_lost_without_harm() -> None:
    """Each kind lies in one slot; claims stay exclusive, and survive a planned failover."""
    with cluster(primaries=3, replicas=1) as made:
        one, two = open_store(made.url), open_store(made.url)
        assert isinstance(one, KeepsNotes)
        assert isinstance(two, KeepsNotes)
        await one.start()
        await two.start()
        for kind in ("keys", "jwks.0011223344556677", "jwks.8899aabbccddeeff"):
            await one.notes().put(kind, "w1", "text", 60)
            assert await two.notes().claim(kind, "turn", "two", 60)
            assert not await one.notes().claim(kind, "turn", "one", 60)
            found = await one.notes().read(kind)
            assert {name: note.text for name, note in found.items()} == {
                "w1": "text",
                "turn": "two",
            }
        made.fail_over("linqi:notes:keys")
        await one.notes().put("keys", "w3", "after", 60)
        assert {"w3"} <= {*await two.notes().read("keys")}
        await one.close()
        await two.close()
