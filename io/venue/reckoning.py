"""The exchange's arithmetic over a list of fills, as one call: fees and profits of any account's history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.positions import Position


class FillGiven(NamedTuple):
    """One execution: side buy or sell, pos_side net, long or short, size in contracts, price in USDT."""

    instrument: Instrument
    side: str
    pos_side: str
    contracts: Decimal
    px: Decimal
    is_maker: bool


class FillReckoned(NamedTuple):
    """The fee (negative when paid) and the profit it realised, both in USDT, and the position it left."""

    fee: Decimal
    pnl: Decimal
    contracts_after: Decimal


def reckon(fills: Iterable[FillGiven]) -> Iterator[FillReckoned]:
    """Fees and profits of fills in the order of their times, from flat positions.

    A net fill that turns a position is reckoned as its two parts. A hedge fill that closes more than there is raises
    ValueError: the list does not begin flat, or something is missing from it.
    """
    positions: dict[tuple[str, str], Position] = {}
    for number, fill in enumerate(fills):
        instrument = fill.instrument
        key = (instrument.inst_id, fill.pos_side)
        position = positions.get(key)
        if position is None:
            position = positions[key] = Position(
                pos_id="",
                inst_id=instrument.inst_id,
                margin_mode="cross",
                pos_side=fill.pos_side,
                coin_per_contract=instrument.coin_per_contract,
                lever=Decimal(1),
                created_ms=number,
                updated_ms=number,
            )
        closing = min(position.closable_by(fill.side), fill.contracts)
        opening = fill.contracts - closing
        closes = fill.pos_side != "net" and (fill.side == "buy") != (fill.pos_side == "long")
        if closes and opening:
            raise ValueError(f"fill {number} closes {fill.contracts} of {key}, which holds {closing}")
        pnl = Decimal(0)
        for part in (closing, opening):
            if part > 0:
                pnl += position.apply(fill.side, part, fill.px, at_ms=number)
        rate = instrument.maker_fee if fill.is_maker else instrument.taker_fee
        fee = -(fill.contracts * instrument.coin_per_contract * fill.px * rate)
        yield FillReckoned(fee, pnl, position.contracts)
