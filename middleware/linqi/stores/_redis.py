"""Scripts and commands as redis-py, the driver of Valkey and Redis, sends them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final, NamedTuple

from linqi.errors import ConfigurationError, Unavailable

__all__ = [
    "Call",
    "Script",
    "as_unavailable",
    "is_cross_slot",
    "is_half_moved",
    "is_of_cluster",
    "is_one_server",
    "learn_nodes",
    "node_at",
    "node_of",
    "send",
]


_FOR_EACH: Final = """\
local function one(KEYS, ARGV)
%s
end
local answers = {}
for place, key in ipairs(KEYS) do
  local is_done, answer = pcall(one, {key}, {ARGV[place]})
  answers[place] = is_done and answer or {err = 'ERR ' .. tostring(answer)}
end
return answers
"""
"""Runs a script of one key and one argument for each of many; an error concerns one of them."""


class Call(NamedTuple):
    """A command on one or more keys of one hash slot."""

    key: str
    """Any of its keys."""
    command: tuple[Any, ...]
    text: str = ""
    """Of a script: the source of what `command` names by its digest."""


class Script:
    """A Lua script beside this module, called by its digest.

    Args:
        name: The name of the file.
        is_for_each: Whether it runs for each of its keys, with the argument in the same place.

    """

    def __init__(self, name: str, *, is_for_each: bool = False) -> None:
        text = files("linqi.stores").joinpath(f"{name}.lua").read_text("utf-8")
        self._text = _FOR_EACH % text if is_for_each else text
        self._digest = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], arguments: Sequence[Any]) -> Call:
        """Return the call of the script with its keys, at least one."""
        command = ("EVALSHA", self._digest, len(keys), *keys, *arguments)
        return Call(keys[0], command, self._text)

    async def run(self, client: Any, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run the script; its text is sent only if the server does not have it."""
        try:
            return await client.evalsha(self._digest, len(keys), *keys, *arguments)
        except Exception as error:
            if not _is_unknown_script(error):
                raise
        return await client.eval(self._text, len(keys), *keys, *arguments)

    async def run_each(self, client: Any, calls: Sequence[tuple[str, str]]) -> list[Any]:
        """Run the script with each key and argument of `calls`, all in one round trip.

        Returns:
            The answers in the same order, errors among them.

        """
        async with client.pipeline(transaction=False) as pipe:
            for key, argument in calls:
                pipe.execute_command("EVALSHA", self._digest, 1, key, argument)
            answers = await pipe.execute(raise_on_error=False)
        return [
            await self.run(client, [key], [argument]) if _is_unknown_script(answer) else answer
            for (key, argument), answer in zip(calls, answers, strict=True)
        ]


def is_one_server(client: Any) -> bool:
    """Return whether all commands of `client` go to one server, in the order in which they came."""
    from redis.asyncio import Redis

    return isinstance(client, Redis)


def node_of(client: Any, key: str) -> Any:
    """Return the node of a cluster that serves the slot of `key`, as known; None of one server."""
    return None if is_one_server(client) else client.get_node_from_key(key)


async def node_at(client: Any, host: str, port: int) -> Any:
    """Return the node of a cluster to which another one redirected."""
    if (node := client.get_node(host=host, port=port)) is None:
        await learn_nodes(client, "", is_stale=True)
        node = client.get_node(host=host, port=port)
    if node is None:
        raise Unavailable(f"Valkey: the cluster does not list {host}:{port}, to which it redirects")
    return node


async def learn_nodes(client: Any, silent: str, *, is_stale: bool) -> None:
    """Ask a cluster which node serves which slots, if `client` does not know or `is_stale`.

    The node named `silent` is asked last. Where all are silent, it knows what it knew.
    """
    if not client.nodes_manager.slots_cache:
        await client.initialize()
    elif is_stale:
        await _learn_anew(client.nodes_manager, silent)


async def _learn_anew(manager: Any, silent: str) -> None:
    """Ask any node.

    `RedisCluster.initialize` then asks the first of the nodes that were found for its commands. If
    that one is gone, it holds up every call of every node, and closes all connections.
    """
    from redis.exceptions import RedisClusterException

    options = {"last_failed_node_name": silent} if silent else {}
    with contextlib.suppress(RedisClusterException):
        try:
            await manager.initialize(**options)
        except TypeError:  # redis-py before 8 asks them in its own order
            await manager.initialize()


async def send(client: Any, node: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the answers to `commands`, errors among them, all sent over one connection.

    To `node` of a cluster, whose answers are not followed; to the one server if it is None.
    """
    if node is not None:
        from redis.asyncio.cluster import PipelineCommand

        sent = [PipelineCommand(place, *command) for place, command in enumerate(commands)]
        await node.execute_pipeline(sent)
        return [command.result for command in sent]
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        answers: list[Any] = await pipe.execute(raise_on_error=False)
    return answers


def is_cross_slot(error: Exception) -> bool:
    """Return whether a server of a cluster refused keys that lie in several hash slots."""
    return type(error).__name__ == "ClusterCrossSlotError"


def is_half_moved(error: Exception) -> bool:
    """Return whether the keys of a command lie on two nodes, as their slot is being moved."""
    return type(error).__name__ == "TryAgainError"


def is_of_cluster(error: BaseException | None) -> bool:
    """Return whether a server of a cluster redirected a client, which did not follow."""
    return type(error).__name__ in ("AskError", "MovedError")


def _is_unknown_script(answer: object) -> bool:
    return type(answer).__name__ == "NoScriptError"


def as_unavailable(error: Exception, timeout: float) -> Exception:
    """Return `Unavailable` for an error of the driver; others as they are."""
    if isinstance(error, (Unavailable, ConfigurationError)):
        return error
    if isinstance(error, TimeoutError):
        return Unavailable(f"Valkey took more than {timeout:g} s")
    if "NOREPLICAS" in str(error):
        return Unavailable(
            f"Valkey has fewer replicas than min-replicas-to-write asks for: {error}"
        )
    hint = "; it belongs to a cluster: use valkey+cluster://" if is_of_cluster(error) else ""
    return Unavailable(f"Valkey: {type(error).__name__}: {error}{hint}")
