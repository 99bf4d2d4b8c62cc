"""Opaque tokens: their issuer is asked about them (RFC 7662)."""
