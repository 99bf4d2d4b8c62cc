"""The URL of a Valkey store: every topology, and no secret in what is shown."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi.errors import ConfigurationError
from linqi.stores._valkey_url import VALKEY_SCHEMES, Login, read_valkey_url
from linqi.stores.store_url import open_store

SECRET = "hunter2"


@pytest.mark.parametrize("engine", ["valkey", "redis"])
def test_one_server_has_a_host_a_port_and_a_database(engine: str) -> None:
    """Both spellings, with the usual port and database if none are given."""
    place = read_valkey_url(f"{engine}://db.internal")
    assert (place.topology, place.hosts, place.database) == (
        "single",
        (("db.internal", 6379),),
        0,
    )
    place = read_valkey_url(f"{engine}://[::1]:7000/3")
    assert (place.hosts, place.database, place.tls) == ((("::1", 7000),), 3, None)


def test_a_socket_is_named_by_its_path() -> None:
    """With the database as an option."""
    place = read_valkey_url("unix:///run/valkey.sock?db=2")
    assert (place.path, place.hosts, place.database) == ("/run/valkey.sock", (), 2)


@pytest.mark.parametrize("scheme", ["valkey+cluster", "redis+cluster"])
def test_a_cluster_is_named_by_some_of_its_nodes(scheme: str) -> None:
    """One would do; each of them may be down."""
    place = read_valkey_url(f"{scheme}://app:pw@a:1,b,[fd00::1]:3")
    assert place.topology == "cluster"
    assert place.hosts == (("a", 1), ("b", 6379), ("fd00::1", 3))
    assert place.login == Login("app", "pw")


def test_sentinels_have_a_login_of_their_own() -> None:
    """Before the @ is that of the servers; the options have that of the sentinels."""
    place = read_valkey_url(
        "valkey+sentinel://app:a%40b@s1:26379,s2/shop/4?sentinel_username=u&sentinel_password=p%2Fq"
    )
    assert place.topology == "sentinel"
    assert place.hosts == (("s1", 26379), ("s2", 26379))
    assert (place.master_name, place.database) == ("shop", 4)
    assert place.login == Login("app", "a@b")
    assert place.sentinel_login == Login("u", "p/q")


@pytest.mark.parametrize(
    "scheme", ["valkeys", "rediss", "valkeys+cluster", "rediss+cluster", "valkeys+sentinel"]
)
def test_tls_is_an_s_and_its_options(scheme: str) -> None:
    """The certificate is checked unless the URL says otherwise in so many words."""
    path = "/shop" if "sentinel" in scheme else ""
    assert read_valkey_url(f"{scheme}://h{path}").tls == {"ssl_check_hostname": True}
    files = dict.fromkeys(("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"), __file__)
    assert read_valkey_url(f"{scheme}://h{path}?{urlencode(files)}").tls == {
        **files,
        "ssl_check_hostname": True,
    }
    none = read_valkey_url(f"{scheme}://h{path}?ssl_cert_reqs=none").tls
    assert none == {"ssl_cert_reqs": "none", "ssl_check_hostname": False}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("valkey://", "invalid host or port"),
        ("valkey://h:0", "invalid host or port"),
        ("valkey://h:65536", "invalid host or port"),
        ("valkey://h:x", "invalid host or port"),
        ("valkey://h:٣", "invalid host or port"),
        ("valkeys://h?ssl_ca_certs=/none.pem", "ssl_ca_certs names no file that can be read"),
        ("valkey://h/one", "invalid database"),
        ("valkey://h/-1", "invalid database"),
        ("valkey://a:1,b:2", "valkey+cluster://HOST:PORT,HOST:PORT"),
        ("valkey+cluster://h/1", "database 0 only"),
        ("valkey+cluster://a:1,", "invalid host or port"),
        ("valkey+sentinel://h", "names no primary"),
        ("valkey+sentinel://h/", "names no primary"),
        ("valkey+sentinel://h/shop/x", "invalid database"),
        ("valkey://h?socket_timeout=3", "unknown option in the store's URL: socket_timeout"),
        ("valkey://h?ssl_ca_certs=x", "need valkeys://"),
        ("valkeys://h?ssl_cert_reqs=maybe", "ssl_cert_reqs: expected one of required"),
        ("valkeys://h?ssl_check_hostname=1", "ssl_check_hostname: expected true or false"),
        ("valkey://h?sentinel_password=x", "unknown option"),
        ("unix://h/x", "names no socket"),
        ("unix://", "names no socket"),
        ("valkey+ring://h", "cannot be read"),
        ("valkey://h#x", "cannot be read"),
    ],
)
def test_a_wrong_url_is_refused_with_what_is_expected(url: str, words: str) -> None:
    """When the store is made, not when the first request needs it."""
    with pytest.raises(ConfigurationError) as caught:
        read_valkey_url(url)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "valkey://app:{}@h:x",
        "valkey://app:{}@h/one",
        "valkey://app:/{}@h",
        "valkey://app:{}/x@h:6379/0",
        "valkey://app:{}?x@h:6379/0",
        "valkey://app:#{}@h:6379/0",
        "valkey://app:x?{}@h:6379/0",
        "valkey://app:x?{}=1@h:6379/0",
        "valkey+cluster://app:{}@h,/",
        "valkey+sentinel://app:{}@h",
        "valkey+sentinel://h?sentinel_password={}",
        "valkey+ring://:{}@h",
        "unix://:{}@h",
        "oracle://:{}@h",
    ],
)
def test_no_error_of_a_url_shows_a_password(url: str) -> None:
    """Whatever is wrong with it, and wherever a forgotten percent-encoding puts the password."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(url.format(SECRET))
    shown = str(caught.value) + repr(caught.value)
    assert SECRET not in shown


@given(
    scheme=st.sampled_from(VALKEY_SCHEMES),
    rest=st.text(alphabet="abc0189:@/?#&=%,.[]-_ é\n", max_size=40),
)
def test_any_text_is_a_place_or_a_configuration_error(scheme: str, rest: str) -> None:
    """A URL never causes another error, and what is shown of a place has no login."""
    try:
        place = read_valkey_url(f"{scheme}{rest}")
    except ConfigurationError:
        return
    assert "password" not in repr(place.login)
    assert all(0 < port < 65_536 for _, port in place.hosts)


def test_a_place_shows_no_login() -> None:
    """In a log or a traceback."""
    place = read_valkey_url(f"valkey+sentinel://u:{SECRET}@h/m?sentinel_password={SECRET}")
    assert SECRET not in repr(place)
    assert SECRET not in place.cluster_url


@pytest.mark.parametrize("url", ["sqlite:///x.db", "sqlite://x.db", "sqlite:////x.db"])
def test_a_sqlite_url_with_two_meanings_is_refused(url: str) -> None:
    """SQLAlchemy reads three slashes as a relative path, others as an absolute one."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    assert "sqlite:x.db for a file in the current folder" in str(caught.value)
    assert "sqlite:/x.db for an absolute path" in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite::memory:", "sqlite:file:x.db?mode=ro"])
def test_a_sqlite_url_names_a_file(url: str) -> None:
    """``:memory:`` would be another database for each connection."""
    with pytest.raises(ConfigurationError, match="names no file"):
        open_store(url)
