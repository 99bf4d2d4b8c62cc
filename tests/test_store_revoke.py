"""``linqi store revoke``: one user is signed out in every running worker, no other is."""

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from linqi.errors import RefreshRefused
from linqi.sessions.store import SessionStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.valkey import ValkeyStore
from test_claims_marks import working
from test_store_command import linqi
from waiting import until


@pytest.fixture(params=["sqlite", "valkey", "postgres"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[Callable[[], SessionStore], list[str]]:
    """Return a factory of stores, and the arguments that name the same store to a command."""
    if request.param == "sqlite":
        path = tmp_path / "sessions.db"
        return lambda: SQLiteStore(path), [f"sqlite:{path}"]
    if request.param == "valkey":
        url, prefix = request.getfixturevalue("valkey_url"), f"t{secrets.token_hex(4)}"
        return lambda: ValkeyStore(url, prefix=prefix), [url, "--prefix", prefix]
    dsn = request.getfixturevalue("postgres_dsn")
    return lambda: PostgresStore(dsn), [dsn]


async def test_the_sessions_of_a_user_end_in_every_worker(
    place: tuple[Callable[[], SessionStore], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Access, refresh and device tokens; the next sign-in and other users are not concerned."""
    make_store, named = place
    user, other = f"u{secrets.token_hex(4)}", f"v{secrets.token_hex(4)}"
    roles = {user: "clerk", other: "clerk"}
    async with working(make_store(), roles) as here, working(make_store(), roles) as there:
        phone, tablet = await here.sign_in(user), await there.sign_in(user)
        bystander = await here.sign_in(other)
        devices = here.sessions.devices
        device = await devices.make("alice@shop.example", user, lifetime=600)
        capsys.readouterr()
        assert await linqi("store", "revoke", *named, "--subject", user) == 0
        *ids, told = capsys.readouterr().out.splitlines()
        assert sorted(ids) == sorted([phone.session_id, tablet.session_id])
        assert told.startswith(f"ended 2 sessions of {user}; ")
        async with asyncio.timeout(20):
            for worker in (here, there):
                for pair in (phone, tablet):
                    while not worker.sessions.revocations.knows(pair.session_id):
                        await asyncio.sleep(0.02)
        with pytest.raises(RefreshRefused):
            await there.sessions.refresh(phone.refresh_token)
        assert not await devices.known(device, "alice@shop.example")
        assert there.role(bystander.access_token) == "clerk"
        assert (await there.sessions.find(tablet.session_id)).cause == "admin"  # type: ignore[union-attr]
        await asyncio.sleep(1)  # a session that begins in the second of a revocation may be refused
        again = await there.sign_in(user)
        assert here.role(again.access_token) == "clerk"


async def test_a_user_without_sessions_is_told(
    place: tuple[Callable[[], SessionStore], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """By the exit code 1, so that a misspelt name is noticed; its access tokens are refused."""
    make_store, named = place
    user = f"u{secrets.token_hex(4)}"
    async with working(make_store(), {}) as worker:
        assert await linqi("store", "revoke", *named, "--subject", user) == 1
        assert f"ended 0 sessions of {user}" in capsys.readouterr().out
        await until(lambda: worker.sessions.revocations.state().subjects)


async def test_what_cannot_be_revoked_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store of one process, a file that does not exist, and a subject that no token can have."""
    missing = f"sqlite:{tmp_path / 'wrong.db'}"
    for url, subject, fault in [
        ("memory:", "alice", "nothing to revoke"),
        (missing, "alice", "wrong.db does not exist"),
        (missing, "", "the subject is"),
    ]:
        assert await linqi("store", "revoke", url, "--subject", subject) == 2
        assert fault in capsys.readouterr().err
    assert not (tmp_path / "wrong.db").exists()
