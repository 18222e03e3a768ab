"""The peers' side of the back-test's benchmark: run by the interpreter that has them, one peer a process.

``python tests/bench/_peers.py PEER FILE FAST SLOW TAKE`` reads candles from a CSV file and prints one JSON line: the
candles, the seconds of the engine's own run (reading and set-up left out), and the orders or trades that it made.
"""

from __future__ import annotations

import csv
import json
import logging
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CASH = 10_000
TAKER = 0.0005
NOTIONAL = 150.0
TAKE = 0.002


def rows_of(path: str) -> list[tuple[int, float, float, float, float, float]]:
    with Path(path).open(newline="") as source:
        rows = csv.reader(source)
        next(rows)
        return [(int(row[0]), *(float(cell) for cell in row[1:6])) for row in rows]  # type: ignore[misc]


def frame_of(path: str) -> Any:
    import pandas as pd

    columns = ["ts", "Open", "High", "Low", "Close", "Volume"]
    frame = pd.DataFrame(rows_of(path), columns=columns)
    frame["date"] = pd.to_datetime(frame["ts"], unit="ms", utc=True)
    return frame


def backtesting_py(path: str, fast: int, slow: int, stop: float) -> tuple[int, float, int]:
    """An order at the close of the cross, a stop loss, the taker fee."""
    import pandas as pd
    import talib
    from backtesting import Backtest, Strategy

    class Cross(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.fast = self.I(talib.EMA, self.data.Close, fast)
            self.slow = self.I(talib.EMA, self.data.Close, slow)

        def next(self) -> None:
            if len(self.data) < 4 * slow:
                return
            now, before = self.fast[-1] - self.slow[-1], self.fast[-2] - self.slow[-2]
            if now * before >= 0:
                return
            price = self.data.Close[-1]
            if self.position:
                self.position.close()
            elif now > 0:
                self.buy(size=0.015, sl=price * (1 - stop))
            else:
                self.sell(size=0.015, sl=price * (1 + stop))

    frame = frame_of(path).set_index("date").drop(columns="ts")
    frame.index = pd.DatetimeIndex(frame.index).tz_localize(None)
    # Prices are divided, because it trades whole units only.
    for name in ("Open", "High", "Low", "Close"):
        frame[name] /= 1e6
    test = Backtest(frame, Cross, cash=CASH, commission=TAKER, margin=0.2, finalize_trades=True)
    began = time.process_time()
    result = test.run()
    return len(frame), time.process_time() - began, int(result["# Trades"])


def nautilus(path: str, fast: int, slow: int, stop: float) -> tuple[int, float, int]:
    """Its BacktestEngine, bars, market orders, a resting stop order of each position, hedging book, the taker fee."""
    from decimal import Decimal

    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.config import LoggingConfig, StrategyConfig
    from nautilus_trader.indicators import ExponentialMovingAverage
    from nautilus_trader.model.currencies import USDT
    from nautilus_trader.model.data import Bar, BarType
    from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
    from nautilus_trader.model.identifiers import Venue
    from nautilus_trader.model.objects import Money
    from nautilus_trader.test_kit.providers import TestInstrumentProvider
    from nautilus_trader.trading.strategy import Strategy

    instrument = TestInstrumentProvider.btcusdt_perp_binance()
    bar_type = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")

    class Cross(Strategy):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(StrategyConfig())
            self.fast, self.slow = ExponentialMovingAverage(fast), ExponentialMovingAverage(slow)
            self.before = 0.0
            self.seen = 0

        def on_start(self) -> None:
            self.register_indicator_for_bars(bar_type, self.fast)
            self.register_indicator_for_bars(bar_type, self.slow)
            self.subscribe_bars(bar_type)

        def on_bar(self, bar: Bar) -> None:
            self.seen += 1
            before, self.before = self.before, self.fast.value - self.slow.value
            if self.seen < 4 * slow or self.before * before >= 0:
                return
            size = instrument.make_qty(NOTIONAL / float(bar.close))
            if not self.portfolio.is_flat(instrument.id):
                self.cancel_all_orders(instrument.id)
                self.close_all_positions(instrument.id)
                return
            side = OrderSide.BUY if self.before > 0 else OrderSide.SELL
            self.submit_order(self.order_factory.market(instrument.id, side, size))
            level = float(bar.close) * (1 - stop if side == OrderSide.BUY else 1 + stop)
            other = OrderSide.SELL if side == OrderSide.BUY else OrderSide.BUY
            trigger = instrument.make_price(level)
            self.submit_order(
                self.order_factory.stop_market(instrument.id, other, size, trigger, reduce_only=True)
            )

    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=Venue("BINANCE"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=None,
        starting_balances=[Money(CASH, USDT)],
        default_leverage=Decimal(5),
    )
    engine.add_instrument(instrument)
    rows = rows_of(path)
    price, quantity = instrument.make_price, instrument.make_qty
    bars = [
        Bar(bar_type, price(o), price(h), price(low), price(c), quantity(max(v, 0.001)), ts * 1_000_000, (ts + 60_000) * 1_000_000)
        for ts, o, h, low, c, v in rows
    ]  # fmt: skip
    engine.add_data(bars)
    engine.add_strategy(Cross())
    began = time.process_time()
    engine.run()
    seconds = time.process_time() - began
    trades = len(engine.cache.positions_closed())
    trades = max(trades, len(engine.cache.orders_closed()) // 3)
    return len(rows), seconds, trades


CROSS = """
import talib.abstract as ta
from freqtrade.strategy import IStrategy

class Peer(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1m"
    can_short = {shorts}
    minimal_roi = {{"0": 100}}
    stoploss = -{stop}
    trailing_stop = False
    startup_candle_count = {startup}
    use_exit_signal = True

    def populate_indicators(self, dataframe, metadata):
        dataframe["fast"] = ta.EMA(dataframe, timeperiod={fast})
        dataframe["slow"] = ta.EMA(dataframe, timeperiod={slow})
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        gap = dataframe["fast"] - dataframe["slow"]
        dataframe.loc[(gap > 0) & (gap.shift() <= 0), "enter_long"] = 1
        dataframe.loc[(gap < 0) & (gap.shift() >= 0), "enter_short"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        gap = dataframe["fast"] - dataframe["slow"]
        dataframe.loc[(gap < 0) & (gap.shift() >= 0), "exit_long"] = 1
        dataframe.loc[(gap > 0) & (gap.shift() <= 0), "exit_short"] = 1
        return dataframe
"""


def freqtrade(
    path: str, fast: int, slow: int, stop: float, *, is_sample: bool = False, take: float | None = None
) -> tuple[int, float, int]:
    """Its loop over the rows, indicators included, with the markets of its exchange left out of it."""
    from unittest.mock import MagicMock, PropertyMock, patch

    logging.disable(logging.CRITICAL)
    from freqtrade.configuration import TimeRange
    from freqtrade.enums import RunMode
    from freqtrade.optimize.backtesting import Backtesting
    from freqtrade.resolvers import ExchangeResolver

    frame = frame_of(path).rename(columns=str.lower)[["date", "open", "high", "low", "close", "volume"]]
    pair = "BTC/USDT"
    with tempfile.TemporaryDirectory() as folder:
        if is_sample:
            import freqtrade as package

            source = Path(package.__file__).parent / "templates" / "sample_strategy.py"
            text, name = source.read_text().replace('timeframe = "5m"', 'timeframe = "1m"'), "SampleStrategy"
            if take is not None:
                # Its entries, and exits as near as ours: so near that it trades about as often.
                assert "stoploss = -0.10" in text
                text = re.sub(
                    r"minimal_roi = \{.*?\}", f'minimal_roi = {{"0": {take}}}', text, flags=re.DOTALL
                )
                text = text.replace("stoploss = -0.10", f"stoploss = -{stop}")
        else:
            text, name = CROSS.format(fast=fast, slow=slow, stop=stop, startup=4 * slow, shorts=False), "Peer"
        Path(folder, "peer.py").write_text(text)
        config: dict[str, Any] = {
            "runmode": RunMode.BACKTEST, "strategy": name, "strategy_path": folder, "timeframe": "1m", "stake_currency": "USDT",
            "stake_amount": NOTIONAL, "dry_run": True, "dry_run_wallet": CASH, "max_open_trades": 1, "fee": TAKER,
            "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": [pair], "pair_blacklist": []},
            "pairlists": [{"method": "StaticPairList"}], "entry_pricing": {"price_side": "other", "use_order_book": False, "order_book_top": 1},
            "exit_pricing": {"price_side": "other", "use_order_book": False, "order_book_top": 1}, "user_data_dir": Path(folder),
            "datadir": Path(folder), "export": "none", "dataformat_ohlcv": "feather", "dataformat_trades": "feather", "candle_type_def": "spot",
            "trading_mode": "spot", "margin_mode": "", "enable_protections": False, "verbosity": 0, "cancel_open_orders_on_exit": False,
            "order_types": {"entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": False},
            "order_time_in_force": {"entry": "GTC", "exit": "GTC"}, "unfilledtimeout": {"entry": 10, "exit": 10, "unit": "minutes"},
            "internals": {}, "original_config": {}, "backtest_cache": "none", "stoploss": -stop,
        }  # fmt: skip
        markets = {pair: {"symbol": pair, "base": "BTC", "quote": "USDT", "active": True, "spot": True, "swap": False, "future": False, "type": "spot",
            "limits": {"amount": {"min": 1e-6, "max": None}, "cost": {"min": 0.01, "max": None}, "price": {"min": None, "max": None}, "leverage": {"min": None, "max": None}},
            "precision": {"amount": 1e-6, "price": 0.01}, "contractSize": None, "taker": TAKER, "maker": TAKER, "linear": None, "settle": None}}  # fmt: skip
        with (
            patch("freqtrade.exchange.exchange.Exchange.validate_config", MagicMock()),
            patch("freqtrade.exchange.exchange.Exchange._init_ccxt", MagicMock()),
            patch("freqtrade.exchange.exchange.Exchange.reload_markets", MagicMock()),
            patch("freqtrade.exchange.exchange.Exchange.validate_timeframes", MagicMock()),
            patch("freqtrade.exchange.exchange.Exchange.markets", PropertyMock(return_value=markets)),
            patch("freqtrade.exchange.exchange.Exchange.precisionMode", PropertyMock(return_value=4)),
            patch("freqtrade.exchange.exchange.Exchange.precision_mode_price", PropertyMock(return_value=4)),
            patch("freqtrade.exchange.exchange.Exchange.get_fee", MagicMock(return_value=TAKER)),
            patch("freqtrade.exchange.exchange.Exchange.ohlcv_candle_limit", MagicMock(return_value=1000)),
        ):
            exchange = ExchangeResolver.load_exchange(config, validate=False, load_leverage_tiers=False)
            engine = Backtesting(config, exchange)
            engine._set_strategy(engine.strategylist[0])
            began = time.process_time()
            processed = engine.strategy.advise_all_indicators({pair: frame})
            start, end = frame["date"].iloc[0].to_pydatetime(), frame["date"].iloc[-1].to_pydatetime()
            result = engine.backtest(processed=processed, start_date=start, end_date=end)
            seconds = time.process_time() - began
            assert TimeRange is not None
        return len(frame), seconds, len(result["results"])


PEERS: dict[str, Callable[[str, int, int, float], tuple[int, float, int]]] = {
    "backtesting.py": backtesting_py,
    "nautilus_trader": nautilus,
    "freqtrade": freqtrade,
    "freqtrade sample": lambda path, fast, slow, stop: freqtrade(path, fast, slow, stop, is_sample=True),
    "freqtrade sample, near exits": lambda path, fast, slow, stop: freqtrade(
        path, fast, slow, stop, is_sample=True, take=TAKE
    ),
}


if __name__ == "__main__":
    peer, path, fast, slow, stop = sys.argv[1:6]
    candles, seconds, trades = PEERS[peer](path, int(fast), int(slow), float(stop))
    print(json.dumps({"candles": candles, "seconds": seconds, "trades": trades}))
