"""TLS for real: whose certificate is trusted, by requests and by WebSockets alike, and where no token goes."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from dispatcher.running import OPERATOR, running, until

from renderbros_addon.client.errors import DispatcherUnreachable, Untrusted
from renderbros_addon.client.events import EventStream
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.protocol.access import Role

CA = """[ca]
default_ca = d
[d]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = p
x509_extensions = e
[p]
commonName = supplied
[e]
subjectAltName = IP:127.0.0.1
basicConstraints = critical, CA:TRUE
"""


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def made(folder: Path, *, until_year: int = 2090) -> tuple[Path, Path]:
    """A certificate that signs itself, valid until the end of January of that year, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    folder.mkdir()
    (folder / "ca.cnf").write_text(CA)
    (folder / "index").touch()
    (folder / "serial").write_text("01")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem")
    _openssl(folder, "req", "-new", *new_key, "-subj", "/CN=farm", "-out", "csr.pem")
    times = ("-startdate", "20200101000000Z", "-enddate", f"{until_year}0131000000Z")
    signing = ("-selfsign", "-batch", "-notext", "-in", "csr.pem", "-keyfile", "key.pem", "-out", "cert.pem")
    _openssl(folder, "ca", "-config", "ca.cnf", *times, *signing)
    return folder / "cert.pem", folder / "key.pem"


def pin_of(cert: Path) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(cert.read_text())).hexdigest()


def test_the_right_certificate_and_no_other(tmp_path: Path) -> None:
    cert, key = made(tmp_path / "farm")
    other, _ = made(tmp_path / "other")
    pin = pin_of(cert)
    with running(tmp_path / "data", tls_cert=cert, tls_key=key) as url:

        def jobs(**trusted: object) -> object:
            with DispatcherClient(url, OPERATOR, retry_for=None, **trusted) as client:  # type: ignore[arg-type]
                return client.jobs()

        in_pairs = ":".join(pin[i : i + 2].upper() for i in range(0, 64, 2))
        for right in ({"ca": cert}, {"pin": pin}, {"pin": f"SHA256:{in_pairs}"}, {"ca": cert, "pin": pin}):
            assert jobs(**right) == ()
        for wrong, why in (
            ({}, "not trusted"),
            ({"ca": other}, "not trusted"),
            ({"pin": pin_of(other)}, "pinned"),
            ({"ca": cert, "pin": pin_of(other)}, "pinned"),
            ({"ca": other, "pin": pin}, "not trusted"),
        ):
            with pytest.raises(Untrusted, match=why):
                jobs(**wrong)
        with pytest.raises(ValueError, match="64 hexadecimal"):
            jobs(pin="abc")
        with pytest.raises(DispatcherUnreachable, match="https://"):
            DispatcherClient(url.replace("https:", "http:"), OPERATOR, retry_for=0.0).jobs()

        stop = threading.Event()
        heard: list[object] = []
        streams = {
            name: EventStream(url, OPERATOR, heard.append, stop, **trusted)  # type: ignore[arg-type]
            for name, trusted in {
                "ca": {"ca": cert},
                "pin": {"pin": pin},
                "wrong ca": {"ca": other},
                "wrong pin": {"pin": pin_of(other)},
                "both": {"ca": cert, "pin": pin},
            }.items()
        }
        for stream in streams.values():
            stream.start()
        until("connected", lambda: all(streams[name].connected for name in ("ca", "pin", "both")), 10)
        with DispatcherClient(url, OPERATOR, ca=cert) as client:
            client.invite(Role.SUBMITTER)
        until("heard by those who trust it", lambda: len(heard) >= 3, 10)
        assert not streams["wrong ca"].connected
        assert not streams["wrong pin"].connected
        stop.set()
        for stream in streams.values():
            stream.join(5)


def test_a_certificate_that_has_expired_says_so(tmp_path: Path) -> None:
    cert, key = made(tmp_path / "old", until_year=2021)
    with (
        running(tmp_path / "data", tls_cert=cert, tls_key=key) as url,
        pytest.raises(Untrusted, match=r"not valid now.*expired"),
    ):
        DispatcherClient(url, OPERATOR, ca=cert, retry_for=None).jobs()


def test_tls_is_not_spoken_where_there_is_none(tmp_path: Path) -> None:
    with running(tmp_path / "data") as url, pytest.raises(Untrusted, match="http://"):
        DispatcherClient(url.replace("http:", "https:"), OPERATOR, retry_for=None).jobs()


def test_no_token_goes_where_it_can_be_read() -> None:
    with pytest.raises(ValueError, match="--insecure"):
        DispatcherClient("http://farm.example:8420", OPERATOR)
    with pytest.raises(ValueError, match="--insecure"):
        DispatcherClient("http://farm.example:8420").redeem("rbi_code")
    with pytest.raises(ValueError, match="TLS"):
        EventStream("http://farm.example:8420", OPERATOR, print, threading.Event())
    DispatcherClient("http://farm.example:8420", OPERATOR, insecure=True)
    DispatcherClient("https://farm.example:8420", OPERATOR)
