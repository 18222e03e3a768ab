"""Strategies by name: those that come with the program, an installed package's, or a class in a file of the user's own.

A strategy is a `msgspec.Struct` whose fields are its settings, so that a wrong name or value is refused at the
start and named. A file's code runs with the rights of the program, as any program does that one starts.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from anchorwatch.io.settings.problems import shown
from anchorwatch.machine.market import SIGNAL, Market, MarketSettings
from anchorwatch.machine.strategy import Strategy
from anchorwatch.machine.strategy.asking import place_of, words_of
from anchorwatch.machine.strategy.ema_cross import EmaCross
from anchorwatch.machine.strategy.scalper import Scalper

T = TypeVar("T")

BUILT_IN: Mapping[str, type] = {"scalper": Scalper, "ema_cross": EmaCross}

ENTRY_POINTS = "anchorwatch.strategies"
"""The group of entry points under which a package offers strategies."""


class BadStrategy(ValueError):
    """No strategy can be made of this; ``key`` is the setting to change, the text says what is allowed."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def made(name: str, own: Mapping[str, Any]) -> Strategy:
    """The strategy of this name with these settings of its own. Raises BadStrategy."""
    kind = _class(name)
    if not issubclass(kind, msgspec.Struct):
        if own:
            raise BadStrategy(
                "strategy.settings", f"{kind.__name__} takes none; allowed: a msgspec.Struct with fields"
            )
        strategy: Any = _ran(kind, f"{kind.__name__}()", kind)
    else:
        _check_names(kind, own, "strategy.settings")
        strategy = _ran(lambda: _converted(kind, own), f"{kind.__name__} with its settings", kind)
    check_protocol(name, strategy)
    return strategy  # type: ignore[no-any-return]


def _ran(do: Callable[[], T], what: str, kind: type | None = None, file: str = "") -> T:
    """What a user's code gives; its failure is told by its words and its line, not by a traceback. Raises BadStrategy."""
    try:
        return do()
    except BadStrategy:
        raise
    except (Exception, SystemExit) as error:
        if kind is not None:
            file = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
        place = place_of(error.__traceback__, file) if file else None
        where = f" (at {place})" if place is not None else ""
        raise BadStrategy("strategy.name", f"{what} fails: {words_of(error)}{where}") from None


@functools.cache
def _class(name: str) -> type:
    if name in BUILT_IN:
        return BUILT_IN[name]
    file, separator, attribute = name.rpartition(":")
    if separator and file.endswith(".py"):
        return _from_file(Path(file).expanduser(), attribute)
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == name:
            return _a_class(_ran(point.load, f"the package's {point.value}"), name)
    known = [*BUILT_IN, *sorted(point.name for point in entry_points(group=ENTRY_POINTS))]
    raise BadStrategy(
        "strategy.name",
        f"{shown(name)}; allowed: {', '.join(known)}, or a class in a file: my_file.py:MyClass",
    )


def _from_file(path: Path, attribute: str) -> type:
    if not path.is_file():
        raise BadStrategy("strategy.name", f"there is no file {path}")
    name = f"anchorwatch_strategy_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a .py file has a spec"
    loader = spec.loader
    assert loader is not None, "and a loader"
    module = importlib.util.module_from_spec(spec)
    # Where annotations are texts, whoever reads them looks for their words in the module by its name.
    sys.modules[name] = module
    _ran(lambda: loader.exec_module(module), str(path), file=str(path.absolute()))
    return _a_class(getattr(module, attribute, None), f"{path}:{attribute}")


def _a_class(found: object, name: str) -> type:
    if not isinstance(found, type):
        raise BadStrategy("strategy.name", f"{name} is no class; allowed: a class with needs and decide")
    return found


def check_protocol(name: str, strategy: Any) -> None:
    """Raises BadStrategy where it is none, or could never be asked."""
    kind = type(strategy)
    needs = _ran(lambda: getattr(strategy, "needs", None), f"{kind.__name__}.needs", kind)
    if not isinstance(needs, MarketSettings) or not callable(getattr(strategy, "decide", None)):
        raise BadStrategy(
            "strategy.name",
            f"{shown(name)} lacks a part; allowed: a class with needs (MarketSettings) and decide(view)",
        )
    for method, given in (("decide", "view"), ("consider", "view"), ("foresee", "views")):
        if hasattr(strategy, method) and not _takes_one(getattr(strategy, method)):
            raise BadStrategy(
                "strategy.name",
                f"{shown(name)}: {method} cannot be asked; allowed: def {method}(self, {given}), not async",
            )
    if hasattr(strategy, "foresee") and SIGNAL not in needs.indicated:
        raise BadStrategy(
            "strategy.name",
            f"{shown(name)}: foresee is told of indicators; allowed: needs.indicated with {SIGNAL}",
        )
    try:
        Market("", needs)
    except (ValueError, TypeError, AttributeError) as error:
        raise BadStrategy("strategy.name", f"{shown(name)} needs what cannot be: {error}") from None


def _takes_one(method: Any) -> bool:
    if not callable(method) or inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        return False
    try:
        inspect.signature(method).bind(None)
    except TypeError:
        return False
    except ValueError:  # compiled code may have no signature to look at
        return True
    return True


def _check_names(kind: type[Any], given: Mapping[str, Any], key: str) -> None:
    """Unknown names, nested ones too: a Struct alone would pass over them in silence."""
    hints = _ran(lambda: get_type_hints(kind), f"{kind.__name__}'s annotations", kind)
    for name, value in given.items():
        if name not in kind.__struct_fields__:
            allowed = ", ".join(kind.__struct_fields__) or "none"
            raise BadStrategy(f"{key}.{name}", f"unknown setting; allowed: {allowed}")
        hint = next((one for one in (hints[name], *get_args(hints[name])) if _is_struct(one)), None)
        if hint is not None and isinstance(value, Mapping):
            _check_names(hint, value, f"{key}.{name}")


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _converted(kind: type[msgspec.Struct], own: Mapping[str, Any]) -> Any:
    try:
        return msgspec.convert(_plain(own), kind)
    except msgspec.ValidationError as error:
        words, _, where = str(error).partition(" - at `$")
        key = "strategy.settings" + where.removesuffix("`")
        raise BadStrategy(key, f"{words[:1].lower()}{words[1:]}") from None


def _plain(value: Any) -> Any:
    """TOML's numbers are read as decimals; a strategy's fields are floats, or decimals again."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return float(value) if isinstance(value, Decimal) else value
