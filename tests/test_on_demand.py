"""Imports: names come when they are first used, and a first request loads what it needs."""

import ast
import importlib
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import linqi
from linqi import TokenSpan
from linqi.client.tokens import ClientTokens
from linqi.login.saved_logins import SavedLogin, SavedLogins
from linqi_bench import imports
from linqi_bench.fresh_process import SCRIPT

PACKAGES = ["linqi", "linqi.events", "linqi.testing"]
CORE = Path(linqi.__file__).parent


def run(program: str, *options: str) -> str:
    """Run `program` in a fresh process, and return what it prints."""
    command = [sys.executable, *options, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def branches(package: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the names by module that a type checker imports, and those that are found at run time.

    A third place, outside of ``if TYPE_CHECKING``, would hide wrong names from the type checker.
    """
    tree = ast.parse(Path(str(importlib.import_module(package).__file__)).read_text())
    (choice,) = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(choice.test) == "TYPE_CHECKING"
    typed: dict[str, list[str]] = {}
    for node in choice.body:
        assert isinstance(node, ast.ImportFrom)
        typed.setdefault(str(node.module), []).extend(alias.name for alias in node.names)
    (found,) = choice.orelse
    assert isinstance(found, ast.Assign)
    assert ast.unparse(found.targets[0]) == "(__getattr__, __dir__)"
    assert isinstance(found.value, ast.Call)
    table = ast.literal_eval(found.value.args[1])
    return typed, {home: list(names) for home, names in table.items()}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_names_are_the_same_for_type_checkers_and_at_run_time(package: str) -> None:
    """The imports under ``TYPE_CHECKING``, the table and ``__all__`` name the same things."""
    typed, table = branches(package)
    assert typed == table
    loaded = importlib.import_module(package)
    assert sorted(name for names in table.values() for name in names) == sorted(loaded.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_the_one_of_its_module(package: str) -> None:
    """``getattr`` gives the object itself, and ``dir`` lists the name before it is used."""
    loaded = importlib.import_module(package)
    for home, names in branches(package)[1].items():
        for name in names:
            assert name in dir(loaded)
            if home != package:
                assert getattr(loaded, name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_name_is_an_attribute_error(package: str) -> None:
    """``hasattr``, ``getattr`` with a default and ``from ... import`` work as with any module."""
    loaded = importlib.import_module(package)
    assert not hasattr(loaded, "Nothing")
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nothing'"):
        _ = loaded.Nothing
    with pytest.raises(ImportError, match="Nothing"):
        exec(f"from {package} import Nothing")  # noqa: S102 - a fixed text


def test_a_star_import_brings_all_public_names() -> None:
    """``from linqi import *`` in a fresh process gives each name of ``__all__``, also under -O."""
    program = (
        "from linqi import *; import linqi; print(sorted(set(linqi.__all__) - set(globals())))"
    )
    assert run(program) == "[]"
    assert run(program, "-O") == "[]"


def test_the_import_alone_loads_no_other_module_of_the_library() -> None:
    """What a program does not use costs it nothing, and ``dir`` costs nothing either."""
    loaded = "sorted(name for name in sys.modules if name.startswith('linqi'))"
    assert run(f"import sys, linqi; dir(linqi); print({loaded})") == "['linqi', 'linqi._on_demand']"


FIRST_REQUEST_MODULES = {
    "linqi": "_background _base64url _callbacks _on_demand _ranges _single_flight _start_once"
    " _token_errors asgi errors events instrumentation jose",
    "linqi.asgi": "_http argument_faults drain lifespan middleware quiet refusals responses streams"
    " token_hold transports",
    "linqi.events": "dispatcher",
    "linqi.instrumentation": "logging",
    "linqi.jose": "_claims_decoder _compact _header _jwk _jws _key_strength _members _pem _roca"
    " age cache claim_paths claims issuers key keys limits longest_lifetime required_claims"
    " revocation_fault signature_check signer trust trust_faults verified verifier",
}
RENEWAL_MODULES = {
    "linqi.asgi": "cache_fields conditions renewal_response",
    "linqi.sessions": "_claims budget claims_marks decision renewal sliding successor_claims",
}
LIBRARIES = """
import asyncio, dataclasses, hashlib, hmac, json, logging, pkgutil, typing, msgspec, pybase64, sys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils
asyncio.run(asyncio.sleep(0))
"""
ECDSA = "ec.ECDSA(hashes.SHA256())\n"
MORE_LIBRARIES = {
    "ES256": f"{ECDSA}import cryptography.hazmat.primitives.serialization, encodings.utf_8_sig\n",
    "JWK": ECDSA,
    "renewing": "import cachetools, secrets\n",
}
"""What the libraries load for a kind of key; ``cachetools`` holds the successors of sessions."""


def names_of(rooms: Mapping[str, str]) -> set[str]:
    """Return the full names of modules."""
    return {f"{room}.{name}" for room, names in rooms.items() for name in names.split()}


def modules_of_first_request(case: str) -> set[str]:
    """Return the names of all modules of a process that has answered its first request."""
    command = [sys.executable, "-P", str(SCRIPT), *imports.arguments_of(case)[0]]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout)[2])


@pytest.mark.parametrize("case", imports.CASES)
def test_a_first_request_loads_these_modules_and_no_other(case: str) -> None:
    """No store, route, thread, URL or second JOSE library: each import more is decided here."""
    loaded = modules_of_first_request(case)
    own = {name for name in loaded if name.partition(".")[0] == "linqi"}
    more = names_of(RENEWAL_MODULES) | {"linqi.sessions"} if case == "renewing" else set()
    assert own ^ names_of(FIRST_REQUEST_MODULES) ^ more == {"linqi"}
    known = set(run(f"{LIBRARIES}{MORE_LIBRARIES.get(case, '')}print(*sys.modules)").split())
    assert loaded - own - known == set()


HTTP = {"httpx2", "httpx", "urllib.request", "http.client"}
SERVER = {"linqi.asgi", "linqi.sessions", "linqi.stores", "linqi.jwks", "linqi.config"}


@pytest.mark.parametrize(
    ("called", "used", "unused"),
    [
        ("--help", "linqi.commands.core", {"dataclasses", "msgspec", "linqi.jose", *SERVER, *HTTP}),
        ("inspect TOKEN", "linqi.jose._compact", {"cryptography", "asyncio", *SERVER, *HTTP}),
        (
            "verify TOKEN --keys KEYS --issuer me --audience api --algorithms ES256",
            "linqi.jose.verifier",
            {"jwt", "cryptography.x509", *SERVER, *HTTP},
        ),
        (
            "check FILE",
            "linqi.config.checker",
            {
                "jwt",
                "cryptography.x509",
                "redis",
                "asyncpg",
                "tomlkit",
                "httpx2",
                "httpx",
            },
        ),
        (
            "token https://shop.example",
            "linqi.client.renewal",
            {"cryptography", "asyncio", "jwt", "keyring", *SERVER, *HTTP},
        ),
    ],
)
def test_a_command_loads_what_it_uses(
    called: str, used: str, unused: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that shells and scripts call often starts as fast as its work allows."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    keys, now = linqi.KeySet.load_or_create(tmp_path / "keys.json", "ES256"), int(time.time())
    signer = linqi.Signer(keys, issuer="me", audience="api")
    token = signer.sign({"sub": "alice", "iat": now, "exp": now + 3600})
    logins, url = SavedLogins(), "https://shop.example"
    login = SavedLogin(url=url, login_url=f"{url}/login", username="alice")
    logins.save(login)
    logins.storage(login).save(ClientTokens(access_token=token, refresh_token="r"))
    written = tmp_path / "linqi.toml"
    written.write_text('[verify]\nissuer = "me"\naudience = "api"\n[keys]\nfile = "keys.json"\n')
    values = {"TOKEN": token, "KEYS": str(tmp_path / "keys.json"), "FILE": str(written)}
    argv = [values.get(word, word) for word in called.split()]
    program = f"""
import sys
from linqi.cli import main
try:
    code = main({argv!r})
except SystemExit as end:
    code = end.code
print()
print(code, *sys.modules)
"""
    code, *loaded = run(program).splitlines()[-1].split()
    assert code in ("0", "1")  # 1: `check` has findings
    assert used in loaded
    assert unused & {*loaded} == set()


def test_threads_that_use_a_name_first_get_the_same_object() -> None:
    """The import lock serves them: none sees half a module."""
    program = """
import threading
from concurrent.futures import ThreadPoolExecutor
import linqi
together = threading.Barrier(16)
def use(number):
    together.wait()
    if number % 2:
        return linqi.JWTMiddleware
    from linqi.asgi.middleware import JWTMiddleware
    return JWTMiddleware
with ThreadPoolExecutor(16) as threads:
    print(len(set(threads.map(use, range(16)))))
"""
    assert run(program) == "1"


def test_a_pickled_value_is_read_in_a_process_that_used_no_name() -> None:
    """Classes are pickled under the module that defines them."""
    text = pickle.dumps(TokenSpan(issued_at=1, expires_at=2)).hex()
    read = f"import pickle; print(pickle.loads(bytes.fromhex({text!r})).expires_at)"
    assert run(read) == "2"


@pytest.mark.parametrize("part", range(4))
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_every_module_can_be_imported_first(part: int) -> None:
    """No module needs that another one was imported before: each is the first of a forked child.

    The parent has the large libraries of others, so that no child imports them once more. A quarter
    of the modules takes a minute where many other programs run.
    """
    names = sorted(
        ".".join(path.relative_to(CORE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in CORE.rglob("*.py")
        if path.name != "__main__.py"
    )
    program = f"""
import importlib, os, sys, traceback
import asyncio, cachetools, cryptography.hazmat.primitives.serialization, gc, msgspec, pybase64
gc.freeze()
failed = []
for name in {names[part::4]!r}:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        failed.append(name)
print(failed)
"""
    assert run(program) == "[]"
