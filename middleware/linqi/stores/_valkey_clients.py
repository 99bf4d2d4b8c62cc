"""Clients of Valkey servers, of their clusters and of their sentinels."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

from linqi.errors import ConfigurationError
from linqi.stores._redis import is_one_server
from linqi.stores._valkey_checks import ServerAnswers
from linqi.stores._valkey_url import ValkeyPlace

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

__all__ = ["RETRIES", "ask_servers", "connect", "disconnect", "driver_habits"]

RETRIES: Final = 3
"""How often a command is sent again after a lost connection, over a new one and within its limit:
an operation is idempotent."""
_REPLICA: Final = re.compile(r"slave\d+")
_TIMEOUT_SHARE: Final = 0.75
"""The part of an operation's limit after which a silent server is left, so that a retry may find
another primary in the rest."""


def connect(place: ValkeyPlace, timeout: float, most_connections: int) -> Any:
    """Return a client of the servers at `place`; raise `ConfigurationError` without redis-py."""
    try:
        import redis  # noqa: F401 - before anything that needs it
    except ModuleNotFoundError:
        raise ConfigurationError(["redis is not installed; pip install 'linqi[valkey]'"]) from None
    options: dict[str, Any] = {
        # One more for `follow`, one for a second that begins before the first has ended, and one
        # to ask for the server's role.
        "max_connections": most_connections + 3,
        "username": place.login.user,
        "password": place.login.password,
        "socket_timeout": timeout * _TIMEOUT_SHARE,
        "socket_connect_timeout": timeout * _TIMEOUT_SHARE,
        "retry": _retry(RETRIES),
    }
    if place.topology == "cluster":
        return _cluster(place, options)
    if place.topology == "sentinel":
        return _sentinel(place, options, timeout)
    return _single(place, options)


def _retry(most: int) -> Any:
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialWithJitterBackoff

    return Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.1), most)


def _single(place: ValkeyPlace, options: dict[str, Any]) -> Redis:
    from redis.asyncio import Redis
    from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection

    from linqi.stores._redis_pools import PrimaryPool

    options |= {"db": place.database}
    if place.path:
        del options["socket_connect_timeout"]
        options |= {"connection_class": UnixDomainSocketConnection, "path": place.path}
    else:
        ((host, port),) = place.hosts
        kind = Connection if place.tls is None else SSLConnection
        options |= {"connection_class": kind, "host": host, "port": port, **(place.tls or {})}
    return Redis(connection_pool=PrimaryPool(**options))


def _sentinel(place: ValkeyPlace, options: dict[str, Any], timeout: float) -> Redis:
    from redis.asyncio import Redis
    from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

    from linqi.stores._redis_pools import SentinelPool
    from linqi.stores._sentinels import Sentinels

    tls = place.tls or {}
    seconds = timeout / 4
    sentinels = Sentinels(
        place.hosts,
        place.master_name,
        seconds,
        username=place.sentinel_login.user,
        password=place.sentinel_login.password,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=_retry(0),
        protocol=2,  # an answer of SENTINEL MASTER is a list of pairs
        ssl=place.tls is not None,
        **tls,
    )
    kind = SentinelManagedConnection if place.tls is None else SentinelManagedSSLConnection
    options |= {"db": place.database, "connection_class": kind, **tls}
    return Redis(connection_pool=SentinelPool(sentinels, **options))


def _cluster(place: ValkeyPlace, options: dict[str, Any]) -> RedisCluster:
    from redis.asyncio import RedisCluster
    from redis.asyncio.cluster import ClusterNode

    nodes = [ClusterNode(host, port) for host, port in place.hosts]
    return RedisCluster(
        startup_nodes=nodes, ssl=place.tls is not None, **options, **(place.tls or {})
    )


def driver_habits(client: Any) -> tuple[int, float | None]:
    """Return how often `client` repeats a command, and after how long it leaves a silent server.

    The latter matters where another server may take over.
    """
    if not is_one_server(client):
        return RETRIES, 0.0  # `Nodes` repeats the commands, and notices the silence of a node
    pool = client.connection_pool
    retry = pool.connection_kwargs.get("retry")
    silence = pool.connection_kwargs.get("socket_timeout", 5.0)
    has_sentinels = hasattr(pool, "get_master_address")
    return (retry.get_retries() if retry else 0), silence if has_sentinels else 0.0


async def ask_servers(
    client: Any, place: ValkeyPlace | None, seconds: float
) -> list[ServerAnswers]:
    """Return what the servers of `client` say of themselves: all nodes, primary and replicas."""
    if not is_one_server(client):
        await client.initialize()
        return await asyncio.gather(
            *(_ask(client, node.name, {"target_nodes": node}) for node in client.get_nodes())
        )
    options = client.connection_pool.connection_kwargs
    name = f"{options['host']}:{options['port']}" if "port" in options else "the server"
    if place is not None and place.topology == "sentinel":
        host, port = await client.connection_pool.get_master_address()
        name = f"{host}:{port}"
    primary = await _ask(client, name, {})
    if place is None:
        return [primary]  # the settings of its connections may not fit the replicas
    replicas = [found for key, found in primary.facts.items() if _REPLICA.fullmatch(key)]
    return [
        primary,
        *await asyncio.gather(*(_ask_replica(place, found, seconds) for found in replicas)),
    ]


async def _ask_replica(place: ValkeyPlace, found: Any, seconds: float) -> ServerAnswers:
    from redis.asyncio import Redis

    client = Redis(
        host=found["ip"],
        port=found["port"],
        username=place.login.user,
        password=place.login.password,
        socket_timeout=seconds / 2,
        socket_connect_timeout=seconds / 2,
        ssl=place.tls is not None,
        **(place.tls or {}),
    )
    client.set_retry(_retry(0))
    try:
        return await _ask(client, f"{found['ip']}:{found['port']}", {})
    finally:
        await client.aclose()


async def _ask(client: Any, name: str, options: dict[str, Any]) -> ServerAnswers:
    info = await _answer(client.info("all", **options))
    config = await _answer(client.config_get("save", **options))
    role = None if options else await _answer(client.execute_command("ROLE"))
    return ServerAnswers(name=name, info=info, config=config, role=role)


async def _answer(asking: Any) -> Any:
    """Return the answer, or the server's refusal or silence."""
    try:
        return await asking
    except Exception as error:  # noqa: BLE001 - judged by `_valkey_checks`
        return error


async def disconnect(client: Any) -> None:
    """Close a client that `connect` made, with its connections."""
    await client.aclose()
    pool = getattr(client, "connection_pool", None)
    if pool is not None:
        await pool.aclose()
