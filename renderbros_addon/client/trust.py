"""Which certificates are trusted: the system's authorities, one of the user's own, or one certificate alone."""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from pathlib import Path
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter


def checked_pin(pin: str) -> str:
    """A certificate's SHA-256 in lower-case hexadecimal, whatever it is written in; ValueError if it is none."""
    plain = re.sub(r"[\s:]", "", pin.strip().lower().removeprefix("sha256:").removeprefix("sha256"))
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise ValueError(
            "a pin is the SHA-256 of the dispatcher's certificate, 64 hexadecimal digits, as "
            "openssl x509 -noout -fingerprint -sha256 -in FILE prints them"
        )
    return plain


def check_applies(url: str, ca: Path | None, pin: str | None) -> None:
    """ValueError if a certificate is asked for where none is shown: it would protect nothing, and nobody would know."""
    if url.startswith("http:") and (ca is not None or pin is not None):
        raise ValueError(
            f"{url} has no TLS, so that {'--pin' if pin is not None else '--ca'} (or the setting "
            f"{'RENDERBROS_PIN' if pin is not None else 'RENDERBROS_CA'}) could not be kept: use an https:// address, "
            "or leave it out"
        )


class PinnedAdapter(HTTPAdapter):
    """Requests to servers that have the certificate with the SHA-256 ``pin``, and to no others."""

    def __init__(self, pin: str) -> None:
        self._pin = pin
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named, assert_fingerprint=self._pin)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        return super().proxy_manager_for(proxy, **named, assert_fingerprint=self._pin)


class _Pinned(ssl.SSLContext):
    """Looks at the certificate before anything is sent."""

    pin = ""

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        wrapped = super().wrap_socket(*arguments, **named)
        found = hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").hexdigest()
        if not hmac.compare_digest(found, self.pin):
            wrapped.close()
            raise WrongPin(f"its certificate has the SHA-256 {found}")
        return wrapped


class WrongPin(ssl.SSLError):
    """The server has another certificate than the pinned one."""


def context(ca: Path | None, pin: str | None) -> ssl.SSLContext:
    """What to connect with, trusting the authority ``ca`` (None: the system's) and, if given, only ``pin``."""
    if pin is None:
        return ssl.create_default_context(cafile=str(ca) if ca else None)
    made = _Pinned(ssl.PROTOCOL_TLS_CLIENT)
    made.pin = pin
    if ca is None:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE  # The certificate itself is known: nobody needs to vouch for it.
    else:
        made.load_verify_locations(cafile=str(ca))
    return made


def why_untrusted(url: str, cause: BaseException) -> str | None:
    """In words, if ``cause`` says that the server is not the one it should be; None if it says something else."""
    if isinstance(cause, WrongPin) or (isinstance(cause, urllib3.exceptions.SSLError) and "ingerprint" in str(cause)):
        return (
            f"the certificate of {url} is not the one that is pinned: somebody may be in between; if the dispatcher "
            f"has a new certificate, give its SHA-256 with --pin ({cause})"
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        told = cause.verify_message
        if "expired" in told or "not yet valid" in told:
            return f"the certificate of {url} is not valid now ({told}): it needs a new one, or a clock is wrong"
        if "mismatch" in told or "not valid for" in told:
            return f"the certificate of {url} is for another name ({told}): use the address that it was made for"
        return (
            f"the certificate of {url} is not trusted ({told}): give the file of the authority that signed it with "
            "--ca, or the certificate's SHA-256 with --pin"
        )
    if isinstance(cause, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(cause):
        return f"{url} does not speak TLS: its address begins with http://"
    return None
