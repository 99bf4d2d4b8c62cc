"""Supabase: tokens by the signing key, and by the shared secret."""

import os

from linqi import Key, KeySet, RemoteKeys, TrustedIssuer

PROJECT = "https://PROJECT.supabase.co/auth/v1"
USERS = {"role": "authenticated", "is_anonymous": False}

keys = RemoteKeys(PROJECT, ["ES256"])
issuers = [
    keys.trust("authenticated", required_claims=USERS),
    TrustedIssuer(  # the shared secret, until the last token that it signed is expired
        issuer=PROJECT,
        audience="authenticated",
        keys=KeySet([Key.from_secret(os.environ["SUPABASE_JWT_SECRET"])]),
        algorithms=["HS256"],
        required_claims=USERS,
    ),
]
