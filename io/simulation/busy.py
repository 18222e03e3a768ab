"""A strategy that trades for the sake of trading: simulation wants requests under way, not profit."""

from __future__ import annotations

from typing import Annotated

import msgspec

from anchorwatch.io.venue.noise import mix, word
from anchorwatch.machine.market import SIGNAL, MarketSettings
from anchorwatch.machine.strategy import Intent, MarketView, Wish
from anchorwatch.machine.units import Side

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Busy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At each candle it enters or leaves with these probabilities, and the side is a toss of a coin.

    Both follow from the seed, the instrument and the candle's time alone, so every life of a run wants the same.
    It needs one candle and no indicator.
    """

    enter_share: Share = 0.8
    exit_share: Share = 0.5
    seed: int = 1

    @property
    def needs(self) -> MarketSettings:
        return MarketSettings(
            kept=((SIGNAL, 2),),
            indicated=(),
            waited=(),
            regime=None,
            profile=None,
            pivots=False,
            funding=False,
        )

    def decide(self, view: MarketView) -> Intent | None:
        bits = mix(self.seed, word(view.instrument), view.now_ms)
        drawn, coin = (bits >> 11) / (1 << 53), bits & 1
        if view.open_side is not None:
            return Intent(Wish.EXIT, view.open_side, "a draw") if drawn < self.exit_share else None
        if drawn < self.enter_share:
            return Intent(Wish.ENTER, Side.LONG if coin else Side.SHORT, "a draw")
        return None
