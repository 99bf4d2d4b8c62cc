"""Sessions that grow older while no time passes: every store judges them by its own clock."""

from linqi.sessions.record import SessionRecord
from linqi.sessions.store import SessionStore
from linqi.stores._store_clock import StoreClock
from linqi.stores._table_rows import SESSION_COLUMNS
from linqi.stores._table_rows import session_row as table_row
from linqi.stores._valkey_rows import session_row as valkey_row
from linqi.stores.memory import MemoryStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.valkey import ValkeyStore


def aged(record: SessionRecord, seconds: float) -> SessionRecord:
    """Return `record` as it would be if all of it had happened `seconds` earlier."""
    names = ("rotated_at", "first_rotated_at", "expires_at", "ends_at")
    changes = {name: getattr(record, name) - seconds for name in names}
    return SessionRecord(**{name: getattr(record, name) for name in SESSION_COLUMNS} | changes)


async def overwrite(store: SessionStore, record: SessionRecord) -> None:
    """Put `record` in the place of its row, past the contract of stores."""
    if isinstance(store, MemoryStore):
        store._rows[record.session_id] = record
    elif isinstance(store, SQLiteStore):
        marks = ", ".join("?" * len(SESSION_COLUMNS))
        columns = ", ".join(SESSION_COLUMNS)
        sql = f"INSERT OR REPLACE INTO sessions ({columns}) VALUES ({marks})"  # noqa: S608
        await store._run(lambda connection: connection.execute(sql, table_row(record)))
    elif isinstance(store, ValkeyStore):
        until = int(record.expires_at * 1000)
        await store._client.set(
            store._subjects.key(record.session_id), valkey_row(record), pxat=until
        )
    else:
        assert isinstance(store, PostgresStore)
        marks = ", ".join(f"${n + 1}" for n in range(len(SESSION_COLUMNS)))
        await store._fetch("DELETE FROM linqi_sessions WHERE session_id = $1", record.session_id)
        await store._fetch(f"INSERT INTO linqi_sessions VALUES ({marks})", *table_row(record))  # noqa: S608


async def age(store: SessionStore, session_id: str, seconds: float) -> SessionRecord:
    """Make a session `seconds` older, and return it."""
    row = await store.get(session_id)
    assert row is not None
    older = aged(row, seconds)
    await overwrite(store, older)
    return older


def clock_of(store: SessionStore) -> StoreClock:
    """Return what a store of a server knows of the server's clock."""
    if isinstance(store, ValkeyStore):
        return store._server_clock
    assert isinstance(store, PostgresStore)
    return store._rotations.clock


def mistake_clock(store: SessionStore, seconds: float) -> None:
    """Let `store` take its server's clock to be `seconds` ahead of where it is."""
    known = clock_of(store)
    assert known._offset is not None
    known._offset += seconds
