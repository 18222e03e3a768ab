"""The engine's ledger and the exchange's are two implementations: after hours of trading they must say the same.

The engine trades by itself on a market that runs ten times as fast as its recording, so that fifty minutes see eight
hours of it; then its totals are compared with the account rows of the exchange, to the last digit.
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.io.seams import virtual_seams
from anchorwatch.io.simulation.network import CALM, FakeNetwork
from anchorwatch.io.venue.accounts import Account, AccountSpec
from anchorwatch.io.venue.candle_file import read_candles
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.feeds import FasterFeed, Feed
from anchorwatch.io.venue.instruments import instrument_for
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.serve import serve_venue
from anchorwatch.io.venue.synthetic import SyntheticFeed
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.units import LegKey, Side
from tests.io.engine_rig import FAKE_HOST, FAKE_PORT, KEY, Life, settings
from tests.venue.rig import BTC

DATA = Path(
    os.environ.get("ANCHORWATCH_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)
RECORDED = DATA / "candles" / "binance_usdm_BTCUSDT_1m_setA.csv.gz"
HOUR_S = 3_600
TRADING_S = 3_000
# Half an hour before a funding time, so that a run may pay one.
BEFORE_FUNDING_MS = 1_800_000
FUNDING_INTERVAL_MS = 8 * HOUR_S * 1000
SYNTHETIC_START_MS = 1_735_776_000_000 + FUNDING_INTERVAL_MS - BEFORE_FUNDING_MS
ZERO = Decimal(0)
D = Decimal


def feed_of(name: str) -> tuple[Feed, int]:
    instrument = instrument_for(BTC)
    assert instrument is not None
    if name == "recorded":
        series = read_candles(RECORDED, instrument)
        start_ms = series.first_ms + 8 * 24 * HOUR_S * 1000
        start_ms += FUNDING_INTERVAL_MS - BEFORE_FUNDING_MS - start_ms % FUNDING_INTERVAL_MS
        return FasterFeed(series, 10, start_ms), start_ms
    return FasterFeed(SyntheticFeed(instrument, 7), 10, SYNTHETIC_START_MS), SYNTHETIC_START_MS


HAS_DATA = pytest.mark.skipif(not RECORDED.exists(), reason="no recorded candles here")


@pytest.mark.parametrize(
    ("mode", "market"),
    [("hedge", "synthetic"), pytest.param("net", "recorded", marks=[pytest.mark.data, HAS_DATA])],
)
async def test_after_hours_of_trading_both_ledgers_say_the_same(
    autojump_clock: MockClock, mode: str, market: str
) -> None:
    feed, start_ms = feed_of(market)
    network = FakeNetwork(Random(1), CALM)
    network.install()
    network.add_host(FAKE_HOST)
    seams = virtual_seams(start_ms, 1)
    pos_mode = "long_short_mode" if mode == "hedge" else "net_mode"
    venue = Venue(
        Market({BTC: feed}, start_ms), now_ms=seams.wall_ms, accounts=(AccountSpec(pos_mode=pos_mode),)
    )
    given = settings(
        account__position_mode=mode,
        sizing__notional_usd=1000,
        strategy__fast=2,
        strategy__slow=4,
        strategy__cooldown_s=0,
        protection__stop_fraction=D("0.003"),
    )
    listeners = await trio.open_tcp_listeners(FAKE_PORT, host=FAKE_HOST)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_venue, venue, listeners)
        with open_journal(None, "sim", KEY.key) as journal:
            life = Life(given, seams, f"{FAKE_HOST}:{FAKE_PORT}", KEY, journal)
            nursery.start_soon(life.run)
            await life.ready()
            await trio.sleep(TRADING_S)
            assert await life.stop() is Exit.CLEAN
        nursery.cancel_scope.cancel()
    agree(life, venue.accounts["main"])


def agree(life: Life, account: Account) -> None:
    """Fills, fees, profit, funding, cash, and what is still held."""
    totals = life.engine.desk.context.book.totals
    assert totals.positions_closed >= 2, "the story needs some trading"
    assert totals.drifts == 0
    assert totals.fills == len(account.fills)
    assert totals.fees == -sum((fill.fee for fill in account.fills), ZERO)
    assert totals.realised_pnl == sum((fill.pnl for fill in account.fills), ZERO)
    funding = sum((bill.change for bill in account.bills if bill.kind == "8"), ZERO)
    assert totals.funding == funding
    assert account.cash == D(10_000) + totals.realised_pnl - totals.fees + funding
    held = {
        (Side.LONG if one.direction > 0 else Side.SHORT): (abs(one.contracts), one.avg_px)
        for one in account.open_positions()
    }
    for side in Side:
        leg = life.engine.desk.context.book.leg(LegKey(BTC, side))
        known = (leg.account.contracts, leg.account.average_price)
        assert known == held.get(side, (ZERO, ZERO))
