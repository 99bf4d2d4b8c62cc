"""The verified-token cache: bounds, counters, ages (K5, K6)."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from clock import FakeClock
from linqi import ConfigurationError, Key, KeySet, Verified, VerifiedCache
from linqi.jose.verified import Origin

ORIGIN = Origin("i", "HS256", "k", False)
SIZES = (10, 400, 1500, 10, 400, 1500, 900)
KEYS = KeySet([Key.generate("HS256"), Key.generate("HS256")])


def entry(number: int, size: int = 100) -> Verified:
    """Return a verified value with a digest of its own."""
    digest = number.to_bytes(32, "big")
    return Verified(ORIGIN, 2e9, None, 0, (), b"x" * size, digest)


def kept(cache: VerifiedCache) -> set[int]:
    """Return the numbers of the entries, valid or not."""
    return {int.from_bytes(digest, "big") for digest in cache._entries}


def test_every_fault_of_the_settings_is_reported() -> None:
    """Entries, bytes and lifetime are checked together, also a lifetime that is not a number."""
    with pytest.raises(ConfigurationError) as caught:
        VerifiedCache(0, 0, float("nan"))
    assert len(caught.value.faults) == 3


def test_the_oldest_entry_that_was_not_used_goes_first() -> None:
    """A hit spares an entry once; the next visit evicts it unless it was used again."""
    cache = VerifiedCache(2)
    for number in (1, 2):
        cache.put(entry(number), KEYS)
    assert cache.get(entry(1).digest)
    cache.put(entry(3), KEYS)
    assert [number in kept(cache) for number in (1, 2, 3)] == [True, False, True]
    cache.put(entry(4), KEYS)
    cache.put(entry(5), KEYS)
    assert kept(cache) == {4, 5}
    assert cache.info().evictions == 3


def test_k5_a_put_spares_a_bounded_number_of_entries() -> None:
    """After a time without evictions every entry is used: one request must not visit them all."""
    cache = VerifiedCache(1_000)
    for number in range(1_000):
        cache.put(entry(number), KEYS)
        assert cache.get(entry(number).digest)
    cache.put(entry(1_000), KEYS)
    assert kept(cache) == {*range(32), *range(33, 1_001)}


def test_an_entry_past_its_lifetime_is_evicted_although_it_was_used() -> None:
    """A token that will not come again makes room for one that may."""
    clock = FakeClock(0)
    cache = VerifiedCache(2, lifetime=60, monotonic=clock)
    cache.put(entry(1), KEYS)
    assert cache.get(entry(1).digest)
    clock.move(60)
    cache.put(entry(2), KEYS)
    cache.put(entry(3), KEYS)
    assert kept(cache) == {2, 3}


def test_a_token_verified_again_replaces_its_entry() -> None:
    """It is counted once, and holds no second copy of its key."""
    clock = FakeClock(0)
    cache = VerifiedCache(2, lifetime=60, monotonic=clock)
    first, second = entry(1), entry(1)
    cache.put(first, KEYS)
    size = cache.info().bytes
    clock.move(60)
    assert cache.get(first.digest) is None
    cache.put(second, KEYS)
    assert cache.get(first.digest) is second
    assert second.digest is first.digest
    assert (len(cache), cache.info().bytes) == (1, size)


def test_k5_an_entry_larger_than_the_cache_is_not_kept() -> None:
    """It would evict all others and not fit."""
    cache = VerifiedCache(10, 4096)
    cache.put(entry(1), KEYS)
    cache.put(entry(2, size=5000), KEYS)
    assert (len(cache), cache.info().evictions) == (1, 0)


def test_k5_scopes_count_where_they_are_many() -> None:
    """Thousands of short scopes take twenty times the bytes of the payload that they were in."""
    scopes = tuple(f"{number:02}" for number in range(100)) * 40
    cache = VerifiedCache(max_bytes=2**20)
    for number in range(100):
        cache.put(replace(entry(number, size=12_000), scopes=scopes), KEYS)
    assert len(cache) == 3
    for number in range(100, 2_000):
        cache.put(entry(number), KEYS)
    assert cache.info().bytes == len(cache) * (cache.info().bytes // len(cache)) <= 2**20
    assert not kept(cache) & {*range(100)}


def test_k6_an_entry_ages_by_the_monotonic_clock() -> None:
    """After its lifetime it is not found, at any time of the wall clock."""
    clock = FakeClock(0)
    cache = VerifiedCache(lifetime=60, monotonic=clock)
    cache.put(entry(1), KEYS)
    clock.move(59.9)
    assert cache.get(entry(1).digest)
    clock.move(0.1)
    assert cache.get(entry(1).digest) is None


def test_entries_of_one_moment_share_a_deadline_that_is_never_too_late() -> None:
    """An entry made a quarter second after another ends with it at the latest."""
    clock = FakeClock(0)
    cache = VerifiedCache(lifetime=60, monotonic=clock)
    cache.put(entry(1), KEYS)
    clock.move(0.2)
    cache.put(entry(2), KEYS)
    clock.move(0.2)
    cache.put(entry(3), KEYS)
    clock.move(59.6)
    assert [cache.get(entry(number).digest) is None for number in (1, 2, 3)] == [True, True, False]
    clock.move(0.4)
    assert cache.get(entry(3).digest) is None


def test_entries_of_one_moment_fall_with_their_own_generation_of_keys() -> None:
    """A key withdrawn between two puts ends the first entry and not the second."""
    keys = KeySet([Key.generate("HS256"), Key.generate("HS256")])
    cache = VerifiedCache(monotonic=FakeClock(0))
    cache.put(entry(1), keys)
    keys.remove(keys.keys[0].kid)
    cache.put(entry(2), keys)
    assert cache.get(entry(1).digest) is None
    assert cache.get(entry(2).digest) is not None


def test_k3_a_value_in_two_caches_ends_in_each_by_its_own_lifetime() -> None:
    """The longer lifetime of one cache does not hold in the other."""
    clock, value = FakeClock(1), entry(1)
    short, long = (VerifiedCache(lifetime=n, monotonic=clock) for n in (10, 1000))
    short.put(value, KEYS)
    long.put(value, KEYS)
    clock.move(10)
    assert short.get(value.digest) is None
    assert long.get(value.digest) == value


def test_k3_a_value_in_two_caches_falls_with_the_keys_of_each() -> None:
    """A key that was withdrawn from the source of one cache is not forgiven by the other's."""
    first, second = (KeySet([Key.generate("HS256"), Key.generate("HS256")]) for _ in range(2))
    caches, value = [VerifiedCache(), VerifiedCache()], entry(1)
    caches[0].put(value, first)
    for keys in (first, second):
        keys.remove(keys.keys[0].kid)
    caches[1].put(value, second)
    assert caches[0].get(value.digest) is None
    assert caches[1].get(value.digest) is not None


def test_k3_another_source_of_keys_does_not_judge_the_tokens_of_the_first() -> None:
    """After the key of a cached token is withdrawn, no other key set keeps the token alive."""
    first, second = (KeySet([Key.generate("HS256"), Key.generate("HS256")]) for _ in range(2))
    cache = VerifiedCache()
    cache.put(entry(1), first)
    cache.put(entry(2), second)
    first.remove(first.keys[0].kid)
    assert cache.get(entry(1).digest) is None
    assert cache.get(entry(2).digest) is not None
    assert len(cache) == 1


def test_clear_forgets_entries_and_keeps_the_counters() -> None:
    """After clear the cache is empty and its history is not."""
    cache = VerifiedCache()
    cache.put(entry(1), KEYS)
    cache.get(entry(1).digest)
    cache.clear()
    info = cache.info()
    assert (info.entries, info.bytes, info.hits) == (0, 0, 1)


class Slot:
    """An entry of the model."""

    def __init__(self, deadline: float, cost: int) -> None:
        self.deadline, self.cost, self.is_used = deadline, cost, False


class CacheMachine(RuleBasedStateMachine):
    """The cache against a simple model of it: a dictionary in the order of visits."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(0)
        self.cache = VerifiedCache(4, 4096, 10, monotonic=self.clock)
        self.model: dict[int, Slot] = {}
        self.hits = self.misses = self.evictions = 0

    def cost(self, number: int) -> int:
        """Return the bytes of an entry, as a single one is counted."""
        alone = VerifiedCache()
        alone.put(entry(number, SIZES[number]), KEYS)
        return alone.info().bytes

    def is_full(self, cost: int) -> bool:
        """Return whether another entry does not fit."""
        return len(self.model) >= 4 or sum(s.cost for s in self.model.values()) + cost > 4096

    @rule(number=st.integers(0, 6))
    def put(self, number: int) -> None:
        """Put an entry into both; the same token has the same size."""
        self.cache.put(entry(number, SIZES[number]), KEYS)
        cost = self.cost(number)
        while number not in self.model and self.is_full(cost):
            oldest = next(iter(self.model))
            slot = self.model.pop(oldest)
            if slot.is_used and self.clock.now < slot.deadline:
                slot.is_used = False
                self.model[oldest] = slot
            else:
                self.evictions += 1
        self.model[number] = Slot(self.clock.now + 10, cost)

    @rule(number=st.integers(0, 6))
    def get(self, number: int) -> None:
        """Look up in both."""
        found = self.cache.get(entry(number).digest)
        slot = self.model.get(number)
        if slot is not None and self.clock.now < slot.deadline:
            self.hits += 1
            slot.is_used = True
            assert found
        else:
            self.misses += 1
            assert found is None

    @rule(seconds=st.sampled_from([1, 9, 20, -5]))
    def move(self, seconds: int) -> None:
        """Let time pass, even backwards."""
        self.clock.move(seconds)

    @invariant()
    def agree(self) -> None:
        """Entries, bytes and counters are the model's, and within the bounds."""
        info = self.cache.info()
        assert kept(self.cache) == set(self.model)
        assert sorted(self.cache._ring) == sorted(self.cache._entries)
        assert info.entries == len(self.model) <= 4
        assert info.bytes == sum(slot.cost for slot in self.model.values()) <= 4096
        assert (info.hits, info.misses) == (self.hits, self.misses)
        assert info.evictions == self.evictions


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
