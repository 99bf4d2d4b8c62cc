"""Key files: created by one process, and read only if no other user may write them."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from linqi import ConfigurationError, Key, KeyFile, KeySet
from linqi.cli import main
from linqi.config import build, load
from linqi.errors import InvalidKey
from linqi.events import Event, KeyFileNotRead, KeyFileRead

_MAKER = """
import sys
from linqi import KeySet
sys.stdin.readline()
print([key.thumbprint for key in KeySet.load_or_create(sys.argv[1], sys.argv[2]).keys])
"""
TOML = '[keys]\nfile = "keys.json"\n[verify]\nissuer = "https://a.example"\naudience = "a"\n'


@pytest.mark.parametrize("alg", ["ES256", "HS256"])
def test_processes_that_start_at_once_end_with_one_key(tmp_path: Path, alg: str) -> None:
    """Four of them, five starts: signing keys, and secrets of refresh tokens."""
    for start in range(5):
        path = tmp_path / f"{start}.json"
        makers = [
            subprocess.Popen(
                [sys.executable, "-c", _MAKER, str(path), alg],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        for maker in makers:  # all have started: now at once
            assert maker.stdin is not None
            maker.stdin.write("\n")
            maker.stdin.flush()
        found = {maker.communicate(timeout=120)[0] for maker in makers}
        assert [maker.returncode for maker in makers] == [0] * 4
        assert len(found) == 1
        assert found == {f"{[key.thumbprint for key in KeySet.load(path).keys]}\n"}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n}.json" for n in range(5)]


def test_a_file_that_is_there_is_never_made_anew(tmp_path: Path) -> None:
    """Not even for another algorithm, to which it may have been rotated."""
    path = tmp_path / "keys.json"
    first = KeySet.load_or_create(path, "ES256")
    assert KeySet.load_or_create(str(path), "RS256").keys[0].is_same(first.keys[0])
    path.write_text("{")
    with pytest.raises(InvalidKey, match="not JSON"):
        KeySet.load_or_create(path, "ES256")
    assert path.read_text() == "{"


def test_a_key_is_not_made_where_it_cannot_be_kept(tmp_path: Path) -> None:
    """No folder, or a link without a target: `OSError`, and no file is left."""
    with pytest.raises(FileNotFoundError):
        KeySet.load_or_create(tmp_path / "none" / "keys.json", "ES256")
    link = tmp_path / "keys.json"
    link.symlink_to(tmp_path / "nowhere.json")
    with pytest.raises(FileNotFoundError):
        KeySet.load_or_create(link, "ES256")
    assert [*tmp_path.iterdir()] == [link]


@pytest.mark.parametrize("mode", [0o660, 0o606, 0o620, 0o666, 0o777])
def test_a_key_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    """A user who can write it decides which tokens count; the error names file and remedy."""
    path = tmp_path / "keys.json"
    KeySet([Key.generate("ES256")]).save(path)
    path.chmod(mode)
    for read in (KeySet.load, KeyFile, lambda path: KeySet.load_or_create(path, "ES256")):
        with pytest.raises(ConfigurationError, match=f"mode {mode:04o}.*chmod go-w") as caught:
            read(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444, 0o600, 0o640, 0o644])
def test_a_key_file_that_others_can_only_read_is_taken(tmp_path: Path, mode: int) -> None:
    """A secret is mounted with mode 0440; `linqi check` reports who can read it."""
    path = tmp_path / "keys.json"
    KeySet([Key.generate("ES256")]).save(path)
    path.chmod(mode)
    assert KeySet.load(path).signing_key()


async def test_a_mounted_secret_is_judged_by_its_file_not_by_its_links(tmp_path: Path) -> None:
    """Kubernetes mounts ``keys.json -> ..data/keys.json`` and replaces the link ``..data``."""
    events = list[Event]()
    first, second = Key.generate("ES256"), Key.generate("ES256")
    for name, key in (("..2026_1", first), ("..2026_2", second)):
        (tmp_path / name).mkdir()
        KeySet([key]).save(tmp_path / name / "keys.json")
        (tmp_path / name / "keys.json").chmod(0o440)
    (tmp_path / "..data").symlink_to("..2026_1")
    path = tmp_path / "keys.json"
    path.symlink_to("..data/keys.json")
    assert stat.S_IMODE(path.lstat().st_mode) & 0o022, "links are writable by their nature"
    file = KeyFile(path, hooks=[events.append])
    assert file.keys.keys[0].is_same(first)
    (tmp_path / "..new").symlink_to("..2026_2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    await file.read()
    assert file.keys.keys[0].is_same(second)
    (tmp_path / "..2026_2" / "keys.json").chmod(0o460)
    await file.read()
    assert [type(event) for event in events] == [KeyFileRead, KeyFileNotRead]


async def test_a_key_file_that_others_may_write_later_is_not_taken_up(tmp_path: Path) -> None:
    """The current keys stay; one event is sent, and once repaired the file is read again."""
    path, events = tmp_path / "keys.json", list[Event]()
    KeySet([Key.generate("ES256", kid="a")]).save(path)
    file = KeyFile(path, hooks=[events.append])
    KeySet([Key.generate("ES256", kid="b")]).save(path)
    path.chmod(0o664)
    await file.read()
    await file.read()
    (event,) = events
    assert isinstance(event, KeyFileNotRead)
    assert "can be written by others (mode 0664)" in event.detail
    assert file.keys.keys[0].kid == "a"
    path.chmod(0o640)
    await file.read()
    assert file.keys.keys[0].kid == "b"


@pytest.mark.parametrize("content", ["jwks", "pem"])
def test_a_configured_key_file_that_others_may_write_does_not_start(
    tmp_path: Path, content: str
) -> None:
    """A JWKS and a PEM, as `linqi check` says: one finding, by the same name."""
    key = Key.generate("ES256")
    text = json.dumps({"keys": [key.private_jwk()]})
    toml = TOML
    if content == "pem":
        text = _pem()
        toml = TOML.replace('"keys.json"\n', '"keys.json"\nalgorithm = "ES256"\n')
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)
    (tmp_path / "linqi.toml").write_text(toml)
    build(load(tmp_path / "linqi.toml", {}), environ={})
    path.chmod(0o620)
    with pytest.raises(ConfigurationError, match="mode 0620"):
        build(load(tmp_path / "linqi.toml", {}), environ={})


def test_linqi_check_tells_it_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mode 0440 is accepted; a file that others may write is an error."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "keys.json")
    (tmp_path / "linqi.toml").write_text(TOML)
    found = {}
    for mode in (0o440, 0o620):
        (tmp_path / "keys.json").chmod(mode)
        main(["check", "--json", str(tmp_path / "linqi.toml")])
        findings = json.loads(capsys.readouterr().out)["findings"]
        found[mode] = [f["code"] for f in findings if f["table"] == "keys"]
    assert found[0o440] == []
    assert found[0o620] == ["file-writable"]


def test_windows_has_no_such_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file looks as if all could write it there."""
    path = tmp_path / "keys.json"
    KeySet([Key.generate("ES256")]).save(path)
    path.chmod(0o666)
    monkeypatch.setattr("linqi.jose._guarded_file._HAS_MODES", False)
    assert KeySet.load(path)


def _pem() -> str:
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )
