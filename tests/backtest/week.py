"""``python -m tests.backtest.week [COIN…] [DAYS]``: a week of recorded candles through the whole engine and the back-test.

The default strategy and its makers. It takes the engine some ten minutes of a core for each coin, prints the fills that
differ, and ends with exit code 1 where there are any.
"""

from __future__ import annotations

import sys

from tests.backtest.rig import DATA
from tests.backtest.test_agreement import both

DAYS = 7.0
SHOWN = 10
HISTORY_MINUTES = 5 * 1440
"""What comes before: the default strategy reads days of hours."""


def main(words: list[str]) -> int:
    days = next((float(word) for word in words if word.replace(".", "").isdigit()), DAYS)
    coins = [word for word in words if word.isalpha()] or ["BTC", "ETH"]
    failed = False
    for coin in coins:
        path = DATA / "candles" / f"binance_usdm_{coin}USDT_1m_setA.csv.gz"
        engine, backtest = both(path, {}, HISTORY_MINUTES, round(days * 1440))
        apart = sorted(set(engine) ^ set(backtest))
        failed = failed or bool(apart) or not engine
        print(
            f"{coin}: {days:g} days, {len(engine)} fills of the engine, {len(backtest)} of the back-test, {len(apart)} differ"
        )
        for one in apart[:SHOWN]:
            print("  engine   " if one in engine else "  back-test", *one)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
