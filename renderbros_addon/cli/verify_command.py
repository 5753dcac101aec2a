"""``verify``: compares two images, and says whether the second is an honest render of what the first shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from ..imaging.checker import ImageChecker
from ..imaging.errors import CheckerFailed, ImageError
from ..protocol.regions import Region
from ..protocol.verdicts import Comparison, PassMeasures
from .command import command
from .errors import DONE, INCONCLUSIVE, MISMATCH, BadInput
from .output import Output
from .own_process import own_command

EXIT_CODES = {"match": DONE, "mismatch": MISMATCH, "inconclusive": INCONCLUSIVE}

_Expected = Annotated[Path, typer.Argument(metavar="EXPECTED", help="The image to trust.", show_default=False)]
_Actual = Annotated[Path, typer.Argument(metavar="ACTUAL", help="The image to check.", show_default=False)]
_Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="X0,Y0,X1,Y1",
        help="Pixels of ACTUAL to compare, from the top left; EXPECTED may be the crop that shows them.",
    ),
]
_Exact = Annotated[bool, typer.Option("--exact", help="Both come from one build and kind of device: every bit counts.")]
_Honest = Annotated[
    Path | None,
    typer.Option("--honest", metavar="FILE", help="EXPECTED as another build renders it; sets how much may differ."),
]
_Heatmap = Annotated[
    Path | None, typer.Option("--heatmap", metavar="FILE.png", help="Draw where they differ into this file.")
]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "verify")(verify)


def verify(
    out: Output,
    /,
    expected: _Expected,
    actual: _Actual,
    region: _Region = None,
    exact: _Exact = False,
    honest: _Honest = None,
    heatmap: _Heatmap = None,
) -> int:
    """Compare two images: exit code 0 for a match, 1 for a mismatch, 2 if it can't be told, 3 for bad input."""
    inputs = [path for path in (expected, actual, honest) if path is not None]
    where = _region(region)
    if exact and honest is not None:
        raise BadInput("--exact lets nothing differ, and --honest says how much may: give one of them")
    if heatmap is not None:
        _check_heatmap(heatmap, inputs)
    writable = [heatmap.absolute().parent] if heatmap else []
    try:
        # Whoever sent the images may have made them to break a decoder: that happens in a child, under limits.
        with ImageChecker(own_command("check-images"), writable=writable) as checker:
            found = checker.compare(expected, actual, where, exact=exact, honest=honest, heatmap=heatmap)
    except (ImageError, CheckerFailed, OSError) as error:
        # Not a failure like those of other commands: their exit code would say that the images differ.
        raise BadInput(str(error)) from error
    told = found.model_dump(mode="json")
    picture = {name: value for name, value in told["passes"][0].items() if name != "name"}
    files = {"expected": str(expected), "actual": str(actual), "heatmap": str(heatmap) if heatmap else None}
    out.result({"status": "done"} | told | picture | files, Group(_table(found), f"{found.verdict}: {found.reason}"))
    return EXIT_CODES[found.verdict]


def _region(text: str | None) -> Region | None:
    try:
        return None if text is None else Region.parse(text)
    except ValueError as error:
        raise BadInput(str(error)) from error


def _check_heatmap(heatmap: Path, inputs: list[Path]) -> None:
    if heatmap.suffix.lower() != ".png":
        raise BadInput(f"the heatmap is a PNG and its name ends in .png, not {heatmap.name}")
    if not heatmap.absolute().parent.is_dir():
        raise BadInput(f"there is no folder {heatmap.parent} for the heatmap")
    if heatmap.is_dir():
        raise BadInput(f"{heatmap} is a folder, not a file for the heatmap")
    if any(heatmap.resolve() == path.resolve() for path in inputs):
        raise BadInput(f"the heatmap would overwrite {heatmap}, which is to be compared")


def _table(found: Comparison) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("pass")
    for title in ("bit-equal", "slight", "> 1/255", "> 4/255", "mean", "worst block"):
        table.add_column(title, justify="right")
    for measured in found.passes:
        fractions = (measured.bit_equal, measured.beyond_slight, measured.beyond_1, measured.beyond_4)
        table.add_row(measured.name, *(f"{100 * f:.2f} %" for f in fractions), _mean(measured), _worst(measured))
    return table


def _mean(measured: PassMeasures) -> str:
    # Of depths and the like a single pixel can make the mean anything.
    ratios = [ratio for ratio in measured.mean_ratio.values() if ratio is not None and abs(ratio) < 10]
    return f"{100 * max(ratios, key=abs):+.2f} %" if ratios else "-"


def _worst(measured: PassMeasures) -> str:
    worst = measured.worst_block
    return "-" if worst is None else f"{100 * worst.fraction:.0f} % at {worst.region}"
