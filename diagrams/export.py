"""Every machine in every format, as bytes or as files.

The same input gives the same bytes (for svg and png: with the same Graphviz).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from anchorwatch.diagrams import draw
from anchorwatch.diagrams.catalogue import MACHINES, NAMES, Machine, UnknownMachine, machines
from anchorwatch.diagrams.matrix import matrix
from anchorwatch.diagrams.mermaid import mermaid
from anchorwatch.diagrams.overview import NAME as OVERVIEW
from anchorwatch.diagrams.overview import overview
from anchorwatch.diagrams.picture import Picture, picture
from anchorwatch.diagrams.scxml import scxml
from anchorwatch.diagrams.table import table
from anchorwatch.machine.kernel import Definition


class UnknownFormat(ValueError):
    """No such format; the text lists those that exist."""


class Format(msgspec.Struct, frozen=True):
    """``draws`` works on a picture and so for the overview too; ``tells`` needs a table."""

    suffix: str
    draws: Callable[[Picture], bytes] | None = None
    tells: Callable[[Machine], bytes] | None = None


FORMATS = {
    "svg": Format(".svg", draws=draw.svg),
    "png": Format(".png", draws=draw.png),
    "dot": Format(".dot", draws=draw.dot),
    "mermaid": Format(".mmd", draws=mermaid),
    "scxml": Format(".scxml", tells=scxml),
    "json": Format(".json", tells=table),
    "matrix": Format(".matrix.md", tells=matrix),
}


def format_named(name: str) -> Format:
    """The format of that name. Raises `UnknownFormat`."""
    if name not in FORMATS:
        raise UnknownFormat(f"no format is called {name!r}; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def export(definition: Definition[Any], format: str) -> bytes:
    """One machine of the catalogue in one format. Raises `UnknownFormat` and `UnknownMachine`."""
    for machine in MACHINES:
        if machine.definition is definition:
            return rendered(machine, format_named(format))
    raise UnknownMachine(f"{definition.name!r} is not in the catalogue: it has no picture")


def rendered(machine: Machine, form: Format, everything: bool = False) -> bytes:
    """One machine in one format; ``everything`` also draws what is ignored (tables always tell it)."""
    if form.tells is not None:
        return form.tells(machine)
    assert form.draws is not None
    return form.draws(picture(machine, everything))


def write(
    names: Iterable[str], formats: Iterable[str], out_dir: Path, everything: bool = False
) -> list[Path]:
    """Write the named machines (``overview`` among them), or all of them, and return the files written.

    All names are checked before anything is written: `UnknownMachine`, `UnknownFormat`.
    """
    named = tuple(names)
    unknown = [name for name in named if name not in (*NAMES, OVERVIEW)]
    if unknown:
        raise UnknownMachine(
            f"no machine is called {unknown[0]!r}; there are {', '.join((*NAMES, OVERVIEW))}"
        )
    chosen = machines(name for name in named if name != OVERVIEW) if named != (OVERVIEW,) else ()
    forms = [format_named(name) for name in dict.fromkeys(formats)]
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for form in forms:
        if form.draws is not None and (not named or OVERVIEW in named):
            written.append(_written(out_dir / f"{OVERVIEW}{form.suffix}", form.draws(overview(MACHINES))))
        for machine in chosen:
            written.append(
                _written(out_dir / f"{machine.name}{form.suffix}", rendered(machine, form, everything))
            )
    return written


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
