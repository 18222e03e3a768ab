"""The bot's settings: one file, secrets from the environment, the command line on top; checked before anything runs."""

from anchorwatch.io.settings.account import Account, Venue
from anchorwatch.io.settings.problems import Problem, SettingsError
from anchorwatch.io.settings.protection import Protection
from anchorwatch.io.settings.reading import SECRET_VARIABLES, load
from anchorwatch.io.settings.records import JournalSettings, Log, LogFormat, LogLevel, Reconcile
from anchorwatch.io.settings.running import Connections, Deadlines, Stop
from anchorwatch.io.settings.schema import Origin, Settings, SymbolSettings
from anchorwatch.io.settings.secret import MASK, Keys, Secret
from anchorwatch.io.settings.showing import effective, reference
from anchorwatch.io.settings.trading import Sides, Sizing, Strategy
from anchorwatch.io.settings.tuning import parameters

__all__ = [
    "MASK",
    "SECRET_VARIABLES",
    "Account",
    "Connections",
    "Deadlines",
    "JournalSettings",
    "Keys",
    "Log",
    "LogFormat",
    "LogLevel",
    "Origin",
    "Problem",
    "Protection",
    "Reconcile",
    "Secret",
    "Settings",
    "SettingsError",
    "Sides",
    "Sizing",
    "Stop",
    "Strategy",
    "SymbolSettings",
    "Venue",
    "effective",
    "load",
    "parameters",
    "reference",
]
