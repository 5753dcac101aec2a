"""Settings: options of the command first, then ``RENDERBROS_*`` in the environment or ``.env``, then these defaults."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ..worker.terms import parse_hours
from .errors import UsageError

PREFIX = "RENDERBROS_"

SHORTEST_OWNER, LONGEST_OWNER = 16, 128
"""Characters of an owner's secret; see ``Enrolment.owner``."""

_SECRETS = ("invite", "owner", "token")
# What they are is nobody's business, wrong or not: a terminal is seen by others, and logs are kept.

AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]


_WORDS = {"true": "auto", "1": "auto", "yes": "auto", "on": "auto", "false": "off", "0": "off", "no": "off"}

Sandboxing = Annotated[
    Literal["auto", "required", "off"], BeforeValidator(lambda given: _WORDS.get(str(given).lower(), given))
]


def _hours(given: str) -> str:
    parse_hours(given)
    return given


def _data(name: str) -> Path:
    """Where this platform keeps what must not be lost."""
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "renderbros" / name


class Settings(BaseSettings):
    """Every setting. A field is ``RENDERBROS_`` plus its name in capitals; its description stands in .env.example."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    # Everyone
    dispatcher: str = Field(
        default="http://127.0.0.1:8420", description="Where the dispatcher answers, for workers and submitters"
    )
    ca: Path | None = Field(
        default=None, description="Certificate authority (PEM) to trust, if the dispatcher's certificate needs it"
    )
    pin: str | None = Field(
        default=None, description="SHA-256 of the dispatcher's certificate, to trust that one and no other"
    )
    token: str | None = Field(
        default=None, repr=False, description="Token of a submitter or operator; what login keeps if unset"
    )
    token_file: Path | None = Field(default=None, description="File with that token")
    credentials: Path = Field(
        default_factory=lambda: _data("credentials.json"), description="File in which login keeps tokens"
    )
    blender: AbsolutePath | None = Field(
        default=None, description="A Blender binary to render with, instead of the bpy wheel of this Python"
    )
    log_json: bool = Field(default=False, description="Log JSON objects, one a line")
    verbose: bool = Field(default=False, description="Log more, and show tracebacks")

    # The dispatcher
    host: str = Field(default="127.0.0.1", description="Address the dispatcher listens on; others can reach 0.0.0.0")
    port: int = Field(default=8420, ge=0, le=65535, description="Port the dispatcher listens on; 0 for any free one")
    dispatcher_data: Path = Field(
        default_factory=lambda: _data("dispatcher"), description="Folder of the dispatcher's database and files"
    )
    database: str | None = Field(
        default=None, description="SQLAlchemy URL of the dispatcher's database; SQLite in its data folder if unset"
    )
    storage: str | None = Field(
        default=None, description="URL of the dispatcher's blob store; a folder in its data folder if unset"
    )
    tls_cert: Path | None = Field(default=None, description="The dispatcher's TLS certificate chain (PEM)")
    tls_key: Path | None = Field(default=None, description="The private key of that certificate (PEM)")
    insecure: bool = Field(
        default=False, description="Go without TLS beyond this machine: a dispatcher listens so, others send tokens so"
    )
    operator_token_file: Path | None = Field(
        default=None, description="File with the token of the dispatcher's operator; made at the first start if unset"
    )
    lease_seconds: float = Field(default=60.0, gt=0, description="How long a worker may be silent before its task goes")

    # A worker
    worker_name: str | None = Field(default=None, description="Name of this worker; the machine's name if unset")
    worker_data: Path = Field(
        default_factory=lambda: _data("worker"),
        description="Folder of the identities, scratch files and shaders of this machine's workers",
    )
    cache: Path | None = Field(
        default=None, description="Folder of the files workers have downloaded; in their data folder if unset"
    )
    cache_size: ByteSize = Field(default=ByteSize(20 * 2**30), description="How much of the disk that cache may take")
    invite: str | None = Field(default=None, description="Invite code that the dispatcher's operator gave out")
    owner: str | None = Field(
        default=None,
        min_length=SHORTEST_OWNER,
        max_length=LONGEST_OWNER,
        repr=False,
        description="A secret that all workers of one owner share, 16 characters or more: they never check each other",
    )
    max_memory: ByteSize | None = Field(
        default=None, description="What a renderer may use, such as 8GB; above it is replaced"
    )
    max_disk: ByteSize | None = Field(
        default=None, description="What a renderer may write for a task, such as 20GB; half of what is free if unset"
    )
    threads: int | None = Field(default=None, ge=1, le=1024, description="Threads a renderer uses; all cores if unset")
    device: Literal["CPU", "GPU"] | None = Field(
        default=None, description="The only kind of device this worker renders on; every kind it has if unset"
    )
    hours: Annotated[str, AfterValidator(_hours)] | None = Field(
        default=None, description="Local times at which this machine is lent, with commas between; always if unset"
    )
    only_when_idle: float | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="Lend this machine only after nobody used keyboard or mouse for so many minutes",
    )
    pause_on_battery: bool = Field(default=False, description="Do not render while a battery feeds this machine")
    task_timeout: float = Field(default=24 * 3600.0, gt=0, description="Seconds after which a task is given up")
    hang_timeout: float = Field(
        default=600.0, gt=0, description="Seconds without progress and without work after which a renderer is replaced"
    )

    sandbox: Sandboxing = Field(
        default="auto",
        description="auto puts renderers behind bubblewrap, Landlock and seccomp as far as they work here; required "
        "refuses to start where the system keeps neither files nor network from them; off does without",
    )

    # A farm on this machine
    workers: int = Field(default=2, ge=1, le=256, description="Workers that farm, render and demo start")
    farm_data: Path = Field(default_factory=lambda: _data("farm"), description="Folder of what the farm command keeps")


def load(**options: object) -> Settings:
    """The settings, with the ``options`` that are not None in front. UsageError names what has a wrong value."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except UnicodeDecodeError as error:
        raise UsageError(f"the file .env in {Path.cwd()} is not UTF-8 ({error.reason}): save it as such") from None
    except ValidationError as error:
        told = []
        for problem in error.errors():
            name = str(problem["loc"][0])
            where = f"--{name.replace('_', '-')}" if name in given else f"{PREFIX}{name.upper()}"
            seen = "" if name in _SECRETS else f", not {problem['input']!r}"
            told.append(f"{where}: {problem['msg'][:1].lower()}{problem['msg'][1:]}{seen}")
        raise UsageError("\n".join(told)) from None


_RENDERING = (
    "blender", "device", "hang_timeout", "log_json", "max_disk", "max_memory", "sandbox", "task_timeout",
    "threads", "verbose",
)  # fmt: skip
_OF_THE_BOOTSTRAP = ("RENDERBROS_HOME", "RENDERBROS_PACKAGES", "RENDERBROS_SELF")


def rendering_environment(chosen: Settings) -> dict[str, str]:
    """The environment for a farm of our own: what ``chosen`` says about rendering, and no other setting of ours."""
    env = {n: v for n, v in os.environ.items() if not n.upper().startswith(PREFIX) or n.upper() in _OF_THE_BOOTSTRAP}
    for name in _RENDERING:
        value = getattr(chosen, name)
        if value is not None:
            env[PREFIX + name.upper()] = str(int(value)) if isinstance(value, int) else str(value)
    return env
