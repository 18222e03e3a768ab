"""The record of a back-test: trades, the curve of the account, and what was said. It decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
import numpy as np
from numpy.typing import NDArray

from anchorwatch.io.backtest.holdings import Position
from anchorwatch.io.venue.feeds import MINUTE_MS
from anchorwatch.machine import requests, world
from anchorwatch.machine.units import Deal, LegKey, opening_deal

ZERO = Decimal(0)
SAID_KEPT = 200
"""Warnings and alarms that are quoted; their number is told in full."""


class Fill(msgspec.Struct, frozen=True, gc=False):
    at_ms: int
    is_entry: bool
    contracts: Decimal
    price: Decimal
    fee: Decimal
    is_maker: bool


class Trade(msgspec.Struct, gc=False):
    """One position from its first contract to its last. Money in settlement currency; ``funding`` positive when
    received; ``net`` is profit after fees and funding. ``stops`` are (time, level) as they came to rest."""

    number: int
    instrument: str
    side: str
    contract_size: Decimal
    entered_ms: int
    why: str
    regime: str
    fills: list[Fill] = []
    stops: list[tuple[int, Decimal]] = []
    funding: Decimal = ZERO
    left_ms: int = 0
    cause: str = ""

    def _sum(self, *, is_entry: bool) -> tuple[Decimal, Decimal]:
        parts = [one for one in self.fills if one.is_entry is is_entry]
        contracts = sum((one.contracts for one in parts), ZERO)
        worth = sum((one.contracts * one.price for one in parts), ZERO)
        return contracts, worth

    @property
    def contracts(self) -> Decimal:
        """What was entered, all of it."""
        return self._sum(is_entry=True)[0]

    @property
    def entry_price(self) -> Decimal:
        contracts, worth = self._sum(is_entry=True)
        return worth / contracts if contracts else ZERO

    @property
    def exit_price(self) -> Decimal:
        contracts, worth = self._sum(is_entry=False)
        return worth / contracts if contracts else ZERO

    @property
    def fees(self) -> Decimal:
        return sum((one.fee for one in self.fills), ZERO)

    @property
    def gross(self) -> Decimal:
        closed, exit_worth = self._sum(is_entry=False)
        contracts, entry_worth = self._sum(is_entry=True)
        share = closed / contracts if contracts else ZERO
        sign = 1 if self.side == "long" else -1
        return sign * (exit_worth - entry_worth * share) * self.contract_size

    @property
    def net(self) -> Decimal:
        return self.gross - self.fees + self.funding

    @property
    def is_closed(self) -> bool:
        return bool(self.left_ms)


@dataclass(slots=True)
class _Holding:
    """How the account stood from a moment on: enough to draw its curve afterwards."""

    at_ms: list[int] = field(default_factory=list)
    contracts: list[float] = field(default_factory=list)
    entry: list[float] = field(default_factory=list)


class Record:
    """Implements `exchange.Watcher`."""

    def __init__(self, sizes: dict[str, Decimal]) -> None:
        self.trades: list[Trade] = []
        self.open: dict[LegKey, Trade] = {}
        self.fees = self.funding = self.slippage = ZERO
        self.maker_fills = self.taker_fills = 0
        self.liquidations = 0
        self.alarms = 0
        self.counts: dict[str, int] = {}
        self.said: list[str] = []
        self.denied: dict[str, int] = {}
        self.cash_ms: list[int] = []
        self.cash: list[float] = []
        self.holdings: dict[LegKey, _Holding] = {}
        self._sizes = sizes
        self._why: dict[str, str] = {}
        self._regimes: dict[str, str] = {}

    # What the exchange tells.

    def filled(
        self, position: Position, deal: Deal, fill: world.Fill, category: str, *, is_maker: bool
    ) -> None:
        leg = position.leg
        is_entry = deal is opening_deal(leg.side)
        trade = self.open.get(leg)
        if trade is None:
            assert is_entry, "a fill that closes nothing"
            key = str(leg)
            trade = self.open[leg] = Trade(
                len(self.trades) + 1,
                leg.instrument,
                leg.side.value,
                self._sizes[leg.instrument],
                fill.at_ms,
                self._why.get(key, ""),
                self._regimes.get(leg.instrument, ""),
            )
            self.trades.append(trade)
        trade.fills.append(Fill(fill.at_ms, is_entry, fill.contracts, fill.price, fill.fee, is_maker))
        self.fees += fill.fee
        if is_maker:
            self.maker_fills += 1
        else:
            self.taker_fills += 1
        if category != "normal":
            self.liquidations += 1
        holding = self.holdings.get(leg)
        if holding is None:
            holding = self.holdings[leg] = _Holding()
        holding.at_ms.append(fill.at_ms)
        holding.contracts.append(float(position.contracts))
        holding.entry.append(float(position.average))
        if not position.contracts:
            trade.left_ms = fill.at_ms
            del self.open[leg]

    def funded(self, leg: LegKey, amount: Decimal, at_ms: int) -> None:
        self.funding += amount
        self.open[leg].funding += amount

    def slipped(self, cost: Decimal) -> None:
        self.slippage += cost

    def stop_set(self, leg: LegKey, level: Decimal, at_ms: int) -> None:
        trade = self.open.get(leg)
        if trade is not None:
            trade.stops.append((at_ms, level))

    def cash_moved(self, at_ms: int, cash: Decimal) -> None:
        self.cash_ms.append(at_ms)
        self.cash.append(float(cash))

    # What the desk says.

    def say(self, effect: requests.Announce, at_ms: int) -> None:
        fields = dict(effect.fields)
        # What is said of many candles that were left out together is said so many times.
        self.counts[effect.name] = self.counts.get(effect.name, 0) + int(fields.get("times", 1))
        match effect.name:
            case "ENTRY":
                self._why[fields["leg"]] = fields.get("why", "")
                self._regimes[fields["leg"].partition("/")[0]] = fields.get("regime", "")
            case "EXIT":
                self._name_cause(fields)
            case "ENTRY_DENIED":
                for reason in fields.get("because", "").split("; "):
                    self.denied[reason] = self.denied.get(reason, 0) + 1
        if effect.level == "alarm":
            self.alarms += 1
        if effect.level != "info" and len(self.said) < SAID_KEPT:
            words = " ".join(f"{name}={value}" for name, value in effect.fields)
            self.said.append(f"{moment(at_ms)} {effect.level} {effect.name} {words}")

    def _name_cause(self, fields: dict[str, str]) -> None:
        for trade in reversed(self.trades):
            if f"{trade.instrument}/{trade.side}" == fields["leg"]:
                trade.cause = fields.get("cause", "")
                return

    # The curve.

    def equity(
        self, opens_ms: NDArray[np.int64], closes: dict[str, NDArray[np.float64]], cash: Decimal
    ) -> NDArray[np.float64]:
        """The account at the end of each minute of ``opens_ms``: cash, and what is unrealised at the last price."""
        ends_ms = opens_ms + MINUTE_MS
        curve = _stepped(ends_ms, self.cash_ms, self.cash, float(cash))
        for leg, holding in self.holdings.items():
            contracts = _stepped(ends_ms, holding.at_ms, holding.contracts, 0.0)
            entry = _stepped(ends_ms, holding.at_ms, holding.entry, 0.0)
            size = float(self._sizes[leg.instrument]) * leg.side.sign
            curve = curve + contracts * size * (closes[leg.instrument] - entry)
        return curve

    def exposure(
        self, opens_ms: NDArray[np.int64], closes: dict[str, NDArray[np.float64]]
    ) -> dict[str, NDArray[np.float64]]:
        """What is held of each instrument at the end of each minute, both directions added up, in settlement currency."""
        ends_ms = opens_ms + MINUTE_MS
        held = {name: np.zeros(len(opens_ms)) for name in closes}
        for leg, holding in self.holdings.items():
            contracts = _stepped(ends_ms, holding.at_ms, holding.contracts, 0.0)
            held[leg.instrument] += contracts * float(self._sizes[leg.instrument]) * closes[leg.instrument]
        return held


def _stepped(
    at: NDArray[np.int64], since: list[int], values: list[float], before: float
) -> NDArray[np.float64]:
    """The value that holds just before each moment of ``at``: what happens at a minute's end belongs to the next."""
    known = np.asarray([before, *values])
    return known[np.searchsorted(np.asarray(since, dtype=np.int64), at, side="left")]


def moment(at_ms: int) -> str:
    """A time for people, UTC, to the second."""
    return str(np.datetime64(at_ms // 1000, "s")).replace("T", " ")
