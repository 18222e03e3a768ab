"""What one run was asked for on the command line: how to run, where settings say how to trade."""

from __future__ import annotations

from pathlib import Path

import msgspec

SEED_DEFAULT = 1
SEED_MAX = 2**63 - 1  # what every generator in use takes


class RunOptions(msgspec.Struct, frozen=True):
    """``from_ms``, ``speed`` and ``markets`` speak of the embedded venue and are empty on any other.

    No market file means the synthetic market of ``seed``. ``speed`` is virtual seconds per real second at
    most; None is real time. ``for_s`` is venue time; None runs until it is stopped. ``flatten`` closes
    every position of the bot in the stop; ``clear_halt`` lifts the halt of an earlier life. ``hands_off`` and
    ``hands_on`` are symbols that the operator keeps for himself from now on, or gives back; the journal remembers. ``status`` is the file
    that `anchorwatch explain` reads.
    """

    markets: tuple[Path, ...] = ()
    from_ms: int | None = None
    speed: float | None = None
    for_s: float | None = None
    seed: int = SEED_DEFAULT
    summary: Path | None = None
    tape: Path | None = None
    status: Path | None = None
    flatten: bool = False
    clear_halt: bool = False
    hands_off: tuple[str, ...] = ()
    hands_on: tuple[str, ...] = ()
