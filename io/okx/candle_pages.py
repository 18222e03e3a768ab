"""Reads candles of any span from pages, every candle once.

OKX v5 gives the newest candles first; `after` is exclusive and means *older than*.  So the next page is asked with
the opening time of the oldest candle held, unchanged: one bar less would lose the candle at every page's edge.
`/candles` knows the latest 1440 only, `/history-candles` everything that is closed; the second goes on exactly
where the first has no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import trio

from anchorwatch.io.okx.calls import Calls, Query
from anchorwatch.io.okx.outcomes import Answered, Failed, Read
from anchorwatch.io.okx.wire_market import Candle, MarkCandle
from anchorwatch.machine.timeframes import span_ms

C = TypeVar("C", Candle, MarkCandle)

# What OKX v5 gives at most on a page of candles; a path that gives less still works, with more pages.
CANDLES_PER_PAGE = 300
# 300 pages of 100 are three weeks of minutes. A longer span is a mistake in the settings.
CANDLE_PAGES_MAX = 300


async def read_candles(
    calls: Calls,
    paths: Sequence[str],
    row: type[C],
    inst_id: str,
    bar: str,
    *,
    start_ms: int,
    end_ms: int,
    confirmed_only: bool,
    deadline_s: float,
) -> Read[C]:
    """Candles that open in [start, end), oldest first. `paths` are asked in turn, each as far back as it goes."""
    until = trio.current_time() + deadline_s
    found: dict[int, C] = {}
    oldest_ms = end_ms
    pages = 0
    for path in paths:
        while oldest_ms > start_ms:
            if pages == CANDLE_PAGES_MAX:
                return Failed(f"{path}: more than {CANDLE_PAGES_MAX} pages")
            pages += 1
            # No more than are wanted: three hundred days for the sake of ten are work for both sides.
            wanted = -(-(oldest_ms - start_ms) // span_ms(bar)) + 1
            limit = min(wanted, CANDLES_PER_PAGE)
            query: Query = {"instId": inst_id, "bar": bar, "after": oldest_ms, "limit": limit}
            left_s = max(0.0, until - trio.current_time())
            page: Read[C] = await calls.read(path, query, row, deadline_s=left_s)
            if not isinstance(page, Answered):
                return page
            older = {candle.ts_ms: candle for candle in page.rows if candle.ts_ms < oldest_ms}
            if not older:
                break
            found.update(older)
            oldest_ms = min(older)
    kept = (found[ts_ms] for ts_ms in sorted(found) if ts_ms >= start_ms)
    return Answered(tuple(candle for candle in kept if candle.confirmed or not confirmed_only))
