"""How long a strategy may take: one that does not come back is interrupted where it stands.

Theory of operation
===================

A strategy is the user's code, asked in the one loop that also protects: while it thinks, no stop follows and nothing is
closed. Its time is bounded by the process's alarm clock, which rings in the middle of whatever runs and raises there, but

* only inside of the question (`_asked` is on the stack): what is ours is never torn, and the answer is caught around it;
* never while the market's own code works for the strategy, which may keep what it computes: it rings again at once;
* with no `Exception`: a strategy that catches its own errors, and goes on, goes on being interrupted.

What this cannot end: code in C that does not return to Python, and where a system has no such clock. Then the stops at
the exchange protect, its dead man's switch takes back what rests, and the heartbeat that is missing tells a person.

A running bot alone has a clock that decides: a back-test and a simulation wait, and a replay follows its tape.
"""

from __future__ import annotations

from contextlib import ExitStack
from types import FrameType
from typing import Self

from anchorwatch.io.seams import CAN_RING, ring_after, ring_no_more, rings
from anchorwatch.machine.strategy import Decision, MarketView, Strategy
from anchorwatch.machine.strategy.asking import Decider, StrategyOverran, decider, overran

AGAIN_S = 0.001
"""Until it gives way: a bare ``except`` around its loop catches most of them, and the one that comes in between ends it."""

MARKET = "anchorwatch.machine."
STRATEGIES = "anchorwatch.machine.strategy"


class Overtime(BaseException):
    """Raised inside of a strategy, and never seen outside of this file."""


class Patience:
    """Bounds what strategies take, for the length of its block, in the main thread. ``within_s``: real seconds."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._stack = ExitStack()
        self._overran: StrategyOverran | None = None

    def __enter__(self) -> Self:
        if CAN_RING:
            self._stack.enter_context(rings(_interrupt))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def asker(self, strategy: Strategy) -> Decider:
        """`asking.decider` within the bound; raises `StrategyOverran` beyond it."""
        decide = decider(strategy)
        if not CAN_RING:
            return decide

        def decide_in_time(view: MarketView) -> Decision:
            ring_after(self._within_s, AGAIN_S)
            try:
                return _asked(decide, view)
            except Overtime as error:
                self._overran = overran(strategy, error.__traceback__, self._within_s)
                raise self._overran from None
            finally:
                ring_no_more()

        return decide_in_time

    def taken(self) -> StrategyOverran | None:
        """The interruption since this was asked last; None without one."""
        found, self._overran = self._overran, None
        return found


def _asked(decide: Decider, view: MarketView) -> Decision:
    """The frame by which the alarm knows that what runs is a strategy."""
    return decide(view)


def _interrupt(frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code is _asked.__code__:
            raise Overtime
        room = frame.f_globals.get("__name__", "")
        if room.startswith(MARKET) and not room.startswith(STRATEGIES):
            return
        frame = frame.f_back
