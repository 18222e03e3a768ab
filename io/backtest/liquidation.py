"""How far an account is from its liquidation: cross margin, all positions together, by the tiers of the instruments."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from anchorwatch.io.backtest.holdings import Account, Position
from anchorwatch.io.backtest.tape import Tape

ZERO = Decimal(0)


class Distance:
    def __init__(self, account: Account, tapes: Mapping[str, Tape]) -> None:
        self._account = account
        self._tapes = tapes
        self._version = -1
        self._marks: list[tuple[Tape, int]] = []

    def is_far(self, version: int) -> bool:
        """Whether the account survives a market that halves (or doubles) against everything it holds.

        ``version`` is of what it holds. What was found holds for it until a mark has risen by a quarter: a fall of
        any depth costs a long no more than it is worth, which is half of what an account has that is far.
        """
        if version == self._version:
            for tape, then in self._marks:
                if 4 * tape.mark_ticks() > 5 * then:
                    break
            else:
                return True
        equity, notional = self._account.cash, ZERO
        marks = []
        for position in self._account.positions.values():
            if position.contracts:
                tape = self._tapes[position.leg.instrument]
                ticks = tape.mark_ticks()
                mark = ticks * tape.tick
                equity += position.unrealised(mark)
                notional += position.contracts * position.size * mark
                marks.append((tape, ticks))
        is_far = equity > 2 * notional or not notional
        self._version = version if is_far else -1
        self._marks = marks
        return is_far

    def is_reached(self) -> bool:
        """Whether the equity no longer covers maintenance and fees."""
        held = [one for one in self._account.positions.values() if one.contracts]
        equity, demanded = self._account.cash, ZERO
        for one in held:
            mark = self._tapes[one.leg.instrument].mark()
            equity += one.unrealised(mark)
            demanded += one.contracts * one.size * mark * self._demanded_rate(one)
        return bool(held) and equity <= demanded

    def price(self, position: Position) -> Decimal | None:
        """The mark at which the equity is down to what maintenance and fees demand, all else equal (OKX v5)."""
        backing, rate, sign = self._account.cash, ZERO, position.leg.side.sign
        for one in self._account.positions.values():
            if one is position:
                rate = self._demanded_rate(one)
            elif one.contracts:
                mark = self._tapes[one.leg.instrument].mark()
                backing += one.unrealised(mark) - one.contracts * one.size * mark * self._demanded_rate(one)
        coins = position.contracts * position.size
        price = (coins * position.average - sign * backing) / (coins * (1 - sign * rate))
        return price if price > 0 else None

    def _demanded_rate(self, position: Position) -> Decimal:
        """Maintenance and the fee of closing, as a share of what the position is worth."""
        listed = self._tapes[position.leg.instrument].instrument
        for tier in listed.tiers:
            if position.contracts <= tier.max_sz:
                break  # what is larger than the last tier pays as the last one
        return tier.mmr + listed.taker_fee
