"""Members are due at their planned times, however slow the servers are."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import ConfigurationError
from linqi_storm.clients.due_times import DueTimes
from linqi_storm.scenarios.traffic import ClicksAndReads, Exponential, Pages, parse_gaps


@given(st.lists(st.integers(0, 100), min_size=1, max_size=30), st.integers(1, 20))
def test_members_are_due_in_the_order_of_their_times(dues: list[int], gap: int) -> None:
    """The earliest member is first, and each is due again one gap later."""
    due_times: DueTimes[int] = DueTimes(lambda member: gap)
    for member, due in enumerate(dues):
        due_times.add(member, due)
    seen = list(due_times.pop(100))
    assert [due for due, _ in seen] == sorted(due for due, _ in seen)
    assert sum(1 for due, member in seen if member == 0) == (100 - dues[0]) // gap + 1


def test_a_late_call_does_not_shift_the_plan() -> None:
    """A call every ten seconds yields the same times: the load is an open loop."""
    due_times: DueTimes[str] = DueTimes(lambda member: 1.0)
    due_times.add("one", 0.5)
    assert [due for due, _ in due_times.pop(10)] == [place + 0.5 for place in range(10)]
    assert due_times.next_due == 10.5


def test_no_member_is_due_early() -> None:
    """Before its due time a member stays in the heap."""
    due_times: DueTimes[str] = DueTimes(lambda member: 1.0)
    assert due_times.next_due == float("inf")
    due_times.add("one", 3.0)
    assert list(due_times.pop(2.999)) == []
    assert len(due_times) == 1


@pytest.mark.parametrize("law", [Exponential(3.0), ClicksAndReads(3.0)])
def test_the_mean_of_the_pauses_is_what_was_asked_for(law: Exponential | ClicksAndReads) -> None:
    """The mean of many draws is the mean requested."""
    draw = random.Random(5)
    drawn = [law.draw(draw) for _ in range(400_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(3.0, rel=0.1)


def test_readers_pause_longer_than_a_poisson_process_allows() -> None:
    """Far more pauses exceed ten means than under the exponential distribution."""
    draw = random.Random(5)
    long = [
        sum(law.draw(draw) > 30 for _ in range(50_000))
        for law in (Exponential(3.0), ClicksAndReads(3.0))
    ]
    assert long[1] > 20 * max(1, long[0])


def test_pages_have_one_to_twenty_requests_and_the_mean_they_name() -> None:
    """Most pages have one request, and the mean is the declared one."""
    draw, pages = random.Random(5), Pages()
    drawn = [pages.draw(draw) for _ in range(50_000)]
    assert {min(drawn), max(drawn)} == {1, 20}
    assert sum(drawn) / len(drawn) == pytest.approx(pages.mean, rel=0.03)


def test_an_unknown_law_is_refused() -> None:
    """The message names the known distributions."""
    with pytest.raises(ConfigurationError, match="exponential, reading or measured"):
        parse_gaps("uniform", 1)
