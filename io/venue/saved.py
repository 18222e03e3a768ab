"""What outlives the exchange's process: accounts, orders, identifiers, countdowns, changed instruments, the fault plan.

Connections, rate-limit windows and pushes under way do not. Neither do the API keys: they come from the configuration
each time, so that the file holds no secret. An exchange that was down has traded nothing: when it comes back the
market has moved on, and what became due meanwhile (a funding time, a countdown, a stop) happens at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from anchorwatch.io.venue.accounts import RECORDS_MAX, Account, PositionHistory
from anchorwatch.io.venue.cancel_all_after import Countdown
from anchorwatch.io.venue.faults import InstrumentChange, InstrumentState, PlanState
from anchorwatch.io.venue.ids import IdsState
from anchorwatch.io.venue.orders import AlgoOrder, Bill, Fill, Order
from anchorwatch.io.venue.positions import Position

if TYPE_CHECKING:
    from anchorwatch.io.venue.exchange import Venue

# Written into the file; another number is another layout.
LAYOUT = 1
# Finished records of each kind that are saved per account; the oldest are left out. All of them together are some six
# megabytes and take less than a tenth of a second to write, and a session rarely looks further back.
RECORDS_SAVED_MAX = 5_000

T = TypeVar("T")


class BadState(Exception):
    """The state cannot be gone on with; the text says why, for the user."""


class SavedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account without its keys. ``levers``: instrument, margin mode, side, leverage."""

    name: str
    cash: Decimal
    pos_mode: str
    updated_ms: int
    levers: tuple[tuple[str, str, str, Decimal], ...]
    positions: tuple[Position, ...]
    pending: tuple[Order, ...]
    done: tuple[Order, ...]
    algos: tuple[AlgoOrder, ...]
    algos_done: tuple[AlgoOrder, ...]
    fills: tuple[Fill, ...]
    bills: tuple[Bill, ...]
    history: tuple[PositionHistory, ...]


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """A venue at one moment. `market` says which market it played, `anchor_ms` when that market was first entered."""

    layout: int
    anchor_ms: int
    at_ms: int
    market: str
    ids: IdsState
    accounts: tuple[SavedAccount, ...]
    countdowns: tuple[Countdown, ...]
    funding_due: dict[str, int]
    instruments: tuple[InstrumentChange, ...]
    plan: PlanState


def saved(venue: Venue, *, anchor_ms: int, market: str) -> Saved:
    """The venue as it stands between two requests."""
    changed = [
        InstrumentChange(
            at_ms=venue.now_ms(),
            inst_id=now.inst_id,
            state=cast(InstrumentState, now.state),
            tick_sz=str(now.tick_sz),
            lot_sz=str(now.lot_sz),
            min_sz=str(now.min_sz),
        )
        for now in venue.instruments()
        if now != venue.market.instrument(now.inst_id)
    ]
    return Saved(
        layout=LAYOUT,
        anchor_ms=anchor_ms,
        at_ms=venue.now_ms(),
        market=market,
        ids=venue.ids.state(),
        accounts=tuple(_account(one) for one in venue.accounts.values()),
        countdowns=tuple(venue.cancel_all_after.running()),
        funding_due=dict(venue.funding_due),
        instruments=tuple(changed),
        plan=venue.faults.state(),
    )


def encoded(state: Saved) -> bytes:
    return msgspec.json.encode(state)


def decoded(text: bytes) -> Saved:
    """Raises `BadState` for anything that `encoded` did not write."""
    try:
        state = msgspec.json.decode(text, type=Saved)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadState(f"is no saved state: {error}") from None
    if state.layout != LAYOUT:
        raise BadState(f"has layout {state.layout}; this version reads {LAYOUT}")
    return state


def resume(venue: Venue, state: Saved) -> None:
    """Put a fresh venue, made with the same accounts and market, where the saved one was. Raises `BadState`."""
    for one in state.accounts:
        account = venue.accounts.get(one.name)
        if account is None:
            raise BadState(f"knows an account {one.name!r} that is not configured")
        traded = {each.inst_id for each in one.positions} | {each.inst_id for each in one.pending}
        traded |= {each.inst_id for each in one.algos}
        unlisted = sorted(traded - {each.inst_id for each in venue.instruments()})
        if unlisted:
            raise BadState(f"holds {unlisted[0]}, which this market does not list")
        _resume_account(account, one)
    venue.ids.resume(state.ids)
    venue.cancel_all_after.resume(state.countdowns)
    venue.funding_due.update(
        {inst_id: due_ms for inst_id, due_ms in state.funding_due.items() if inst_id in venue.funding_due}
    )
    for change in state.instruments:
        venue.change_instrument(change)
    venue.changed_until_ms = state.at_ms
    venue.faults.resume(state.plan)


def _account(account: Account) -> SavedAccount:
    return SavedAccount(
        name=account.name,
        cash=account.cash,
        pos_mode=account.pos_mode,
        updated_ms=account.updated_ms,
        levers=tuple((*key, lever) for key, lever in account.levers.items()),
        positions=tuple(account.positions.values()),
        pending=tuple(account.pending.values()),
        done=_newest(account.done),
        algos=tuple(account.algos.values()),
        algos_done=_newest(account.algos_done),
        fills=_newest(account.fills),
        bills=_newest(account.bills),
        history=_newest(account.history.values()),
    )


def _newest(records: deque[T] | Iterable[T]) -> tuple[T, ...]:
    """The last records, in their order."""
    every = records if isinstance(records, deque) else tuple(records)
    return tuple(islice(every, max(len(every) - RECORDS_SAVED_MAX, 0), None))


def _resume_account(account: Account, one: SavedAccount) -> None:
    account.cash, account.pos_mode, account.updated_ms = one.cash, one.pos_mode, one.updated_ms
    account.levers = {(inst_id, mode, side): lever for inst_id, mode, side, lever in one.levers}
    account.positions = {each.key: each for each in one.positions}
    account.pending = {each.order_id: each for each in one.pending}
    for order in one.pending:
        # What was only acknowledged died with the process.
        order.amendments = 0
    account.algos = {each.algo_id: each for each in one.algos}
    account.done = deque(one.done, RECORDS_MAX)
    account.algos_done = deque(one.algos_done, RECORDS_MAX)
    account.fills = deque(one.fills, RECORDS_MAX)
    account.bills = deque(one.bills, RECORDS_MAX)
    account.history = {(each.pos_id, each.created_ms): each for each in one.history}
