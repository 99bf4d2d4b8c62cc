"""What the settings of Valkey servers may lose, judged when a store starts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["ServerAnswers", "driver_warnings", "server_faults", "server_warnings"]

_Answer: TypeAlias = Mapping[str, Any] | Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAnswers:
    """What one server said of itself."""

    name: str
    """Its host and port."""
    info: _Answer
    """All sections of INFO."""
    config: _Answer
    """``save`` of CONFIG GET."""
    role: object = None
    """Of ROLE; None if it is not asked, as in a cluster, whose nodes redirect."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What INFO said; empty if it was refused."""
        return {} if isinstance(self.info, Exception) else self.info


def server_faults(servers: Sequence[ServerAnswers], cluster_url: str) -> list[str]:
    """Return why servers cannot be used.

    Args:
        servers: The answers, first that of the primary.
        cluster_url: The URL to use if it belongs to a cluster; empty if it may.

    """
    if cluster_url and int(servers[0].facts.get("cluster_enabled", 0)):
        return [
            f"{servers[0].name} belongs to a cluster; use {cluster_url}, with user and password"
            " before the hosts"
        ]
    return [
        f"{answers.name} evicts keys ({policy}), which would undo revocations; set maxmemory-policy"
        " noeviction"
        for answers in servers
        if int(answers.facts.get("maxmemory", 0))
        and (policy := answers.facts.get("maxmemory_policy")) != "noeviction"
    ]


def server_warnings(servers: Sequence[ServerAnswers], min_replicas: int) -> list[str]:
    """Return what servers may lose, or do not tell: each once, with all that it concerns."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for answers in servers:
        for text in _warnings(answers, min_replicas):
            names[text].append(answers.name)
    return [f"{', '.join(concerned)}: {text}" for text, concerned in names.items()]


def _warnings(answers: ServerAnswers, min_replicas: int) -> Iterator[str]:
    found = answers.facts
    if isinstance(answers.role, Exception):
        yield (
            f"no answer to ROLE ({type(answers.role).__name__}): a server that became a replica is"
            " noticed only when it refuses a write"
        )
    if isinstance(answers.info, Exception):
        yield (
            f"no answer to INFO ({type(answers.info).__name__}): it is not known whether keys are"
            " evicted, which would undo revocations, and whether data are kept"
        )
        return
    if not int(found.get("aof_enabled", 0)):
        if isinstance(answers.config, Exception):
            yield (
                "no append-only file, and no answer to CONFIG GET: if there are no snapshots"
                " either, a restart loses all sessions and revocations"
            )
        elif not answers.config.get("save"):
            yield (
                "nothing is kept on disk: a restart loses all sessions and revocations; set"
                " appendonly yes"
            )
    replicas = int(found.get("connected_slaves", 0))
    if found.get("role") == "master" and replicas < min_replicas:
        yield (
            f"{replicas} replicas, fewer than min_replicas ({min_replicas}): revocations get 503"
        )


def driver_warnings(retries: int, expected: int, socket_timeout: float | None, limit: float) -> str:
    """Return how a client of the caller's differs from one of a URL; empty if it does not.

    Args:
        retries: How often the client repeats a command.
        expected: How often a client of a URL does.
        socket_timeout: After how many seconds it leaves a silent server; None if it does not.
        limit: The seconds of an operation.

    """
    parts = []
    if retries != expected:
        parts.append(
            f"repeats a command {retries} times, one of a URL {expected} times; give it"
            f" retry=Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.1), {expected})"
        )
    if socket_timeout is None or socket_timeout >= limit:
        shown = "never" if socket_timeout is None else f"after {socket_timeout:g} s"
        parts.append(
            f"leaves a silent server {shown}, an operation ends after {limit:g} s; give it"
            f" socket_timeout={limit * 0.75:g}"
        )
    return f"the client of the application {' and '.join(parts)}" if parts else ""
