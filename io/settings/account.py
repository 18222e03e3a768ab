"""The sections [venue] and [account]: where the bot trades, and as whom."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from anchorwatch.io.okx.environments import Environment, Region
from anchorwatch.io.settings.rule import Rule
from anchorwatch.machine.units import Conduct, MarginMode, PositionMode


class Venue(msgspec.Struct, frozen=True):
    kind: Annotated[
        Environment,
        Rule(
            "where to trade: sim is the embedded exchange in the time of its market, paper the same in real time, demo is OKX demo trading, live is OKX"
        ),
    ] = Environment.SIM
    region: Annotated[Region, Rule("where the OKX account is registered: it decides the hosts")] = (
        Region.GLOBAL
    )
    rest_url: Annotated[
        str, Rule("REST address instead of the region's; unencrypted only on loopback", default="by region")
    ] = ""
    ws_url: Annotated[
        str, Rule("WebSocket address up to /ws/v5 instead of the region's", default="by region")
    ] = ""


class Account(msgspec.Struct, frozen=True):
    mode: Annotated[
        Conduct,
        Rule(
            "trade; guard: everything but entries; watch: nothing is sent (a read-only key suffices), drifts and "
            "uncovered positions of any bot on the account are reported"
        ),
    ] = Conduct.TRADE
    exclusive: Annotated[
        bool | None,
        Rule(
            "true: every position of the configured symbols is this bot's, and is adopted and protected; "
            "false: what others opened is watched and never touched",
            default="true on sim and paper; to be said on demo and live",
        ),
    ] = None
    position_mode: Annotated[
        PositionMode, Rule("hedge: a long and a short leg each symbol; net: one position each symbol")
    ] = PositionMode.HEDGE
    # OKX v5 documents isolated margin for swaps inconsistently and drops it in the multi-currency modes.
    margin_mode: Annotated[MarginMode, Rule("cross: one margin for all positions; isolated: one each")] = (
        MarginMode.CROSS
    )
    leverage: Annotated[
        int, Rule("position worth over margin", unit="×", at_least="1", at_most="100", per_symbol=True)
    ] = 5
    hands_off: Annotated[
        bool,
        Rule(
            "true: what is open on the symbol is registered, counted and told, and never changed; no entries",
            per_symbol=True,
        ),
    ] = False
    min_balance_usd: Annotated[
        Decimal,
        Rule("the start is refused below this equity", unit="USD", at_least="0", at_most="1000000000"),
    ] = Decimal(100)
