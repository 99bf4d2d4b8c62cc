"""A Valkey cluster of processes on the loopback."""

import contextlib
from collections.abc import Iterator

from redis.crc import key_slot

from free_ports import free_ports
from valkey_nodes import QUICK, Node, conf, folder_of_nodes, running, wait_until

_SLOTS = 16_384


class ValkeyCluster:
    """Primaries and their replicas."""

    def __init__(self, nodes: list[Node], primaries: int) -> None:
        self.nodes = nodes
        self.primaries = primaries

    @property
    def url(self) -> str:
        """The URL of a store."""
        return "valkey+cluster://" + ",".join(node.name for node in self.nodes)

    def primary_of(self, key: str) -> Node:
        """Return the primary of a key's slot, as the cluster says now."""
        slot = key_slot(key.encode())
        for first, last, primary, *_ in self._asked().run("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return self._at(primary[1])
        raise AssertionError(f"no node serves the slot of {key}")

    def replica_of(self, primary: Node) -> Node:
        """Return a replica of `primary`."""
        for _, _, found, *replicas in self._asked().run("CLUSTER", "SLOTS"):
            if found[1] == primary.port and replicas:
                return self._at(replicas[0][1])
        raise AssertionError(f"{primary.name} has no replica")

    def fail_over(self, key: str) -> Node:
        """Move the slot of `key` to its primary's replica, as planned; return the new primary."""
        old = self.primary_of(key)
        new = self.replica_of(old)
        new.run("CLUSTER", "FAILOVER")
        wait_until(lambda: new.role() == "master", 60, "a planned failover")
        return new

    def begin_move(self, key: str, target: Node) -> Node:
        """Half move the slot of `key`, as older resharding leaves it; return its source."""
        slot, source = key_slot(key.encode()), self.primary_of(key)
        target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source))
        source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(target))
        return source

    def end_move(self, key: str, target: Node) -> None:
        """Move the keys of the slot of `key`, and give the slot to `target`."""
        slot, source = key_slot(key.encode()), self.primary_of(key)
        while names := source.run("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.run("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *names)
        target.run("CLUSTER", "SETSLOT", slot, "NODE", node_id(target))
        source.run("CLUSTER", "SETSLOT", slot, "NODE", node_id(target))

    def wait_healthy(self, seconds: float = 60) -> None:
        """Wait until every slot is served, and every replica follows its primary."""
        for node in self.nodes:
            wait_until(lambda node=node: _is_ready(node), seconds, f"{node.name} in the cluster")
        wait_until(self._is_agreed, seconds, "the nodes' agreement")

    def _is_agreed(self) -> bool:
        views = [_view(node) for node in self.nodes]
        return all(view == views[0] for view in views) and len(views[0][0]) == len(self.nodes)

    def _asked(self) -> Node:
        for node in self.nodes:
            with contextlib.suppress(Exception):
                if b"cluster_state:ok" in node.run("CLUSTER", "INFO", seconds=0.5):
                    return node
        raise AssertionError("no node of the cluster answers")

    def _at(self, port: int) -> Node:
        (node,) = (node for node in self.nodes if node.port == port)
        return node


def _is_ready(node: Node) -> bool:
    role = node.run("ROLE")
    is_linked = role[0] == b"master" or role[3] == b"connected"
    return is_linked and b"cluster_state:ok" in node.run("CLUSTER", "INFO")


def _view(node: Node) -> tuple[set[int], dict[int, list[int]]]:
    ports, slots = set(), {}
    for first, _, *nodes in node.run("CLUSTER", "SLOTS"):
        ports |= {found[1] for found in nodes}
        slots[first] = [nodes[0][1], *sorted(found[1] for found in nodes[1:])]
    return ports, slots


def node_id(node: Node) -> str:
    """Return the id of a node."""
    return str(node.run("CLUSTER", "MYID").decode())


@contextlib.contextmanager
def cluster(
    primaries: int = 3, replicas: int = 1, node_timeout: int = 1000, **settings: str
) -> Iterator[ValkeyCluster]:
    """Yield a cluster that serves all slots.

    Args:
        primaries: How many nodes share the slots.
        replicas: How many replicas each of them has.
        node_timeout: Milliseconds after which a silent node counts as failed.
        settings: As in valkey.conf, with underscores.

    """
    count = primaries * (1 + replicas)
    ports = free_ports(2 * count)
    with folder_of_nodes() as folder:
        nodes = [
            Node(
                folder / str(port),
                port,
                QUICK
                | {
                    "cluster-enabled": "yes",
                    "cluster-port": str(bus),
                    "cluster-node-timeout": str(node_timeout),
                    "cluster-replica-validity-factor": "0",
                }
                | conf(settings),
            )
            for port, bus in zip(ports[:count], ports[count:], strict=True)
        ]
        with running(nodes):
            made = ValkeyCluster(nodes, primaries)
            _join(made, dict(zip(ports[:count], ports[count:], strict=True)))
            yield made


def _join(made: ValkeyCluster, buses: dict[int, int]) -> None:
    first, primaries = made.nodes[0], made.nodes[: made.primaries]
    for place, node in enumerate(primaries):
        begin, end = (_SLOTS * n // len(primaries) for n in (place, place + 1))
        node.run("CLUSTER", "ADDSLOTSRANGE", begin, end - 1)
    for epoch, node in enumerate(made.nodes, 1):
        node.run("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        if node is not first:
            node.run("CLUSTER", "MEET", first.host, first.port, buses[first.port])
    for place, node in enumerate(made.nodes[made.primaries :]):
        primary = node_id(primaries[place % len(primaries)])
        wait_until(
            lambda node=node, primary=primary: node.run("CLUSTER", "REPLICATE", primary),
            60,
            f"{node.name} as a replica",
        )
    made.wait_healthy()
