"""The shop's customers; in your shop this is a table that stays as it is."""

import hashlib
import hmac
from dataclasses import dataclass

DEMO_PASSWORD = "correct horse"  # of every demo customer; a real shop has a salt for each


def hash_of(password: str, salt: bytes) -> bytes:
    """Return the slow hash of a password."""
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


@dataclass
class Account:
    """A customer."""

    name: str
    role: str
    salt: bytes
    password_hash: bytes
    disabled: bool = False


_hash = hash_of(DEMO_PASSWORD, b"demo")
ACCOUNTS = {
    name: Account(name, "customer", b"demo", _hash)
    for name in ["alice", "bob", "eve", *(f"customer-{n}" for n in range(37))]
}


def sign_in(name: str, password: str) -> Account | None:
    """Return the account if the password is right and the account is open."""
    account = ACCOUNTS.get(name)
    salt = b"unknown" if account is None else account.salt
    given = hash_of(password, salt)  # also for unknown names, so that time tells nothing
    if account is None or not hmac.compare_digest(given, account.password_hash):
        return None
    return None if account.disabled else account
