"""What a life of the bot begins with: everything from which its desk follows, as data that can be kept on a tape."""

from __future__ import annotations

import importlib
from decimal import Decimal
from typing import Any

import msgspec

from anchorwatch.io.settings import Settings
from anchorwatch.io.settings.reading import PER_SYMBOL
from anchorwatch.io.settings.records import AlertSettings
from anchorwatch.io.settings.strategies import BadStrategy, check_protocol
from anchorwatch.io.settings.tuning import parameters
from anchorwatch.machine import bot as bots
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Desk
from anchorwatch.machine.facts import Facts
from anchorwatch.machine.strategy import Strategy
from anchorwatch.machine.strategy.asking import Asker, decider, words_of
from anchorwatch.machine.units import Conduct


class StrategyChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A strategy that the settings do not know: ``module:Class``, importable, made with `options` as keywords."""

    name: str
    options: dict[str, Any] = {}

    def made(self) -> Strategy:
        """Raises ValueError saying what is wrong with it."""
        module, _, kind = self.name.partition(":")
        try:
            made = getattr(importlib.import_module(module), kind)(**self.options)
            check_protocol(self.name, made)
        except BadStrategy as error:
            raise ValueError(f"strategy {error}") from None
        except (Exception, SystemExit) as error:  # somebody's code: told by its words, not by a traceback
            raise ValueError(
                f"strategy {self.name}: {words_of(error)}; allowed: module:Class and its options"
            ) from None
        return made  # type: ignore[no-any-return]


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """The settings, what the journal remembered, the token of this life, and what it was started for."""

    settings: Settings
    facts: Facts
    generation: str
    conduct: Conduct
    flatten: bool = False
    strategy: StrategyChoice | None = None

    def desk(self, asker: Asker = decider) -> Desk:
        """The desk as it is before its first event."""
        settings = self.settings
        tuned = msgspec.structs.replace(parameters(settings), conduct=self.conduct)
        if self.strategy is not None:
            chosen = self.strategy.made()
            tuned = msgspec.structs.replace(
                tuned,
                instruments=tuple(
                    (name, msgspec.structs.replace(trading, strategy=chosen))
                    for name, trading in tuned.instruments
                ),
            )
        private = settings.connections.private_limits()
        public = settings.connections.public_limits()
        bot = bots.unborn(
            settings.lifecycle_limits(),
            {name: private if name.is_private else public for name in Name},
            settings.account.position_mode,
            tuned.conduct,
            flattens=self.flatten,
            has_dead_man=tuned.dead_man_s > 0,
        )
        return Desk(tuned, bot, self.generation, self.facts, asker)

    def without_secrets(self) -> Birth:
        """The same without keys and addresses: nothing on the tape needs them."""
        settings = msgspec.structs.replace(self.settings, keys=None, origins={}, alerts=AlertSettings())
        return msgspec.structs.replace(self, settings=settings)


def read_birth(raw: bytes) -> Birth:
    """What `msgspec.msgpack` wrote of a birth. Raises `msgspec.MsgspecError`."""
    birth = msgspec.msgpack.decode(raw, type=Birth, dec_hook=_no_secret)
    # What holds for one symbol is typed by its setting, which the reader of a plain dictionary cannot know.
    overrides = {
        instrument: {
            name: msgspec.convert(value, PER_SYMBOL[name][0], strict=False) for name, value in own.items()
        }
        for instrument, own in birth.settings.overrides.items()
    }
    return msgspec.structs.replace(
        birth, settings=msgspec.structs.replace(birth.settings, overrides=overrides)
    )


def _no_secret(kind: type, value: object) -> object:
    raise ValueError(f"a tape holds no {kind.__name__}")


def plain(value: object) -> object:
    """For `msgspec.msgpack`: what it does not know is a defect of ours."""
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form on the tape")
