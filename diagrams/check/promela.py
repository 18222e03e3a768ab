"""A second opinion on the search: the interned tables as Promela, explored by SPIN.

The tables say what follows from each core at each cost; what a run may still spend is kept in
variables of the model, and SPIN has its own queue, its own set of visited states and its own idea of
when it is done. It must find as many states and transitions as `search` does. SPIN counts one
transition more, into the initial state.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.model import LABEL_BITS, Model
from anchorwatch.diagrams.check.purse import TAKEN, Cost
from anchorwatch.diagrams.check.search import Search

DEPTH_MAX = 10_000_000
"""How deep SPIN's depth-first search may go: more than there are states, so that it is never cut."""

HASH_BITS = 24

PROMELA = """c_decl {{
\\#include "tables.h"
}}
int core = {core};
int faults = {faults};
int crashes = {crashes};
int entries = {entries};

active proctype composed() {{
  do
{options}
  od
}}
"""
OPTION = (
    "  :: d_step {{ c_expr {{ FIRST[now.core] + {number} < FIRST[now.core + 1]"
    " && ROW[FIRST[now.core] + {number}].faults <= now.faults"
    " && ROW[FIRST[now.core] + {number}].crashes <= now.crashes"
    " && ROW[FIRST[now.core] + {number}].entries <= now.entries }}"
    " -> c_code {{ struct row taken = ROW[FIRST[now.core] + {number}]; now.faults -= taken.faults;"
    " now.crashes -= taken.crashes; now.entries -= taken.entries; now.core = taken.core; }} }}"
)
TABLES = """struct row {{ int core, faults, crashes, entries; }};
static const int FIRST[] = {{{first}}};
static const struct row ROW[] = {{{rows}}};
"""


def export(model: Model, directory: Path) -> None:
    """Write ``model.pml`` and ``tables.h``: everything that was found to follow from every core."""
    directory.mkdir(parents=True, exist_ok=True)
    first, rows, widest = [0], [], 0
    for core in range(len(model)):
        for cost in Cost:
            taken = ",".join(map(str, TAKEN[cost]))
            for packed in model.known_edges(core, cost) or ():
                rows.append(f"{{{packed >> LABEL_BITS},{taken}}}")
        widest = max(widest, len(rows) - first[-1])
        first.append(len(rows))
    tables = TABLES.format(first=",".join(map(str, first)), rows=",".join(rows))
    (directory / "tables.h").write_text(tables, encoding="ascii")
    bounds = model.bounds
    promela = PROMELA.format(
        core=model.initial,
        faults=bounds.faults,
        crashes=bounds.crashes,
        entries=bounds.entries,
        options="\n".join(OPTION.format(number=number) for number in range(widest)),
    )
    (directory / "model.pml").write_text(promela, encoding="ascii")


def is_there() -> bool:
    """Whether SPIN and a C compiler are installed."""
    return shutil.which("spin") is not None and shutil.which("gcc") is not None


def explored_by_spin(directory: Path) -> tuple[int, int]:
    """States and transitions that SPIN finds in an export; raises `RuntimeError` when it cannot be run or gives up."""
    for command in (
        ["spin", "-o2", "-a", "model.pml"],
        ["gcc", "-O1", "-DSAFETY", "-DNOREDUCE", "-I.", "-o", "pan", "pan.c"],
    ):
        made = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        if made.returncode:
            raise RuntimeError(f"{command[0]}: {made.stdout[-500:]}{made.stderr[-500:]}")
    verifier = [str(directory / "pan"), f"-m{DEPTH_MAX}", f"-w{HASH_BITS}", "-E"]
    done = subprocess.run(verifier, cwd=directory, capture_output=True, text=True, check=False)
    states = re.search(r"^\s*(\d+) states, stored", done.stdout, re.MULTILINE)
    transitions = re.search(r"^\s*(\d+) transitions", done.stdout, re.MULTILINE)
    if states is None or transitions is None or "errors: 0" not in done.stdout:
        raise RuntimeError(f"pan: {done.stdout[-800:]}{done.stderr[-300:]}")
    return int(states[1]), int(transitions[1])


def cross_checked(configs: Sequence[Bounds], directory: Path | None = None) -> Iterator[dict[str, Any]]:
    """Explore each configuration twice, here and by SPIN, and say whether they agree.

    ``directory`` keeps the exports; without one they are made in a place that is removed.
    """
    for bounds in configs:
        model = Model(bounds)
        search = Search(model)
        search.run(1, lambda: False)
        assert search.complete, f"{bounds.name}: only a world that was seen whole can be compared"
        with TemporaryDirectory() as scratch:
            place = directory / bounds.name.replace(" ", "-") if directory is not None else Path(scratch)
            export(model, place)
            states, transitions = explored_by_spin(place)
        agrees = (states, transitions) == (len(search), search.transitions + 1)
        yield {
            "config": bounds.name,
            "states": states,
            "transitions": transitions,
            "states_here": len(search),
            "transitions_here": search.transitions,
            "agrees": agrees,
        }
