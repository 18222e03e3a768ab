"""Stories of money on the exchange's core: margin, tiers, funding, liquidation, and real fills reckoned again."""

from __future__ import annotations

import gzip
import json
import os
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.instruments import instrument_for
from anchorwatch.io.venue.margin import Margin
from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.positions import Position
from anchorwatch.io.venue.rate_limits import RateLimits
from anchorwatch.io.venue.reckoning import FillGiven, reckon
from anchorwatch.io.venue.refusals import Refusal
from tests.venue.rig import BTC, HEDGED, Rig

D = Decimal
HOUR_MS = 3_600_000
DATA = Path(
    os.environ.get("ANCHORWATCH_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)


def test_the_liquidation_price_is_where_the_margin_ratio_reaches_one() -> None:
    instrument = instrument_for(BTC)
    assert instrument is not None
    margin = Margin(lambda _: D(60_000), lambda _: instrument)
    account = Rig().venue.accounts["main"]
    for side, expected in (("long", "54244.10"), ("short", "65704.33")):
        position = Position(
            pos_id="1",
            inst_id=BTC,
            margin_mode="isolated",
            pos_side=side,
            coin_per_contract=D("0.01"),
            lever=D(10),
            created_ms=0,
            updated_ms=0,
            contracts=D(10),
            avg_px=D(60_000),
            margin=D(600),
        )
        px = margin.liquidation_px(account, position)
        assert px is not None
        assert round(px, 2) == D(expected)


def test_opening_holds_margin_and_closing_gives_it_back() -> None:
    rig = Rig()
    rig.order("buy", "3", "59000")
    worth = rig.venue.margin.worth(rig.venue.accounts["main"])
    assert worth.order_frozen == D("0.03") * 59_000 / 3 + D("0.03") * 59_000 * D("0.0005")
    assert worth.available == 10_000 - worth.order_frozen
    rig.venue.trading.cancel(
        rig.venue.accounts["main"], {"instId": BTC, "ordId": rig.venue.orders()[0].order_id}
    )
    assert rig.venue.margin.worth(rig.venue.accounts["main"]).available == 10_000


def test_equity_moves_with_the_mark_price() -> None:
    rig = Rig()
    rig.order("buy", "10")
    account = rig.venue.accounts["main"]
    before = rig.venue.margin.worth(account).equity
    rig.settle_mark("58800")
    after = rig.venue.margin.worth(account).equity
    assert after == pytest.approx(before - D("0.1") * 1200, abs=D(10))


def test_every_funding_time_is_settled_one_after_the_other() -> None:
    rig = Rig()
    rig.order("buy", "1")
    rig.pass_ms(26 * HOUR_MS)
    funding = [one.at_ms for one in rig.venue.accounts["main"].bills if one.kind == "8"]
    assert [one % (8 * HOUR_MS) for one in funding] == [0, 0, 0]
    assert [later - earlier for earlier, later in pairwise(funding)] == [8 * HOUR_MS] * 2


def test_a_long_pays_positive_funding_and_a_short_receives_it() -> None:
    rig = Rig(HEDGED)
    rig.order("buy", "3", posSide="long")
    rig.order("sell", "1", posSide="short")
    cash = rig.cash
    funding = rig.venue.market.funding(BTC, rig.clock.now_ms)
    rig.pass_ms(funding.funding_time_ms - rig.clock.now_ms - 1)
    assert rig.cash == cash
    rate = rig.venue.market.funding_rate(BTC, funding.funding_time_ms)
    rig.pass_ms(1)
    mark = rig.venue.market.mark(BTC)
    paid = D("0.03") * mark * rate
    assert rig.cash == cash - paid + paid / 3
    long, short = rig.venue.positions()
    assert (long.funding, short.funding) == (-paid, paid / 3)
    kinds = [(bill.kind, bill.sub_type) for bill in rig.venue.accounts["main"].bills][-2:]
    assert kinds == ([("8", "173"), ("8", "174")] if rate > 0 else [("8", "174"), ("8", "173")])
    rig.pass_ms(3_600_000)
    assert rig.cash == cash - paid + paid / 3, "once per settlement"


def test_an_isolated_position_is_liquidated_at_its_price_and_loses_its_margin_only() -> None:
    rig = Rig()
    account = rig.venue.accounts["main"]
    asked = {"instId": BTC, "mgnMode": "isolated", "lever": "20"}
    rig.venue.trading.set_leverage(account, Parameters(asked))
    rig.order("buy", "10", tdMode="isolated")
    (position,) = rig.venue.positions()
    price = rig.venue.margin.liquidation_px(account, position)
    assert price is not None
    rig.settle_mark(str(int(price) + 150))
    assert rig.venue.positions() != ()
    rig.settle_mark(str(int(price) - 150))
    assert rig.venue.positions() == ()
    order = account.done[-1]
    assert (order.category, order.client_id, order.state) == ("full_liquidation", "", "filled")
    assert account.fills[-1].trade_id.startswith("-")
    assert account.fills[-1].sub_type == "107"
    (history,) = account.history.values()
    assert history.kind == "3"
    assert history.liq_penalty < 0
    assert 10_000 - position.margin - 10 <= account.cash < 10_000 - position.margin * D("0.8")


def test_a_cross_account_without_cover_loses_its_orders_first_and_then_its_position() -> None:
    rig = Rig(AccountSpec(cash=D(1_000)))
    account = rig.venue.accounts["main"]
    rig.venue.trading.set_leverage(account, Parameters({"instId": BTC, "mgnMode": "cross", "lever": "20"}))
    rig.order("buy", "20")
    rig.order("sell", "21", "61100")
    for px in ("59000", "57500", "56000", "54500"):
        rig.settle_mark(px)
    assert (rig.venue.positions(), rig.venue.orders()) == ((), ())
    cancelled, forced = list(account.done)[-2:]
    assert (cancelled.cancel_source, forced.category) == ("3", "full_liquidation")
    assert 0 <= account.cash < 200


def test_a_position_of_a_high_tier_is_cut_down_before_it_is_closed() -> None:
    rig = Rig(AccountSpec(cash=D(60_000_0)))
    account = rig.venue.accounts["main"]
    rig.venue.trading.set_leverage(account, Parameters({"instId": BTC, "mgnMode": "cross", "lever": "40"}))
    for _ in range(20):
        rig.order("buy", "300")
        rig.pass_ms(1000)
    assert rig.venue.positions()[0].contracts > 4000, "tier 4"
    px = rig.venue.market.last(BTC)
    while not any(fill.sub_type == "103" for fill in account.fills):
        px = px * D("0.998")
        px -= px % D("0.1")
        rig.settle_mark(str(px))
    assert rig.venue.positions()[0].contracts > 0
    assert account.bills[-1].kind in ("5", "2")


def test_a_leverage_beyond_the_tier_of_the_size_is_refused() -> None:
    rig = Rig(AccountSpec(cash=D(100_000_000)))
    account = rig.venue.accounts["main"]
    rig.venue.trading.set_leverage(account, Parameters({"instId": BTC, "mgnMode": "cross", "lever": "100"}))
    assert rig.order("buy", "1001")["sCode"] == "51004"
    assert rig.order("buy", "999")["sCode"] == "0"


def test_every_change_of_cash_has_a_bill() -> None:
    rig = Rig()
    rig.order("buy", "2")
    rig.price("60300")
    rig.order("sell", "1")
    rig.pass_ms(8 * 3_600_000)
    rig.order("sell", "3")
    account = rig.venue.accounts["main"]
    assert account.cash == 10_000 + sum(bill.change for bill in account.bills)
    assert [bill.balance for bill in account.bills][-1] == account.cash


def test_deleveraging_takes_a_part_of_the_position_without_fee_and_says_so_in_its_category() -> None:
    rig = Rig()
    rig.order("buy", "3")
    fee = rig.venue.positions()[0].fee
    rig.venue.deleverage("main", BTC, D(1))
    (position,) = rig.venue.positions()
    assert (position.contracts, position.fee) == (D(2), fee)
    account = rig.venue.accounts["main"]
    assert (account.done[-1].category, account.fills[-1].sub_type) == ("adl", "128")


def test_a_transfer_changes_the_cash_and_has_a_bill() -> None:
    rig = Rig()
    rig.venue.transfer("main", D(-2_500))
    assert rig.cash == 7_500
    (bill,) = rig.venue.accounts["main"].bills
    assert (bill.kind, bill.change, bill.balance) == ("1", D(-2_500), D(7_500))


def test_a_thousand_and_first_order_of_one_account_in_two_seconds_is_refused_with_50061() -> None:
    limits = RateLimits()
    for number in range(1000):
        limits.spend("trade/order", ip="", user="u", instrument=str(number), tag="", orders=1, now_ms=0)
    spend = partial(limits.spend, ip="", user="u", instrument="last", tag="", orders=1)
    with pytest.raises(Refusal, match="50061"):
        spend("trade/amend-order", now_ms=1_999)
    spend("trade/cancel-order", now_ms=1_999)
    spend("trade/amend-order", now_ms=2_000)


@pytest.mark.data
def test_the_ledger_reproduces_the_fees_and_profits_of_an_accounts_real_fills() -> None:
    path = DATA / "fills" / "okx_swap_fills_dev.json.gz"
    if not path.exists():
        pytest.skip("the recorded fills are not there")
    rows = json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal)
    given = []
    for row in rows:
        instrument = instrument_for(f"{row['symbol']}-SWAP")
        assert instrument is not None
        px, contracts = D(row["price"]), D(row["size"])
        paid = -D(row["fee"]) / (contracts * instrument.coin_per_contract * px)
        # The record does not say who was the maker; no fee is near both rates.
        is_maker = paid < D("0.00035")
        given.append(FillGiven(instrument, row["side"], row["pos_side"], contracts, px, is_maker))
    closings = 0
    for row, found in zip(rows, reckon(given), strict=True):
        assert abs(found.fee - D(row["fee"])) < D("1e-6")
        if row["pnl"] is not None:
            closings += 1
            told = D(row["pnl"])
            assert abs(found.pnl - told) <= max(D("1e-6"), abs(told) * D("1e-4"))
    assert (len(rows), closings) == (2482, 1373)


def test_fills_that_do_not_begin_flat_are_refused_by_the_ledger() -> None:
    instrument = instrument_for(BTC)
    assert instrument is not None
    with pytest.raises(ValueError, match="which holds 0"):
        list(reckon([FillGiven(instrument, "sell", "long", D(1), D(60_000), is_maker=False)]))
