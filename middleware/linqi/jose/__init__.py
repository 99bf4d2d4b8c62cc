"""Tokens and keys: JSON Web Signature and JSON Web Token, read strictly (RFC 7515, RFC 7519)."""
