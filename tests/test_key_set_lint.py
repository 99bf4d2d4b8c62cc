"""`linqi jwks`: what verifiers see in a key set, and what its publisher should fix."""

import json
from pathlib import Path
from typing import Any

import pytest

from linqi import Key
from linqi.cli import main
from linqi.jwks.lint import LintedKeySet, lint

KEY = Key.generate("ES256", kid="a")
RSA = Key.generate("RS256", kid="r")
GOOD = {"content-type": "application/jwk-set+json", "cache-control": "max-age=300"}


def linted(*entries: object, headers: dict[str, str] | None = None, **options: Any) -> LintedKeySet:
    """Lint a set of `entries`."""
    return lint(json.dumps({"keys": entries}).encode(), headers or GOOD, **options)


def without(jwk: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return `jwk` without some members."""
    return {name: value for name, value in jwk.items() if name not in names}


def test_a_good_set_has_no_findings() -> None:
    """Each key is listed with its members."""
    found = linted(KEY.public_jwk(), RSA.public_jwk())
    assert found.findings == ()
    assert [(k.kid, k.kty, k.size, k.verdict) for k in found.keys] == [
        ("a", "EC", "P-256", "used"),
        ("r", "RSA", "2048 bit", "used"),
    ]


def test_an_rsa_key_without_alg_is_usable_as_entra_publishes_it() -> None:
    """The missing alg is a note; the given algorithms decide."""
    bare = without(RSA.public_jwk(), "alg")
    assert [key.verdict for key in linted(bare).keys] == ["used"]
    assert not linted(bare).has_faults
    assert [key.verdict for key in linted(bare, algorithms=["PS256"]).keys] == ["used"]
    assert [key.verdict for key in linted(bare, algorithms=["RS256", "PS256"]).keys] == [
        "other_algorithm"
    ]


@pytest.mark.parametrize(
    ("entry", "verdict", "text"),
    [
        ({"kty": "oct", "k": "AAAA", "kid": "s"}, "secret", "anyone can sign"),
        (KEY.private_jwk() | {"kid": "p"}, "private", "private key is published"),
        (KEY.public_jwk(), "duplicate", "same kid and alg"),
        (KEY.public_jwk() | {"kid": "b", "x": "AA"}, "broken", "not a key for ES256"),
        (7, "broken", "not a JSON object"),
    ],
)
def test_faults_of_single_keys_are_named(entry: object, verdict: str, text: str) -> None:
    """J3: the key is named by position, the others stay usable."""
    found = linted(KEY.public_jwk(), entry)
    assert [key.verdict for key in found.keys] == ["used", verdict]
    assert found.has_faults
    assert any(text in f.text and f.text.startswith("key 1") for f in found.findings)


def test_keys_for_other_things_are_only_noted() -> None:
    """Encryption keys in a set are normal."""
    found = linted(KEY.public_jwk(), RSA.public_jwk() | {"use": "enc"})
    assert [key.verdict for key in found.keys] == ["used", "not_for_signatures"]
    assert not found.has_faults


def test_keys_without_names_are_found_out() -> None:
    """A single key may have no kid; of two keys each needs one."""
    assert not linted(without(KEY.public_jwk(), "kid")).has_faults
    assert linted(without(KEY.public_jwk(), "kid"), RSA.public_jwk()).has_faults


def test_headers_that_make_verifiers_guess_are_noted() -> None:
    """A missing Cache-Control, a wrong content type."""
    found = linted(KEY.public_jwk(), headers={"content-type": "text/\x1b[31mhtml"})
    texts = [finding.text for finding in found.findings]
    assert any("Cache-Control" in text for text in texts)
    assert any("\\x1b" in text for text in texts)
    assert not any("\x1b" in text for text in texts)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [', b'{"keys":[],"keys":[]}', b"\xff"],
)
def test_what_is_no_key_set_is_one_fault(body: bytes) -> None:
    """No key is listed, and nothing is raised."""
    found = lint(body, None)
    assert found.has_faults
    assert found.keys == ()


def test_a_set_of_no_or_too_many_keys_is_a_fault() -> None:
    """No usable key, or more keys than a verifier reads."""
    assert linted().has_faults
    assert linted(*[KEY.public_jwk() | {"kid": str(n)} for n in range(65)]).has_faults
    many = linted(*[KEY.public_jwk() | {"kid": str(n)} for n in range(17)])
    assert [finding.level for finding in many.findings] == ["note"]


def test_the_command_shows_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 for a good set, 1 for a set with faults, 2 for no set."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [KEY.public_jwk()]}))
    assert main(["jwks", str(path)]) == 0
    assert "no faults; usable keys: 1" in capsys.readouterr().out
    path.write_text(json.dumps({"keys": [KEY.private_jwk() | {"kid": "\x1b[2J"}]}))
    assert main(["jwks", str(path), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["keys"][0]["verdict"] == "private"
    assert KEY.private_jwk()["d"] not in json.dumps(said)
    assert main(["jwks", str(path)]) == 1
    assert "\x1b" not in capsys.readouterr().out
    assert main(["jwks", str(tmp_path / "none")]) == 2
    assert main(["jwks", "http://issuer.example/jwks"]) == 2
