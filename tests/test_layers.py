"""Imports go down the floors, and each foreign library has its doors."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "middleware" / "linqi"

FLOORS = [
    ("linqi.browser", 1),
    ("linqi.errors", 1),
    ("linqi.events", 1),
    ("linqi._application", 2),
    ("linqi._base64url", 1),
    ("linqi._flight", 1),
    ("linqi._holders", 1),
    ("linqi._background", 1),
    ("linqi._dispatcher", 1),
    ("linqi._start_once", 1),
    ("linqi.jose", 2),
    ("linqi.instrumentation", 2),
    ("linqi.client", 3),
    ("linqi.jwks", 3),
    ("linqi.sessions", 3),
    ("linqi.stores", 4),
    ("linqi.asgi", 4),
    ("linqi.tuner", 4),
    ("linqi.evidence", 5),
    ("linqi.config", 5),
    ("linqi.testing", 5),
    ("linqi.tuning", 7),
    ("linqi.commands", 8),
    ("linqi.cli", 9),
    ("linqi.__main__", 10),
]
# Who may import a foreign library; a name not listed here may be imported by nobody.
DOORS = {
    "jwt": {"linqi.jose._jws"},
    "cryptography": {"linqi.jose._jws"},
    "msgspec": {
        "linqi.asgi.streams",
        "linqi.login.keyring",
        "linqi.login.logins",
        "linqi.client.tokens",
        "linqi.jose._shape",
        "linqi.jose.cache",
        "linqi.jose.issuers",
        "linqi.jose.signature_check",
        "linqi.jose._gate",
        "linqi.jose.claims",
        "linqi.jose.signer",
        "linqi.jose.verified",
        "linqi.jwks.asking",
        "linqi.jwks.snapshot",
        "linqi.sessions.attempts",
        "linqi.sessions.device_token",
        "linqi.sessions.record",
        "linqi.sessions.refresh",
        "linqi.sessions.refresh_token",
        "linqi.stores.postgres",
        "linqi.stores.valkey",
    },
    "pybase64": {
        "linqi._base64url",
        "linqi.client.tokens",
        "linqi.jose._gate",
        "linqi.sessions.device_token",
        "linqi.sessions.refresh_token",
    },
    "cachetools": {
        "linqi.asgi.conditions",
        "linqi.jwks.remote",
        "linqi.sessions.sliding",
        "linqi_storm.apps.sampler",
    },
    "filelock": {"linqi.jwks.sharing"},
    "httpx": {"linqi.client.httpx"},
    "httpx2": {"linqi.client.httpx2", "linqi.login.signing_in", "linqi.jwks.fetching"},
    "keyring": {"linqi.login.keyring"},
    "platformdirs": {"linqi.login.logins"},
    "prometheus_client": {"linqi_tune.evidence.metrics", "linqi.instrumentation.prometheus"},
    "linqi_bench": {
        "linqi.commands.bench",
        "linqi_tune.evidence.bench_result",
        "linqi_tune.report.page",
        "linqi_tune.proof.proof_tables",
    },
    "linqi_storm": {
        "linqi.cli",
        "linqi_tune.command",
        "linqi_tune.evidence.storm_result",
        "linqi_tune.proof.dual_lines",
        "linqi_tune.proof.proof",
        "linqi_tune.proof.proof_lines",
        "linqi_tune.proof.proving",
        "linqi_tune.proof.trial",
    },
    "rich": {
        "linqi.cli",
        "linqi_tune.command",
        "linqi_tune.proof.proof_tables",
        "linqi_tune.report.tables",
    },
    "redis": {"linqi.stores._redis", "linqi.stores.valkey", "linqi.stores.valkey_attempts"},
    "asyncpg": {"linqi.stores._asyncpg", "linqi.stores.postgres", "linqi.stores.postgres_attempts"},
    "tomlkit": {"linqi.config.writing"},
}
# Inside functions only: the core runs without them.
LAZY = {
    "linqi_bench",
    *("asyncpg", "filelock", "httpx2", "linqi_storm", "platformdirs", "redis"),
    *("prometheus_client", "rich", "tomlkit"),
}
# Nobody imports these but a program that has the library.
EAGER = {
    "linqi.client.httpx",
    "linqi.client.httpx2",
    "linqi.login.keyring",
    "linqi.instrumentation.prometheus",
}
CLOCKS = {
    *("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns"),
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"),
}


def floor_of(module: str) -> int:
    """Give the floor of a module; the package itself is the roof that exports everything."""
    if module == "linqi":
        return 7
    for prefix, floor in FLOORS:
        if module == prefix or module.startswith(prefix + "."):
            return floor
    raise AssertionError(f"{module} stands on no floor; add it to FLOORS and to the docs")


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


def is_module(name: str) -> bool:
    """Tell whether `name` is a module of the package."""
    path = ROOT.joinpath("middleware", *name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def faults_of(module: str, source: str) -> list[str]:
    """List what `module` imports and may not."""
    faults = []
    tree = ast.parse(source)
    for node in [] if module in EAGER else tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            early = LAZY & {name.split(".")[0] for name in imports_of(node)}
            faults.extend(f"{module} imports {top} before it is needed" for top in early)
    for name in imports_of(tree):
        top = name.split(".")[0]
        if top == "linqi":
            own, other = floor_of(module), floor_of(name)
            folder = module.rpartition(".")[0]
            is_near = folder in {name, name.rpartition(".")[0]} or name.startswith(module + ".")
            if other > own or (other == own and not is_near):
                faults.append(f"{module} (floor {own}) imports {name} (floor {other})")
        elif top not in sys.stdlib_module_names and module not in DOORS.get(top, set()):
            faults.append(f"{module} imports {top}, which has no door there")
    return faults


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


def modules() -> dict[str, Path]:
    """Give every module of the package by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


@pytest.mark.parametrize("module", modules())
def test_imports_go_down_the_floors_only(module: str) -> None:
    """A module imports lower floors, its own folder, and libraries it is a door of."""
    if module == "linqi":
        return
    assert faults_of(module, modules()[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("linqi.jose.keys", "from linqi.sessions.renewal import Grid"),
        ("linqi.asgi.middleware", "from linqi.config.reading import load"),
        ("linqi.config.reading", "from linqi import JWTMiddleware"),
        ("linqi.config.writing", "import tomlkit"),
        ("linqi.jose.keys", "from linqi import asgi"),
        ("linqi.jose.keys", "from linqi.instrumentation.logging import LoggingHook"),
        ("linqi.errors", "import linqi.jose.keys"),
        ("linqi.asgi.middleware", "import jwt"),
        ("linqi.asgi.middleware", "from starlette.requests import Request"),
        ("linqi.sessions.renewal", "def f():\n    from cryptography import x509"),
        ("linqi.tuner", "from linqi.asgi.middleware import JWTMiddleware"),
        ("linqi.cli", "from linqi_storm.serve.app import app"),
    ],
)
def test_the_layer_rule_can_fail(module: str, source: str) -> None:
    """An import that goes up, sideways, past a door or too early is found, in functions too."""
    assert faults_of(module, source)


@pytest.mark.parametrize("module", modules())
def test_the_clock_is_read_only_through_a_parameter(module: str) -> None:
    """``time.time`` and ``time.monotonic`` are never called, only given as defaults."""
    if module.startswith(("linqi.cli", "linqi.__main__")):
        return
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
