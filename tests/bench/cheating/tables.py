"""The figures as tables, and held against the targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from catalogue import HONEST, MOST_INCONCLUSIVE, MOST_PUNISHED, Cheat
from counting import Findings, Tally, wilson

_NAME, _CELL = 22, 24

LEVELS = ("whole", "crops", "looks", "together")

LEGEND = """A cell of a cheat is ACCEPTED?INCONCLUSIVE/CHECKED, of honest frames PUNISHED?INCONCLUSIVE/CHECKED, then the
upper end of the 95 % interval (Wilson) of the first, in percent. The interval takes checks for independent, which they
are not: they are of {frames} frames of each of {scenes} scenes, and draw their crops from some hundred places of each.
It says how well these frames are measured. How other scenes fare, the differences between these scenes tell better."""


def by_level(findings: Findings, checker: str, cheats: Sequence[Cheat]) -> Iterator[str]:
    """Lines of two tables: of linear floats and what follows from them, and of what is delivered."""
    levels = sorted(findings.levels(checker), key=lambda level: LEVELS.index(level.split()[0]))
    linear = [level for level in levels if "linear" in level]
    for columns in (linear, [level for level in levels if level not in linear]):
        for part in (slice(0, 2), slice(2, 3)):
            yield f"{'':{_NAME}}" + "".join(f"{' '.join(level.split()[part]):>{_CELL}}" for level in columns)
        for name in (HONEST, *(cheat.name for cheat in cheats)):
            cells = [_cell(_of(findings, checker, level, name), honest=name == HONEST) for level in columns]
            yield f"{name:{_NAME}}" + "".join(f"{cell:>{_CELL}}" for cell in cells)
        yield ""


def against_targets(findings: Findings, checker: str, level: str, cheats: Sequence[Cheat]) -> Iterator[str]:
    """Lines: what of the targets is met by a level, and by how much and why others are not."""
    honest = _of(findings, checker, level, HONEST)
    for what, count, most in (
        ("honest inconclusive", honest.inconclusive, MOST_INCONCLUSIVE),
        ("honest punished", honest.mismatch, MOST_PUNISHED),
    ):
        worst = _worst_scene(findings, checker, level, HONEST, what.split()[1])
        yield _held(what, count, honest.total, most, worst)
    met = []
    for cheat in cheats:
        tally = _of(findings, checker, level, cheat.name)
        undecided = f", {tally.inconclusive} inconclusive" if tally.inconclusive else ""
        if cheat.target is None:
            shares = [share for (_, name), share in findings.touched.items() if name == cheat.name]
            why = f"no target; it touches {100 * sum(shares) / len(shares):.3g} % of the pixels"
            yield f"{cheat.name:{_NAME}} {_rate(tally.match, tally.total)}  {why}{undecided}"
        elif tally.total and wilson(tally.match, tally.total)[1] <= cheat.target:
            met.append(cheat.name + undecided)
        else:
            worst = _worst_scene(findings, checker, level, cheat.name, "accepted")
            yield _held(cheat.name, tally.match, tally.total, cheat.target, worst) + undecided
    yield f"met by {len(met)} cheats: {'; '.join(met)}"


def rows(findings: Findings) -> list[dict[str, Any]]:
    """Everything that was counted, for JSON."""
    listed = []
    for row, tally in findings.tallies.items():
        counted = {"match": tally.match, "mismatch": tally.mismatch, "inconclusive": tally.inconclusive}
        intervals = {verdict: wilson(count, tally.total) for verdict, count in counted.items()}
        reasons = dict(findings.reasons[row].most_common(5)) if row in findings.reasons else {}
        listed.append({**row._asdict(), **counted, "intervals": intervals, "reasons": reasons})
    return listed


def _rows(findings: Findings, checker: str, level: str) -> list[Any]:
    return [row for row in findings.tallies if row.checker == checker and row.level == level]


def _of(findings: Findings, checker: str, level: str, name: str) -> Tally:
    return findings.sum(lambda row: (row.checker, row.level, row.cheat) == (checker, level, name))


def _cell(tally: Tally, *, honest: bool) -> str:
    if tally.total == 0:
        return "-"
    wrong = tally.mismatch if honest else tally.match
    return f"{wrong}?{tally.inconclusive}/{tally.total} ≤{100 * wilson(wrong, tally.total)[1]:.2g}"


def _rate(count: int, total: int) -> str:
    low, high = wilson(count, total)
    told = f"{count}/{total} = {count / max(1, total):.2g} ({low:.2g} to {high:.2g})"
    return f"{told:38}"


def _held(name: str, count: int, total: int, target: float, why: str) -> str:
    low, high = wilson(count, total)
    if total == 0:
        verdict = "not measured"
    elif high <= target:
        verdict = "met"
    elif low <= target:
        verdict = f"not shown either way by so few checks; {why}" if count else "no case seen, but too few checks"
    else:
        verdict = f"MISSED, {count / total / target:.3g} times as often; {why}"
    return f"{name:{_NAME}} {_rate(count, total)}  target {target:g}: {verdict}"


def _worst_scene(findings: Findings, checker: str, level: str, name: str, what: str) -> str:
    """Where it happens most, and what is said there."""

    def count(tally: Tally) -> int:
        return {"inconclusive": tally.inconclusive, "punished": tally.mismatch, "accepted": tally.match}[what]

    found = [(row, findings.tallies[row]) for row in _rows(findings, checker, level) if row.cheat == name]
    if not found:
        return ""
    row, tally = max(found, key=lambda pair: count(pair[1]) / pair[1].total)
    if not count(tally):
        return ""
    told = f"{count(tally)}/{tally.total} in {row.scene}"
    if name == HONEST:
        told += f", where {100 * findings.apart[row.scene, checker]:.2g} % of honest pixels differ"
    else:
        told += f", where it touches {100 * findings.touched[row.scene, name]:.3g} % of the pixels"
    said = findings.reasons.get(row)
    return f"{told} ({said.most_common(1)[0][0]})" if said else told
