"""How much of the tables a verification has seen answer: one figure, and the page of every cell."""

from __future__ import annotations

import msgspec

from anchorwatch.diagrams import coverage
from anchorwatch.diagrams.catalogue import MACHINES
from anchorwatch.diagrams.conformance import counted
from anchorwatch.io.verify.proof import Coverage, Proof


def covered(proof: Proof) -> Proof:
    """The proof with its figure: of the cells that may be answered, how many were in its runs."""
    hits, explored = counted(proof.rows), counted(proof.explored)
    tallies = [coverage.tally(machine, hits, explored) for machine in MACHINES]
    figure = Coverage(
        answered=sum(one.answered for one in tallies),
        lived=sum(one.lived for one in tallies),
        of=sum(one.answerable for one in tallies),
        machines={one.machine: (one.answered, one.lived, one.answerable) for one in tallies},
        never=tuple(coverage.silent({**hits, **explored})),
    )
    return msgspec.structs.replace(proof, coverage=figure)


def page(proof: Proof) -> bytes:
    sources = ["the tests and the simulations that verify ran"]
    return coverage.page(counted(proof.rows), sources, explored=counted(proof.explored))
