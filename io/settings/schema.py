"""All sections together: every setting has its name, type, default, unit, range and meaning in the file of its section.

A group of settings is one section of the file. The `Rule` beside a field's type is what the reader checks the
value against and what it quotes when it refuses one, so that the error text, ``anchorwatch config`` and the
reference never disagree. Fractions are shares of one: 0.01 is one percent.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from anchorwatch.io.settings.account import Account, Venue
from anchorwatch.io.settings.backtest import Backtest
from anchorwatch.io.settings.exits import ExitSection
from anchorwatch.io.settings.limits import GuardSettings, LimitSettings
from anchorwatch.io.settings.protection import Protection
from anchorwatch.io.settings.records import AlertSettings, JournalSettings, Log, Reconcile, StatusSettings
from anchorwatch.io.settings.running import Connections, Deadlines, Stop
from anchorwatch.io.settings.secret import Keys
from anchorwatch.io.settings.trading import Entry, Sizing, Strategy
from anchorwatch.machine import lifecycle


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
    status: StatusSettings = StatusSettings()
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
    "status": StatusSettings,
    "alerts": AlertSettings,
    "log": Log,
    "backtest": Backtest,
}
"""The sections of the file, in the order in which they are shown."""
