"""The servers of single engines, one each for all scenarios."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distributed.engines import ENGINES, Engine


@pytest.fixture(scope="session", params=["valkey", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Return a server that the workers reach over a network."""
    with ENGINES[request.param]() as engine:
        yield engine


@pytest.fixture(scope="session", params=["valkey", "postgres", "sqlite"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Return any single store."""
    with ENGINES[request.param]() as engine:
        yield engine
