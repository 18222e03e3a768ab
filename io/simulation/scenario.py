"""Scenarios: what a simulation plays, as small files that people read and write.

A scenario is a market, an account, the bot's settings, and what goes wrong when. Without faults of its own a
scenario leaves them to the seed.
"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec

from anchorwatch.io.birth import StrategyChoice
from anchorwatch.io.simulation.faults import FAULTS_MAX, Fault, Kind
from anchorwatch.io.venue.instruments import instrument_for
from anchorwatch.io.venue.switches import Switches

SUFFIX = ".toml"
# A scenario is a page; anything longer is another kind of file.
FILE_MAX_BYTES = 200_000
# 2025-01-02 00:00 UTC: an invented market has no time of its own, so every run of a seed is the same one.
START_MS = 1_735_776_000_000


class BadScenario(Exception):
    """The file is no scenario, or asks for what cannot be; the text is for the user."""


class MarketSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invented market of these instruments. Without a seed of its own it follows the run's.

    With `files` (recorded candles, one file an instrument) it is what they hold, and the run's seed says when in them it
    begins; the instruments are then the files'.

    `faster` minutes of it pass in each minute, so that small averages cross often; `trades_per_minute` of each
    instrument decide how many messages there are.
    """

    instruments: tuple[str, ...] = ("BTC-USDT-SWAP", "ETH-USDT-SWAP")
    seed: int | None = None
    files: tuple[str, ...] = ()
    faster: Annotated[int, msgspec.Meta(ge=1, le=60)] = 1
    trades_per_minute: Annotated[int, msgspec.Meta(ge=4, le=600)] = 12
    start_ms: int = START_MS


class AccountChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account, in USDT; the position mode is the one in the settings."""

    cash: Decimal = Decimal(10_000)


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One story. `settings` are the bot's, in the sections of its settings file; `for_s` is the part with faults."""

    name: str = ""
    about: str = ""
    for_s: Annotated[float, msgspec.Meta(ge=10, le=86_400)] = 600.0
    market: MarketSpec = MarketSpec()
    account: AccountChoice = AccountChoice()
    settings: dict[str, Any] = {}
    strategy: StrategyChoice | None = None
    switches: Switches = Switches()
    fault: tuple[Fault, ...] = ()
    # What the seed adds to `fault`: nothing, or as many as it draws.
    random_faults: bool = False

    def __post_init__(self) -> None:
        if len(self.fault) > FAULTS_MAX:
            raise ValueError(f"fault: {len(self.fault)} of them; allowed: at most {FAULTS_MAX}")
        unknown = [name for name in self.market.instruments if instrument_for(name) is None]
        if unknown:
            raise ValueError(f"market.instruments: the embedded exchange knows no swap {unknown[0]}")
        if self.strategy is not None:
            self.strategy.made()
        if not self.market.instruments:
            raise ValueError("market.instruments: at least one")


def read_scenario(path: Path) -> Scenario:
    """The scenario in a TOML file. Raises BadScenario naming the file and what is wrong."""
    document = _document(path)
    document.setdefault("name", path.stem)
    try:
        return msgspec.convert(document, Scenario, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadScenario(f"{path}: {error}") from None


class _FaultFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fault: tuple[Fault, ...] = ()


def read_faults(path: Path) -> tuple[Fault, ...]:
    """The faults of a TOML file: tables ``[[fault]]``, as in a scenario. Raises BadScenario."""
    try:
        return msgspec.convert(_document(path), _FaultFile, strict=False).fault
    except (msgspec.ValidationError, ValueError) as error:
        raise BadScenario(f"{path}: {error}") from None


def kinds_in(text: str) -> tuple[Kind, ...]:
    """Kinds of fault from a list such as ``reset,killed``. Raises BadScenario naming what is allowed."""
    named = [word.strip() for word in text.split(",") if word.strip()]
    allowed = {kind.value: kind for kind in Kind}
    unknown = [word for word in named if word not in allowed]
    if unknown or not named:
        raise BadScenario(f"{', '.join(unknown) or text!r}: no kind of fault; allowed: {', '.join(allowed)}")
    return tuple(allowed[word] for word in named)


def shipped() -> dict[str, Scenario]:
    """The scenarios that come with the program, by name."""
    found = {}
    folder = resources.files("anchorwatch.io.simulation") / "scenarios"
    with resources.as_file(folder) as path:
        for file in sorted(path.glob(f"*{SUFFIX}")):
            found[file.stem] = read_scenario(file)
    return found


def find_scenario(named: str) -> Scenario:
    """A shipped scenario by its name, or one of the user's by its path. Raises BadScenario."""
    if named.endswith(SUFFIX) or "/" in named:
        return read_scenario(Path(named))
    ours = shipped()
    if named not in ours:
        raise BadScenario(
            f"{named}: no such scenario; allowed: a file that ends in {SUFFIX}, or {', '.join(ours)}"
        )
    return ours[named]


def _document(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadScenario(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(raw) > FILE_MAX_BYTES:
        raise BadScenario(f"{path}: longer than {FILE_MAX_BYTES} bytes: not a scenario")
    try:
        return tomllib.loads(raw.decode("utf-8"), parse_float=Decimal)
    except ValueError as error:  # TOML and UTF-8 alike
        raise BadScenario(f"{path}: is not valid TOML in UTF-8: {error}") from None
