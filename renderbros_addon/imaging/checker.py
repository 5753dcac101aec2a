"""A child process that decodes images nobody trusts, so that a decoder's crash or greed stays there.

Parent and child (:mod:`.check_child`) speak JSON lines: ``{"id", "op", ...}`` down, ``{"id", "output"}`` or
``{"id", "error"}`` up. The parent loads no image library.
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import queue
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import psutil
from pydantic import TypeAdapter, ValidationError

from ..protocol.regions import Region
from ..protocol.results import Output
from ..protocol.verdicts import Comparison, Tolerance
from .attention import Weights
from .confining import child_environment, confined
from .errors import CheckerFailed, ImageError

_log = logging.getLogger("renderbros.imaging")

DEFAULT_MEMORY = 4 << 30
"""Bytes the child may take beyond what it has at its start."""
REPLY_MARK = "@image "
_WATCH_SECONDS = 0.05
_LONGEST_REPLY = 16 << 20
"""Characters: a comparison of 4096 channels has some megabytes."""
_LONGEST_LINE = 1 << 16
_LONGEST_ERROR = 2000
_MOST_UNHEARD = 100
"""Replies: there is one to each request."""
_weights: TypeAdapter[Weights] = TypeAdapter(Weights)
_output: TypeAdapter[Output] = TypeAdapter(Output)
_outputs: TypeAdapter[list[Output | str]] = TypeAdapter(list[Output | str])
_comparison: TypeAdapter[Comparison] = TypeAdapter(Comparison)
T = TypeVar("T")
_SLOWEST = 5e6
"""Bytes of source a second that even a busy machine decodes, copies and reads back."""


def run_checker() -> int:
    """Serve requests from standard input until it ends; what the ``check-images`` command runs."""
    from .check_child import serve

    return serve(REPLY_MARK)


class _Lost(Exception):
    """The child died."""


@dataclass(frozen=True)
class Inspection:
    """An image to be inspected, and the limits for it, as for :meth:`ImageChecker.inspect`."""

    path: Path
    max_pixels: int | None = None
    max_channels: int | None = None
    finite: bool = True

    @property
    def request(self) -> dict[str, Any]:
        told = {
            "max_pixels": self.max_pixels,
            "max_channels": self.max_channels,
            "finite": None if self.finite else False,
        }
        limits = {name: value for name, value in told.items() if value is not None}
        return {"path": str(self.path.resolve()), "limits": limits}


class ImageChecker:
    """Inspects, assembles and compares images in a child process, one request at a time, from any thread.

    The child starts with the first request, and again after it died, took too long or too much memory. CheckerFailed if
    it does not start.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout: float = 120.0,
        max_memory: int = DEFAULT_MEMORY,
        writable: Sequence[Path] = (),
    ) -> None:
        """``command`` starts a process that calls :func:`run_checker`; ``timeout`` is in seconds for each request,
        and large files get more; ``max_memory`` in bytes, beyond what the child has at its start. ``writable`` are the
        folders that assembled frames and heatmaps go to: where there is ``bwrap``, it can write nowhere else."""
        self._command = list(command)
        self._writable = tuple(writable)
        self._timeout = timeout
        self._max_memory = max_memory
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def inspect(
        self, path: Path, *, max_pixels: int | None = None, max_channels: int | None = None, finite: bool = True
    ) -> Output:
        """:func:`~.fingerprint.inspect_image` in the child; ImageError also if the child was lost over it.

        Who knows how large the image should be says so: a small file can unpack to minutes of work, and is refused by
        its header instead.
        """
        request = Inspection(path, max_pixels, max_channels, finite).request
        return self._told(_output, {"op": "inspect", **request}, path.name, [path])

    def inspect_all(self, images: Sequence[Inspection]) -> list[Output | ImageError]:
        """:meth:`inspect` for several images, in one request to the child: for small ones, of which each would take
        less than its request. One after the other if the child is lost over them."""
        if len(images) > 1:
            request = {"op": "inspect all", "images": [image.request for image in images]}
            try:
                told = self._told(_outputs, request, f"{len(images)} images", [one.path for one in images], tries=1)
                if len(told) == len(images):
                    return [ImageError(one[:_LONGEST_ERROR]) if isinstance(one, str) else one for one in told]
            except ImageError as error:
                _log.warning("images are inspected one by one: %s", error)
        return [self._inspected(image) for image in images]

    def _inspected(self, image: Inspection) -> Output | ImageError:
        try:
            return self._told(_output, {"op": "inspect", **image.request}, image.path.name, [image.path])
        except ImageError as error:
            return error

    def assemble(self, tiles: Sequence[tuple[Region, Path]], width: int, height: int, out: Path) -> Output:
        """:func:`~.assembly.assemble` in the child, and the facts of the assembled frame; ImageError as there."""
        listed = [[region.model_dump(), str(path.resolve())] for region, path in tiles]
        request = {"op": "assemble", "tiles": listed, "width": width, "height": height, "out": str(out.resolve())}
        try:
            return self._told(_output, request, out.name, [path for _, path in tiles])
        except ImageError:
            _remove_unfinished(out)
            raise

    def compare(
        self,
        expected: Path,
        actual: Path,
        region: Region | None = None,
        *,
        exact: bool = False,
        tolerance: Tolerance | None = None,
        honest: Path | None = None,
        heatmap: Path | None = None,
    ) -> Comparison:
        """:func:`~.compare.compare_files` in the child.

        ``exact`` is for its tolerance of that name; ``tolerance`` is one that was calibrated before; without both it is
        the default. Of ``exact``, ``tolerance`` and ``honest`` only one may be given (ValueError).
        """
        if sum((exact, tolerance is not None, honest is not None)) > 1:
            raise ValueError("a comparison has one tolerance: exact, given, or from another honest render")
        files = {"expected": expected, "actual": actual, "honest": honest, "heatmap": heatmap}
        named = {name: path and str(path.resolve()) for name, path in files.items()}
        request = {
            "op": "compare",
            "region": region and region.model_dump(),
            "exact": exact,
            "tolerance": tolerance and tolerance.model_dump(mode="json"),
            **named,
        }
        sources = [path for path in (expected, actual, honest) if path]
        try:
            return self._told(_comparison, request, actual.name, sources)
        except ImageError:
            if heatmap is not None:
                _remove_unfinished(heatmap)
            raise

    def attention(self, path: Path, neighbour: Path | None = None) -> Weights:
        """:func:`~.attention_map.attention_map` of files in the child, for :func:`~.attention.draw_regions`.

        ImageError also if they can't be read.
        """
        request = {"op": "attention", "path": str(path.resolve()), "neighbour": neighbour and str(neighbour.resolve())}
        return self._told(_weights, request, path.name, [path, *([neighbour] if neighbour else [])])

    def close(self) -> None:
        """Stop the child. A later request starts another."""
        with self._lock:
            if self._child is not None:
                self._child.stop()
                self._child = None

    def __enter__(self) -> ImageChecker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: dict[str, Any], name: str, sources: Sequence[Path], tries: int) -> Any:
        # By the bytes there are to read, so that a small file that unpacks to a huge one gets no more.
        seconds = self._timeout + sum(_size(path) for path in sources) / _SLOWEST
        with self._lock:
            try:
                answer = self._ask_once(request, name, seconds)
            except _Lost as first:
                if tries < 2:
                    raise ImageError(f"{name}: the image checker died over them: {first}") from first
                # Once more: the machine, not the image, may have killed it.
                _log.warning("image checker lost over %s: %s; trying once more", name, first)
                try:
                    answer = self._ask_once(request, name, seconds)
                except _Lost as again:
                    raise ImageError(f"{name}: the image checker died twice over it: {again}") from again
        if "error" in answer:
            raise ImageError(str(answer["error"])[:_LONGEST_ERROR])
        return answer.get("output")

    def _told(
        self, kind: TypeAdapter[T], request: dict[str, Any], name: str, sources: Sequence[Path], tries: int = 2
    ) -> T:
        try:
            return kind.validate_python(self._ask(request, name, sources, tries))
        except ValidationError as error:
            self.close()
            raise ImageError(f"{name}: the image checker answered nonsense") from error

    def _ask_once(self, request: dict[str, Any], name: str, seconds: float) -> dict[str, Any]:
        if self._child is None or not self._child.alive:
            self._drop()
            self._child = _Child(confined(self._command, self._writable))
            try:
                self._child.ask({"op": "limit", "max_memory": self._max_memory}, self._timeout, None)
            except (_Lost, TimeoutError, MemoryError) as error:
                self._drop()
                raise CheckerFailed(f"the image checker does not start: {error or 'no answer'}") from error
        try:
            return self._child.ask(request, seconds, self._max_memory)
        except TimeoutError:
            self._drop()
            raise ImageError(f"{name}: decoding took longer than {seconds:.3g} s") from None
        except MemoryError:
            self._drop()
            raise ImageError(f"{name}: decoding took more memory than the checker may have") from None
        except _Lost:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


class _Child:
    """One child process and its two pipes."""

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=child_environment(),
                # Ctrl-C is for the parent, which closes this one in good order.
                start_new_session=os.name == "posix",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise CheckerFailed(f"the image checker does not start: {error}") from error
        # Popen types its pipes as optional; all three were asked for.
        self._stdin = cast(IO[str], self._process.stdin)
        self._stdout = cast(IO[str], self._process.stdout)
        self._stderr = cast(IO[str], self._process.stderr)
        self._replies: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._said: collections.deque[str] = collections.deque(maxlen=20)
        self._base: int | None = None
        self._last = 0
        self._readers = [
            threading.Thread(target=self._read_replies, daemon=True),
            threading.Thread(target=self._read_chatter, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], timeout: float, max_memory: int | None) -> dict[str, Any]:
        """The answer; _Lost if the child dies, TimeoutError after ``timeout`` seconds, MemoryError beyond the limit."""
        self._last += 1
        try:
            self._stdin.write(json.dumps({"id": self._last, **request}) + "\n")
            self._stdin.flush()
        except OSError:
            raise self._lost() from None
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            try:
                answer = self._replies.get(timeout=min(left, _WATCH_SECONDS))
            except queue.Empty:
                if max_memory is not None and self._grown() > max_memory:
                    raise MemoryError from None
                continue
            if answer is None:
                raise self._lost()
            if answer["id"] == self._last:
                self._base = self._base or self._resident()
                return answer

    def _resident(self) -> int | None:
        with contextlib.suppress(psutil.Error):
            # The first is the sandbox where there is one.
            it = psutil.Process(self._process.pid)
            return sum(int(one.memory_info().rss) for one in (it, *it.children(recursive=True)))
        return None

    def _grown(self) -> int:
        now = self._resident()
        return 0 if now is None or self._base is None else now - self._base

    def _lost(self) -> _Lost:
        self._process.wait()
        for reader in self._readers:
            reader.join(2)
        said = " / ".join(self._said)
        return _Lost(f"exit code {self._process.returncode}" + (f": {said[-500:]}" if said else ""))

    def _read_replies(self) -> None:
        # Whoever took over the child by an image may say anything, without end: then it is lost.
        with contextlib.suppress(OSError, ValueError, RecursionError):
            while (line := self._stdout.readline(_LONGEST_REPLY)) and self._replies.qsize() < _MOST_UNHEARD:
                if line.startswith(REPLY_MARK):
                    answer = json.loads(line[len(REPLY_MARK) :])
                    if not isinstance(answer, dict) or not isinstance(answer.get("id"), int):
                        break
                    self._replies.put(answer)
        with contextlib.suppress(OSError):
            self._process.kill()
        self._replies.put(None)

    def _read_chatter(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := self._stderr.readline(_LONGEST_LINE):
                self._said.append(line.strip()[:300])
                _log.debug("image checker: %s", line.strip())

    def stop(self) -> None:
        """End it in good order: its input ends, and it goes."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def kill(self) -> None:
        self._process.kill()
        self._reap()

    def _reap(self) -> None:
        self._process.wait()
        for reader in self._readers:
            reader.join(2)
        for pipe in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):
                pipe.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # The child will say what is wrong with it.


def _remove_unfinished(out: Path) -> None:
    # A killed child can't remove its temporary file.
    for left in out.resolve().parent.glob(f".{_escaped(out.name[:100])}.*.part"):
        left.unlink(missing_ok=True)


def _escaped(name: str) -> str:
    """``name`` as a glob pattern that matches only itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
