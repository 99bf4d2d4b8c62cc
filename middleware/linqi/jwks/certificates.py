"""A key set that is published as a map of key ids to certificates, as Firebase has it."""

from __future__ import annotations

from codecs import BOM_UTF8
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from linqi.errors import InvalidKey, MalformedToken
from linqi.jose._certificate import public_jwk_of
from linqi.jose._compact import parse_object

__all__ = ["UnusableCertificate", "read_certificates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableCertificate:
    """An entry of the map from which no key is read."""

    kid: str
    reason: Literal["broken", "expired", "private"]
    detail: str


def read_certificates(
    body: bytes, most_keys: int, now: float
) -> list[dict[str, Any] | UnusableCertificate]:
    """Return the JWKs of the keys in a JSON object of key ids and PEMs.

    Each PEM is one certificate (RFC 7468, section 5), or one public key (section 13) as in the map
    of Google's IAP. The certificate's chain and names are not checked: the server that publishes it
    vouches for the key, as for a JWK. Its end is, because the publisher itself says that the key
    no longer counts; its beginning is not, because a clock that is late would refuse the
    first tokens of a new key.

    Args:
        body: The JSON text.
        most_keys: The largest number of entries.
        now: Unix seconds.

    Raises:
        InvalidKey: The body is not a strict JSON object, is a JWKS, or has too many entries.

    """
    text = body.removeprefix(BOM_UTF8)
    try:
        entries = parse_object(text, "map of certificates", most_members=64 * most_keys)
    except MalformedToken as error:
        raise InvalidKey(str(error)) from None
    if isinstance(entries.get("keys"), list):
        raise InvalidKey('the document is a JWKS ("keys"), and not a map of certificates')
    if len(entries) > most_keys:
        raise InvalidKey(
            f"the document has {len(entries)} certificates, at most {most_keys} are read"
        )
    return [_read(kid, pem, now) for kid, pem in entries.items()]


def _read(kid: str, pem: object, now: float) -> dict[str, Any] | UnusableCertificate:
    if not isinstance(pem, str):
        return UnusableCertificate(kid=kid, reason="broken", detail="the entry is no text")
    if "PRIVATE KEY-----" in pem:
        detail = "the private key is published: anyone can sign with it"
        return UnusableCertificate(kid=kid, reason="private", detail=detail)
    try:
        jwk, ends_at = public_jwk_of(pem.encode())
    except (InvalidKey, UnicodeError) as error:
        return UnusableCertificate(kid=kid, reason="broken", detail=str(error))
    if now >= ends_at:
        when = datetime.fromtimestamp(ends_at, UTC).isoformat()
        detail = f"the certificate ended at {when}"
        return UnusableCertificate(kid=kid, reason="expired", detail=detail)
    return {"kid": kid, **jwk}
