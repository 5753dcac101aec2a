"""Databases to test on: a SQLite file, and a PostgreSQL cluster of the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from dispatcher.bench import Bench
from dispatcher.clock import Clock
from sqlalchemy import create_engine, text

from renderbros_addon.dispatcher.store import Store


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL server that lives as long as the tests, on a Unix socket in a folder of its own."""
    binaries = _binaries()
    if binaries is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed, and CI must test on it")
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    # Not below pytest's folder: a socket's path has at most some 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="rb-pg-"))
    # The server refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)

    def run(*command: str | Path) -> None:
        done = subprocess.run(
            [str(word) for word in command], user=user, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    data = folder / "data"
    try:
        run(binaries / "initdb", "-D", data, "-U", "renderbros", "-A", "trust", "-N", "-E", "UTF8")
        # Whatever a test server loses in a power cut nobody will miss.
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=200"
        run(binaries / "pg_ctl", "start", "-w", "-D", data, "-l", folder / "log", "-o", options)
        try:
            yield f"postgresql://renderbros@/postgres?host={folder}"
        finally:
            run(binaries / "pg_ctl", "stop", "-m", "immediate", "-D", data)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_database(postgresql: str) -> Iterator[str]:
    """URL of an empty database of its own."""
    name = f"test_{os.urandom(6).hex()}"
    engine = create_engine(postgresql.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(text(f"CREATE DATABASE {name}"))
    yield postgresql.replace("/postgres?", f"/{name}?")
    with engine.connect() as conn:
        conn.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{(tmp_path / 'test.sqlite3').as_posix()}"
    url: str = request.getfixturevalue("postgresql_database")
    return url


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    """A migrated database, its time in the test's hands."""
    store = Store(database_url, clock)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def bench(store: Store, clock: Clock) -> Bench:
    return Bench(store, clock)
