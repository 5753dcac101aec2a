"""Secrets as the dispatcher makes and keeps them: it hands them out once, and keeps their digests only.

All of them are random and long, so a plain digest can't be guessed back; and whoever looks one up looks up its digest,
so that how long the look takes tells nothing about the secret.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

OPERATOR, SUBMITTER, WORKER, INVITE = "rbo_", "rbs_", "rbw_", "rbi_"
"""How each kind of secret begins: people, and programs that search for leaked ones, know them by it."""


def digest(secret: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret(prefix: str) -> str:
    """256 bits that nobody can guess."""
    return prefix + secrets.token_hex(32)


def derived(prefix: str, secret: str, purpose: str) -> str:
    """A secret made from another one, the same again for the same purpose: an answer that got lost can be given again
    though nothing of it is kept."""
    return prefix + hmac.new(secret.encode(), purpose.encode(), "sha256").hexdigest()
