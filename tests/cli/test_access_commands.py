"""Coming in and going: invite, login, tokens, logout, as a person types them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from dispatcher.running import OPERATOR, Worker, running
from farm_processes import run, run_json

from renderbros_addon.client.credentials import Credentials, Kept
from renderbros_addon.client.errors import Refused


def test_an_invited_submitter_comes_and_goes(tmp_path: Path) -> None:
    key = tmp_path / "operator.token"
    key.write_text(OPERATOR + "\n")
    login = {name: value for name, value in os.environ.items() if not name.startswith("RENDERBROS_TOKEN")}
    login["RENDERBROS_CREDENTIALS"] = str(tmp_path / "kept.json")
    with running(tmp_path / "data") as url:
        at = ("--dispatcher", url)
        as_operator = (*at, "--token-file", key)
        made = run_json("invite", "--role", "submitter", "--expires", "2h", "--label", "Ada", *as_operator)
        assert made["role"] == "submitter"
        refused = run("jobs", *at, "--json", check=False, env=login)
        assert refused.returncode == 1
        assert "renderbros login" in json.loads(refused.stdout)["error"]

        assert run_json("login", "--invite", made["code"], *at, env=login)["role"] == "submitter"
        kept = tmp_path / "kept.json"
        if os.name == "posix":
            assert kept.stat().st_mode & 0o777 == 0o600
        assert run_json("jobs", *at, env=login) == {"status": "ok", "jobs": []}
        assert run("workers", *at, check=False, env=login).returncode == 1
        before = kept.read_text()
        assert "token" not in run_json("tokens", "rotate", *at, env=login), "it is kept, so it is not shown"
        assert kept.read_text() != before
        assert len(run_json("tokens", *at, env=login)["tokens"]) == 1
        assert len(run_json("tokens", *as_operator)["tokens"]) == 2

        assert run_json("logout", *at, env=login)["revoked"] is True
        assert run("jobs", *at, check=False, env=login).returncode == 1
    sent = run("jobs", "--dispatcher", "http://farm.example:1", "--token-file", key, "--json", check=False)
    assert sent.returncode == 2
    assert "--insecure" in json.loads(sent.stdout)["error"]


def test_an_operator_makes_a_workers_token_void(tmp_path: Path) -> None:
    key = tmp_path / "operator.token"
    key.write_text(OPERATOR + "\n")
    with running(tmp_path / "data") as url:
        at = ("--dispatcher", url, "--token-file", key)
        leaky, other = (Worker(url, tmp_path, name, retry_for=0.5) for name in ("leaky", "other"))
        told = run_json("tokens", "void", "leaky", *at)
        assert (told["status"], told["worker"]["id"]) == ("void", leaky.enrolled.id)
        with pytest.raises(Refused):
            leaky.lease()
        assert other.lease() == ()
        again = Worker(url, tmp_path, "leaky")
        assert again.enrolled.id == leaky.enrolled.id
        assert again.enrolled.token != leaky.enrolled.token
        assert again.lease() == (), "the worker itself goes on, by its secret"
        for words, code in ((("void", "nobody"), 1), (("void",), 2), (("list", "leaky"), 2)):
            refused = run("tokens", *words, *at, "--json", check=False)
            assert refused.returncode == code
            assert json.loads(refused.stdout)["error"]


def test_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Credentials(tmp_path / "deep" / "kept.json")
    assert kept.find("http://localhost:8420") is None
    kept.keep("http://localhost:8420/", Kept("rbo_one", "operator", data="/farm"))
    found = kept.find("http://127.0.0.1:8420")
    assert found is not None
    assert (found.token, found.role) == ("rbo_one", "operator")
    assert "rbo_one" not in repr(found)
    kept.moved("/farm", "http://127.0.0.1:9999")
    assert kept.find("http://127.0.0.1:8420") is None
    assert kept.find("http://127.0.0.1:9999") == found
    assert kept.drop("http://127.0.0.1:9999")
    assert not kept.drop("http://127.0.0.1:9999")
    (tmp_path / "deep" / "kept.json").write_text("broken")
    assert kept.find("http://127.0.0.1:9999") is None
