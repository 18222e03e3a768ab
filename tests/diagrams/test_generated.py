"""The committed diagrams are those of today's tables."""

from __future__ import annotations

from pathlib import Path

import pytest

import anchorwatch.diagrams
from anchorwatch.diagrams.catalogue import MACHINES, NAMES, machine
from anchorwatch.diagrams.export import FORMATS, rendered
from anchorwatch.diagrams.overview import NAME as OVERVIEW
from anchorwatch.diagrams.overview import overview
from tests.diagrams.drawn import shown

GENERATED = Path(anchorwatch.diagrams.__path__[0]).resolve() / "generated"
STALE = "run `make diagrams` and commit what it draws"


def today(path: Path) -> bytes:
    """What the file of that name would hold if it were written now."""
    name = path.name.split(".")[0]
    form = next(form for form in FORMATS.values() if path.name == name + form.suffix)
    if name == OVERVIEW:
        assert form.draws is not None
        return form.draws(overview(MACHINES))
    return rendered(machine(name), form)


def committed() -> list[Path]:
    return sorted(path for path in GENERATED.iterdir() if not path.name.startswith("."))


def test_every_machine_and_the_overview_are_committed_as_svg_and_as_mermaid() -> None:
    names = {path.name for path in committed()}
    expected = {f"{name}{suffix}" for name in (*NAMES, OVERVIEW) for suffix in (".svg", ".mmd")}
    assert expected - names == set(), STALE


@pytest.mark.parametrize("path", committed(), ids=lambda path: path.name)
def test_a_committed_diagram_shows_todays_table(path: Path) -> None:
    old, new = path.read_bytes(), today(path)
    if path.suffix == ".svg":
        # Coordinates depend on the fonts of the machine that drew it.
        assert shown(old) == shown(new), STALE
    else:
        assert old == new, STALE
