"""PEM text from files and variables: the one key or certificate in it, or what is wrong with it."""

from __future__ import annotations

import re
from typing import Final

from linqi.errors import InvalidKey

__all__ = ["holds_pem", "key_block"]

_BEGIN: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_ENCODED_BEGIN: Final = "LS0tLS1CRUdJTi"
"""``-----BEGIN`` in base64: a whole PEM that was encoded once more."""
_BREAK: Final = re.compile(r"\\+r\\+n|\\+n|\\+r")
_NO_BASE64: Final = re.compile(r"[^A-Za-z0-9+/=]")
_SPACE: Final = re.compile(r"[\s\"']+")
_LINE: Final = 64
_PRIVATE: Final = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
_PUBLIC: Final = ("PUBLIC KEY", "RSA PUBLIC KEY")
_INSTEAD: Final = {
    "OPENSSH PRIVATE KEY": "convert a copy: ssh-keygen -p -m PKCS8 -f FILE",
    "CERTIFICATE REQUEST": "give its key: openssl req -in FILE -pubkey -noout",
}


def holds_pem(text: str | bytes) -> bool:
    """Return whether `text` contains a PEM, plain or in base64: such a text is no HMAC secret."""
    data = text.encode() if isinstance(text, str) else text
    data = data.replace(b"\0", b"")  # as UTF-16, which some shells write
    return b"-----BEGIN" in data or data.lstrip(b"\"' \n").startswith(_ENCODED_BEGIN.encode())


def key_block(pem: bytes) -> bytes:
    r"""Return the one key of a PEM with its line breaks restored (RFC 7468, section 2).

    Text around the key, quotes, and literal ``\n`` or spaces for line breaks are accepted, as
    environment variables often have them. Without a key it is the first certificate: of a chain
    that of the signer, which its issuers follow (RFC 8446, section 4.4.2).

    Raises:
        InvalidKey: There is no usable key, or more than one. The message shows nothing of a key.

    """
    text = _BREAK.sub("\n", _text(pem))
    blocks = _blocks(text)
    for labels in (_PRIVATE, _PUBLIC):
        found = [(label, body) for label, body in blocks if label in labels]
        if len(found) > 1:
            raise InvalidKey(f"the PEM holds {len(found)} keys ({found[0][0]}); give one of them")
        if found:
            return _written(*found[0])
    # A private key of a kind that is not read must not be passed over for what is public.
    strange = next((label for label, _ in blocks if "PRIVATE" in label), None)
    certificate = next((block for block in blocks if block[0] == "CERTIFICATE"), None)
    if certificate is not None and strange is None:
        return _written(*certificate)
    label = strange or blocks[0][0]
    instead = _INSTEAD.get(
        label, f"expected one of {', '.join((*_PRIVATE, *_PUBLIC, 'CERTIFICATE'))}"
    )
    raise InvalidKey(f"the PEM holds a {label} and no key of its own; {instead}")


def _written(label: str, body: str) -> bytes:
    lines = (f"-----BEGIN {label}-----", _lines(label, body), f"-----END {label}-----\n")
    return "\n".join(lines).encode()


def _text(pem: bytes) -> str:
    try:
        return pem.decode("utf-8-sig")
    except UnicodeDecodeError:
        what = "UTF-16" if pem[:2] in (b"\xff\xfe", b"\xfe\xff") else "binary (DER perhaps)"
        raise InvalidKey(f"the PEM is {what}, not text in ASCII or UTF-8") from None


def _blocks(text: str) -> list[tuple[str, str]]:
    """Return the label and the body of each block; `InvalidKey` if none is complete."""
    found, at = [], 0
    while (begin := _BEGIN.search(text, at)) is not None:
        label, end = begin[1], f"-----END {begin[1]}-----"
        at = text.find(end, begin.end())
        if at < 0:
            raise InvalidKey(
                f"the PEM has '{begin[0]}' without '{end}': it was cut off, as where a variable"
                " keeps one line only"
            )
        found.append((label, text[begin.end() : at]))
    if found:
        return found
    if text.lstrip("\"' \n").startswith(_ENCODED_BEGIN):
        raise InvalidKey("the PEM was encoded in base64 as a whole; decode it first")
    raise InvalidKey("the PEM has no line '-----BEGIN ... KEY-----'")


def _lines(label: str, body: str) -> str:
    """Return the base64 of a block in lines; a block with header fields (encrypted) unchanged."""
    if "DEK-Info:" in body:
        return body.strip()
    data = _SPACE.sub("", body)
    strange = _NO_BASE64.search(data)
    if not data:
        raise InvalidKey(f"the PEM has nothing between BEGIN and END of its {label}")
    if strange is not None:
        raise InvalidKey(
            f"the PEM has {strange[0]!r} in its {label}, character {strange.start() + 1}, which is"
            " no base64"
        )
    if len(data) % 4:
        raise InvalidKey(
            f"the PEM has {len(data)} characters of base64 in its {label}, no multiple of 4: some"
            " are missing"
        )
    return "\n".join(data[at : at + _LINE] for at in range(0, len(data), _LINE))
