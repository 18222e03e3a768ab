"""The channels of the WebSocket API: where each lives, what its argument must name, and how often it may push."""

from __future__ import annotations

from typing import NamedTuple

from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.refusals import Refusal

PATHS = ("public", "private", "business")


class Channel(NamedTuple):
    """`cadence_ms` bounds the pushes that a change causes; `regular_ms` pushes without any change (0 for never)."""

    path: str
    needs: str = ""
    is_private: bool = False
    cadence_ms: int = 0
    regular_ms: int = 0


# OKX pushes every subscribed connection of an account at these paces; a private change waits for its neighbours.
COALESCE_MS = 50
SNAPSHOT_MS = 5_000

CHANNELS = {
    "tickers": Channel("public", "instId", cadence_ms=100),
    "trades": Channel("public", "instId"),
    "books": Channel("public", "instId", cadence_ms=100, regular_ms=60_000),
    "books5": Channel("public", "instId", cadence_ms=100),
    "bbo-tbt": Channel("public", "instId", cadence_ms=10),
    "mark-price": Channel("public", "instId", cadence_ms=200, regular_ms=10_000),
    "index-tickers": Channel("public", "instId", cadence_ms=100, regular_ms=60_000),
    # OKX says each 30 to 90 s, and keeps to no round minute.
    "funding-rate": Channel("public", "instId", cadence_ms=47_000, regular_ms=47_000),
    "price-limit": Channel("public", "instId", cadence_ms=200),
    "open-interest": Channel("public", "instId", cadence_ms=3_000, regular_ms=3_000),
    "instruments": Channel("public", "instType"),
    "status": Channel("public"),
    "trades-all": Channel("business", "instId"),
    "account": Channel("private", is_private=True),
    "positions": Channel("private", "instType", is_private=True),
    "balance_and_position": Channel("private", is_private=True),
    "orders": Channel("private", "instType", is_private=True),
    "liquidation-warning": Channel("private", "instType", is_private=True),
    "account-greeks": Channel("private", is_private=True),
    "fills": Channel("private", is_private=True),
    "orders-algo": Channel("business", "instType", is_private=True),
    "algo-advance": Channel("business", "instType", is_private=True),
}
CANDLE = Channel("business", "instId", cadence_ms=1_000)
CANDLE_PREFIXES = ("mark-price-candle", "index-candle", "candle")
# Depth channels of the higher fee tiers.
VIP_CHANNELS = ("books50-l2-tbt", "books-l2-tbt", "fills")
# Channels whose subscriptions OKX counts per account: 30 connections at most.
COUNTED = ("orders", "account", "positions", "balance_and_position", "liquidation-warning", "account-greeks")
CONNECTIONS_MAX = 30


def candle_bar(channel: str) -> tuple[str, str] | None:
    """The family and the bar of a candle channel (``mark-price-candle1H`` gives both parts), else None."""
    for prefix in CANDLE_PREFIXES:
        if channel.startswith(prefix):
            return prefix, channel.removeprefix(prefix)
    return None


def find_channel(name: str, path: str) -> Channel:
    """The channel, if it may be subscribed on this path; refuses the way OKX tells the two mistakes apart."""
    found = CANDLE if candle_bar(name) is not None else CHANNELS.get(name)
    if name in VIP_CHANNELS:
        raise Refusal("64003")
    if found is None:
        raise Refusal("60018", f"channel:{name}")
    if found.path == "business" and path != "business":
        raise Refusal("64001")
    if found.path != "business" and path == "business":
        raise Refusal("64002")
    if found.path != path:
        raise Refusal("60018", f"channel:{name}")
    return found


def check_argument(channel: Channel, name: str, asked: Parameters) -> None:
    if asked.text("uly"):
        raise Refusal("64000")
    if channel.needs and not asked.text(channel.needs):
        raise Refusal("60018", f"channel:{name},{channel.needs}:")
    if channel.needs == "instType" and asked.text("instType") not in (
        "SWAP",
        "ANY",
        "FUTURES",
        "SPOT",
        "MARGIN",
        "OPTION",
    ):
        raise Refusal("60018", f"channel:{name},instType:{asked.text('instType')}")
