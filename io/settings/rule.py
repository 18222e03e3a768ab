"""What a setting means and which values it takes, beside its type."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """What a setting means and which values it takes."""

    meaning: str
    unit: str = ""
    above: str | None = None
    at_least: str | None = None
    below: str | None = None
    at_most: str | None = None
    choices: tuple[str, ...] = ()
    per_symbol: bool = False  # may be set anew in [symbol."…"]
    default: str = ""  # in words, where it depends on other settings

    def holds(self, value: Decimal) -> bool:
        return (
            (self.above is None or value > Decimal(self.above))
            and (self.at_least is None or value >= Decimal(self.at_least))
            and (self.below is None or value < Decimal(self.below))
            and (self.at_most is None or value <= Decimal(self.at_most))
        )

    def range_words(self) -> str:
        """The range in words; empty where there is none."""
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least} to {self.at_most}"
        bounds = (
            ("above", self.above),
            ("at least", self.at_least),
            ("below", self.below),
            ("at most", self.at_most),
        )
        return " and ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
