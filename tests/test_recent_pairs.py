"""The last pairs that a session remembers, compared with a dictionary."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from linqi_storm.clients.recent_pairs import RecentPairs

PAIRS = st.lists(st.tuples(st.binary(max_size=1), st.sampled_from([b"a", b"b", b"c"])), max_size=30)


@given(pairs=PAIRS, most=st.integers(1, 5))
def test_the_last_pairs_are_those_of_a_dictionary(
    pairs: Sequence[tuple[bytes, bytes]], most: int
) -> None:
    """A new key pushes the oldest one out, a known one keeps its place."""
    kept, wanted = RecentPairs(most), dict[bytes, bytes]()
    for key, value in pairs:
        kept.put(key, value)
        if key not in wanted and len(wanted) == most:
            del wanted[next(iter(wanted))]
        wanted[key] = value
        for known, _ in pairs:
            found = kept.get(known)
            assert found == (hash(wanted[known]) if known in wanted else None)
    kept.clear()
    assert all(kept.get(key) is None for key, _ in pairs)
