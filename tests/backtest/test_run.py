"""A back-test is a function of candles, settings and seed, and knows nothing of what is still to come."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from anchorwatch.io.backtest.run import Backtest
from anchorwatch.io.backtest.shell import Shell
from anchorwatch.io.settings import load
from anchorwatch.io.venue.candle_file import CandleSeries, read_candles
from anchorwatch.io.venue.instruments import instrument_for
from anchorwatch.machine import lifecycle, requests
from anchorwatch.machine.kernel import Effect, Event
from tests.backtest.rig import BTC, FIRST_MS, MINUTE_MS, part, recorded, run, settings, trades, walk, walks

ROOT = Path(__file__).parents[2]
ETH = "ETH-USDT-SWAP"
WHOLE = walk(600)


def test_the_bot_comes_through_every_stage_and_stops_in_order() -> None:
    test = run(WHOLE)
    assert test.desk.bot.lifecycle.state is lifecycle.S.STOPPED
    assert test.shell.exit is lifecycle.Exit.CLEAN
    assert len(test.record.trades) > 20
    assert test.record.alarms == 0
    assert test.desk.context.book.totals.drifts == 0


def test_the_desks_book_and_the_exchange_agree_on_every_cent() -> None:
    test = run(WHOLE)
    totals, account = test.desk.context.book.totals, test.exchange.account
    assert not test.record.open
    assert totals.fees == test.record.fees
    assert account.cash == Decimal(10_000) + totals.realised_pnl - totals.fees + totals.funding
    assert sum(trade.net for trade in test.record.trades) == account.cash - 10_000


def test_the_desk_hears_what_fills_and_funding_do_to_positions_and_account() -> None:
    test = run(walk(1_400, 3))
    book = test.desk.context.book
    assert test.record.funding
    assert book.totals.funding == test.record.funding


def test_every_position_has_its_stop_within_the_latency() -> None:
    test = run(WHOLE)
    assert test.desk.context.book.totals.uncovered_ms_max <= 50
    assert all(trade.stops for trade in test.record.trades)


@given(st.integers(min_value=120, max_value=len(WHOLE) - 1))
@effort(max_examples=12, deadline=None)
def test_cutting_the_future_off_never_changes_the_past(rows: int) -> None:
    end_ms = WHOLE.first_ms + rows * MINUTE_MS
    whole, short = _past(run(WHOLE), end_ms), _past(run(part(WHOLE, slice(0, rows))), end_ms)
    assert short == whole


def _past(test: Backtest, end_ms: int) -> list[tuple[object, ...]]:
    """Every fill and every stop level before this time."""
    return [
        (trade.number, *what)
        for trade in test.record.trades
        for what in (
            *((one.at_ms, one.is_entry, one.contracts, one.price, one.fee) for one in trade.fills),
            *((at_ms, level) for at_ms, level in trade.stops),
        )
        if what[0] < end_ms
    ]


@given(st.integers(min_value=70, max_value=200), st.integers(min_value=1, max_value=10**6))
@effort(max_examples=8, deadline=None)
def test_another_future_never_changes_the_past(rows: int, seed: int) -> None:
    """Not cut off but different: nothing may even look."""
    other = walk(200, seed)
    first = part(WHOLE, slice(0, 200))
    mixed = part(first, slice(None))
    for name in ("open", "high", "low", "close"):
        setattr(mixed, name, np.concatenate((getattr(first, name)[:rows], getattr(other, name)[rows:])))
    end_ms = WHOLE.first_ms + rows * MINUTE_MS
    assert _past(run(mixed), end_ms) == _past(run(first), end_ms)


def test_the_desk_is_never_told_of_a_time_that_has_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Event, int]] = []
    deliver = Shell.deliver

    def listening(self: Shell, event: Event) -> None:
        told.append((event, self.clock))
        deliver(self, event)

    monkeypatch.setattr(Shell, "deliver", listening)
    run(part(WHOLE, slice(0, 200)))
    for event, now_ms in told:
        candle = getattr(event, "candle", None)
        assert candle is None or candle.open_ms + MINUTE_MS <= now_ms
        assert getattr(event, "at_ms", 0) <= now_ms
    assert [now_ms for _, now_ms in told] == sorted(now_ms for _, now_ms in told)


def test_the_same_run_twice_is_the_same_run() -> None:
    assert trades(run(WHOLE)) == trades(run(WHOLE))


PRINTS = "from tests.backtest.rig import run, trades, walk; print(trades(run(walk(300))))"


def test_the_order_of_hashes_decides_nothing() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PRINTS],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1
    assert "entry_price" in outputs.pop()


def test_another_seed_is_another_path_inside_the_candles() -> None:
    assert trades(run(WHOLE, seed=1)) != trades(run(WHOLE, seed=2))


def test_a_hole_keeps_entries_shut_and_its_candles_are_never_made_up() -> None:
    missing = slice(300, 340)
    mask = np.ones(len(WHOLE), dtype=bool)
    mask[missing] = False
    test = run(part(WHOLE, mask))
    begin_ms, end_ms = FIRST_MS + 300 * MINUTE_MS, FIRST_MS + 340 * MINUTE_MS
    assert test.record.counts.get("CANDLES_MISSED", 0) == 1
    assert not [one for one in test.record.trades if begin_ms < one.entered_ms <= end_ms]
    assert [one for one in test.record.trades if one.entered_ms > end_ms]


def test_the_shell_performs_every_request_that_the_desk_can_make() -> None:
    made = {
        kind
        for kind in vars(requests).values()
        if isinstance(kind, type) and issubclass(kind, Effect) and kind.__module__ == requests.__name__
    }
    assert made <= set(run(part(WHOLE, slice(0, 70))).shell.performers)


def test_costs_are_what_the_settings_say() -> None:
    free = run(WHOLE, settings(backtest__taker_fee=0, backtest__maker_fee=0, backtest__funding="none"))
    assert free.record.fees == 0
    assert free.record.funding == 0
    dear = run(WHOLE, settings(backtest__slippage_fraction=Decimal("0.001")))
    plain = run(WHOLE)
    assert sum(one.net for one in dear.record.trades) < sum(one.net for one in plain.record.trades)


def test_a_maker_pays_the_makers_fee_and_waits_until_the_market_goes_through_its_price() -> None:
    test = run(WHOLE)
    entries = [one for trade in test.record.trades for one in trade.fills if one.is_entry]
    assert entries
    assert all(one.is_maker for one in entries)
    size = Decimal("0.01")
    assert all(one.fee == one.contracts * size * one.price * Decimal("0.0002") for one in entries)
    assert test.record.maker_fills == len(entries)
    assert test.record.counts["ENTRY"] > len(test.record.trades), "a maker misses some of its entries"


def test_a_thin_book_fills_in_parts_at_worse_prices() -> None:
    large = {
        "sizing__notional_usd": 9_000_000,
        "limits__total_usd": 0,
        "backtest__cash_usd": 100_000_000,
        "entry__order_kind": "market",
    }
    deep = run(WHOLE, settings(**large))
    thin = run(WHOLE, settings(**large, backtest__depth_fraction=Decimal("0.2")))
    assert max(len(one.fills) for one in thin.record.trades) > max(
        len(one.fills) for one in deep.record.trades
    )
    assert thin.record.alarms == 0


def test_latency_moves_the_fill_and_not_the_decision() -> None:
    late = {"backtest__latency_ms": 2_000, "backtest__latency_jitter_ms": 0}
    slow = run(WHOLE, settings(entry__order_kind="market", **late))
    first = slow.record.trades[0]
    assert first.entered_ms % MINUTE_MS == 2_000


@pytest.mark.parametrize("kind", ["post_only", "market"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_left_out_changes_nothing(kind: str, seed: int) -> None:
    """Every mark and every second told, against only those that may matter."""
    given = settings(
        entry__order_kind=kind,
        backtest__latency_jitter_ms=0,
        protection__stop_fraction=Decimal("0.004"),
        protection__trail_activation_fraction=Decimal("0.001"),
        protection__trail_fraction=Decimal("0.0012"),
        protection__take_profit_fraction=Decimal("0.004"),
        protection__max_holding_min=7,
        strategy__fast=5,
        strategy__slow=30,
        candles={"1m": 140},
    )
    series = walk(900, seed, step=300)
    sparse = run(series, given, start=140)
    full = run(series, given, start=140, is_exhaustive=True)
    assert trades(sparse) == trades(full)
    assert [one.stops for one in sparse.record.trades] == [one.stops for one in full.record.trades]
    causes = {one.cause for one in full.record.trades}
    assert {"stop", "held too long"} <= causes
    assert sparse.shell.events < full.shell.events / 2


def two_markets(seed: int, *, together: bool) -> dict[str, CandleSeries]:
    """BTC, and another instrument that moves with it or on its own."""
    other = instrument_for(ETH)
    assert other is not None
    series = walk(500, seed if together else seed + 100, step=600 if together else 9_000)
    eth = CandleSeries(other, series.ts_ms, series.open, series.high, series.low, series.close, series.volume)
    return {BTC: walk(500, seed, step=300), ETH: eth}


@pytest.mark.parametrize(("seed", "together"), [(2, True), (7, True), (10, True), (15, True), (23, False)])
def test_a_limit_of_loss_is_not_passed_while_the_desk_sleeps(seed: int, together: bool) -> None:
    """Entries halt in the second in which they would if every mark and every second were told, whatever is open."""
    given = settings(
        symbols=[BTC, ETH],
        limits__daily_loss=Decimal("0.0002" if together else "0.0003"),
        limits__drawdown=Decimal(0),
        limits__correlation=Decimal(1),
        entry__order_kind="market",
        protection__stop_fraction=Decimal("0.03"),
        protection__max_holding_min=0,
        protection__take_profit_fraction=Decimal(0),
        backtest__latency_jitter_ms=0,
    )
    halted = []
    for is_exhaustive in (False, True):
        test = Backtest(
            given,
            two_markets(seed, together=together),
            FIRST_MS + 140 * MINUTE_MS,
            FIRST_MS + 500 * MINUTE_MS,
            seed=1,
            is_exhaustive=is_exhaustive,
        )
        test.run()
        halted.append(
            [words.partition(" alarm LOSS_LIMIT")[0] for words in test.record.said if "LOSS_LIMIT" in words]
        )
    assert len(halted[1]) == 1
    assert halted[0] == halted[1]


@pytest.mark.data
def test_every_trade_tells_the_regime_in_which_it_was_entered() -> None:
    """The report has a table by regime: it said `not told` of all of them."""
    instrument = instrument_for(ETH)
    assert instrument is not None
    series = part(
        read_candles(recorded("binance_usdm_ETHUSDT_1m_setA.csv.gz"), instrument), slice(0, 7 * 1440)
    )
    chosen = load(file=None, environ={}, options={"symbols": [ETH]}, markets=())
    test = Backtest(chosen, {ETH: series}, series.first_ms + 5 * 1440 * MINUTE_MS, series.end_ms, seed=1)
    test.run()
    assert len({trade.regime for trade in test.record.trades}) >= 2
    assert all(trade.why.startswith(f"{trade.regime}: ") for trade in test.record.trades)


@pytest.mark.data
@pytest.mark.parametrize(("rate", "paying"), [("0.01", "long"), ("-0.01", "short")])
def test_the_side_that_a_high_funding_would_cost_is_not_entered(rate: str, paying: str) -> None:
    """The forecast reaches the default strategy's filter, which here looks at the whole interval."""
    path = recorded("binance_usdm_ETHUSDT_1m_setA.csv.gz")
    instrument = instrument_for(ETH)
    assert instrument is not None
    series = part(read_candles(path, instrument), slice(0, 6 * 1440 + 720))
    sides = {}
    for paid in (rate, "0"):
        options: dict[str, object] = {
            "symbols": [instrument.inst_id],
            "backtest.funding": "fixed",
            "backtest.funding_rate": Decimal(paid),
            "strategy.settings": {"filters": {"funding_within_ms": 8 * 3_600_000}},
        }
        chosen = load(file=None, environ={}, options=options, markets=())
        test = Backtest(
            chosen,
            {instrument.inst_id: series},
            series.first_ms + 5 * 1440 * MINUTE_MS,
            series.end_ms,
            seed=1,
        )
        test.run()
        sides[paid] = {trade.side for trade in test.record.trades}
        refused = test.desk.context.book.decisions["refused funding"]
        assert (refused > 0) is (paid == rate)
    assert sides["0"] == {"long", "short"}
    assert sides[rate] == {"long", "short"} - {paying}


def test_with_several_instruments_a_stop_is_placed_as_soon_as_with_one() -> None:
    """What another instrument's look at its marks set going was due at once, and waited for the next tick of the clock."""
    series = walks({BTC: 1_000_000, ETH: 300_000, "SOL-USDT-SWAP": 20_000}, 340, 30)
    begin_ms, end_ms = series[BTC].first_ms + 140 * MINUTE_MS, series[BTC].end_ms
    makers = settings(symbols=list(series), entry__order_kind="post_only")
    longest = []
    for is_exhaustive in (False, True):
        test = Backtest(makers, series, begin_ms, end_ms, seed=1, is_exhaustive=is_exhaustive)
        test.run()
        assert len({trade.instrument for trade in test.record.trades}) == len(series)
        longest.append(test.desk.context.book.totals.uncovered_ms_max)
    assert max(longest) <= 50
