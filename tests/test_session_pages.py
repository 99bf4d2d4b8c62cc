"""An administrator's view: the sessions of a subject, page by page."""

import asyncio
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi._base64url import encode
from linqi.cli import main
from linqi.errors import ConfigurationError, InvalidCursor
from linqi.sessions.record import SessionRecord
from linqi.sessions.session_page import FIRST, PagePlace, cursor_of, page_of, read_cursor, read_page
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from linqi.stores.sqlite import SQLiteStore
from test_claims_marks import working


async def read_all(sessions: Any, user: str, **options: Any) -> list[SessionRecord]:
    """Return all pages, one after the other."""
    found: list[SessionRecord] = []
    cursor = ""
    while True:
        page = await sessions.page(user, cursor=cursor, **options)
        assert len(page.sessions) <= options["limit"]
        found += page.sessions
        if not page.cursor:
            return found
        cursor = page.cursor


async def test_every_session_is_on_one_page(make_store: Callable[[], SessionStore]) -> None:
    """On every store: live ones, then those that ended with their cause; none of another user."""
    user, other = f"u{secrets.token_hex(4)}", f"v{secrets.token_hex(4)}"
    async with working(make_store(), {user: "a", other: "a"}) as worker:
        sessions = worker.sessions
        ids = [(await worker.sign_in(user)).session_id for _ in range(7)]
        foreign = (await worker.sign_in(other)).session_id
        live = await read_all(sessions, user, limit=3)
        assert sorted(row.session_id for row in live) == sorted(ids)
        await sessions.revoke(ids[0])
        await sessions.password_changed(user, keep=ids[3])
        assert [row.session_id for row in await read_all(sessions, user, limit=1)] == [ids[3]]
        listed = await read_all(sessions, user, limit=2, ended=True)
        assert sorted(row.session_id for row in listed) == sorted(ids)
        causes = {row.session_id: row.cause for row in listed}
        assert (causes[ids[3]], causes[ids[0]], causes[ids[6]]) == ("", "admin", "password")
        assert next(row.session_id for row in listed) == ids[3]
        assert [row.revoked_at for row in listed] == sorted(row.revoked_at for row in listed)
        (kept,) = await read_all(sessions, other, limit=500, ended=True)
        assert kept.session_id == foreign
        assert await read_all(sessions, "nobody", limit=5, ended=True) == []


HOSTILE = [
    *("x", "%%%", "=", "A" * 257, "\u00e9", "\ud800", "W10", "bnVsbA"),
    *(
        encode(text).decode()
        for text in (
            b"[]",
            b"[1,2]",
            b'["a",1,"x"]',
            b'[1,2,""]',
            b'[1,2,"a b"]',
            b'[1,2,"\\u0000"]',
            b'[1e999,2,"a"]',
            b'[1,2,"' + b"a" * 65 + b'"]',
            b"{}",
            b"\xff",
        )
    ),
]


@pytest.mark.parametrize("cursor", [*HOSTILE, None, 7, b"W10", ["a"]])
async def test_a_hostile_cursor_is_a_clear_error(cursor: Any) -> None:
    """Nothing of it reaches the store."""
    async with working(MemoryStore(), {}) as worker:
        with pytest.raises(InvalidCursor) as caught:
            await worker.sessions.page("alice", cursor=cursor)
        assert caught.value.code == "invalid_cursor"


@pytest.mark.parametrize("limit", [0, -1, 501, True, 1.5, "5", None, "x" * 10_000])
async def test_a_limit_out_of_range_is_a_clear_error(limit: Any) -> None:
    """As text of bounded length."""
    async with working(MemoryStore(), {}) as worker:
        with pytest.raises(InvalidCursor, match="1 to 500") as caught:
            await worker.sessions.page("alice", limit=limit)
        assert len(str(caught.value)) < 100


async def test_a_store_that_lists_nothing_is_named() -> None:
    """A store of a third party may lack the method."""

    async def now() -> float:
        return 0.0

    with pytest.raises(ConfigurationError, match="pages"):
        await read_page(object(), "alice", now, 5, "", ended=False)


def row(place: tuple[int, int, int]) -> SessionRecord:
    """Return a session at a place."""
    revoked_at, started_at, number = place
    return SessionRecord(
        session_id=f"s{number}",
        subject="alice",
        rotated_at=0,
        first_rotated_at=0,
        started_at=started_at,
        expires_at=1e9,
        ends_at=1e9,
        revoked_at=float(revoked_at),
    )


@given(
    places=st.sets(st.tuples(*[st.integers(0, 3)] * 3), max_size=12),
    limit=st.integers(1, 5),
)
def test_pages_hold_each_session_once(places: set[tuple[int, int, int]], limit: int) -> None:
    """Also where instants are equal; the cursor is read back as it was."""
    rows = [row(place) for place in places]
    found: list[SessionRecord] = []
    after: PagePlace = FIRST
    while page := page_of(rows, 5.0, after, limit, ended=True):
        found += page
        after = read_cursor(cursor_of(page[-1]))
    assert sorted(map(repr, found)) == sorted(map(repr, rows))


async def test_the_command_lists_the_sessions_of_a_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Live ones, and with an option those that ended; 1 if there is none."""
    url = f"sqlite:{tmp_path / 'sessions.db'}"
    async with working(SQLiteStore(tmp_path / "sessions.db"), {"alice": "a"}) as worker:
        kept, lost = await worker.sign_in("alice"), await worker.sign_in("alice")
        await worker.sessions.password_changed("alice", keep=kept.session_id)

    async def run(*options: str) -> tuple[int, str]:
        command = ["store", "sessions", url, *options]
        code = await asyncio.to_thread(main, command)
        return code, capsys.readouterr().out

    code, text = await run("--subject", "alice")
    assert (code, text.count("\n")) == (0, 1)
    assert text.startswith(f"{kept.session_id}  live  ")
    code, text = await run("--subject", "alice", "--ended", "--json", "--limit", "1")
    page = json.loads(text)
    code, text = await run("--subject", "alice", "--ended", "--cursor", page["cursor"])
    assert text.startswith(f"{lost.session_id}  password  ")
    assert (await run("--subject", "bob"))[0] == 1
    for wrong in (["--cursor", "x"], ["--limit", "0"]):
        assert (await run("--subject", "alice", *wrong))[0] == 2
