"""From settings to the numbers that the decisions are tuned by: the symbols' overrides are in them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.io.settings import strategies
from anchorwatch.io.settings.exits import ExitSection
from anchorwatch.io.settings.limits import LimitSettings
from anchorwatch.io.settings.schema import Settings, SymbolSettings
from anchorwatch.io.settings.trading import Sides
from anchorwatch.io.settings.trading import Strategy as StrategySettings
from anchorwatch.machine.guards import Guarding
from anchorwatch.machine.limits import Limits, Reentry
from anchorwatch.machine.parameters import (
    ExitSettings,
    Making,
    Pace,
    Parameters,
    Patience,
    Protecting,
    Trading,
)
from anchorwatch.machine.sizing import Sizing
from anchorwatch.machine.strategy import Strategy
from anchorwatch.machine.units import Fraction, Side, Usd

EMA_CROSS = "ema_cross"
"""The strategy whose few settings stand in the section itself, so that a symbol can have its own."""

EMA_CROSS_OWN = ("fast", "slow", "min_gap_fraction")

_SIDES = {Sides.LONG: (Side.LONG,), Sides.SHORT: (Side.SHORT,), Sides.BOTH: (Side.LONG, Side.SHORT)}


def parameters(settings: Settings) -> Parameters:
    """What the machines and the strategy are given."""
    return Parameters(
        instruments=tuple((name, _trading(settings.of(name), settings)) for name in settings.symbols),
        mode=settings.account.position_mode,
        margin=settings.account.margin_mode,
        conduct=settings.account.mode,
        is_exclusive=settings.account.exclusive is True,
        hands_off=tuple(name for name in settings.symbols if settings.of(name).hands_off),
        max_positions=settings.sizing.max_positions,
        guarding=Guarding(**msgspec.structs.asdict(settings.guards)),
        limits=_limits(settings.limits),
        dead_man_s=settings.entry.dead_man_s,
        pace=Pace(
            reconcile_every_s=float(settings.reconcile.every_s),
            poll_s=float(settings.reconcile.poll_while_private_down_s),
        ),
    )


def _limits(own: LimitSettings) -> Limits:
    return Limits(
        daily_loss=Fraction(own.daily_loss),
        drawdown=Fraction(own.drawdown),
        losses_in_row=own.losses_in_row,
        losses_pause_s=own.losses_pause_s,
        margin_share=Fraction(own.margin_share),
        total_usd=Usd(own.total_usd),
        correlation=float(own.correlation),
    )


def strategy_of(own: StrategySettings) -> Strategy:
    """The strategy that these settings choose. Raises BadStrategy."""
    if own.name != EMA_CROSS:
        return strategies.made(own.name, own.settings)
    given = {"fast": own.fast, "slow": own.slow, "min_gap_fraction": own.min_gap_fraction}
    return strategies.made(own.name, {**given, **own.settings})


def _exits(own: ExitSection) -> ExitSettings:
    def patience(max_min: int, loser_min: int, fraction: Decimal) -> Patience:
        return Patience(max_min * 60, loser_min * 60, Fraction(fraction))

    return ExitSettings(
        partial_at_fraction=Fraction(own.partial_at_fraction),
        partial_share=Fraction(own.partial_share),
        trending=patience(own.trending_max_min, own.trending_loser_min, own.trending_loser_fraction),
        ranging=patience(own.ranging_max_min, own.ranging_loser_min, own.ranging_loser_fraction),
        choppy=patience(own.choppy_max_min, own.choppy_loser_min, own.choppy_loser_fraction),
    )


def _trading(own: SymbolSettings, settings: Settings) -> Trading:
    protection, entry = own.protection, own.entry
    return Trading(
        strategy=strategy_of(own.strategy),
        candles=settings.candles,
        exits=_exits(settings.exits),
        sides=_SIDES[own.strategy.sides],
        reentry=Reentry(
            own.strategy.cooldown_s, own.strategy.cooldown_after_loss_s, own.strategy.cooldown_opposite_s
        ),
        sizing=Sizing(
            by=own.sizing.by,
            notional_usd=Usd(own.sizing.notional_usd),
            risk=Fraction(own.sizing.risk_fraction),
            leverage=own.leverage,
        ),
        making=Making(
            kind=entry.order_kind,
            rest_s=float(entry.rest_s),
            reprice_ticks=entry.reprice_ticks,
            reprice_every_s=float(entry.reprice_every_s),
            reprices_max=entry.reprices_max,
            drift_fraction=Fraction(entry.drift_fraction),
            unfilled=entry.unfilled,
        ),
        protecting=Protecting(
            stop_fraction=Fraction(protection.stop_fraction),
            trail_fraction=Fraction(protection.trail_fraction),
            trail_activation_fraction=Fraction(protection.trail_activation_fraction),
            take_profit_fraction=Fraction(protection.take_profit_fraction),
            catastrophe_fraction=Fraction(protection.catastrophe_fraction),
            min_move_ticks=protection.min_move_ticks,
            min_move_fraction=Fraction(protection.min_move_fraction),
            max_holding_s=protection.max_holding_min * 60,
        ),
    )
