"""The command line: keys are made, tokens looked at and verified, faults are one line."""

import ast
import io
import json
import stat
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from linqi import ConfigurationError, Key, KeySet, Signer, __version__
from linqi.cli import main
from linqi.commands.installed import installed_commands
from linqi_report.output_files import check_writable


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256", "HS256"])
def test_keygen_makes_a_private_file_and_prints_the_public_half(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], alg: str
) -> None:
    """The file has mode 0600; nothing secret is printed, and a secret prints no JWKS at all."""
    out = tmp_path / "keys.json"
    assert main(["keygen", "--alg", alg, "--out", str(out), "--kid", "k1"]) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert KeySet.load(out).signing_key().kid == "k1"
    printed = capsys.readouterr().out
    assert (printed == "") == (alg == "HS256")
    if printed:
        (jwk,) = json.loads(printed)["keys"]
        assert "d" not in jwk
        assert jwk["kid"] == "k1"


def test_keygen_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An existing file stays as it is, the private and the public one."""
    out, public = tmp_path / "keys.json", tmp_path / "jwks.json"
    assert main(["keygen", "--out", str(out), "--public-out", str(public)]) == 0
    before = out.read_bytes()
    assert main(["keygen", "--out", str(out)]) == 2
    assert main(["keygen", "--out", str(tmp_path / "new"), "--public-out", str(public)]) == 2
    assert out.read_bytes() == before
    assert not (tmp_path / "new").exists()
    assert "exists" in capsys.readouterr().err
    assert main(["keygen", "--alg", "HS256", "--public-out", str(tmp_path / "x")]) == 2
    assert main(["keygen", "--out", str(tmp_path / "no" / "folder.json")]) == 2


def test_inspect_says_that_nothing_is_verified(capsys: pytest.CaptureFixture[str]) -> None:
    """Header and claims as JSON on stdout, the warning and the time left on stderr."""
    signer = Signer(Key.generate("HS256"), issuer="i", audience="a")
    token = signer.sign({"exp": int(time.time()) + 100, "sub": "alice"})
    assert main(["inspect", f"Bearer {token}"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["claims"]["sub"] == "alice"
    assert "UNVERIFIED" in shown.err
    assert "expires in" in shown.err
    assert main(["inspect", signer.sign({"exp": 5})]) == 0
    assert "expired" in capsys.readouterr().err
    assert main(["inspect", "nonsense"]) == 1
    assert "malformed_token" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("token", "kind"),
    [("gho_16C7e42F292c6912E7710c838347Ae178B4a", "opaque"), ("e30.a.b.c.d", "encrypted")],
)
def test_inspect_says_what_kind_of_token_is_no_jwt(
    token: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user with the token of an outside issuer learns that no key will verify it, and why."""
    assert main(["inspect", token]) == 1
    assert kind in capsys.readouterr().err


def test_verify_exits_by_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 with the claims, 1 with the reason's code, 2 for a wrong call."""
    keys = KeySet([Key.generate("ES256")])
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(keys.public_jwks()))
    signer = Signer(keys, issuer="i", audience="a")
    how = ["--keys", str(jwks), "--issuer", "i", "--audience", "a", "--algorithms", "ES256"]
    good = signer.sign({"exp": int(time.time()) + 100, "sub": "alice"})
    monkeypatch.setattr("sys.stdin", io.StringIO(good + "\n"))
    assert main(["verify", "-", *how]) == 0
    assert json.loads(capsys.readouterr().out)["sub"] == "alice"
    assert main(["verify", signer.sign({"exp": 5}), *how]) == 1
    assert "token_expired" in capsys.readouterr().err
    assert main(["verify", good, *how, "--leeway-seconds", "999"]) == 2
    how[1] = str(tmp_path / "missing.json")
    assert main(["verify", good, *how]) == 2
    assert "missing.json" in capsys.readouterr().err


def test_serve_and_demo_refuse_settings_that_cannot_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr with the fault, and no folder is made."""
    data = tmp_path / "data"
    assert main(["serve", "--data", str(data), "--buffer-seconds", "500"]) == 2
    assert "buffer is 500 s" in capsys.readouterr().err
    assert not data.exists()


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        (["serve"], "uvicorn", "serve"),
        (["demo"], "uvicorn", "serve,storm"),
        (["tune", "--dry-run"], "rich", "tune"),
        (["storm"], "rich", "storm"),
        (["storm"], "gevent", "storm"),
        (["storm", "--list"], "rich", "storm"),
        (["bench"], "pytest", "bench"),
        (["tune", "--prove", "--sessions", "9", "--peak-rps", "1"], "hdrh", "storm"),
        (["tune", "--metrics", "metrics.txt"], "prometheus_client", "tune"),
        (["login", "--status"], "platformdirs", "client"),
        (["token", "https://shop.example"], "platformdirs", "client"),
        (["jwks", "https://shop.example/jwks.json"], "httpx2", "remote"),
        (["store", "init", "valkey://127.0.0.1:1"], "redis", "valkey"),
        (["store", "init", "postgresql://u@127.0.0.1:1/x"], "asyncpg", "postgres"),
    ],
)
def test_a_missing_extra_is_named_by_its_command(
    tmp_path: Path, command: list[str], module: str, extra: str
) -> None:
    """The message says what to install for this command, without a traceback."""
    program = f"import sys; sys.modules[{module!r}] = None; from linqi.cli import main; "
    program += f"sys.exit(main({command!r}))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert f"pip install 'linqi[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("linqi.client.httpx2", "httpx2", "client"),
        ("linqi.instrumentation.otel", "opentelemetry", "otel"),
        ("linqi.instrumentation.prometheus", "prometheus_client", "prometheus"),
        ("linqi.login.keyring", "keyring", "keyring"),
        ("linqi.mcp.callers", "starlette", "mcp"),
    ],
)
def test_a_module_of_an_extra_names_it_where_it_is_missing(
    module: str, library: str, extra: str
) -> None:
    """A program that imports it gets the line to install, as a caller of a command does."""
    program = f"import sys; sys.modules[{library!r}] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"pip install 'linqi[{extra}]'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("option", ["--json", "--html", "--markdown"])
def test_bench_refuses_a_file_that_it_could_not_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """Before it measures: a run takes up to 20 minutes."""
    began = time.monotonic()
    assert main(["bench", option, str(tmp_path / "missing" / "result")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("option", ["--output", "--report", "--junit", "--markdown", "--csv"])
def test_storm_refuses_a_file_that_it_could_not_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """Before users are started: a storm may take an hour."""
    assert main(["storm", "steady", option, str(tmp_path / "missing" / "result")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file that exists or can be made is no fault; a folder, and a file in none, are."""
    (tmp_path / "old.json").touch()
    check_writable(tmp_path / "old.json", tmp_path / "new.json", None)
    with pytest.raises(ConfigurationError) as raised:
        check_writable(tmp_path, tmp_path / "a" / "b.json")
    assert "it is a folder" in str(raised.value)
    assert f"the folder {tmp_path / 'a'} does not exist" in str(raised.value)


def register(folder: Path, value: str) -> None:
    """Install a distribution that registers the command ``greet`` and has an extra."""
    info = folder / "greetings-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: greetings\nVersion: 1\nProvides-Extra: loud\n"
        "Requires-Dist: no_such_library>=1; extra == 'loud'\n"
        "Requires-Dist: other-library; extra == 'quiet'\n"
    )
    (info / "entry_points.txt").write_text(f"[linqi.commands]\ngreet = {value} [loud]\n")
    (folder / "greetings.py").write_text(
        "from linqi.commands.command import Command\n"
        "GREET = Command(summary='say hello to 100 % of users', module='greeting')\n"
    )
    (folder / "greeting.py").write_text(
        "def add_options(parser): parser.add_argument('name')\n"
        "def run(arguments):\n"
        "    if arguments.name == 'bob': import no_such_library\n"
        "    if arguments.name == 'eve': import other_library\n"
        "    print('hello', arguments.name)\n"
        "    return 0\n"
    )


def test_other_distributions_add_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands are found by entry points; the help and a call name a missing extra."""
    register(tmp_path, "greetings:GREET")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["greet", "alice"]) == 0
    assert capsys.readouterr().out == "hello alice\n"
    assert main(["greet", "bob"]) == 2
    assert "no_such_library is not installed; pip install 'greetings[loud]'" in (
        capsys.readouterr().err
    )
    assert main(["greet", "eve"]) == 2
    assert "pip install 'greetings[quiet]'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "say hello to 100 % of users (not installed: pip install 'greetings[loud]')" in shown
    assert "verify a token" in shown


def test_benchmarks_name_the_extra_that_measures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where pytest is installed for another reason, and its plugin is not."""
    monkeypatch.setitem(sys.modules, "pytest_benchmark", None)
    for name in [name for name in sys.modules if name.startswith("linqi_bench")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["bench", "--quick", "--only", "cold"]) == 2
    assert "pytest_benchmark is not installed; pip install 'linqi[bench]'" in (
        capsys.readouterr().err
    )


def test_a_command_that_cannot_be_loaded_leaves_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The help says so in its line."""
    register(tmp_path, "no_such_module:GREET")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "greet cannot be loaded: No module named 'no_such_module'" in shown
    assert "verify a token" in shown


def test_every_command_belongs_to_the_package_that_registers_it() -> None:
    """A command and its module are of one package; the module has add_options and run."""
    for name, found in installed_commands().items():
        module = import_module(found.command.module)
        assert module.__name__.partition(".")[0] == found.package, name
        assert callable(module.add_options), name
        assert callable(module.run), name


def test_help_imports_no_command() -> None:
    """The module of a command is imported when it runs; `linqi --help` stays fast."""
    code = (
        "import contextlib, sys\n"
        "from linqi.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "print(sorted(name for name in sys.modules if name.startswith('linqi_')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ast.literal_eval(done.stderr) == [
        *("linqi_bench", "linqi_bench.commands", "linqi_storm", "linqi_storm.commands"),
        *("linqi_tune", "linqi_tune.commands"),
    ]


def test_a_misspelt_command_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Words that resemble none list all."""
    assert main(["chek", "linqi.toml"]) == 2
    assert "unknown command 'chek'; did you mean `linqi check`?" in capsys.readouterr().err
    assert main(["x" * 1000]) == 2
    error = capsys.readouterr().err
    assert "commands are" in error
    assert len(error) < 400


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`linqi --version` prints it."""
    with pytest.raises(SystemExit):
        main(["--version"])
    assert __version__ in capsys.readouterr().out
