"""Every setting arrives where it is decided by, and nowhere else: one that was lost on the way would be a limit that is none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from anchorwatch.io.settings import Settings, load
from anchorwatch.io.settings.reading import KEYS
from anchorwatch.io.settings.tuning import parameters
from anchorwatch.machine.parameters import Unfilled
from anchorwatch.machine.sizing import SizedBy
from anchorwatch.machine.units import Conduct, MarginMode, OrderKind, PositionMode, Side

BTC = "BTC-USDT-SWAP"
D = Decimal

Row = tuple[str, object, dict[str, object]]


def alike(section: str, *places: str, **values: object) -> list[Row]:
    """Settings that are called there what they are called here."""
    return [
        (f"{section}.{name}", value, {f"{place}.{name}": value for place in places})
        for name, value in values.items()
    ]


def of_regime(regime: str) -> list[Row]:
    there = f"trading.exits.{regime}"
    return [
        (f"exits.{regime}_max_min", 33, {f"{there}.max_holding_s": 1_980}),
        (f"exits.{regime}_loser_min", 2, {f"{there}.loser_after_s": 120}),
        (f"exits.{regime}_loser_fraction", D("0.0011"), {f"{there}.loser_fraction": D("0.0011")}),
    ]


# The setting, a value that is not its default, and where it is found: of the symbol ("trading"), of the desk, of the stages,
# of the two kinds of connections.
ARRIVES: list[Row] = [
    ("account.mode", "guard", {"desk.conduct": Conduct.GUARD}),
    ("account.exclusive", False, {"desk.is_exclusive": False}),
    ("account.position_mode", "net", {"desk.mode": PositionMode.NET}),
    ("account.margin_mode", "isolated", {"desk.margin": MarginMode.ISOLATED}),
    ("account.leverage", 7, {"trading.sizing.leverage": 7}),
    ("account.hands_off", True, {"desk.hands_off": (BTC,)}),
    ("strategy.sides", "short", {"trading.sides": (Side.SHORT,)}),
    ("strategy.cooldown_s", 61, {"trading.reentry.same_side_s": 61}),
    ("strategy.cooldown_after_loss_s", 62, {"trading.reentry.after_loss_s": 62}),
    ("strategy.cooldown_opposite_s", 63, {"trading.reentry.opposite_s": 63}),
    ("sizing.by", "risk", {"trading.sizing.by": SizedBy.RISK}),
    ("sizing.risk_fraction", D("0.02"), {"trading.sizing.risk": D("0.02")}),
    ("sizing.notional_usd", D(77), {"trading.sizing.notional_usd": D(77)}),
    ("sizing.max_positions", 3, {"desk.max_positions": 3}),
    ("entry.order_kind", "ioc", {"trading.making.kind": OrderKind.IOC}),
    ("entry.rest_s", 11, {"trading.making.rest_s": 11.0}),
    ("entry.reprice_ticks", 4, {"trading.making.reprice_ticks": 4}),
    ("entry.reprice_every_s", 6, {"trading.making.reprice_every_s": 6.0}),
    ("entry.reprices_max", 9, {"trading.making.reprices_max": 9}),
    ("entry.drift_fraction", D("0.001"), {"trading.making.drift_fraction": D("0.001")}),
    ("entry.unfilled", "cross", {"trading.making.unfilled": Unfilled.CROSS}),
    ("entry.dead_man_s", 60, {"desk.dead_man_s": 60}),
    ("protection.stop_fraction", D("0.008"), {"trading.protecting.stop_fraction": D("0.008")}),
    ("protection.trail_fraction", D("0.0035"), {"trading.protecting.trail_fraction": D("0.0035")}),
    (
        "protection.trail_activation_fraction",
        D("0.0045"),
        {"trading.protecting.trail_activation_fraction": D("0.0045")},
    ),
    ("protection.take_profit_fraction", D("0.02"), {"trading.protecting.take_profit_fraction": D("0.02")}),
    ("protection.catastrophe_fraction", D("0.04"), {"trading.protecting.catastrophe_fraction": D("0.04")}),
    ("protection.min_move_ticks", 3, {"trading.protecting.min_move_ticks": 3}),
    ("protection.min_move_fraction", D("0.1"), {"trading.protecting.min_move_fraction": D("0.1")}),
    ("protection.max_holding_min", 50, {"trading.protecting.max_holding_s": 3_000}),
    ("exits.partial_at_fraction", D("0.006"), {"trading.exits.partial_at_fraction": D("0.006")}),
    ("exits.partial_share", D("0.4"), {"trading.exits.partial_share": D("0.4")}),
    *of_regime("trending"),
    *of_regime("ranging"),
    *of_regime("choppy"),
    *alike(
        "limits", "desk.limits",
        daily_loss=D("0.03"), drawdown=D("0.06"), losses_in_row=4, losses_pause_s=900, margin_share=D("0.5"),
        total_usd=D(700), correlation=D("0.5"),
    ),
    *alike(
        "guards", "desk.guarding",
        room_warning=D("0.4"), room_danger=D("0.3"), room_close=D("0.2"),
        ratio_warning=D(4), ratio_danger=D("2.5"), ratio_close=D("1.6"),
        spread_trending=D("0.0009"), spread_ranging=D("0.0006"), spread_choppy=D("0.0007"),
        drift_trending=D("0.0016"), drift_ranging=D("0.0011"), drift_choppy=D("0.0009"),
    ),
    *alike(
        "connections", "private", "public",
        attempts_max=12, exhausted_retry_s=301, open_within_s=11, login_within_s=6, subscribe_within_s=11,
        silence_s=19, pong_within_s=7, live_lasted_s=61,
    ),
    ("connections.backoff_first_s", 6, {"private.backoff_first_s": 6}),
    ("connections.backoff_max_s", 299, {"private.backoff_max_s": 299}),
    ("connections.reconnect_delay_s", 8, {"public.backoff_first_s": 8, "public.backoff_max_s": 8}),
    ("reconcile.every_s", 50, {"desk.pace.reconcile_every_s": 50.0}),
    ("reconcile.poll_while_private_down_s", 4, {"desk.pace.poll_s": 4.0}),
]  # fmt: skip

DECIDED_ELSEWHERE = {
    "strategy.name", "strategy.settings", "strategy.fast", "strategy.slow", "strategy.min_gap_fraction",  # test_strategies
    "strategy.within_s",  # test_patience
    "account.min_balance_usd",  # R1.2 of the mission
    "reconcile.drift_report",
}  # fmt: skip
TUNED = (
    "account",
    "strategy",
    "sizing",
    "entry",
    "protection",
    "exits",
    "limits",
    "guards",
    "connections",
    "reconcile",
)


def flat(value: Any, path: str) -> dict[str, object]:
    if isinstance(value, msgspec.Struct):
        found: dict[str, object] = {}
        for name in value.__struct_fields__:
            found |= flat(getattr(value, name), f"{path}.{name}")
        return found
    return {path: value}


def arrived(settings: Settings) -> dict[str, object]:
    tuned = parameters(settings)
    ((_, trading),) = tuned.instruments
    return {
        **flat(msgspec.structs.replace(tuned, instruments=()), "desk"),
        **flat(trading, "trading"),
        **flat(settings.connections.private_limits(), "private"),
        **flat(settings.connections.public_limits(), "public"),
    }


def given(**options: object) -> Settings:
    return load(file=None, environ={}, options={"strategy.name": "ema_cross", **options}, markets=())


@pytest.mark.parametrize(("key", "value", "expected"), ARRIVES, ids=[key for key, _, _ in ARRIVES])
def test_a_setting_arrives_where_it_is_decided_by_and_nowhere_else(
    key: str, value: object, expected: dict[str, object]
) -> None:
    before, after = arrived(given()), arrived(given(**{key: value}))
    changed = {path: after[path] for path in after if after[path] != before[path]}
    assert {path: as_told(one) for path, one in changed.items()} == {
        path: as_told(one) for path, one in expected.items()
    }


def as_told(value: object) -> object:
    """A float says what the decimal of its setting says."""
    return float(value) if isinstance(value, Decimal) else value


def test_no_setting_of_these_sections_is_left_out() -> None:
    wanted = {key for key in KEYS if key.split(".")[0] in TUNED}
    assert wanted == {key for key, _, _ in ARRIVES} | DECIDED_ELSEWHERE
