"""The judge of simulated runs: the environment that ``anchorwatch check`` explores."""

from __future__ import annotations

from collections.abc import Sequence

from anchorwatch.diagrams.check.acceptance import accepts
from anchorwatch.io.simulation.recording import Judgement
from anchorwatch.machine.trace import Seen


def by_the_check(trace: Sequence[Seen]) -> Judgement:
    """Whether the environment model could have done everything that this trace shows."""
    verdict = accepts(trace)
    return Judgement(
        observations=verdict.observations,
        rejects=tuple("\n".join(one.lines()) for one in verdict.rejections),
        used=verdict.used,
    )
