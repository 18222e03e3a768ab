"""What wants a position: ``MarketView → Intent | None``, pure.

A strategy sees closed candles, what is computed from them, and the position that is
open; it answers with what it would do. It never sees an order, and it cannot loosen a stop.

A strategy of one's own is a class with two members; it needs no base class::

    class BuyOversold:
        needs = MarketSettings()  # everything

        def decide(self, view):
            frame = view.frames.get("1m")
            if frame is None:
                return None
            if view.open_side is Side.LONG and frame.now.rsi > 55:
                return Intent(Wish.EXIT, Side.LONG, "RSI is back in the middle")
            if view.open_side is None and frame.now.rsi < 25 and view.regime is Regime.RANGING:
                return Intent(Wish.ENTER, Side.LONG, f"RSI {frame.now.rsi:.0f} in a ranging market")
            return None

Two more are optional: `consider`, which says what an answer rests on (`Explaining`), and `foresee`, which answers a whole
series at once for the back-test (`series.Foretelling`). How it fails, and what that means, is in `asking`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

import msgspec

from anchorwatch.machine.market import Frame, Market, MarketSettings
from anchorwatch.machine.pivots import Pivots
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.units import Side, Word
from anchorwatch.machine.volume_profile import VolumeProfile
from anchorwatch.machine.world import Candle, QuoteMoved


class Wish(Word):
    """What a strategy asks for."""

    ENTER = "enter"
    EXIT = "exit"


class Intent(msgspec.Struct, frozen=True, gc=False):
    """``side`` is the side of the position; ``why`` is for people."""

    wish: Wish
    side: Side
    why: str


class Holding(msgspec.Struct, frozen=True, gc=False):
    """The open position. ``regime`` is the one in which it was entered, None where that is not known."""

    side: Side
    entry_px: Decimal
    entered_ms: int
    regime: Regime | None = None


class Funding(msgspec.Struct, frozen=True):
    """The funding that comes next: ``rate`` of the notional, paid by longs to shorts where positive."""

    rate: Decimal
    settles_ms: int


class MarketView(msgspec.Struct, frozen=True):
    """What a strategy may know when a candle has closed. ``candles`` are oldest first and end with that one.

    ``frames`` are the timeframes whose indicators are defined, by name. None stands for what is not
    known; that is never the same as harmless. ``now_ms`` is the closing time of the newest candle.
    """

    instrument: str
    candles: Sequence[Candle]
    open_side: Side | None
    now_ms: int = 0
    frames: Mapping[str, Frame] = {}
    regime: Regime | None = None
    pivots: Pivots | None = None
    profile: VolumeProfile | None = None
    quote: QuoteMoved | None = None
    funding: Funding | None = None
    holding: Holding | None = None


class Fired(msgspec.Struct, frozen=True):
    """One signal that fired. ``strength`` is from 0 to 1."""

    signal: str
    side: Side
    strength: float


class Refusal(msgspec.Struct, frozen=True):
    """One filter that refused, and why in words."""

    filter: str
    why: str


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What was decided and everything that it rests on. Without intent, ``because`` says what was lacking."""

    intent: Intent | None
    because: str
    fired: tuple[Fired, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    regime: Regime | None = None
    strength: float = 0.0


class Became(Word):
    """What became of a decision."""

    NOTHING = "nothing"
    REFUSED = "refused"  # signals fired, and the strategy itself wished for nothing
    DENIED = "denied"  # wished for, and in the way of it stood the gate, a limit or a setting
    ENTRY = "entry"
    EXIT = "exit"


class Considered(msgspec.Struct, frozen=True, gc=False):
    """One decision with what became of it. ``at_ms`` is the close of its candle; ``denied`` is what stood in the way."""

    at_ms: int
    decision: Decision
    became: Became
    denied: tuple[str, ...] = ()


class Strategy(Protocol):
    """One strategy. It keeps nothing: the same view gives the same answer, live, after a restart and in a back-test."""

    @property
    def needs(self) -> MarketSettings:
        """What must be followed of a market, and known of it, before it is asked."""

    def decide(self, view: MarketView) -> Intent | None:
        """Answer to the candle that closed last."""


@runtime_checkable
class Explaining(Protocol):
    """A strategy that says what its answer rests on. ``decide`` is then not asked."""

    def consider(self, view: MarketView) -> Decision:
        """Answer to the candle that closed last."""


def view_of(
    market: Market,
    quote: QuoteMoved | None = None,
    funding: Funding | None = None,
    holding: Holding | None = None,
) -> MarketView:
    """What a strategy may know now. The market must have a signal candle."""
    candles, pivots = market.buffer(), market.pivots
    newest = candles.newest
    assert newest is not None, "a view without a candle"
    return MarketView(
        instrument=market.instrument,
        candles=candles,
        open_side=holding.side if holding is not None else None,
        now_ms=newest.open_ms + candles.span_ms,
        frames=market.frames(),
        regime=market.regime.regime if market.regime is not None else None,
        # The levels of another day are none: its daily candle has not come.
        pivots=pivots if pivots is not None and pivots.hold_at(newest.open_ms) else None,
        profile=market.profile,
        quote=quote,
        funding=funding,
        holding=holding,
    )
