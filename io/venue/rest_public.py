"""Public REST endpoints: instruments, market data, system status. None of them asks who is calling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from anchorwatch.io.venue.answers import limit_of, page
from anchorwatch.io.venue.bars import bar_ms, bar_start, is_bar
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.market_rows import (
    candle_row,
    funding_row,
    index_row,
    instrument_row,
    level_rows,
    mark_candle_row,
    mark_price_row,
    price_limit_row,
    ticker_row,
    tier_rows,
)
from anchorwatch.io.venue.order_rows import Row, stamp
from anchorwatch.io.venue.parameters import Parameters, plain
from anchorwatch.io.venue.public_feed import open_interest_row, status_rows
from anchorwatch.io.venue.refusals import Refusal

if TYPE_CHECKING:
    from anchorwatch.io.venue.exchange import Venue

PublicRoute = Callable[["Venue", Parameters], Sequence[object]]

INST_TYPES = ("SWAP", "SPOT", "FUTURES", "OPTION", "MARGIN", "EVENTS", "ANY")
# OKX: /market/candles reaches back this many bars only.
RECENT_CANDLES = 1440
CANDLES_MAX = 300
FUNDING_INTERVALS_MAX = 400
STATUS_SHOWN = ("scheduled", "ongoing", "pre_open")


def listed(venue: Venue, asked: Parameters, *, needs_type: bool = True) -> list[Instrument]:
    """The instruments that instType, instFamily (or uly) and instId choose; none of other types than SWAP."""
    inst_type = asked.one_of("instType", INST_TYPES, "" if needs_type else "SWAP")
    inst_id, family = asked.text("instId"), asked.text("instFamily") or asked.text("uly")
    if inst_type not in ("SWAP", "ANY"):
        return []
    if inst_id:
        return [venue.instrument(inst_id)]
    return [one for one in venue.instruments() if not family or one.inst_family == family]


def server_time(venue: Venue, asked: Parameters) -> Sequence[object]:
    skew = venue.faults.draw("clock_skew", "public/time", venue.now_ms())
    return [{"ts": stamp(venue.now_ms() + (skew.delay_ms if skew is not None else 0))}]


def instruments(venue: Venue, asked: Parameters) -> Sequence[object]:
    return [instrument_row(one) for one in listed(venue, asked)]


def ticker(venue: Venue, asked: Parameters) -> Sequence[object]:
    instrument = venue.instrument(asked.required("instId"))
    return [ticker_row(venue.market, venue.book, instrument.inst_id, venue.now_ms())]


def tickers(venue: Venue, asked: Parameters) -> Sequence[object]:
    return [ticker_row(venue.market, venue.book, one.inst_id, venue.now_ms()) for one in listed(venue, asked)]


def books(venue: Venue, asked: Parameters) -> Sequence[object]:
    instrument = venue.instrument(asked.required("instId"))
    depth = asked.whole("sz") or 1
    if not 1 <= depth <= 400:
        raise Refusal("51000", "sz")
    bids, asks = venue.book.levels(instrument.inst_id, venue.now_ms(), depth)
    now_ms = venue.now_ms()
    return [{"asks": level_rows(asks), "bids": level_rows(bids), "ts": stamp(now_ms), "seqId": now_ms}]


def trades(venue: Venue, asked: Parameters) -> Sequence[object]:
    instrument = venue.instrument(asked.required("instId"))
    return venue.publisher.feed.recent_trades(instrument.inst_id)[: limit_of(asked, 100, 500)]


def candles(venue: Venue, asked: Parameters) -> Sequence[object]:
    inst_id, bar, after, before, limit = _candle_request(venue, asked)
    rows = venue.market.candles(
        inst_id, bar, after_ms=after, before_ms=before, limit=limit, now_ms=venue.now_ms()
    )
    oldest_ms = bar_start(bar, venue.now_ms()) - (RECENT_CANDLES - 1) * bar_ms(bar)
    return [candle_row(row) for row in rows if row.ts_ms >= oldest_ms]


def history_candles(venue: Venue, asked: Parameters) -> Sequence[object]:
    inst_id, bar, after, before, limit = _candle_request(venue, asked)
    rows = venue.market.candles(
        inst_id, bar, after_ms=after, before_ms=before, limit=limit, now_ms=venue.now_ms()
    )
    return [candle_row(row) for row in rows if row.confirmed]


def mark_price_candles(venue: Venue, asked: Parameters) -> Sequence[object]:
    inst_id, bar, after, before, limit = _candle_request(venue, asked)
    rows = venue.market.mark_candles(
        inst_id, bar, after_ms=after, before_ms=before, limit=limit, now_ms=venue.now_ms()
    )
    return [mark_candle_row(row) for row in rows]


def _candle_request(venue: Venue, asked: Parameters) -> tuple[str, str, int | None, int | None, int]:
    inst_id = asked.required("instId")
    # Index candles name the index, which stands for its swap here.
    instrument = venue.instrument(inst_id if inst_id.endswith("-SWAP") else f"{inst_id}-SWAP")
    bar = asked.text("bar", "1m")
    if not is_bar(bar):
        raise Refusal("51000", "bar")
    limit = limit_of(asked, 100, CANDLES_MAX)
    return instrument.inst_id, bar, asked.whole("after"), asked.whole("before"), limit


def mark_price(venue: Venue, asked: Parameters) -> Sequence[object]:
    return [mark_price_row(venue.market, one.inst_id, venue.now_ms()) for one in listed(venue, asked)]


def index_tickers(venue: Venue, asked: Parameters) -> Sequence[object]:
    inst_id = asked.text("instId")
    if inst_id:
        return [index_row(venue.market, venue.instrument(f"{inst_id}-SWAP").inst_id, venue.now_ms())]
    return [index_row(venue.market, one.inst_id, venue.now_ms()) for one in venue.instruments()]


def funding_rate(venue: Venue, asked: Parameters) -> Sequence[object]:
    inst_id = asked.required("instId")
    chosen = venue.instruments() if inst_id == "ANY" else [venue.instrument(inst_id)]
    return [funding_row(venue.market, one.inst_id, venue.now_ms()) for one in chosen]


def funding_rate_history(venue: Venue, asked: Parameters) -> Sequence[object]:
    instrument = venue.instrument(asked.required("instId"))
    current = venue.market.funding(instrument.inst_id, venue.now_ms())
    interval_ms = current.next_funding_time_ms - current.funding_time_ms
    times = [current.settled_time_ms - number * interval_ms for number in range(FUNDING_INTERVALS_MAX)]
    rows: list[Row] = []
    for time_ms in page(times, asked, lambda time_ms: time_ms, most=FUNDING_INTERVALS_MAX):
        rate = plain(venue.market.funding_rate(instrument.inst_id, time_ms))
        rows.append(
            {
                "instType": "SWAP",
                "instId": instrument.inst_id,
                "fundingRate": rate,
                "realizedRate": rate,
                "fundingTime": stamp(time_ms),
                "method": "current_period",
                "formulaType": "withRate",
            }
        )
    return rows


def price_limit(venue: Venue, asked: Parameters) -> Sequence[object]:
    instrument = venue.instrument(asked.required("instId"))
    return [price_limit_row(venue.market, instrument.inst_id, venue.now_ms())]


def position_tiers(venue: Venue, asked: Parameters) -> Sequence[object]:
    asked.one_of("instType", INST_TYPES)
    asked.one_of("tdMode", ("cross", "isolated"))
    families = asked.text("instFamily") or asked.text("uly") or asked.text("instId").removesuffix("-SWAP")
    if not families:
        raise Refusal("50014", "instFamily")
    wanted = families.split(",")
    return [row for one in venue.instruments() if one.inst_family in wanted for row in tier_rows(one)]


def open_interest(venue: Venue, asked: Parameters) -> Sequence[object]:
    return [open_interest_row(venue, one.inst_id) for one in listed(venue, asked)]


def status(venue: Venue, asked: Parameters) -> Sequence[object]:
    wanted = asked.text("state")
    return [row for row in status_rows(venue) if row["state"] in ((wanted,) if wanted else STATUS_SHOWN)]


def underlying(venue: Venue, asked: Parameters) -> Sequence[object]:
    return [[one.inst_family for one in venue.instruments()]]


PUBLIC_ROUTES: dict[str, PublicRoute] = {
    "public/time": server_time,
    "public/instruments": instruments,
    "public/mark-price": mark_price,
    "public/funding-rate": funding_rate,
    "public/funding-rate-history": funding_rate_history,
    "public/price-limit": price_limit,
    "public/position-tiers": position_tiers,
    "public/open-interest": open_interest,
    "public/underlying": underlying,
    "market/ticker": ticker,
    "market/tickers": tickers,
    "market/books": books,
    "market/trades": trades,
    "market/candles": candles,
    "market/history-candles": history_candles,
    "market/mark-price-candles": mark_price_candles,
    "market/history-mark-price-candles": mark_price_candles,
    "market/index-candles": mark_price_candles,
    "market/history-index-candles": mark_price_candles,
    "market/index-tickers": index_tickers,
    "system/status": status,
}
