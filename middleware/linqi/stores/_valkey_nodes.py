"""Commands to the node of a Valkey server or cluster that has their key."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from linqi.errors import Unavailable
from linqi.stores._redis import Call, is_one_server, learn_nodes, node_at, node_of, send

__all__ = ["Nodes"]

_MOST_TURNS: Final = 16
_PAUSES: Final = (0.02, 0.1, 0.3)
"""Seconds before a command is sent again to a cluster that is changing."""
_LEARNED_SECONDS: Final = 0.2
"""How long what the cluster said of its nodes is not asked again: it costs 18 ms of the event loop,
and hundreds of calls may fail at once."""
_SILENT_SECONDS: Final = 0.2
"""Without an answer for so long when it is given up, a node may have been replaced."""
_REDIRECTIONS: Final = ("AskError", "MovedError", "NoScriptError")
_PASSING: Final = (
    "BusyLoadingError",
    "ClusterDownError",
    "ConnectionError",
    "MasterDownError",
    "ReadOnlyError",
    "SlotNotCoveredError",
    "TimeoutError",
)


class _Route(NamedTuple):
    node: Any
    """None where there is one server."""
    is_asking: bool = False

    @property
    def name(self) -> str:
        """The node's name; empty of one server."""
        return getattr(self.node, "name", "")


class Nodes:
    """Sends commands to the nodes of their keys, and waits for replicas where asked to.

    All commands of one node go over one connection in one round trip, with a ``WAIT`` behind them,
    as that concerns the writes of its own connection. In a cluster this does what the driver cannot
    do: redis-py sends ``ASKING`` and the command over different connections of its pool, so it does
    not find what was moved out of a slot that is half moved.

    A command may run twice, as after a lost reply.

    Args:
        client: Returns the started client.
        min_replicas: How many replicas must have what confirmed calls wrote.

    """

    def __init__(self, client: Callable[[], Any], *, min_replicas: int = 0) -> None:
        self._client = client
        self._min_replicas = min_replicas
        self._learned = -math.inf
        self._silent = ""
        """The node that did not answer in time: the cluster may have replaced it since."""

    async def run(self, calls: Sequence[Call], *, confirm_until: float | None = None) -> list[Any]:
        """Return the answers to `calls`, which are sent at once and run in any order.

        Args:
            calls: Independent ones.
            confirm_until: Until this instant of the event loop's clock it waits for the replicas.

        Raises:
            Unavailable: Too few replicas have what was written; it stays written.
            Exception: The driver's. `TryAgainError` if a call has several keys, of which some were
                moved out of their slot; a call of one key never meets it.

        """
        if not calls:
            return []
        if not self._min_replicas:
            confirm_until = None
        client = self._client()
        if not is_one_server(client):
            silent, self._silent = self._silent, ""
            await self._learn(client, silent, is_stale=bool(silent))
        elif len(calls) == 1 and confirm_until is None:
            return [await _run_one(client, calls[0])]
        answers = await self._answers(client, dict(enumerate(calls)), confirm_until)
        for answer in answers.values():
            if isinstance(answer, Exception):
                raise answer
        return [answers[place] for place in range(len(calls))]

    async def _answers(
        self, client: Any, left: dict[int, Call], confirm_until: float | None
    ) -> dict[int, Any]:
        """Return the last answer to each call, errors among them."""
        answers: dict[int, Any] = {}
        routes: dict[int, _Route] = {}
        pauses = iter(() if is_one_server(client) else _PAUSES)
        for _ in range(_MOST_TURNS):
            found = await self._turn(client, left, routes, confirm_until)
            answers |= found
            redirected = _of_kind(found, _REDIRECTIONS)
            failed = _of_kind(found, _PASSING)
            if failed and (pause := next(pauses, None)) is not None:
                await asyncio.sleep(pause)
                await self._learn(client, self._silent, is_stale=True)
                redirected |= failed
            if not redirected:
                break
            left = {place: _repeated(left[place], answers[place]) for place in redirected}
            routes = await _routes(client, {place: answers[place] for place in redirected})
            if _of_kind(answers, ("MovedError",)):
                await self._learn(client, "", is_stale=True)
        return answers

    async def _learn(self, client: Any, silent: str, *, is_stale: bool) -> None:
        """Ask the cluster for its nodes, if they are not known, or stale and not just asked for."""
        now = asyncio.get_running_loop().time()
        if is_stale and now - self._learned < _LEARNED_SECONDS:
            is_stale = False
        elif is_stale:
            self._learned = now
        await learn_nodes(client, silent, is_stale=is_stale)

    async def _turn(
        self,
        client: Any,
        calls: Mapping[int, Call],
        routes: Mapping[int, _Route],
        confirm_until: float | None,
    ) -> dict[int, Any]:
        """Return the answer to each call, which may be an error."""
        answers: dict[int, Any] = {}
        chosen: dict[tuple[str, bool], _Route] = {}
        places: defaultdict[tuple[str, bool], list[int]] = defaultdict(list)
        for place, call in calls.items():
            try:
                route = routes.get(place) or _Route(node_of(client, call.key))
            except Exception as error:  # noqa: BLE001 - the slot of this one call is not served
                answers[place] = error
            else:
                chosen[route.name, route.is_asking] = route
                places[route.name, route.is_asking].append(place)
        found = await asyncio.gather(
            *(
                self._send(client, chosen[name], [calls[place] for place in group], confirm_until)
                for name, group in places.items()
            )
        )
        for group, of_group in zip(places.values(), found, strict=True):
            answers |= zip(group, of_group, strict=True)
        return answers

    async def _send(
        self, client: Any, route: _Route, calls: Sequence[Call], confirm_until: float | None
    ) -> list[Any]:
        """Return the answers of one node to `calls`, or its failure for each of them."""
        commands: list[tuple[Any, ...]] = []
        for call in calls:
            commands += [("ASKING",), call.command] if route.is_asking else [call.command]
        if confirm_until is not None:
            left = confirm_until - asyncio.get_running_loop().time()
            commands.append(("WAIT", self._min_replicas, max(1, int(left * 1000))))
        began = asyncio.get_running_loop().time()
        try:
            answers = await send(client, route.node, commands)
        except asyncio.CancelledError:
            if asyncio.get_running_loop().time() - began > _SILENT_SECONDS:
                self._silent = route.name
            raise
        except Exception as error:  # noqa: BLE001 - it concerns the calls of this node only
            self._silent = route.name
            return [error] * len(calls)
        shortage = None if confirm_until is None else self._shortage(answers.pop())
        if route.is_asking:
            answers = answers[1::2]
        return [
            answer if shortage is None or isinstance(answer, Exception) else shortage
            for answer in answers
        ]

    def _shortage(self, confirmed: Any) -> Exception | None:
        """Return the error of an answer to WAIT that is less than was asked for."""
        if isinstance(confirmed, Exception):
            return confirmed
        if confirmed >= self._min_replicas:
            return None
        return Unavailable(
            f"{confirmed} of {self._min_replicas} replicas (min_replicas) have confirmed the"
            " revocation; it is stored, and a failover may lose it"
        )


async def _run_one(client: Any, call: Call) -> Any:
    try:
        return await client.execute_command(*call.command)
    except Exception as error:
        if type(error).__name__ != "NoScriptError":
            raise
        return await client.execute_command(*_repeated(call, error).command)


def _of_kind(answers: Mapping[int, Any], kinds: Sequence[str]) -> set[int]:
    return {place for place, answer in answers.items() if type(answer).__name__ in kinds}


def _repeated(call: Call, answer: Any) -> Call:
    """Return `call` as it is sent again after `answer`: with the script's text if it is unknown."""
    if type(answer).__name__ != "NoScriptError":
        return call
    return call._replace(command=("EVAL", call.text, *call.command[2:]))


async def _routes(client: Any, answers: Mapping[int, Any]) -> dict[int, _Route]:
    """Return where calls with the given answers go now, unless to the node of their slot."""
    routes = {}
    for place, answer in answers.items():
        kind = type(answer).__name__
        if kind in ("AskError", "MovedError"):
            node = await node_at(client, answer.host, answer.port)
            routes[place] = _Route(node, kind == "AskError")
    return routes
