"""The verified-token cache: bounds, counters, ages (K5, K6)."""

from collections import OrderedDict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clock import FakeClock
from linqi import ConfigurationError, Key, KeySet, Verified, VerifiedCache
from linqi.jose.verified import Origin

ORIGIN = Origin("i", "HS256", "k", False)
KEYS = KeySet([Key.generate("HS256"), Key.generate("HS256")])


def entry(number: int, size: int = 100) -> Verified:
    """Return a verified value with a digest of its own."""
    digest = number.to_bytes(32, "big")
    return Verified(ORIGIN, 2e9, None, 0, (), b"x" * size, digest)


def test_every_fault_of_the_settings_is_reported() -> None:
    """Entries, bytes and lifetime are checked together, also a lifetime that is not a number."""
    with pytest.raises(ConfigurationError) as caught:
        VerifiedCache(0, 0, float("nan"))
    assert len(caught.value.faults) == 3


def test_the_least_recently_used_entry_goes_first() -> None:
    """A hit makes an entry the most recently used."""
    cache = VerifiedCache(2)
    for number in (1, 2):
        cache.put(entry(number), KEYS)
    assert cache.get(entry(1).digest)
    cache.put(entry(3), KEYS)
    assert cache.get(entry(2).digest) is None
    assert cache.get(entry(1).digest)
    assert cache.info().evictions == 1


def test_k5_an_entry_larger_than_the_cache_is_not_kept() -> None:
    """It would evict all others and not fit."""
    cache = VerifiedCache(10, 4096)
    cache.put(entry(1), KEYS)
    cache.put(entry(2, size=5000), KEYS)
    assert (len(cache), cache.info().evictions) == (1, 0)


def test_k6_an_entry_ages_by_the_monotonic_clock() -> None:
    """After its lifetime it is not found, at any time of the wall clock."""
    clock = FakeClock(0)
    cache = VerifiedCache(lifetime=60, monotonic=clock)
    cache.put(entry(1), KEYS)
    clock.move(59.9)
    assert cache.get(entry(1).digest)
    clock.move(0.1)
    assert cache.get(entry(1).digest) is None
    assert (len(cache), cache.info().bytes) == (0, 0)


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


def test_clear_forgets_entries_and_keeps_the_counters() -> None:
    """After clear the cache is empty and its history is not."""
    cache = VerifiedCache()
    cache.put(entry(1), KEYS)
    cache.get(entry(1).digest)
    cache.clear()
    info = cache.info()
    assert (info.entries, info.bytes, info.hits) == (0, 0, 1)


class CacheMachine(RuleBasedStateMachine):
    """The cache against a simple model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(0)
        self.cache = VerifiedCache(4, 4096, 10, monotonic=self.clock)
        self.model: OrderedDict[int, tuple[float, int]] = OrderedDict()
        self.hits = self.misses = 0

    def cost(self, size: int) -> int:
        """Return the bytes of an entry, as a single one is counted."""
        alone = VerifiedCache()
        alone.put(entry(0, size), KEYS)
        return alone.info().bytes

    @rule(number=st.integers(0, 6), size=st.sampled_from([10, 400, 1500]))
    def put(self, number: int, size: int) -> None:
        """Put an entry into both."""
        self.cache.put(entry(number, size), KEYS)
        self.model.pop(number, None)
        cost = self.cost(size)
        while len(self.model) >= 4 or sum(c for _, c in self.model.values()) + cost > 4096:
            self.model.popitem(last=False)
        self.model[number] = (self.clock.now + 10, cost)

    @rule(number=st.integers(0, 6))
    def get(self, number: int) -> None:
        """Look up in both."""
        found = self.cache.get(entry(number).digest)
        deadline, _ = self.model.get(number, (0.0, 0))
        if number in self.model and self.clock.now < deadline:
            self.hits += 1
            self.model.move_to_end(number)
            assert found
        else:
            self.misses += 1
            self.model.pop(number, None)
            assert found is None

    @rule(seconds=st.sampled_from([1, 9, 20, -5]))
    def move(self, seconds: int) -> None:
        """Let time pass, even backwards."""
        self.clock.move(seconds)

    @invariant()
    def agree(self) -> None:
        """Entries, bytes and counters are the model's, and within the bounds."""
        info = self.cache.info()
        assert info.entries == len(self.model) <= 4
        assert info.bytes == sum(cost for _, cost in self.model.values()) <= 4096
        assert (info.hits, info.misses) == (self.hits, self.misses)


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
