"""Every setting: its name, type, default, unit, range and meaning, in one place.

A group of settings is one section of the file. The `Rule` beside a field's type is what the reader checks the
value against and what it quotes when it refuses one, so that the error text, ``anchorwatch config`` and the
reference never disagree. Fractions are shares of one: 0.01 is one percent.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import msgspec

from anchorwatch.io.okx.environments import Environment, Region
from anchorwatch.io.settings.backtest import Backtest
from anchorwatch.io.settings.exits import ExitSection
from anchorwatch.io.settings.limits import GuardSettings, LimitSettings
from anchorwatch.io.settings.rule import Rule as Rule
from anchorwatch.io.settings.running import Connections, Deadlines, Stop
from anchorwatch.io.settings.secret import Keys
from anchorwatch.machine import lifecycle
from anchorwatch.machine.parameters import Unfilled
from anchorwatch.machine.sizing import SizedBy
from anchorwatch.machine.units import Conduct, MarginMode, OrderKind, PositionMode


class Sides(Enum):
    LONG = "long"
    SHORT = "short"
    BOTH = "both"


class LogFormat(Enum):
    TEXT = "text"
    JSON = "json"


class LogLevel(Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"


class Origin(Enum):
    """Where a value came from; a later one wins."""

    DEFAULT = "default"
    FILE = "file"
    MARKET_FILE = "market file"
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command line"


# The venue's REST answers hold the latest 1440 candles of a timeframe (OKX v5, GET market/candles).
HISTORY_ROWS_MAX = 1440
TIMEFRAMES = (
    "1m", "3m", "5m", "15m", "30m", "1H", "2H", "4H",
    "6H", "12H", "1D", "6Hutc", "12Hutc", "1Dutc",
)  # fmt: skip
HISTORY_DEFAULT = (("1m", 200), ("5m", 200), ("15m", 200), ("1H", 120), ("1Dutc", 10))

# One public connection carries every symbol's channels, and start reads every symbol's candles over REST.
SYMBOLS_MAX = 50
SYMBOLS_DEFAULT = ("BTC-USDT-SWAP",)


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


class Strategy(msgspec.Struct, frozen=True):
    """The default is the regime-adaptive scalper: it shows a strategy that a scalper recognises, and claims no profit."""

    name: Annotated[
        str,
        Rule(
            "which strategy decides the entries: scalper, ema_cross, one that an installed package offers "
            "(entry point anchorwatch.strategies), or a class in a file of one's own: my_file.py:MyClass"
        ),
    ] = "scalper"
    settings: Annotated[
        dict[str, Any],
        Rule("a section of its own: the strategy's settings by their names", default="its own"),
    ] = {}
    fast: Annotated[
        int,
        Rule(
            "ema_cross: period of the fast average",
            unit="1m candles",
            at_least="2",
            at_most="299",
            per_symbol=True,
        ),
    ] = 8
    slow: Annotated[
        int,
        Rule(
            "ema_cross: period of the slow average",
            unit="1m candles",
            at_least="3",
            at_most="300",
            per_symbol=True,
        ),
    ] = 21
    sides: Annotated[Sides, Rule("which positions it may open", per_symbol=True)] = Sides.BOTH
    min_gap_fraction: Annotated[
        Decimal,
        Rule(
            "ema_cross: how far apart the averages must be for a signal",
            unit="of price",
            at_least="0",
            below="0.1",
            per_symbol=True,
        ),
    ] = Decimal(0)
    cooldown_s: Annotated[
        int,
        Rule(
            "wait after a close before the same symbol is entered again",
            unit="s",
            at_least="0",
            at_most="86400",
            per_symbol=True,
        ),
    ] = 60
    cooldown_after_loss_s: Annotated[
        int,
        Rule(
            "the same after a loss, where it is longer",
            unit="s",
            at_least="0",
            at_most="86400",
            per_symbol=True,
        ),
    ] = 180
    cooldown_opposite_s: Annotated[
        int,
        Rule(
            "wait before the opposite side is entered",
            unit="s",
            at_least="0",
            at_most="86400",
            per_symbol=True,
        ),
    ] = 5


class Sizing(msgspec.Struct, frozen=True):
    """A fixed worth, or what a stop may cost of the equity as it is now.

    By risk, the margin is bounded by the profile of the balance, the original's: micro below 500 USD 25 %, small below 1500 15 %,
    medium below 3000 10 %, large 5 %; and the worth to 15–450, 50–1350, 150–3000 and 300–15000 USD. Regimes multiply the risk by
    1.3 (trending), 1.2 (ranging) and 1.0 (choppy). The default is the fixed worth of the original's limit of a single position.
    """

    by: Annotated[SizedBy, Rule("notional: notional_usd; risk: risk_fraction", per_symbol=True)] = (
        SizedBy.NOTIONAL
    )
    risk_fraction: Annotated[
        Decimal,
        Rule(
            "by risk: what a stop may cost, fees included",
            unit="of equity",
            above="0",
            at_most="0.1",
            per_symbol=True,
        ),
    ] = Decimal("0.01")
    notional_usd: Annotated[
        Decimal,
        Rule(
            "by notional: worth of a new position", unit="USD", above="0", at_most="10000000", per_symbol=True
        ),
    ] = Decimal(150)
    max_positions: Annotated[
        int, Rule("positions open at once, over all symbols", at_least="1", at_most="100")
    ] = 5


class Entry(msgspec.Struct, frozen=True):
    """How an entry meets the market.

    A taker pays 0.05 % at each end of a trade, a maker 0.02 % (OKX's regular tier): of a scalper's small profits the
    taker fees are the largest part that is spent. So an entry rests as a maker by default. What that gives up is
    fills: a signal whose price runs away is let go. 20 s are a third of the candle that made the signal; a drift
    of 0.05 % is a twelfth of the default stop's distance, and about what crossing at once would have paid in fees.
    """

    order_kind: Annotated[
        OrderKind,
        Rule(
            "post_only: rests at the best price, repriced in place; ioc: takes up to drift_fraction beyond the best "
            "price; market: takes at any price",
            per_symbol=True,
        ),
    ] = OrderKind.POST_ONLY
    rest_s: Annotated[
        int,
        Rule(
            "post_only: how long it may rest in all", unit="s", at_least="1", at_most="3600", per_symbol=True
        ),
    ] = 20
    reprice_ticks: Annotated[
        int,
        Rule(
            "post_only: repriced when the best price is this far ahead of it",
            unit="ticks",
            at_least="1",
            at_most="10000",
            per_symbol=True,
        ),
    ] = 2
    reprice_every_s: Annotated[
        int,
        Rule(
            "post_only: and not more often than this", unit="s", at_least="1", at_most="3600", per_symbol=True
        ),
    ] = 2
    reprices_max: Annotated[
        int, Rule("post_only: at most this often", at_least="0", at_most="100", per_symbol=True)
    ] = 5
    drift_fraction: Annotated[
        Decimal,
        Rule(
            "how far an entry follows the market from the price at which it was decided",
            unit="of price",
            at_least="0",
            below="0.1",
            per_symbol=True,
        ),
    ] = Decimal("0.0005")
    unfilled: Annotated[
        Unfilled,
        Rule(
            "post_only, when its time is over, for what has not filled: let_go, or cross as an IOC within "
            "drift_fraction",
            per_symbol=True,
        ),
    ] = Unfilled.LET_GO
    # OKX v5 takes 10 to 120 s. Shorter than most rests are long; renewed three times in it.
    dead_man_s: Annotated[
        int,
        Rule(
            "post_only: the exchange cancels what rests when the bot has been silent for this long; 0: never",
            unit="s",
            at_least="0",
            at_most="120",
        ),
    ] = 30


class Protection(msgspec.Struct, frozen=True):
    """Distances are shares of the price, because a stop rests at a price whatever the leverage is.

    A stop of 1 % of the margin would, at 5×, lie 0.2 % away: twice what a taker pays for the round trip (0.1 %),
    and inside a quiet minute's range. 0.6 % puts the fees at a sixth of the risk. The trailing stop wakes at
    +0.4 % and then lies 0.3 % behind the peak, so that its first level already pays the round trip. The
    take-profit of 1 % is the original's 5 % of the margin at 5×.
    """

    stop_fraction: Annotated[
        Decimal,
        Rule(
            "distance of the protective stop from the entry",
            unit="of price",
            above="0",
            below="1",
            per_symbol=True,
        ),
    ] = Decimal("0.006")
    trail_fraction: Annotated[
        Decimal,
        Rule(
            "distance of the trailing stop from the peak",
            unit="of price",
            above="0",
            below="1",
            per_symbol=True,
        ),
    ] = Decimal("0.003")
    trail_activation_fraction: Annotated[
        Decimal,
        Rule(
            "profit at which the stop begins to trail",
            unit="of price",
            at_least="0",
            below="1",
            per_symbol=True,
        ),
    ] = Decimal("0.004")
    take_profit_fraction: Annotated[
        Decimal,
        Rule(
            "profit at which the position is closed; 0: never for profit",
            unit="of price",
            at_least="0",
            below="10",
            per_symbol=True,
        ),
    ] = Decimal("0.01")
    catastrophe_fraction: Annotated[
        Decimal,
        Rule(
            "distance from mark of the stop that a position of unknown history gets at once",
            unit="of price",
            above="0",
            below="1",
            per_symbol=True,
        ),
    ] = Decimal("0.05")
    min_move_ticks: Annotated[
        int, Rule("a stop is moved by at least this", unit="ticks", at_least="1", at_most="10000")
    ] = 2
    min_move_fraction: Annotated[
        Decimal,
        Rule("and by at least this share of its distance from mark", at_least="0", below="1"),
    ] = Decimal("0.05")
    max_holding_min: Annotated[
        int,
        Rule(
            "a position is closed after this long; 0: never for its age",
            unit="min",
            at_least="0",
            at_most="525600",
            per_symbol=True,
        ),
    ] = 45


class Reconcile(msgspec.Struct, frozen=True):
    every_s: Annotated[
        int, Rule("time between two comparisons with the exchange", unit="s", at_least="5", at_most="3600")
    ] = 60
    poll_while_private_down_s: Annotated[
        int, Rule("REST polling while a private stream is away", unit="s", at_least="1", at_most="60")
    ] = 3
    drift_report: Annotated[
        str,
        Rule("what a start or a comparison found is appended to this file, as JSON lines", default="none"),
    ] = ""

    @property
    def report_file(self) -> Path | None:
        return Path(self.drift_report).expanduser() if self.drift_report else None


class JournalSettings(msgspec.Struct, frozen=True):
    path: Annotated[
        str,
        Rule(
            "file of what must survive a restart",
            default="the user's state directory on demo and live; in memory on sim and paper, whose exchange "
            "begins anew with every run",
        ),
    ] = ""

    @property
    def file(self) -> Path | None:
        """The journal's file; None keeps it in memory."""
        return Path(self.path).expanduser() if self.path else None


class AlertSettings(msgspec.Struct, frozen=True):
    webhook_url: Annotated[str, Rule("alarms are posted here as JSON: name, words, time", default="none")] = (
        ""
    )
    heartbeat_url: Annotated[
        str,
        Rule("asked for at a pace while the bot lives: a dead bot cannot send its own alarm", default="none"),
    ] = ""
    heartbeat_s: Annotated[
        int, Rule("time between two heartbeats", unit="s", at_least="5", at_most="3600")
    ] = 60


class Log(msgspec.Struct, frozen=True):
    format: Annotated[LogFormat, Rule("lines for people, or JSON lines")] = LogFormat.TEXT
    level: Annotated[LogLevel, Rule("the least that is logged; alarms always are")] = LogLevel.INFO


class SymbolSettings(msgspec.Struct, frozen=True):
    """What holds for one symbol: the groups with its overrides in them."""

    leverage: int
    hands_off: bool
    strategy: Strategy
    sizing: Sizing
    entry: Entry
    protection: Protection


class Settings(msgspec.Struct, frozen=True):
    """All settings of one run, checked."""

    venue: Venue = Venue()
    account: Account = Account()
    strategy: Strategy = Strategy()
    sizing: Sizing = Sizing()
    entry: Entry = Entry()
    protection: Protection = Protection()
    exits: ExitSection = ExitSection()
    limits: LimitSettings = LimitSettings()
    guards: GuardSettings = GuardSettings()
    connections: Connections = Connections()
    deadlines: Deadlines = Deadlines()
    stop: Stop = Stop()
    reconcile: Reconcile = Reconcile()
    journal: JournalSettings = JournalSettings()
    alerts: AlertSettings = AlertSettings()
    log: Log = Log()
    backtest: Backtest = Backtest()
    symbols: tuple[str, ...] = SYMBOLS_DEFAULT
    candles: tuple[tuple[str, int], ...] = HISTORY_DEFAULT
    overrides: dict[str, dict[str, Any]] = {}
    keys: Keys | None = None
    origins: dict[str, Origin] = {}

    def of(self, instrument: str) -> SymbolSettings:
        """What holds for one symbol."""
        own = self.overrides.get(instrument, {})

        def with_own(group: Any) -> Any:
            changes = {name: own[name] for name in group.__struct_fields__ if name in own}
            return msgspec.structs.replace(group, **changes) if changes else group

        return SymbolSettings(
            leverage=own.get("leverage", self.account.leverage),
            hands_off=own.get("hands_off", self.account.hands_off),
            strategy=with_own(self.strategy),
            sizing=with_own(self.sizing),
            entry=with_own(self.entry),
            protection=with_own(self.protection),
        )

    def lifecycle_limits(self) -> lifecycle.Limits:
        """The deadlines of the stages and of the steps of the stop."""
        stages = msgspec.structs.asdict(self.deadlines)
        return lifecycle.Limits(**stages, stop_step_s=self.stop.steps_s())

    def secrets(self) -> tuple[str, ...]:
        """The texts that must never be written anywhere."""
        if self.keys is None:
            return ()
        return tuple(secret.reveal() for secret in (self.keys.key, self.keys.secret, self.keys.passphrase))


GROUPS: dict[str, type[msgspec.Struct]] = {
    "venue": Venue,
    "account": Account,
    "strategy": Strategy,
    "sizing": Sizing,
    "entry": Entry,
    "protection": Protection,
    "exits": ExitSection,
    "limits": LimitSettings,
    "guards": GuardSettings,
    "connections": Connections,
    "deadlines": Deadlines,
    "stop": Stop,
    "reconcile": Reconcile,
    "journal": JournalSettings,
    "alerts": AlertSettings,
    "log": Log,
    "backtest": Backtest,
}
"""The sections of the file, in the order in which they are shown."""
