"""Behaviours of OKX that its documentation leaves open, as switches.

Each defaults to the answer that hurts a careless bot most, so that a bot that is safe here is safe under both.
Sources disagree or are silent about every one of them; the sentence says what the default does.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this exchange behaves where OKX v5 is not explicit."""

    # Attached stops come into being only after a complete fill; "each_fill" protects partial fills too.
    attached_after: Literal["complete", "each_fill"] = "complete"
    # The created stop is an ordinary order, so that it can open the other way when the position is gone.
    attached_reduce_only: bool = False
    # Cancel-all-after leaves algo orders alone; True takes the protective stops too, those without a tag as well.
    cancel_all_after_takes_algos: bool = False
    # Seconds, as the only published sample shows, while every other timestamp is in milliseconds.
    cancel_all_after_time_unit: Literal["s", "ms"] = "s"
    # An over-sized reduce-only order is refused whole; "trim" cuts it to the position.
    oversized_reduce_only: Literal["reject", "trim"] = "reject"
    off_tick_price: Literal["reject", "round"] = "reject"
    duplicate_client_id_code: Literal["51016", "50071"] = "51016"
    # Setting the position mode with nothing but algo orders pending is refused.
    algo_orders_block_position_mode: bool = True
    # No push at all, so that a client which waits for an empty snapshot waits in vain.
    empty_snapshot: Literal["none", "empty"] = "none"
    # Protocol-level pings do not keep a connection alive; only the text frame "ping" and subscriptions do.
    protocol_ping_is_activity: bool = False
    # Requests are counted and refused beyond OKX's limits; False lets a benchmark or a fast test ask as it likes.
    enforces_rate_limits: bool = True
    rate_limit_status: Literal[200, 429] = 200
    # A second login on one connection succeeds, which the official SDK depends on; False answers 60031.
    repeated_login_succeeds: bool = True
    # A post-only order that would take: acknowledged, then cancelled without ever being live.
    post_only_shows_live: bool = False
    # An order that fills at once skips its live push; False pushes live first.
    instant_fill_skips_live: bool = False
    # The code of closing a position whose closing orders are still pending.
    close_with_pending_code: Literal["51115", "51117", "51148"] = "51115"
    # A whole-position stop dies with its position.
    close_fraction_dies_with_position: bool = True
    # A position query with an instrument filter still shows a closed position as a row with pos "0".
    closed_position_row: bool = True
    # A resting order fills only when the market trades through its price; "touch" fills at its price too.
    resting_fill: Literal["through", "touch"] = "through"
    # WebSocket order operations that name an instrument by instId only are refused.
    ws_orders_need_code: bool = False
    # Isolated margin is offered; False answers 51010.
    isolated_offered: bool = True
    # Private pushes leave at once, so that they overtake the answer to the request which caused them; a few
    # milliseconds (20 is enough on loopback) let the answer go first.
    push_delay_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0
    # The code of cancelling an algo order that does not exist.
    unknown_algo_cancel_code: Literal["51400", "51603"] = "51400"
