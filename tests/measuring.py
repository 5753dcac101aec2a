"""What the benches share: ways measured in turn, their ratios with a spread, goals, and the JSON of it all."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Figure:
    """A measured quantity over several rounds."""

    name: str
    values: tuple[float, ...]
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median meets the goal; None without one."""
        if self.at_most is None and self.at_least is None:
            return None
        return (self.at_most is None or self.median <= self.at_most) and (
            self.at_least is None or self.median >= self.at_least
        )

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        text = f"{self.name}: median {self.median:.4g}{unit}, {min(self.values):.4g} to {max(self.values):.4g}"
        if self.met is None:
            return text
        goal = f"at most {self.at_most:g}" if self.at_most is not None else f"at least {self.at_least:g}"
        return f"{text}; goal {goal}: {'met' if self.met else 'MISSED'}"

    def told(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "median": self.median, "met": self.met}


def options(description: str | None, *, rounds: int = 3) -> argparse.ArgumentParser:
    """A parser with what every bench takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(ways: Mapping[str, Callable[[int], float]], rounds: int) -> dict[str, list[float]]:
    """What each way, called with the round's number, returned in each round.

    The ways follow each other within a round, each time in another order, so that a machine that is busy for a while
    slows all of them alike and none always comes first.
    """
    names = list(ways)
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            found[name].append(ways[name](turn))
        told = "  ".join(f"{name} {found[name][-1]:.3f}" for name in names)
        print(f"round {turn + 1} of {rounds}: {told}", flush=True)
    return found


def ratio(found: Mapping[str, Sequence[float]], way: str, baseline: str, at_most: float | None = None) -> Figure:
    """``way`` over ``baseline``, round by round."""
    values = tuple(a / b for a, b in zip(found[way], found[baseline], strict=True))
    return Figure(f"{way} over {baseline}", values, at_most=at_most)


def report(figures: Sequence[Figure], raw: object, to: Path | None) -> None:
    """Print the figures, and write them with what they were made of as JSON if asked to."""
    for figure in figures:
        print(figure)
    if to:
        machine = {"system": platform.platform(), "cores": psutil.cpu_count(), "python": platform.python_version()}
        told = {"figures": [figure.told() for figure in figures], "raw": raw, "machine": machine}
        to.write_text(json.dumps(told, indent=2))
