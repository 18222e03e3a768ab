"""Stories of an exchange that runs for long: what it remembers has an end."""

from __future__ import annotations

from decimal import Decimal

from anchorwatch.io.venue.accounts import RECORDS_MAX, AccountSpec, PositionHistory, new_account
from anchorwatch.io.venue.lagging import COPIES_MAX, LAG_MAX_MS, Pasts
from tests.venue.rig import BTC, START_MS, Rig


def closing(number: int, *, closed: int = 1) -> PositionHistory:
    return PositionHistory(
        pos_id="7",
        inst_id=BTC,
        margin_mode="cross",
        pos_side="net",
        direction="long",
        kind="2",
        lever=Decimal(3),
        open_avg_px=Decimal(60_000),
        close_avg_px=Decimal(60_100),
        max_contracts=Decimal(closed),
        closed_contracts=Decimal(closed),
        pnl=Decimal(1),
        fee=Decimal(0),
        funding=Decimal(0),
        liq_penalty=Decimal(0),
        created_ms=START_MS + number,
        updated_ms=START_MS + number,
    )


def test_of_the_closed_positions_the_oldest_are_forgotten() -> None:
    account = new_account(AccountSpec(), START_MS)
    for number in range(RECORDS_MAX + 5):
        account.keep_history(closing(number))
    assert len(account.history) == RECORDS_MAX
    assert next(iter(account.history)) == ("7", START_MS + 5)


def test_a_closing_that_is_written_again_is_the_newest_and_is_one_record() -> None:
    account = new_account(AccountSpec(), START_MS)
    for number in (0, 1):
        account.keep_history(closing(number))
    account.keep_history(closing(0, closed=2))
    assert [row.closed_contracts for row in account.history.values()] == [1, 2]


def test_copies_for_a_lagging_answer_share_the_records_that_have_not_changed() -> None:
    rig = Rig()
    account, pasts = rig.venue.accounts["main"], Pasts()
    rig.order("buy", "1", ordType="market")
    for happenings in range(3):
        pasts.remember([account], START_MS + happenings, happenings)
    first, second, third = (pasts.account_at(account, START_MS + number) for number in range(3))
    assert first.fills is not account.fills
    assert first.fills is second.fills is third.fills
    assert first.history is second.history
    rig.order("sell", "1", ordType="market")
    pasts.remember([account], START_MS + 3, 3)
    fourth = pasts.account_at(account, START_MS + 3)
    assert (len(third.fills), len(fourth.fills)) == (1, 2)
    assert (len(third.history), len(fourth.history)) == (0, 1)


def test_only_so_many_pasts_are_kept_and_only_for_so_long() -> None:
    account, pasts = new_account(AccountSpec(), START_MS), Pasts()
    for happenings in range(COPIES_MAX + 50):
        account.cash = Decimal(happenings)
        pasts.remember([account], START_MS + happenings, happenings)
    assert pasts.account_at(account, START_MS).cash == 50, "the oldest that is kept"
    late_ms = START_MS + 2 * LAG_MAX_MS
    for happenings in (1_000, 1_001):
        pasts.remember([account], late_ms + happenings, happenings)
    assert pasts.account_at(account, START_MS).cash == account.cash
