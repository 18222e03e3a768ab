"""What was put on stage in the test that runs: its worlds and its lives, for whoever asks afterwards.

The rigs enter what they build; `tests.conftest` reads it when the test is over, to hold every life's log against the
tables and to say what was done to it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from anchorwatch.io.venue.switches import Switches

if TYPE_CHECKING:
    from tests.io.engine_rig import Life, World

worlds: list[World] = []
lives: list[Life] = []
done: Counter[str] = Counter()
"""What the story itself did to a life that is no fault of the exchange or the network: a crash, a lost socket, a hand."""

default_switches: Switches | None = None
"""How the exchange of a story behaves that says nothing about it."""

# Every switch the other way, but for limits that are not enforced, WebSocket orders and isolated margin, which are offers.
OTHER_WAY = Switches(
    attached_after="each_fill",
    attached_reduce_only=True,
    cancel_all_after_takes_algos=True,
    cancel_all_after_time_unit="ms",
    oversized_reduce_only="trim",
    off_tick_price="round",
    duplicate_client_id_code="50071",
    algo_orders_block_position_mode=False,
    empty_snapshot="empty",
    protocol_ping_is_activity=True,
    rate_limit_status=429,
    repeated_login_succeeds=False,
    post_only_shows_live=True,
    instant_fill_skips_live=True,
    close_with_pending_code="51117",
    close_fraction_dies_with_position=False,
    closed_position_row=False,
    resting_fill="touch",
    push_delay_ms=20,
    unknown_algo_cancel_code="51603",
)


def switches_named(text: str) -> Switches:
    """`name=value,name=value`, or `other`. Raises msgspec.ValidationError for what is no switch."""
    if text == "other":
        return OTHER_WAY
    return msgspec.convert(dict(pair.split("=", 1) for pair in text.split(",")), Switches, strict=False)


def clear() -> None:
    worlds.clear()
    lives.clear()
    done.clear()


def faults() -> Counter[str]:
    """Every fault that struck, by kind: of the exchange, of the network, of the story."""
    struck = Counter(done)
    for world in worlds:
        struck += world.rig.venue.faults.struck_by_kind
        if world.network is not None:
            tally = world.network.tally
            for kind in ("resets", "half_opens", "refused", "black_holes", "unresolved"):
                struck[f"network {kind.replace('_', ' ')}"] += getattr(tally, kind)
    return +struck


def switches() -> dict[str, Any]:
    """The positions of the exchange's switches that are not the default, over all worlds of the test."""
    turned: dict[str, Any] = {}
    for world in worlds:
        given = world.rig.venue.switches
        for name in given.__struct_fields__:
            value, usual = getattr(given, name), getattr(type(given)(), name)
            if value != usual:
                turned[name] = value
    return turned


def virtual_seconds() -> float:
    """How long the lives lasted, by their own clocks."""
    total_ms = 0
    for life in lives:
        lines = life.lines()
        if lines:
            total_ms += lines[-1]["at_ms"] - lines[0]["at_ms"]
    return total_ms / 1000
