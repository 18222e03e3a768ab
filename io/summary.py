"""What one run came to: counted while it goes on, written and printed at its end."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

# Each try of a stage ends once; a stage that fails for a day at one try every few seconds stays below this.
STAGES_MAX = 100_000

_NUMBERS = msgspec.json.Encoder(decimal_format="number")


class StageRecord(msgspec.Struct, frozen=True):
    """One stage that ended: entered when (UTC ms), after how many seconds of venue time, and how."""

    name: str
    at_ms: int
    seconds: float
    outcome: str


class StopStepRecord(msgspec.Struct, frozen=True):
    name: str
    outcome: str
    seconds: float


class Summary:
    """The figures of one run. Amounts are in the settlement currency.

    ``realised_pnl`` is price movement alone; ``fees`` are what was paid (a rebate counts negative); ``funding``
    is what was received (negative when paid). What the run earned is ``realised_pnl - fees + funding``.
    """

    def __init__(self) -> None:
        self.stages: list[StageRecord] = []
        self.stop_steps: list[StopStepRecord] = []
        self.transitions = 0
        self.orders = 0
        self.fills = 0
        self.positions_opened = 0
        self.positions_closed = 0
        self.realised_pnl = Decimal(0)
        self.fees = Decimal(0)
        self.funding = Decimal(0)
        self.unprotected_total_s = 0.0
        self.unprotected_max_s = 0.0
        self.drifts = 0
        self.decisions: dict[str, int] = {}
        self.speed_reached = 0.0
        self.exit_code: int | None = None

    def stage(self, record: StageRecord) -> None:
        if len(self.stages) < STAGES_MAX:
            self.stages.append(record)

    def stop_step(self, record: StopStepRecord) -> None:
        self.stop_steps.append(record)

    def order(self) -> None:
        """An order was sent."""
        self.orders += 1

    def fill(self, fee: Decimal, realised_pnl: Decimal = Decimal(0)) -> None:
        """A fill: what it cost, and what it realised where it closed something."""
        self.fills += 1
        self.fees += fee
        self.realised_pnl += realised_pnl

    def funding_received(self, amount: Decimal) -> None:
        self.funding += amount

    def position_opened(self) -> None:
        self.positions_opened += 1

    def position_closed(self) -> None:
        self.positions_closed += 1

    def unprotected(self, seconds: float) -> None:
        """One spell without a live cover ended: it lasted so long, in venue time."""
        self.unprotected_total_s += seconds
        self.unprotected_max_s = max(self.unprotected_max_s, seconds)

    def drift(self) -> None:
        """A reconciliation found the book and the exchange at odds in one point."""
        self.drifts += 1

    def earned(self) -> Decimal:
        return self.realised_pnl - self.fees + self.funding

    def as_dict(self) -> dict[str, Any]:
        """The record of the run, by the keys of the summary file."""
        return {
            "stages": self.stages,
            "stop_steps": self.stop_steps,
            "transitions": self.transitions,
            "orders": self.orders,
            "fills": self.fills,
            "positions_opened": self.positions_opened,
            "positions_closed": self.positions_closed,
            "realised_pnl": self.realised_pnl,
            "fees": self.fees,
            "funding": self.funding,
            "unprotected_seconds": {"total": self.unprotected_total_s, "max": self.unprotected_max_s},
            "drifts": self.drifts,
            "decisions": self.decisions,
            "speed_reached": round(self.speed_reached, 3),
            "exit_code": self.exit_code,
        }

    def write(self, path: Path) -> None:
        """Write the record as JSON, decimals as numbers; whole or not at all. Raises OSError."""
        text = msgspec.json.format(_NUMBERS.encode(self.as_dict()), indent=2)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(text + b"\n")
        partial.replace(path)

    def lines(self) -> list[str]:
        """The record for a person, one aligned line each."""
        stages = ", ".join(_stage_words(record) for record in self.stages[-_STAGES_SHOWN:])
        steps = ", ".join(
            f"{record.name} {record.seconds:.1f} s"
            + ("" if record.outcome == "done" else f" ({record.outcome.replace('_', ' ')})")
            for record in self.stop_steps
        )
        spells = f"{self.unprotected_total_s:.2f} s in all, {self.unprotected_max_s:.2f} s at most"
        rows = [
            ("start", stages or "no stage ended"),
            ("stop", steps or "no step ran"),
            ("transitions", f"{self.transitions}"),
            ("orders", f"{self.orders} sent, {self.fills} fills"),
            (
                "positions",
                f"{self.positions_opened} opened, {self.positions_closed} closed, {self.drifts} drifts",
            ),
            (
                "result",
                f"{self.earned():+.2f} USD: price {self.realised_pnl:+.2f}, fees {-self.fees:+.2f}, "
                f"funding {self.funding:+.2f}",
            ),
            ("unprotected", spells),
            ("speed", f"{self.speed_reached:.0f}× real time"),
            ("exit", "not yet" if self.exit_code is None else str(self.exit_code)),
        ]
        return [f"  {name:<12} {text}" for name, text in rows]


# The start has nine stages; one that was retried for long is told by its last tries.
_STAGES_SHOWN = 12


def _stage_words(record: StageRecord) -> str:
    ended = "" if record.outcome == "done" else f" ({record.outcome.replace('_', ' ')})"
    return f"{record.name} {record.seconds:.1f} s{ended}"
