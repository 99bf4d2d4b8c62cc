"""A Valkey primary with replicas and sentinels, as processes on the loopback."""

import contextlib
from collections import Counter
from collections.abc import Iterator

from free_ports import free_ports
from valkey_nodes import QUICK, Node, conf, folder_of_nodes, running, wait_until


class ValkeySentinel:
    """Servers, and the sentinels that choose the primary among them."""

    master_name = "linqi"

    def __init__(self, servers: list[Node], sentinels: list[Node]) -> None:
        self.servers = servers
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        """The URL of a store."""
        hosts = ",".join(node.name for node in self.sentinels)
        return f"valkey+sentinel://{hosts}/{self.master_name}"

    def primary(self) -> Node:
        """Return the server that most sentinels name."""
        named: Counter[int] = Counter()
        for node in self.sentinels:
            with contextlib.suppress(Exception):
                found = node.run("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.master_name)
                named[int(found[1])] += 1
        ((port, _),) = named.most_common(1)
        (server,) = (node for node in self.servers if node.port == port)
        return server

    def fail_over(self) -> Node:
        """Make another server the primary, as planned; return it when all sentinels name it."""
        old = self.primary()
        self.sentinels[0].run("SENTINEL", "FAILOVER", self.master_name)

        def new() -> Node | None:
            found = {
                int(node.run("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.master_name)[1])
                for node in self.sentinels
            }
            return self.primary() if len(found) == 1 and old.port not in found else None

        found: Node = wait_until(new, 60, "a planned failover")
        return found

    def wait_healthy(self, seconds: float = 60) -> None:
        """Wait until every replica follows, and every sentinel knows all of them."""
        wait_until(self._is_healthy, seconds, "the sentinels' agreement")

    def _is_healthy(self) -> bool:
        primary = self.primary()
        roles = [node.run("ROLE") for node in self.servers if node is not primary]
        if primary.role() != "master" or any(role[0] == b"master" for role in roles):
            return False
        if any(role[2] != primary.port or role[3] != b"connected" for role in roles):
            return False
        return all(self._knows_all(node, primary) for node in self.sentinels)

    def _knows_all(self, node: Node, primary: Node) -> bool:
        flat = [part.decode() for part in node.run("SENTINEL", "MASTER", self.master_name)]
        state = dict(zip(flat[::2], flat[1::2], strict=True))
        return (
            state["flags"] == "master"
            and int(state["port"]) == primary.port
            and int(state["num-slaves"]) == len(self.servers) - 1
            and int(state["num-other-sentinels"]) == len(self.sentinels) - 1
        )


@contextlib.contextmanager
def sentinel(
    replicas: int = 1,
    sentinels: int = 3,
    down_after: int = 1000,
    sentinel_settings: str = "",
    **settings: str,
) -> Iterator[ValkeySentinel]:
    """Yield a primary, replicas and sentinels that agree.

    Args:
        replicas: How many servers follow the primary.
        sentinels: How many sentinels; most of them must agree on a failure.
        down_after: Milliseconds after which a silent server counts as failed.
        sentinel_settings: More lines of each sentinel's configuration.
        settings: Of the servers, as in valkey.conf, with underscores.

    """
    ports = free_ports(1 + replicas + sentinels)
    name = ValkeySentinel.master_name
    with folder_of_nodes() as folder:
        servers = [
            Node(
                folder / str(port),
                port,
                QUICK | conf(settings) | ({"replicaof": f"127.0.0.1 {ports[0]}"} if place else {}),
            )
            for place, port in enumerate(ports[: 1 + replicas])
        ]
        password = settings.get("requirepass")
        lines = [
            f"sentinel monitor {name} 127.0.0.1 {ports[0]} {sentinels // 2 + 1}",
            f"sentinel down-after-milliseconds {name} {down_after}",
            f"sentinel failover-timeout {name} 10000",
            *([f"sentinel auth-pass {name} {password}"] if password else []),
            sentinel_settings,
        ]
        watching = [
            Node(folder / str(port), port, {}, sentinel="\n".join(lines) + "\n")
            for port in ports[1 + replicas :]
        ]
        with running(servers), running(watching):
            made = ValkeySentinel(servers, watching)
            made.wait_healthy()
            yield made
