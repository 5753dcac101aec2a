"""Options go before the environment, that before .env, that before the defaults; .env.example lists them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from renderbros_addon.cli import settings
from renderbros_addon.cli.errors import UsageError
from renderbros_addon.dispatcher.config import DEFAULT_PORT, DispatcherConfig
from renderbros_addon.worker.config import WorkerConfig

ROOT = Path(__file__).resolve().parents[2]
FIELDS = settings.Settings.model_fields


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without .env, and an environment without settings."""
    import os

    for name in list(os.environ):
        if name.startswith(settings.PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def example() -> dict[str, str]:
    """The assignments in .env.example, which are all commented out."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^#(RENDERBROS_[A-Z_]+)=(.*)$", text, re.MULTILINE))


def test_the_example_lists_every_setting_and_no_other() -> None:
    by_bootstrap = {"RENDERBROS_HOME"}
    assert set(example()) == {settings.PREFIX + name.upper() for name in FIELDS} | by_bootstrap


def test_the_example_describes_each_setting_in_its_own_words() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name, field in FIELDS.items():
        assert f"# {field.description}\n#RENDERBROS_{name.upper()}=" in text


def test_the_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a setting has a default that is the same everywhere, that is what the example shows."""
    plain = settings.load()
    for name in FIELDS:
        default = FIELDS[name].default
        if default is not None and not FIELDS[name].default_factory:
            with monkeypatch.context() as context:
                context.setenv(settings.PREFIX + name.upper(), example()[settings.PREFIX + name.upper()])
                assert getattr(settings.load(), name) == getattr(plain, name), name


def test_every_line_of_the_example_is_a_valid_value(elsewhere: Path) -> None:
    (elsewhere / ".env").write_text("\n".join(f"{name}={value}" for name, value in example().items()))
    chosen = settings.load()
    assert chosen.max_memory == 8_000_000_000
    assert chosen.device == "GPU"


def test_the_defaults_are_those_of_the_rooms() -> None:
    chosen = settings.load()
    worker = WorkerConfig(dispatcher="http://127.0.0.1", data=Path())
    dispatcher = DispatcherConfig(data=Path(), checker_command=())
    assert chosen.port == DEFAULT_PORT
    assert chosen.host == dispatcher.host
    assert chosen.lease_seconds == dispatcher.lease_seconds
    assert chosen.cache_size == worker.cache_bytes
    assert chosen.task_timeout == worker.task_timeout
    assert chosen.hang_timeout == worker.hang_timeout
    assert (chosen.sandbox != "off", chosen.sandbox == "required") == (worker.sandbox, worker.sandbox_required)


def test_option_then_environment_then_file_then_default(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.load().port == 8420
    (elsewhere / ".env").write_text("RENDERBROS_PORT=1\nSOMETHING_ELSE=x\n")
    assert settings.load().port == 1
    monkeypatch.setenv("RENDERBROS_PORT", "2")
    assert settings.load().port == 2
    assert settings.load(port=3).port == 3
    monkeypatch.setenv("RENDERBROS_PORT", "")
    assert settings.load().port == 1


def test_a_wrong_value_is_named_by_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDERBROS_LEASE_SECONDS", "-1")
    with pytest.raises(UsageError, match=r"RENDERBROS_LEASE_SECONDS: .*greater than 0, not '-1'"):
        settings.load()
    monkeypatch.delenv("RENDERBROS_LEASE_SECONDS")
    with pytest.raises(UsageError, match=r"--max-memory: .*not 'lots'"):
        settings.load(max_memory="lots")


def test_a_wrong_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDERBROS_OWNER", "hunter2")
    with pytest.raises(UsageError, match=r"^RENDERBROS_OWNER: .*at least 16 characters$"):
        settings.load()
    monkeypatch.setenv("RENDERBROS_OWNER", "correct horse battery staple")
    chosen = settings.load()
    assert chosen.owner == "correct horse battery staple"
    assert chosen.owner not in repr(chosen)


def test_a_farm_of_our_own_hears_how_to_render_and_nothing_of_other_dispatchers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RENDERBROS_DATABASE", "postgresql+psycopg://production/renderbros")
    monkeypatch.setenv("RENDERBROS_INVITE", "secret")
    monkeypatch.setenv("RENDERBROS_HOME", "/somewhere")
    monkeypatch.setenv("RENDERBROS_MAX_MEMORY", "8GB")
    monkeypatch.setenv("RENDERBROS_SANDBOX", "no")
    env = settings.rendering_environment(settings.load(blender=Path("bin/blender")))
    ours = {name: value for name, value in env.items() if name.startswith(settings.PREFIX)}
    assert "RENDERBROS_DATABASE" not in ours
    assert "RENDERBROS_INVITE" not in ours
    assert ours["RENDERBROS_HOME"] == "/somewhere"
    assert Path(ours["RENDERBROS_BLENDER"]).is_absolute()
    for name in list(env):
        if name.startswith(settings.PREFIX):
            monkeypatch.setenv(name, env[name])
    monkeypatch.delenv("RENDERBROS_DATABASE")
    again = settings.load()
    assert again.max_memory == 8_000_000_000
    assert again.sandbox == "off"
