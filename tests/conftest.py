"""Fixtures that several modules share."""

import pytest

from clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """Give a wall clock that stands still."""
    return FakeClock()
