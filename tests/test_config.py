"""linqi.toml is read strictly, reported in full, overridden by variables, and keeps its layout."""

import json
import math
import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

import alb
from asgi import Answer, App, call, http
from clock import FakeClock
from linqi import (
    ConfigurationError,
    Key,
    KeySet,
    MemoryStore,
    Person,
    RemoteKeys,
    Sessions,
    Signer,
    Verifier,
)
from linqi.asgi.session_cookie import SessionCookie
from linqi.config import Config, InvalidConfig, build, every_setting, load, read, update, wrap
from linqi.config.checker import check
from linqi.config.issuer_table import IssuerTable
from linqi.config.schema import ISSUERS, TABLES
from linqi.config.setting import settings_of
from linqi.config.template import template
from linqi.config.value_types import Number
from linqi.errors import TokenRevoked
from linqi.jwks.key_file import KeyFile
from tokens import NOW, good_claims, make

OWN = '[verify]\nissuer = "https://shop.example"\naudience = "shop"\n[keys]\nfile = "keys.json"\n'
OUTSIDE = (
    '[[issuers]]\nissuer = "https://id.example"\naudience = ["shop"]\nalgorithms = ["RS256"]\n'
)


JWKS = 'jwks_url = "https://id.example/keys"\n'
SUPABASE = (
    '[[issuers]]\nissuer = "https://abc.supabase.co/auth/v1"\naudience = ["authenticated"]\n'
    'algorithms = ["ES256"]\n[[issuers]]\nissuer = "https://abc.supabase.co/auth/v1"\n'
    'audience = ["authenticated"]\nalgorithms = ["HS256"]\nkeys_env = "SUPABASE_JWT_SECRET"\n'
)
MICROSOFT = """
[[issuers]]
issuer = "https://login.microsoftonline.com/{tid}/v2.0"
discovery_url = "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"
audience = ["shop"]
algorithms = ["RS256"]
ask_tenants = true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with signing keys and refresh secrets."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "keys.json")
    KeySet([Key.generate("HS256")]).save(tmp_path / "refresh.json")
    return tmp_path


def pem_of() -> str:
    """Return a private key as a PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.private_bytes(*form).decode()


def written(folder: Path, text: str | bytes) -> Path:
    """Write a configuration and return its path."""
    path = folder / "linqi.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def faults_of(folder: Path, text: str | bytes, **environ: str) -> tuple[Any, ...]:
    """Return the faults of an invalid configuration."""
    with pytest.raises(InvalidConfig) as caught:
        load(written(folder, text), environ)
    return caught.value.details


def read_faults(raw: dict[str, Any]) -> tuple[Any, ...]:
    """Return the faults of parsed values; none if they are valid."""
    try:
        read(raw)
    except InvalidConfig as error:
        return error.details
    return ()


def test_an_empty_file_says_what_the_constructors_say(tmp_path: Path) -> None:
    """Every default is that of the class that receives the value."""
    assert load(written(tmp_path, ""), {}).renewal == Config().renewal
    assert load(written(tmp_path, ""), {}).renewal.settings().lifetime == 900


def test_all_faults_are_reported_together_with_their_places(tmp_path: Path) -> None:
    """File, table, key, value, what is expected and its unit; for variables too."""
    path = written(
        tmp_path,
        """
        [renewal]
        buffer_seconds = -1
        lifetme_seconds = 3
        policy = "grd"
        [cach]
        x = 1
        [jwks]
        cooldown_seconds = 100
        """,
    )
    with pytest.raises(ConfigurationError) as caught:
        load(path, {"LINQI_CACHE__MAX_BYTES": "abc", "LINQI_RENEWAL__BUFER_SECONDS": "1"})
    assert set(caught.value.faults) == {
        f"{path} [renewal] buffer_seconds = -1: expected a number of seconds, above 0 to 43200",
        f"{path} [renewal] lifetme_seconds: unknown key; did you mean lifetime_seconds?",
        f'{path} [renewal] policy = "grd": expected one of "grid", "plain", "jitter"',
        f"{path} [cach]: unknown table; did you mean [cache]?",
        f"{path} [jwks] cooldown_seconds = 100: expected 1 to least_lifetime (60)",
        'LINQI_CACHE__MAX_BYTES [cache] max_bytes = "abc": expected a whole number of bytes,'
        " 4096 to 1099511627776",
        "LINQI_RENEWAL__BUFER_SECONDS: unknown variable; did you mean"
        " LINQI_RENEWAL__BUFFER_SECONDS?",
    }


def test_a_buffer_over_half_the_lifetime_has_its_own_code(tmp_path: Path) -> None:
    """A contradiction of two keys is reported at one of them, with the source of its value."""
    (fault,) = faults_of(
        tmp_path, "[renewal]\nlifetime_seconds = 600\n", LINQI_RENEWAL__BUFFER_SECONDS="400"
    )
    assert (fault.code, fault.source) == ("buffer-over-half", "LINQI_RENEWAL__BUFFER_SECONDS")
    assert (fault.table, fault.key, fault.seen) == ("renewal", "buffer_seconds", "400")
    assert "under half the lifetime (300 s)" in fault.expected


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (b"\xff\xfe", "unreadable", "UTF-8"),
        (b"\xef\xbb\xbf[cache]", "unreadable", "byte order mark"),
        (b"#" * 1_048_577, "unreadable", "1048576 bytes"),
        (b"[cache", "not-toml", "at end of document"),
        (b"[cache]\nmax_entries = 1\nmax_entries = 2", "not-toml", "overwrite"),
        (b"a = " + b"[" * 100_000, "not-toml", "deep"),
        (b"[cache]\nmax_entries = " + b"9" * 5000, "not-toml", "the file is not TOML"),
        (b"[cache]\nmax_entries = 0x" + b"f" * 5000, "wrong-value", "whole number"),
        (b"[cache]\nlifetime_seconds = 0x" + b"f" * 5000, "wrong-value", "seconds"),
        (b"[cache]\nlifetime_seconds = nan", "wrong-value", "seconds"),
        (b"[cache]\nlifetime_seconds = inf", "wrong-value", "86400"),
        (b"[cache]\nlifetime_seconds = 1979-05-27", "wrong-value", "seconds"),
        (b"[cache]\nlifetime_seconds = true", "wrong-value", "seconds"),
        (b"[cache]\nmax_entries = 1.0", "wrong-value", "whole number"),
        (b"[cache]\nenabled = 1", "wrong-value", "true or false"),
        (b"[cache]\nenabled = []", "wrong-value", "true or false"),
        (b"[renewal]\nsliding = 1", "wrong-value", "one of true, false"),
        (b'[paths]\npublic = "/login"', "wrong-value", "a list of paths"),
        (b'[paths]\npublic = ["login"]', "wrong-value", "does not start with '/'"),
        (b'[paths]\npublic = ["/a", 1]', "wrong-value", "a list of paths"),
        (b'[http]\naccept = ["smoke"]', "wrong-value", "header"),
        (b'[http]\naccept = ["header", "header"]', "wrong-value", "header"),
        (b'[http]\nsuccessor_header = "X Y"', "wrong-value", "not a header name"),
        (b'[cookies]\nrefresh_name = "re fresh"', "wrong-value", "__Host-"),
        (b'[cookies]\norigins = ["*"]', "wrong-value", "list of origins"),
        (b'[http]\nrealm = "a\\"b"', "wrong-value", "printable"),
        (b"cache = 1", "wrong-value", "[cache]"),
        (b"max_entries = 1", "unknown-table", "below [cache]"),
        (b"cap_spread = 1", "unknown-table", "below [renewal] or [sessions]"),
        (b"[cache]\nbuffer_seconds = 1", "unknown-key", "belongs in [renewal]"),
        (b"[cache]\nzzzzzzzzz = 1", "unknown-key", "; known "),
        (b"[issuers]\nissuer = 1", "wrong-value", "[[issuers]]"),
        (b"[[issuers]]\nissuer = 1", "wrong-value", "a string"),
        (b"[[issuers]]\nisuer = 'x'", "unknown-key", "did you mean issuer"),
        (b"[[issuers]]\nalgorithms = ['none']", "wrong-value", "RS256"),
        (b"[[issuers]]\nrequired_claims = { a = nan }", "wrong-value", "claim names"),
        (b"[[issuers]]\nrequired_claims = { a = { b = [] } }", "wrong-value", "claim names"),
        (b"[[issuers]]\nrequired_claims = { a = 2026-11-30 }", "wrong-value", "claim names"),
        (b"[[issuers]]\nrequired_claims = { " + b"a." * 40 + b"a = 1 }", "wrong-value", "table"),
        (b"[[issuers]]\nrequired_claims = [[]]", "wrong-value", "claim names"),
        (b"[[issuers]]\nrequired_claims = [{ a = [] }]", "wrong-value", "claim names"),
        (b"[[issuers]]\nrequired_claims = 'sub'", "wrong-value", "claim names"),
        (b"[[issuers]]\nscope_claims = 'scope'", "wrong-value", "claim names"),
        (b"[[issuers]]\nscope_claims = [['a', 1]]", "wrong-value", "claim names"),
        (b"[[issuer]]\nissuer = 'x'", "unknown-table", "did you mean [[issuers]]?"),
        (b'[keys]\nenv = "lower case"', "wrong-value", "in capitals"),
        (b'["\\u001b[31m"]\nx = 1', "unknown-table", "; known "),
    ],
)
def test_hostile_toml_is_one_clear_fault(
    tmp_path: Path, text: bytes, code: str, words: str
) -> None:
    """Wrong types, NaN, huge numbers, dates, bad form: a fault with a code, never a traceback."""
    (fault,) = faults_of(tmp_path, text)
    assert fault.code == code
    assert words in fault.expected
    assert str(fault).isprintable()
    assert len(str(fault)) < 700


def test_what_is_no_file_is_a_fault(tmp_path: Path) -> None:
    """A file that is absent, a folder, or unreadable is one fault."""
    for path, words in ((tmp_path / "no.toml", "linqi init"), (tmp_path, "cannot be read")):
        with pytest.raises(InvalidConfig, match=words):
            load(path, {})


@pytest.mark.parametrize("name", ["secret", "private_key", "k", "password", "jwks"])
def test_a_secret_under_an_unknown_key_is_refused_and_never_shown(
    tmp_path: Path, name: str
) -> None:
    """The message says where secrets belong; the value of an unknown key stays out of it."""
    (fault,) = faults_of(tmp_path, f'[keys]\n{name} = "hunter2-hunter2"\n')
    assert "secrets do not belong" in fault.expected
    assert "hunter2" not in str(fault)


def test_a_secret_where_a_variables_name_belongs_is_not_shown(tmp_path: Path) -> None:
    """A secret that is pasted into ``env`` does not appear in the log."""
    (fault,) = faults_of(tmp_path, '[keys]\nenv = "s3cr3t-value"\n')
    assert "s3cr3t" not in str(fault)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.sampled_from([t + "." + s.name for t, s in every_setting()]))
def test_no_text_makes_the_reader_raise_anything_but_faults(text: str, place: str) -> None:
    """Any TOML value at any key is accepted or is a fault."""
    try:
        raw = tomllib.loads(f"{place.replace(ISSUERS + '.', '')} = {text}")
    except (ValueError, RecursionError):
        return
    if place.startswith(ISSUERS):
        raw = {ISSUERS: [raw]}
    faults = read_faults(raw)
    assert all(fault.expected and str(fault).isprintable() for fault in faults)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.datetimes()
    | st.dates()
    | st.times(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(every_setting()), VALUES)
def test_no_value_makes_the_reader_raise_anything_but_faults(place: Any, value: Any) -> None:
    """So are values of every TOML type, and of some other types."""
    table, setting = place
    raw: dict[str, Any] = {table: {setting.name: value}}
    if table == ISSUERS:
        raw = {ISSUERS: [raw[ISSUERS]]}
    faults = read_faults(raw)
    assert all(fault.expected and str(fault).isprintable() for fault in faults)


@pytest.mark.parametrize(
    ("variable", "text", "table", "key", "value"),
    [
        ("LINQI_RENEWAL__BUFFER_SECONDS", "120", "renewal", "buffer_seconds", 120),
        ("LINQI_RENEWAL__BUFFER_SECONDS", " 1.5e2 ", "renewal", "buffer_seconds", 150.0),
        ("LINQI_CACHE__ENABLED", "False", "cache", "enabled", False),
        ("LINQI_CACHE__MAX_ENTRIES", "7", "cache", "max_entries", 7),
        ("LINQI_RENEWAL__SLIDING", "auto", "renewal", "sliding", "auto"),
        ("LINQI_RENEWAL__SLIDING", "true", "renewal", "sliding", True),
        ("LINQI_RENEWAL__POLICY", "plain", "renewal", "policy", "plain"),
        ("LINQI_PATHS__PUBLIC", "/login, /static/*", "paths", "public", ("/login", "/static/*")),
        ("LINQI_PATHS__PUBLIC", "", "paths", "public", ()),
        ("LINQI_STORE__STALE_AFTER_SECONDS", "inf", "store", "stale_after_seconds", math.inf),
        ("LINQI_JWKS_LIMITS__MAX_BYTES", "2048", "jwks_limits", "max_bytes", 2048),
        ("LINQI_STORE__URL", "memory:", "store", "url", "memory:"),
    ],
)
def test_a_variable_overrides_its_key_with_the_keys_type(
    tmp_path: Path, variable: str, text: str, table: str, key: str, value: object
) -> None:
    """The environment wins over the file, and is read as the key's type."""
    path = written(tmp_path, '[renewal]\nbuffer_seconds = 1\n[paths]\npublic = ["/x"]\n')
    config = load(path, {variable: text, "PATH": "x"})
    found = getattr(getattr(config, table), key)
    assert found == value
    assert type(found) is type(value)
    assert config.overrides == ((variable, table, key),)


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("LINQI_RENEWAL__BUFFER_SECONDS", "soon", "a number of seconds"),
        ("LINQI_RENEWAL__BUFFER_SECONDS", "nan", "a number of seconds"),
        ("LINQI_RENEWAL__BUFFER_SECONDS", "1_0", "a number of seconds"),
        ("LINQI_RENEWAL__BUFFER_SECONDS", "9" * 5000, "a number of seconds"),
        ("LINQI_RENEWAL__BUFFER_SECONDS", "", "a number of seconds"),
        ("LINQI_CACHE__MAX_ENTRIES", "1.5", "a whole number"),
        ("LINQI_CACHE__ENABLED", "yes", "true or false"),
        ("LINQI_HTTP__ACCEPT", "", "a list of"),
        ("LINQI_RENEWAL_BUFFER_SECONDS", "1", "did you mean LINQI_RENEWAL__BUFFER_SECONDS?"),
        ("LINQI_RENEWL__BUFFER_SECONDS", "1", "did you mean LINQI_RENEWAL__BUFFER_SECONDS?"),
        ("LINQI_ISSUERS__ISSUER", "x", "cannot set [[issuers]]"),
        ("LINQI_VERIFY__ISSUER", "a\x1b[31m", "a string"),
    ],
)
def test_a_variable_that_does_not_parse_or_is_unknown_is_refused(
    tmp_path: Path, variable: str, text: str, words: str
) -> None:
    """The fault names the variable, and the nearest one that is known."""
    (fault,) = faults_of(tmp_path, "", **{variable: text})
    assert fault.source == variable
    assert words in fault.expected
    assert str(fault).isprintable()


def test_other_variables_of_the_same_prefix_are_left_alone(tmp_path: Path) -> None:
    """``LINQI_DEMO_PASSWORD`` and the like, without two underscores, are ignored."""
    config = load(written(tmp_path, ""), {"LINQI_DEMO_PASSWORD": "x", "LINQI_VALKEY_URL": "y"})
    assert config.overrides == ()


def test_the_environment_is_the_processes_own_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``os.environ`` is read when nothing else is given."""
    monkeypatch.setenv("LINQI_CACHE__MAX_ENTRIES", "9")
    assert load(written(tmp_path, "")).cache.max_entries == 9


DAY = 86_400
SIGNER = Signer(Key.generate("HS256"), issuer="i", audience="a")
TRUSTED = Verifier.trusting(SIGNER).issuers
# The required arguments of a class, and the settings that would otherwise bound the value.
BESIDES: dict[str, dict[str, Any]] = {
    "store.timeout_seconds": {"url": "redis://127.0.0.1/0"},
    "store.most_connections": {"url": "redis://127.0.0.1/0"},
    "store.min_replicas": {"url": "redis://127.0.0.1/0"},
    "store.poll_seconds": {"path": "x.db"},
    "store.statement_cache_size": {"dsn": "postgresql://a@127.0.0.1/a"},
    "verify.leeway_seconds": {"issuers": TRUSTED},
    "bridge.lifetime_seconds": {"key": Key.generate("HS256"), "until": 1},
    "verify.header_max_bytes": {"token_bytes": 1_048_576},
    "verify.token_max_bytes": {"header_bytes": 64},
    "jwks.lifetime_seconds": {"least_lifetime": 1, "cooldown": 1, "most_lifetime": DAY},
    "jwks.least_lifetime_seconds": {"lifetime": DAY, "cooldown": 1, "most_lifetime": DAY},
    "jwks.most_lifetime_seconds": {"lifetime": 1, "least_lifetime": 1, "cooldown": 1},
    "jwks.longest_backoff_seconds": {"cooldown": 1},
    "renewal.lifetime_seconds": {"buffer": 0.1, "max_session": 366 * DAY},
    "renewal.buffer_seconds": {"lifetime": DAY, "max_session": DAY},
    "renewal.max_session_seconds": {"lifetime": 1, "buffer": 0.1},
    "budget.burst": {"rate": 1},
    "signing.wait_seconds": {"app": None, "verifier": Verifier.trusting(SIGNER)},
    "http.socket_check_seconds": {"app": None, "verifier": Verifier.trusting(SIGNER)},
    "http.stream_grace_seconds": {"app": None, "verifier": Verifier.trusting(SIGNER)},
    "signing.memo_seconds": {"signer": SIGNER},
    "signing.memo_entries": {"signer": SIGNER},
    "sessions.idle_seconds": {"absolute": 732 * DAY},
    "sessions.absolute_seconds": {"idle": 60},
    "store.stale_after_seconds": {"store": MemoryStore()},
    "store.purge_per_second": {
        "store": MemoryStore(),
        "signer": SIGNER,
        "secret": bytes(range(64)),
    },
    "keys.announce_seconds": {"sessions": Sessions(MemoryStore(), SIGNER, bytes(range(64)))},
    "renewal.longest_lifetime_seconds": {"store": MemoryStore()},
    "client.advisory_seconds": {"mandatory": 0},
    "client.mandatory_seconds": {"advisory": DAY},
}
# Another setting bounds these more tightly than their range, or the range has no end.
BOUNDED_ELSEWHERE = {
    *("jwks.cooldown_seconds", "renewal.buffer_seconds", "store.stale_after_seconds"),
    "renewal.hard_margin_seconds",
}


def numeric_settings() -> list[str]:
    """Return the keys whose values are numbers."""
    return [
        f"{table}.{setting.name}"
        for table, setting in every_setting()
        if isinstance(setting.value_type, Number)
    ]


@pytest.mark.parametrize("place", numeric_settings())
def test_the_schema_reads_the_range_that_the_class_states(place: str, tmp_path: Path) -> None:
    """A range is stated once, in ``RANGES`` of the class, whose constructor checks it."""
    table, _, key = place.partition(".")
    setting = settings_of(IssuerTable if table == ISSUERS else TABLES[table])[key]
    target: Any = setting.target
    allowed = target.RANGES[setting.parameter]
    assert setting.value_type == Number(allowed)
    besides = BESIDES.get(place, {})
    if target is KeyFile:
        KeySet([Key.generate("HS256")]).save(tmp_path / "keys.json")
        besides = {"path": tmp_path / "keys.json"}
    step = 1 if allowed.is_whole else 0.001

    def make(value: float) -> None:
        target(**besides, **{setting.parameter: value})

    make(allowed.least + (step if allowed.is_above else 0))
    with pytest.raises(ConfigurationError):
        make(allowed.least - (0 if allowed.is_above else step))
    if place not in BOUNDED_ELSEWHERE:
        make(allowed.most)
        with pytest.raises(ConfigurationError):
            make(allowed.most + step)


def test_building_tells_everything_that_is_missing_at_once(folder: Path) -> None:
    """Keys, identity, store secrets, origins, issuers: each with its place."""
    config = load(
        written(
            folder,
            """
            [keys]
            file = "no.json"
            [store]
            url = "oracle:x"
            [http]
            accept = ["cookie"]
            [throttle]
            storage = "no://h"
            [[issuers]]
            issuer = "http://id.example"
            algorithms = ["RS256"]
            audience = ["shop"]
            [[issuers]]
            jwks_url = "https://id.example/jwks"
            keys_file = "x"
            [[issuers]]
            issuer = "https://id.example"
            algorithms = ["HS256"]
            any_audience = true
            """,
        ),
        {},
    )
    with pytest.raises(InvalidConfig) as caught:
        build(config, environ={})
    assert {(fault.table, fault.key) for fault in caught.value.details} == {
        ("keys", "file"),
        ("verify", "issuer"),
        ("verify", "audience"),
        ("store", "url"),
        ("store", "secrets_file"),
        ("cookies", "origins"),
        ("throttle", "storage"),
        ("issuers.0", ""),
        ("issuers.1", "issuer"),
        ("issuers.1", "algorithms"),
        ("issuers.1", "audience"),
        ("issuers.1", "keys_file"),
        ("issuers.2", ""),
    }


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", ("keys", ""), "no token is trusted"),
        (
            "[renewal]\nsliding = true\n" + OUTSIDE,
            ("keys", "file"),
            "needs signing keys",
        ),
        (OWN + 'env = "X"\n', ("keys", "env"), "remove one of the two"),
        (OWN.replace("keys.json", "pem"), ("keys", "file"), "set algorithm"),
        (OWN.replace("keys.json", "weak"), ("keys", "file"), "public list"),
        (OWN + 'algorithm = "ES256"\n', ("keys", "file"), "remove algorithm"),
        (OWN.replace("keys.json", "public.json"), ("keys", "file"), "no key of the set can sign"),
        (OWN.replace("keys.json", "."), ("keys", "file"), "cannot be read"),
        (OWN.replace('file = "keys.json"', 'env = "NOPE"'), ("keys", "env"), "is not set"),
        (
            OWN + '[store]\nurl = "memory:"\nsecrets_file = "keys.json"\n',
            ("store", "secrets_file"),
            "not an HMAC secret",
        ),
        (
            OWN + '[store]\nurl = "memory:"\nsecrets_file = "refresh.json"\nsecrets_env = "X"\n',
            ("store", "secrets_env"),
            "remove one of the two",
        ),
        (
            OWN + '[store]\nurl = "memory:"\nurl_env = "X"\nsecrets_file = "refresh.json"\n',
            ("store", "url_env"),
            "remove one of the two",
        ),
        (
            OWN + '[store]\nurl = "postgresql://a@db/a"\nlisten_url = "postgresql://a@db/a"\n'
            'listen_url_env = "X"\nsecrets_file = "refresh.json"\n',
            ("store", "listen_url_env"),
            "remove one of the two",
        ),
        (
            OWN + '[store]\nurl = "memory:"\nstatement_cache_size = 0\n'
            'secrets_file = "refresh.json"\n',
            ("store", "statement_cache_size"),
            "for postgresql:// only",
        ),
        (
            OWN + '[store]\nurl = "sqlite:x.db"\nmost_connections = 3\n'
            'secrets_file = "refresh.json"\n',
            ("store", "most_connections"),
            "for valkey:// and postgresql:// only",
        ),
        (
            OWN + '[store]\nurl = "valkey://127.0.0.1/0"\nprefix = "{shop}"\n'
            'secrets_file = "refresh.json"\n',
            ("store", "prefix"),
            "letters, digits and hyphens",
        ),
        (
            OWN + '[http]\naccept = ["cookie"]\n[cookies]\norigins = ["https://a.example"]\n'
            'access_name = "token"\n',
            ("cookies", "access_name"),
            "__Host-",
        ),
        (
            OWN + '[[issuers]]\nissuer = "https://shop.example"\nalgorithms = ["RS256"]\n'
            'audience = ["shop"]\n',
            ("issuers.0", "issuer"),
            "has the same issuer",
        ),
        (
            2 * OUTSIDE,
            ("issuers.1", "issuer"),
            "accepts RS256 too",
        ),
        (
            OUTSIDE.replace("id.example", "id.example/{tid}") + JWKS,
            ("issuers.0", ""),
            "does not say which tenants count",
        ),
        (
            OUTSIDE + 'keys_file = "public.json"\nrequired = true\n',
            ("issuers.0", "required"),
            "nothing is fetched",
        ),
        (
            OUTSIDE.replace("RS256", "ES256") + f'alb_signer = ["{alb.SIGNER}"]\nrequired = true\n',
            ("issuers.0", "required"),
            "when a token names it",
        ),
        (
            OUTSIDE + 'tenants = ["a"]\n',
            ("issuers.0", ""),
            "no placeholder",
        ),
        (
            OUTSIDE.replace("id.example", "id.example/{tid}") + JWKS + "ask_tenants = true\n",
            ("issuers.0", "ask_tenants"),
            "pass tenants=",
        ),
        (
            OWN + '[[issuers]]\nissuer = "https://id.example"\nalgorithms = ["RS256"]\n'
            'audience = ["shop"]\nany_audience = true\n',
            ("issuers.0", "any_audience"),
            "remove one of the two",
        ),
    ],
)
def test_building_refuses_what_does_not_fit_together(
    folder: Path, text: str, place: tuple[str, str], words: str
) -> None:
    """Each is one fault, at the key to change."""
    key = Key.generate("ES256")
    (folder / "pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n")
    weak = {"kty": "oct", "alg": "HS256", "kid": "w", "k": "eW91ci0yNTYtYml0LXNlY3JldA"}
    (folder / "weak").write_text(json.dumps({"keys": [weak]}))
    (folder / "public.json").write_text(json.dumps(KeySet([key]).public_jwks()))
    with pytest.raises(InvalidConfig) as caught:
        build(load(written(folder, text), {}), environ={})
    (fault,) = caught.value.details
    assert (fault.table, fault.key) == place
    assert words in fault.expected or "bytes" in fault.expected


async def test_from_config_slides_a_session(folder: Path) -> None:
    """With signing keys, a near-expiry token receives a successor as configured."""
    text = OWN + "[renewal]\nlifetime_seconds = 600\nbuffer_seconds = 100\npolicy = 'plain'\n"
    clock = FakeClock()
    app = wrap(App(), written(folder, text), environ={}, clock=clock)
    assert app.renewal is not None
    token = app.renewal.start("alice").token
    clock.move(499)
    assert (await call(app, http(token=token))).successor is None
    clock.move(2)
    answer = await call(app, http(token=token))
    assert answer.status == 200
    assert answer.successor is not None


DUAL = OWN + '[store]\nurl = "sqlite:sessions.db"\nsecrets_file = "refresh.json"\n'


async def test_from_config_answers_the_session_routes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a store and `authenticate` users sign in and refresh; paths start at the file."""
    monkeypatch.chdir("/")
    components = build(load(written(folder, DUAL), {}), environ={})
    assert components.renewal is None
    assert components.sessions is not None
    app = wrap(App(), components, authenticate=lambda form: Person(subject="al"))
    await components.sessions.start()
    try:
        body = b'{"username": "al", "password": "x"}'
        json_type = [(b"content-type", b"application/json")]
        answer = await post(app, "/login", body, json_type)
        assert answer.status == 200
        pair = json.loads(answer.messages[1]["body"])
        assert (await call(app, http(token=pair["access_token"]))).status == 200
        token = json.dumps({"refresh_token": pair["refresh_token"]}).encode()
        answer = await post(app, "/refresh", token, json_type)
        assert json.loads(answer.messages[1]["body"])["sequence"] == 1
    finally:
        await components.sessions.close()
    assert (folder / "sessions.db").exists()


async def post(app: Any, path: str, body: bytes, headers: Any) -> Answer:
    """POST `body` to `app`."""
    answer = Answer()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    await app(http(path, method="POST", headers=headers), receive, answer.send)
    return answer


async def test_from_config_believes_an_outside_issuer_by_a_file(folder: Path) -> None:
    """Without signing keys tokens are verified and not renewed."""
    key = Key.generate("ES256")
    (folder / "issuer.json").write_text(json.dumps(KeySet([key]).public_jwks()))
    text = """
    [[issuers]]
    issuer = "https://issuer.test"
    audience = ["api"]
    algorithms = ["ES256"]
    keys_file = "issuer.json"
    required_claims = { scope = ["read write"] }
    """
    app = wrap(App(), written(folder, text), environ={}, clock=lambda: NOW, hooks=[])
    assert app.renewal is None
    assert (await call(app, http(token=make(key, good_claims())))).status == 200
    assert (await call(app, http(token=make(key, good_claims(scope="read"))))).status == 401


async def test_from_config_reads_scopes_and_nested_claims_of_an_outside_issuer(
    folder: Path,
) -> None:
    """Booleans, quoted and unquoted dots, and tables in the table, as TOML writes them."""
    key = Key.generate("ES256")
    (folder / "issuer.json").write_text(json.dumps(KeySet([key]).public_jwks()))
    text = """
    [[issuers]]
    issuer = "https://issuer.test"
    audience = ["api"]
    algorithms = ["ES256"]
    keys_file = "issuer.json"
    scope_claims = ["scope", "realm_access.roles", ["resource_access", "shop.web", "roles"]]
    required_claims = [
        "sub",
        ["resource_access", "shop.web"],
        { email_verified = [true, "true"], "realm_access.roles" = ["staff"] },
        { resource_access."shop.web".roles = "buyer" },
    ]
    """
    app = App()
    wrapped = wrap(app, written(folder, text), environ={}, clock=lambda: NOW, hooks=[])
    good = {
        "email_verified": True,
        "realm_access": {"roles": ["staff", "x admin"]},
        "resource_access": {"shop.web": {"roles": ["buyer"]}},
    }
    assert (await call(wrapped, http(token=make(key, good_claims(**good))))).status == 200
    assert app.scopes[0]["user"].scopes == ("read", "write", "staff", "buyer")
    for wrong in (
        {"email_verified": 1},
        {"realm_access": {"roles": ["x admin"]}},
        {"resource_access": {"shop": {"web": {"roles": ["buyer"]}}}},
    ):
        token = make(key, good_claims(**good | wrong))
        assert (await call(wrapped, http(token=token))).status == 401


def test_from_config_refuses_what_it_would_not_use(folder: Path) -> None:
    """`authenticate` without a store, and options for parts that are built already."""
    path = written(folder, OWN)
    with pytest.raises(ConfigurationError, match=r"needs \[store\]"):
        wrap(App(), path, environ={}, authenticate=lambda form: None)
    with pytest.raises(ConfigurationError, match=r"pass it to linqi\.config\.build"):
        wrap(App(), build(load(path, {})), hooks=[])


@pytest.mark.parametrize("kind", ["jwks", "jwk", "pem", "secret"])
def test_keys_come_from_a_variable_in_any_usual_form(folder: Path, kind: str) -> None:
    """A JWKS, a JWK, a PEM with its algorithm, or a secret."""
    key = Key.generate("ES256")
    text = {
        "jwks": json.dumps({"keys": [key.private_jwk()]}),
        "jwk": json.dumps(key.private_jwk()),
        "pem": pem_of(),
        "secret": "0123456789abcdefghijklmnopqrstuvwxyz",
    }[kind]
    more = 'algorithm = "ES256"\n' if kind == "pem" else ""
    config = load(written(folder, OWN.replace('file = "keys.json"', 'env = "MINE"') + more), {})
    components = build(config, environ={"MINE": text + "\n"})
    assert components.signer is not None
    alg = "HS256" if kind == "secret" else "ES256"
    assert components.signer.keys.signing_key().alg == alg


BEFORE = """# the shop's settings
[renewal]  # sliding
buffer_seconds = 200   # see the report of May
lifetime_seconds = 900

[cache]
max_entries = 10_000
"""


def test_an_update_keeps_comments_order_and_form(tmp_path: Path) -> None:
    """Only changed keys change; a new key is added at the end of its table."""
    path = written(tmp_path, BEFORE)
    config = update(path, {"renewal": {"buffer_seconds": 300, "policy": "jitter"}})
    assert config.renewal.buffer_seconds == 300
    assert path.read_text() == BEFORE.replace("= 200 ", "= 300 ").replace(
        "lifetime_seconds = 900\n", 'lifetime_seconds = 900\npolicy = "jitter"\n'
    )
    assert load(path, {}).renewal == config.renewal


@pytest.mark.parametrize(
    "text",
    [
        BEFORE,
        BEFORE.replace("\n", "\r\n"),
        "renewal = { buffer_seconds = 200 }\n",
        "renewal.buffer_seconds = 200\n",
        "[cache]\n[renewal]",
        "",
        "# nothing yet",
        '[[issuers]]\nissuer = "x"\n',
    ],
)
def test_an_update_works_on_every_way_to_write_a_table(tmp_path: Path, text: str) -> None:
    """Inline, dotted, Windows line ends, no table, an array of tables at the end."""
    path = written(tmp_path, text)
    renewal = {"buffer_seconds": 250, "policy": "plain"}
    update(path, {"renewal": renewal, "cache": {"max_bytes": 9999}})
    config = load(path, {})
    assert (config.renewal.buffer_seconds, config.renewal.policy) == (250, "plain")
    assert config.cache.max_bytes == 9999
    assert b"\r\n" not in path.read_bytes().replace(b"\r\n", b"") or "\r" in text
    update(path, {"renewal": {"policy": None}, "client": {"share": None}})
    assert load(path, {}).renewal.policy == "grid"
    assert "client" not in path.read_text()


def test_an_update_makes_the_file_where_there_is_none(tmp_path: Path) -> None:
    """The result can be read."""
    path = tmp_path / "linqi.toml"
    update(path, {"paths": {"public": ("/login",)}, "store": {"stale_after_seconds": math.inf}})
    config = load(path, {})
    assert config.paths.public == ("/login",)
    assert config.store.stale_after_seconds == math.inf


@pytest.mark.parametrize(
    "changes",
    [
        {"renewal": {"buffer_seconds": 450}},
        {"renewal": {"buffer": 300}},
        {"cache": {"max_entries": "many"}},
        {"cach": {"max_entries": 1}},
        {"issuers": {"issuer": "x"}},
    ],
)
def test_an_update_that_would_not_be_good_writes_nothing(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """The file stays as it is, and nothing is left beside it."""
    path = written(tmp_path, BEFORE)
    with pytest.raises(InvalidConfig):
        update(path, changes)
    assert path.read_text() == BEFORE
    assert os.listdir(tmp_path) == ["linqi.toml"]


def test_an_update_of_what_is_not_toml_is_refused(tmp_path: Path) -> None:
    """A broken file is not made worse."""
    path = written(tmp_path, "[cache\n")
    with pytest.raises(InvalidConfig, match="not TOML"):
        update(path, {"cache": {"max_entries": 5}})
    assert path.read_text() == "[cache\n"


def test_an_update_keeps_the_files_mode_and_link(tmp_path: Path) -> None:
    """A private file stays private; a symbolic link stays one."""
    path = written(tmp_path, BEFORE)
    path.chmod(0o600)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    update(link, {"cache": {"max_entries": 5}})
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path, {}).cache.max_entries == 5


def test_an_update_without_tomlkit_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading needs the standard library only; writing says what it needs."""
    path = written(tmp_path, BEFORE)
    monkeypatch.setitem(sys.modules, "tomlkit", None)
    assert load(path, {}).renewal.buffer_seconds == 200
    with pytest.raises(ConfigurationError, match=r"linqi\[tune\]"):
        update(path, {"cache": {"max_entries": 5}})


STORED = OWN + '[store]\nsecrets_file = "refresh.json"\n'
COUNTED = STORED + 'url = "memory:"\n[throttle]\n'
COOKIES = OWN + '[http]\naccept = ["cookie"]\n[cookies]\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (COOKIES + 'origins = ["https://\u00fc.example"]', "a list of origins"),
        (COOKIES + 'origins = ["https://a.example/path"]', "a list of origins"),
        (OWN + '[http]\nexpose_to = ["app.example"]', "a list of origins"),
        (OWN + '[cookies]\nrefresh_name = "__Host-a; Domain=b"', "begins with __Host-"),
        (OWN.replace("keys.json", "binary"), "nor a PEM; `linqi keygen`"),
        (OWN.replace("keys.json", "deep"), "nor a PEM; `linqi keygen`"),
        (OWN.replace("keys.json", "odd"), "key 0"),
        (OWN.replace('file = "keys.json"', 'env = "SURROGATES"'), "non-ASCII characters"),
        (OWN.replace('file = "keys.json"', 'env = "NO_SET"'), '"keys" array'),
        (STORED + 'url = "postgresql://u:hunter2@h:port/db"', "host or port"),
        (STORED + 'url = "postgresql://u:hunter2@[::1/db"', "host or port"),
        (STORED + 'url = "sqlite:"', "one of memory:"),
        (
            STORED + 'url = "memory:"\n[throttle]\nstorage = "async+redis://u:hunter2@h/0"',
            "one of memory:",
        ),
        (STORED + 'url = "memory:"\n[throttle]\nstorage = "no://u:hunter2@h"', "one of memory:"),
        (OUTSIDE + '[jwks]\nshare_folder = "keys.json"', "File exists"),
        ("[[issuers]]\n" * 101, "at most 100"),
    ],
)
def test_hostile_settings_are_faults_and_no_traceback(folder: Path, text: str, words: str) -> None:
    """A value that its class refuses is a fault, without any password."""
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    (folder / "deep").write_bytes(b'{"keys":' + b"[" * 100_000)
    (folder / "odd").write_text('{"keys": [1]}')
    environ = {"SURROGATES": "\udcff" * 40, "NO_SET": '{"keys": 5}'}
    with pytest.raises(InvalidConfig) as caught:
        wrap(App(), written(folder, text), environ=environ)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_a_sign_in_that_a_revocation_concerns_logs_no_fault(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`revoke_all` of a worker whose clock is ahead: the token is refused, and that is no error."""
    clock = FakeClock()
    components = build(load(written(folder, DUAL), {}), environ={}, clock=clock)
    assert components.sessions is not None
    await components.sessions.start()
    clock.move(120)
    await components.sessions.revoke_all("alice")
    clock.move(-120)
    pair = await components.sessions.sign_in("alice")
    with pytest.raises(TokenRevoked):
        components.verifier.verify(pair.access_token)
    assert "raised" not in caplog.text
    await components.sessions.close()


async def test_both_ways_to_stay_signed_in_work_together(folder: Path) -> None:
    """With ``sliding = true`` beside a store a session slides, until it is revoked."""
    text = DUAL + '[renewal]\nsliding = true\npolicy = "plain"\n'
    clock = FakeClock()
    components = build(load(written(folder, text), {}), environ={}, clock=clock)
    app = wrap(App(), components)
    assert components.sessions is not None
    await components.sessions.start()
    pair = await components.sessions.sign_in("alice")
    clock.move(700)
    successor = (await call(app, http(token=pair.access_token))).successor
    assert successor is not None
    assert (await call(app, http(token=successor))).status == 200
    await components.sessions.revoke(pair.session_id)
    assert (await call(app, http(token=successor))).status == 401
    await components.sessions.close()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "[renewal]\nbuffer_seconds = 300\n\n# What is kept.\n[cache]\n",
            '[renewal]\nbuffer_seconds = 300\npolicy = "plain"\n\n# What is kept.\n[cache]\n',
        ),
        (
            "[renewal]\nbuffer_seconds = 300\n# of the report\n\n[cache]\n",
            '[renewal]\nbuffer_seconds = 300\n# of the report\npolicy = "plain"\n\n[cache]\n',
        ),
        ("[renewal]\n\n# Next.\n[cache]\n", '[renewal]\npolicy = "plain"\n\n# Next.\n[cache]\n'),
    ],
)
def test_a_new_key_goes_above_the_comment_of_the_next_table(
    tmp_path: Path, before: str, after: str
) -> None:
    """Comments above the head of a table stay with that table."""
    path = written(tmp_path, before)
    update(path, {"renewal": {"policy": "plain"}})
    assert path.read_text() == after


def test_a_new_file_can_be_tuned(tmp_path: Path) -> None:
    """The template with a few keys changed differs in those lines only."""
    path = written(tmp_path, template())
    update(path, {"renewal": {"buffer_seconds": 200}, "budget": {"renewals_per_second": 40}})
    old, new = template().splitlines(), path.read_text().splitlines()
    assert [line for line in new if line not in old] == [
        "buffer_seconds = 200",
        "renewals_per_second = 40",
    ]
    assert len(new) == len(old) + 1


def test_an_update_of_a_link_in_a_circle_is_an_os_error(tmp_path: Path) -> None:
    """Not a RuntimeError, which no caller expects."""
    path = tmp_path / "linqi.toml"
    path.symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        update(path, {"cache": {"max_entries": 5}})


def test_cookie_names_cannot_smuggle_attributes() -> None:
    """A name that could end the cookie and begin an attribute is refused by the class as well."""
    with pytest.raises(ConfigurationError):
        SessionCookie("__Host-a; Domain=b", ())


@pytest.mark.parametrize("key", ["listen_url", "listen_url_env"])
def test_a_fault_of_listen_url_is_told_at_that_key(tmp_path: Path, key: str) -> None:
    """Not at url, which is right; without the password."""
    bad = "postgresql://app:S3cret@h:0/shop"
    (tmp_path / "linqi.toml").write_text(
        OWN
        + f"""[store]
url = "postgresql://app@h/shop"
{key} = "{"LISTEN" if key.endswith("env") else bad}"
secrets_file = "refresh.json"
"""
    )
    with pytest.raises(ConfigurationError) as caught:
        build(load(tmp_path / "linqi.toml"), environ={"LISTEN": bad})
    (fault,) = [one for one in caught.value.faults if "not readable" in one]
    assert f"[store] {key}" in fault
    assert "S3cret" not in str(caught.value)


def test_two_entries_of_one_issuer_are_built_from_the_file() -> None:
    """Supabase: the legacy secret in a variable beside the fetched keys (V3, V6)."""
    secret = "an old secret of at least 32 bytes, 0123456789"
    parts = build(read(tomllib.loads(SUPABASE)), environ={"SUPABASE_JWT_SECRET": secret})
    new, old = parts.verifier.issuers
    assert (new.issuer, old.issuer) == ("https://abc.supabase.co/auth/v1",) * 2
    assert isinstance(new.keys, RemoteKeys)
    assert isinstance(old.keys, KeySet)
    assert old.keys.keys[0].alg == "HS256"
    with pytest.raises(InvalidConfig, match="not set"):
        build(read(tomllib.loads(SUPABASE)), environ={})


def test_the_function_for_tenants_is_given_where_the_file_asks_it(tmp_path: Path) -> None:
    """Neither is silent about the other, and `linqi check` says what it cannot see."""
    config = read(tomllib.loads(MICROSOFT))
    assert build(config, tenants=lambda tenant: True).verifier.issuers[0].issuer.endswith("v2.0")
    with pytest.raises(InvalidConfig, match="pass tenants="):
        build(config)
    listed = MICROSOFT.replace("ask_tenants = true", 'tenants = ["a"]')
    with pytest.raises(InvalidConfig, match="so it is not asked"):
        build(read(tomllib.loads(listed)), tenants=lambda tenant: True)
    with pytest.raises(InvalidConfig, match="remove one of the two"):
        build(read(tomllib.loads(MICROSOFT + 'tenants = ["a"]\n')), tenants=lambda tenant: True)
    other = MICROSOFT.replace("microsoftonline.com/{tid}", "other.example/{org}")
    with pytest.raises(InvalidConfig, match="receives no issuer"):
        build(read(tomllib.loads(MICROSOFT + other)), tenants=lambda tenant: True)
    (tmp_path / "linqi.toml").write_text(MICROSOFT)
    found = check(tmp_path / "linqi.toml", {}).findings
    assert ("note", "tenants-asked") in [(f.severity, f.code) for f in found]
    assert "error" not in [f.severity for f in found]
