"""`linqi check` finds unsafe settings; `linqi init` writes a file without findings."""

import json
import re
import tomllib
from pathlib import Path

import pytest

import config_reference
import linqi.config
from alb import SIGNER
from linqi import Key, KeySet, rotate
from linqi.cli import main
from linqi.config import Config, read
from linqi.config.checker import check
from linqi.config.lifetime_rules import first_storm_factor
from linqi.config.lifetime_tables import RenewalTable
from linqi.config.template import template

BASE = '[verify]\nissuer = "https://id.shop.net"\naudience = "shop"\n[keys]\nfile = "keys.json"\n'
READY = BASE + '[paths]\npublic = ["/login"]\n'
STORE = '[store]\nurl = "sqlite:s.db"\nsecrets_file = "refresh.json"\n'
OUTSIDE = (
    '[[issuers]]\nissuer = "https://id.shop.net"\naudience = ["shop"]\nalgorithms = ["RS256"]\n'
)
BALANCED = OUTSIDE.replace("RS256", "ES256") + f'alb_signer = ["{SIGNER}"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with signing keys and refresh secrets."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "keys.json")
    KeySet([Key.generate("HS256")]).save(tmp_path / "refresh.json")
    return tmp_path


def found(folder: Path, text: str, **environ: str) -> dict[str, str]:
    """Return the severities of the findings, by code."""
    (folder / "linqi.toml").write_text(text)
    checked = check(folder / "linqi.toml", environ)
    for text in (text for f in checked.findings for text in (f.reason, f.remedy)):
        assert re.search(r"[^.?!][.?]$", text), text
    return {finding.code: finding.severity for finding in checked.findings}


def test_a_new_file_lacks_its_names_and_a_public_sign_in(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``linqi init`` and ``linqi keygen`` leave three keys to set, and `linqi check` names them."""
    path = folder / "linqi.toml"
    assert main(["init", str(path)]) == 0
    assert main(["check", "--json", str(path)]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [(f["code"], f["table"], f["key"]) for f in found] == [
        ("placeholder", "verify", "issuer"),
        ("placeholder", "verify", "audience"),
        ("login-guarded", "paths", "public"),
    ]
    assert main(["init", str(path)]) == 2
    assert main(["init", "-"]) == 0
    assert capsys.readouterr().out == template() == path.read_text()
    text = template().replace("https://shop.example", "https://id.shop.net", 1)
    path.write_text(re.sub(r"(?m)^# (public = ..*)$", r"\1", text))
    assert main(["check", str(path)]) == 0
    assert "no findings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        (BASE, True),
        (READY, False),
        (BASE + '[paths]\npublic = ["/auth/*"]\n', False),
        (BASE + '[paths]\noptional = ["/*"]\n', False),
        (BASE + '[paths]\noptional = ["/news"]\n', True),
        (BASE + STORE, False),
        (OUTSIDE, False),
    ],
)
def test_a_sign_in_that_needs_a_token_is_found(folder: Path, text: str, is_found: bool) -> None:
    """It is reported if the application signs tokens and every path needs one."""
    assert ("login-guarded" in found(folder, text)) is is_found


def test_a_new_file_says_the_defaults() -> None:
    """A new file has the defaults of the schema, and placeholders for issuer and keys."""
    config = read(tomllib.loads(template()))
    for name in ("cache", "renewal", "budget", "signing", "store", "sessions", "jwks", "client"):
        assert getattr(config, name) == getattr(Config(), name)
    assert config.keys.file == "keys.json"


BESIDE = {
    "refusal_type_base": 'refusal_format = "problem"',
    "refusal_texts": 'refusal_format = "problem"',
    "refusal_numbers": 'refusal_format = "envelope"',
}
"""What keys need beside them to have an effect."""


def test_every_example_in_a_new_file_is_good() -> None:
    """A key that is commented out is valid as it is written, where it has an effect."""
    lines = template().splitlines()
    for number, line in enumerate(lines):
        if line.startswith("# ") and " = " in line and line[2:].split(" = ")[0].isidentifier():
            table = next(
                candidate.removeprefix("# ")
                for candidate in reversed(lines[:number])
                if candidate.removeprefix("# ").startswith("[")
            )
            beside = BESIDE.get(line[2:].split(" = ")[0], "")
            read(tomllib.loads(f"{table}\n{beside}\n{line[2:]}\n"))


@pytest.mark.parametrize(
    ("text", "code", "severity"),
    [
        (BASE + "[renewal]\nlifetime_seconds = 1800\n", "access-lifetime-long", "warning"),
        (BASE + "[renewal]\nbuffer_seconds = 60\n", "buffer-thin", "warning"),
        (BASE + '[renewal]\npolicy = "plain"\n', "policy-plain", "warning"),
        (BASE + '[renewal]\npolicy = "jitter"\n', "policy-jitter", "warning"),
        (
            BASE + '[renewal]\npolicy = "jitter"\njitter_width = 1.0\n',
            "policy-jitter",
            "note",
        ),
        (BASE + "[renewal]\nmax_session_seconds = 31_000_000\n", "session-cap-long", "warning"),
        (BASE + STORE + "[sessions]\nabsolute_seconds = 8e6\n", "session-cap-long", "warning"),
        (BASE + "[renewal]\ncap_spread = 0\n", "cap-in-step", "warning"),
        (BASE + "[renewal]\njitter_width = 0.5\n", "unused", "warning"),
        (BASE + STORE + "[budget]\nrenewals_per_second = 5\n", "unused", "warning"),
        (BASE + '[store]\nsecrets_file = "refresh.json"\n', "unused", "warning"),
        ('[verify]\nissuer = "https://a.example"\n' + OUTSIDE, "unused", "warning"),
        (BASE + STORE + "[sessions]\ncap_spread = 0\n", "cap-in-step", "warning"),
        (BASE + "[renewal]\nwhole_second_times = false\n", "fractional-times", "warning"),
        (BASE + "[cache]\nenabled = false\n", "cache-off", "note"),
        (BASE + STORE + "[cache]\nlifetime_seconds = 900\n", "cache-over-bound", "warning"),
        (BASE + STORE + "[sessions]\ngrace_seconds = 0\n", "grace-none", "warning"),
        (BASE + STORE, "recover-window", "note"),
        (BASE + STORE + "[sessions]\nrecover_seconds = 172800\n", "recover-window", "warning"),
        (BASE + STORE + "[sessions]\nrecover_seconds = 0\n", "recover-none", "note"),
        (BASE + STORE + "[sessions]\nmost_forgotten = 11\n", "forgotten-many", "warning"),
        (
            BASE.replace("[keys]", 'bound_tokens = "accept"\n[keys]'),
            "bound-accepted",
            "warning",
        ),
        (
            BASE + "[renewal]\nlongest_lifetime_seconds = 3600\n",
            "longest-lifetime",
            "note",
        ),
        (
            BASE + "[renewal]\nlongest_lifetime_seconds = 100_000\n",
            "longest-lifetime",
            "warning",
        ),
        (BASE + "[renewal]\nlongest_lifetime_seconds = 900\n", "unused", "warning"),
        (BASE + "[client]\nadvisory_seconds = 800\n", "client-early", "note"),
        (OUTSIDE + "[jwks]\nlifetime_seconds = 3000\n", "jwks-over-overlap", "warning"),
        (OUTSIDE + "[jwks]\nstale_seconds = 86400\n", "jwks-trusted-long", "warning"),
        (BASE.replace("[keys]", "leeway_seconds = 5\n[keys]"), "leeway", "warning"),
        (
            BASE.replace("[keys]", 'on_revocation_error = "open"\n[keys]') + STORE,
            "revocation-open",
            "warning",
        ),
        (BASE + STORE + "stale_after_seconds = inf\n", "revocation-open", "warning"),
        (BASE + STORE + "stale_after_seconds = 90\n", "revocation-slow", "warning"),
        (
            OUTSIDE.replace('audience = ["shop"]', "any_audience = true"),
            "any-audience",
            "warning",
        ),
        (BASE + '[http]\ntoken_headers = ["X-Token"]\n', "token-header", "note"),
        (BALANCED, "load-balancer", "note"),
        (BALANCED, "load-balancer-header", "warning"),
        (
            BASE + '[http]\ntoken_headers = ["Cf-Access-Jwt-Assertion"]\n',
            "token-header-csrf",
            "warning",
        ),
        (OUTSIDE + 'scope_claims = ["scope", "scp"]\n', "scopes-elsewhere", "note"),
        (OUTSIDE + 'scope_claims = ["user_metadata.roles"]\n', "claim-of-users", "warning"),
        (
            OUTSIDE + "required_claims = { user_metadata = { is_admin = true } }\n",
            "claim-of-users",
            "warning",
        ),
        (
            BASE + '[http]\naccept = ["cookie"]\n[cookies]\norigins = ["https://a.example"]\n'
            'access_name = "t"\naccess_secure = false\n',
            "cookie-insecure",
            "error",
        ),
        (
            BASE + STORE + '[cookies]\nrefresh_name = "r"\nrefresh_secure = false\n',
            "refresh-cookie-insecure",
            "error",
        ),
        (BASE + STORE + '[cookies]\nrefresh_name = "r"\n', "contradiction", "error"),
        (BASE.replace("https", "http"), "issuer-http", "warning"),
        (BASE.replace("id.shop.net", "shop.example"), "placeholder", "warning"),
        (OUTSIDE.replace("id.shop.net", "id.example/x"), "placeholder", "warning"),
        (BASE, "login-guarded", "warning"),
        (OUTSIDE + '[resource]\nurl = "https://api.shop.net"\n', "resource-audience", "warning"),
        (OUTSIDE + '[resource]\nname = "Shop"\n', "missing", "error"),
        (BASE + '[resource]\nurl = "http://api.shop.net"\n', "contradiction", "error"),
        (BASE + '[http]\nexpose_to = ["http://a.example"]\n', "origin-http", "warning"),
        (BASE + '[paths]\npublic = ["/*"]\n', "all-public", "error"),
        (BASE + "[http]\nend_streams = false\n", "streams-outlive", "warning"),
        (BASE + '[paths]\nquiet = ["/polls", "/*"]\n', "all-quiet", "error"),
        (BASE + STORE.replace("sqlite:s.db", "memory:"), "store-memory", "warning"),
        (BASE + STORE + "[throttle]\nenabled = false\n", "throttle-off", "warning"),
        (BASE + STORE + '[throttle]\nstorage = "memory:"\n', "throttle-local", "note"),
        (BASE + STORE, "throttle-address", "note"),
        (BASE + "# password = 'hunter2hunter2'\n", "inline-secret", "error"),
        (BASE + "# -----BEGIN PRIVATE KEY-----\n", "inline-secret", "error"),
        (BASE + "# eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbCJ9.c2lnbmF0dXJl\n", "inline-secret", "error"),
        (
            BASE + STORE.replace("sqlite:s.db", "postgresql://u:hunter2@db/x"),
            "inline-secret",
            "error",
        ),
        (BASE + STORE.replace("refresh.json", "shared.json"), "weak-key", "error"),
        (BASE.replace("keys.json", "no.json"), "missing", "error"),
        (BASE + "[renewal]\nbuffer_seconds = 450\n", "buffer-over-half", "error"),
        ("[renewal]\nbufer_seconds = 450\n", "unknown-key", "error"),
    ],
)
def test_a_lint_has_its_code_and_severity(
    folder: Path, text: str, code: str, severity: str
) -> None:
    """An unsafe setting is reported, and a safe one is not."""
    (folder / "shared.json").write_bytes((folder / "keys.json").read_bytes())
    assert found(folder, text).get(code) == severity
    plain = found(folder, OUTSIDE if text.startswith("[[") else READY)
    assert code not in plain


def test_a_loopback_issuer_may_be_http(folder: Path) -> None:
    """Settings for development on loopback are not reported."""
    assert found(folder, READY.replace("https://id.shop.net", "http://127.0.0.1:8000")) == {}


def test_rsa_that_signs_inline_is_found(folder: Path) -> None:
    """0.4 ms and more on the event loop for each renewal; threads are the default."""
    KeySet([Key.generate("RS256")]).save(folder / "keys.json")
    assert "rsa-inline" not in found(folder, BASE)
    assert found(folder, BASE + "[signing]\noff_loop = false\n")["rsa-inline"] == "warning"


def test_a_key_withdrawn_before_its_last_token_is_found(folder: Path) -> None:
    """The overlap of a rotation must be as long as the lifetime of a token."""
    old = Key.generate("ES256")
    for lifetime, is_found in ((900, False), (60, True)):
        rotation = rotate(
            [old], Key.generate("ES256"), 1_800_000_000, lead=0, token_lifetime=lifetime
        )
        KeySet(rotation.keys).save(folder / "keys.json")
        assert ("overlap-short" in found(folder, BASE)) == is_found


def test_an_overlap_lasts_as_long_as_the_longest_token_ever_made(folder: Path) -> None:
    """After the lifetime was lowered, tokens with the old one are still checked by the old key."""
    old = Key.generate("ES256")
    rotation = rotate([old], Key.generate("ES256"), 1_800_000_000, lead=0, token_lifetime=900)
    KeySet(rotation.keys).save(folder / "keys.json")
    assert "overlap-short" not in found(folder, BASE)
    longer = BASE + "[renewal]\nlifetime_seconds = 900\nlongest_lifetime_seconds = 3600\n"
    assert found(folder, longer)["overlap-short"] == "error"


def test_one_secret_for_both_kinds_of_token_is_found(folder: Path) -> None:
    """The signing secret must not be usable for refresh tokens."""
    KeySet([Key.generate("HS256")]).save(folder / "keys.json")
    assert "secret-shared" not in found(folder, BASE + STORE)
    shared = BASE + STORE.replace("refresh.json", "keys.json")
    assert found(folder, shared)["secret-shared"] == "error"


def test_keys_of_the_other_kind_are_told_until_they_are_removed(folder: Path) -> None:
    """The note names what is accepted, how strong a secret is, and when nothing needs it."""
    KeySet([Key.generate("HS512")]).save(folder / "before.json")
    text = BASE + 'verify_file = "before.json"\n[renewal]\nlongest_lifetime_seconds = 1800\n'
    (folder / "linqi.toml").write_text(text)
    (note,) = [f for f in check(folder / "linqi.toml", {}).findings if f.code == "verify-keys"]
    assert (note.severity, note.table, note.key) == ("note", "keys", "verify_file")
    assert "HS512 (64 bytes)" in note.reason
    assert "1800 s" in note.remedy
    assert "verify-keys" not in found(folder, BASE)
    (folder / "before.json").chmod(0o640)
    assert found(folder, text)["key-file-readable"] == "warning"
    shared = text.replace("before.json", "refresh.json") + STORE
    assert found(folder, shared)["secret-shared"] == "error"


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        (BASE + 'verify_file = "refresh.json"\nverify_env = "A"\n', "verify_env", "remove one"),
        (BASE + 'verify_file = "keys.json"\n', "verify_file", "same kind"),
        (OUTSIDE + '[keys]\nverify_file = "refresh.json"\n', "file", "stand beside signing keys"),
    ],
)
def test_verify_keys_that_cannot_be_used_are_faults(
    folder: Path, text: str, key: str, expected: str
) -> None:
    """Both sources, the same kind as the signing keys, or no signing keys."""
    (folder / "linqi.toml").write_text(text)
    found = [f for f in check(folder / "linqi.toml", {}).findings if f.severity == "error"]
    assert [(f.table, f.key) for f in found if expected in f.remedy] == [("keys", key)]


@pytest.mark.parametrize(
    ("name", "mode", "code", "severity"),
    [
        ("keys.json", 0o644, "key-file-readable", "error"),
        ("keys.json", 0o640, "key-file-readable", "warning"),
        ("refresh.json", 0o604, "key-file-readable", "error"),
        ("keys.json", 0o620, "file-writable", "error"),
        ("linqi.toml", 0o666, "file-writable", "error"),
    ],
)
def test_a_file_that_others_can_read_or_write_is_found(
    folder: Path, name: str, mode: int, code: str, severity: str
) -> None:
    """Only its owner may read a key file; other users may read the configuration, not write it."""
    assert code not in found(folder, BASE + STORE)
    (folder / name).chmod(mode)
    assert found(folder, BASE + STORE)[code] == severity


def test_variables_in_force_are_told(folder: Path) -> None:
    """Each variable is a note, because the file does not show it."""
    severities = found(folder, READY, LINQI_RENEWAL__BUFFER_SECONDS="200")
    assert severities == {"environment": "note"}
    (folder / "linqi.toml").write_text(READY)
    (finding,) = check(folder / "linqi.toml", {"LINQI_CACHE__MAX_ENTRIES": "5"}).findings
    assert "LINQI_CACHE__MAX_ENTRIES" in finding.reason


def test_a_password_in_a_variable_is_no_inline_secret(folder: Path) -> None:
    """A password in a URL from the environment is not reported."""
    url = "postgresql://u:hunter2@db/x"
    assert "inline-secret" not in found(folder, BASE + STORE, LINQI_STORE__URL=url)


def test_nothing_secret_is_printed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords, secrets and pasted keys stay out of every message, JSON included."""
    monkeypatch.setenv("SECRET_OF_MINE", "hunter2-too-short")
    path = folder / "linqi.toml"
    for text in (
        BASE + STORE.replace("sqlite:s.db", "postgresql://u:hunter2@db/x"),
        BASE + STORE.replace("sqlite:s.db", "oracle://u:hunter2@db/x"),
        BASE + '[throttle]\nstorage = "redis://u:hunter2@db/x"\nper_pair = 5\n',
        BASE.replace('file = "keys.json"', 'env = "SECRET_OF_MINE"'),
        BASE + 'env = "hunter2"\n',
        BASE + 'secret = "hunter2"\n',
        '[verify]\nissuer = "-----BEGIN PRIVATE KEY-----hunter2"\naudience = 5\n',
    ):
        path.write_text(text)
        assert main(["check", str(path)]) > 0
        assert main(["check", "--json", str(path)]) > 0
    shown = capsys.readouterr()
    assert "hunter2" not in shown.out + shown.err


def test_the_exit_code_tells_the_gravest(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 for notes at most, 1 for an error or a warning, 2 for an invalid file."""
    monkeypatch.chdir(folder)
    codes: list[int] = []
    for text in (
        READY + "[cache]\nenabled = false\n",
        READY + "[renewal]\nbuffer_seconds = 60\n",
        "[renewal]\nbuffer_seconds = 'x'\n",
    ):
        Path("linqi.toml").write_text(text)
        codes.append(main(["check"]))
        shown = capsys.readouterr().out
        assert main(["check", "--json"]) == codes[-1]
        findings = json.loads(capsys.readouterr().out)["findings"]
        assert [f["code"] in shown for f in findings] == [True]
    assert codes == [0, 1, 2]
    assert main(["check", "none.toml"]) == 2
    assert "linqi init" in capsys.readouterr().out


def test_the_form_can_be_checked_where_no_key_is(tmp_path: Path) -> None:
    """``--no-keys`` reads neither key files nor variables that hold keys."""
    path = tmp_path / "linqi.toml"
    path.write_text(READY.replace('file = "keys.json"', 'env = "NOT_HERE"'))
    assert main(["check", str(path)]) == 1
    assert main(["check", "--no-keys", str(path)]) == 0


def test_the_guide_names_every_key_and_every_code() -> None:
    """The table of keys is the schema's (``python tests/config_reference.py`` writes it anew)."""
    assert config_reference.shown() == config_reference.reference()
    page = config_reference.PAGE.read_text()
    folder = Path(linqi.config.__file__).parent
    codes = set()
    for module in folder.glob("*.py"):
        source = module.read_text()
        codes |= set(re.findall(r'code=f?"([a-z{}.-]+)"', source))
        codes |= set(re.findall(r'\.add\(\s*"([a-z-]+)"', source))
    codes -= {code for code in codes if "{" in code}
    assert len(codes) > 30
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


@pytest.mark.parametrize(
    ("renewal", "factor"),
    [
        (RenewalTable(policy="plain"), 60),
        (RenewalTable(policy="jitter", jitter_width=0.1), 10),
        (RenewalTable(policy="jitter", jitter_width=0.25), 4),
        (RenewalTable(policy="grid"), 1),
    ],
)
def test_storm_factors_are_those_of_the_model(renewal: RenewalTable, factor: float) -> None:
    """``0.1 A`` for plain, ``(1 - exp(-0.1 J)) A/J`` for jitter, with A of the defaults, 600 s."""
    assert first_storm_factor(renewal) == pytest.approx(factor, rel=0.01)
