"""The pytest plugin: fixtures for tests of an application that linqi guards.

Every pytest of the environment loads it, so it imports the library only where a test uses it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from linqi.testing.fake_issuer import FakeIssuer
    from linqi.testing.process_clock import ProcessClock
    from linqi.testing.signed_in_client import SignedIn

__all__ = [
    "SignedInFixture",
    "linqi_app",
    "linqi_clock",
    "linqi_issuer",
    "pytest_collection_finish",
    "pytest_unconfigure",
    "signed_in",
]

_CLOCK = "linqi_clock"


class SignedInFixture(Protocol):
    """The type of the fixture `signed_in`."""

    def __call__(
        self,
        client: Any,
        subject: str = "alice",
        *,
        scopes: Sequence[str] = (),
        claims: Mapping[str, Any] | None = None,
        near_expiry: bool = False,
        expired: bool = False,
        app: object = None,
        issuer: FakeIssuer | None = None,
    ) -> SignedIn:
        """Return `client` with `subject` signed in."""
        ...


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install the clock before any fixture starts an application, if a test moves the time."""
    if any(_CLOCK in getattr(item, "fixturenames", ()) for item in session.items):
        from linqi.testing.process_clock import install

        install()


def pytest_unconfigure() -> None:
    """Restore the real clocks of the library."""
    module = sys.modules.get("linqi.testing.process_clock")
    if module is not None:
        module.uninstall()


@pytest.fixture
def linqi_clock() -> Iterator[ProcessClock]:
    """Move the time of everything of linqi in this process at once, without sleeping.

    ``linqi_clock.advance(700)`` or ``.move_to(instant)``; ``linqi_clock()`` is now. The application
    may have been made before, such as at import. The wall clock is the real one again afterwards.
    """
    from linqi.testing.process_clock import install

    clock = install()
    with clock.used():
        yield clock


@pytest.fixture
def linqi_issuer() -> Iterator[FakeIssuer]:
    """Stand in for the outside issuer of an application: discovery, keys, rotation, outages.

    ``linqi_issuer.attach(app)``, then ``.token("alice", scopes=[...])``, ``.rotate()``,
    ``.withdraw()``, ``.down()``, ``.slow(seconds)``, ``.up()``.
    """
    from linqi.testing.fake_issuer import FakeIssuer

    with FakeIssuer() as issuer:
        yield issuer


@pytest.fixture
def linqi_app() -> Any:
    """Return the application for `signed_in`, where the client does not lead to it.

    By default None: it is found from the client. Override it in your ``conftest.py``.
    """
    return None


@pytest.fixture
def signed_in(request: pytest.FixtureRequest, linqi_app: Any) -> SignedInFixture:
    """Sign a user in: ``signed_in(client, "alice", scopes=["orders:read"]).get("/orders")``.

    The application's own keys sign, and it verifies the token as in production; `linqi_issuer`
    signs where the application trusts only an outside issuer. The result has the methods of the
    client, follows successors, and has ``revoke()``.
    """

    def sign_in(client: Any, subject: str = "alice", **options: Any) -> SignedIn:
        from linqi.testing.signed_in_client import has_own_keys
        from linqi.testing.signed_in_client import signed_in as sign

        if options.get("app") is None:
            options["app"] = linqi_app
        place = client if options["app"] is None else options["app"]
        if options.get("issuer") is None and not has_own_keys(place):
            options["issuer"] = request.getfixturevalue("linqi_issuer")
        return sign(client, subject, **options)

    return sign_in
