"""Settings from one TOML file, the environment (secrets only) and the command line, all checked at once.

Every value is read by the type and the `Rule` of its field. Nothing is guessed: an unknown key, a wrong type or
an impossible value is a problem with the setting's name, and all problems are reported together.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from anchorwatch.io.okx.environments import Environment
from anchorwatch.io.settings import consistency, schema
from anchorwatch.io.settings.places import state_directory
from anchorwatch.io.settings.problems import Problem, SettingsError, shown
from anchorwatch.io.settings.records import JournalSettings
from anchorwatch.io.settings.rule import Rule
from anchorwatch.io.settings.schema import GROUPS, Origin, Settings
from anchorwatch.io.settings.secret import Keys, Secret
from anchorwatch.io.venue.instruments import inst_id_from_file_name

SECRET_VARIABLES = ("ANCHORWATCH_API_KEY", "ANCHORWATCH_API_SECRET", "ANCHORWATCH_API_PASSPHRASE")

# A settings file is a page of text; anything longer is another kind of file.
FILE_MAX_BYTES = 1_000_000

_SECRET_WORDS = ("api_key", "apikey", "secret", "passphrase", "password", "credentials")

Fields = dict[str, tuple[type[Any], Rule]]
Given = dict[str, tuple[Any, Origin]]


def fields(group: type[msgspec.Struct]) -> Fields:
    """The type and the rule of every setting of a group."""
    hints = get_type_hints(group, include_extras=True)
    return {name: (get_args(hints[name])[0], get_args(hints[name])[1]) for name in group.__struct_fields__}


FIELDS: dict[str, Fields] = {name: fields(group) for name, group in GROUPS.items()}
PER_SYMBOL: Fields = {
    name: field for group in FIELDS.values() for name, field in group.items() if field[1].per_symbol
}
KEYS = tuple(f"{group}.{name}" for group, names in FIELDS.items() for name in names)


def load(
    *,
    file: Path | None = None,
    environ: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    markets: Sequence[Path] = (),
    trades: bool = True,
) -> Settings:
    """The settings of one run. Without ``trades`` it only looks at this host: no key, and no word on whose account it is.

    ``options`` are the command line's, by dotted key (``{"venue.kind": "sim"}``); ``markets`` are the market
    files, whose names say the symbols when the command line does not. Raises SettingsError with every problem
    that was found; no secret is ever part of its text.
    """
    problems: list[Problem] = []
    given: Given = {}
    overrides: dict[str, dict[str, Any]] = {}
    if file is not None:
        _take_file(_document(file), given, overrides, problems)
    _take_markets(markets, given, problems)
    for key, value in (options or {}).items():
        given[key] = (value, Origin.COMMAND_LINE)
    given = {key: found for key, found in given.items() if _known(key, problems)}

    settings = _settings(given, overrides, problems)
    kind_is_sound = not any(problem.key == "venue.kind" for problem in problems)
    if kind_is_sound and trades:
        settings = _by_kind(settings, environ, problems)
    broken = {problem.key for problem in problems}
    for problem in consistency.problems(settings, markets=markets, kind_is_sound=kind_is_sound):
        # A value that could not be read stands at its default: what follows from that is noise.
        if problem.key not in broken:
            problems.append(problem)
    if problems:
        raise SettingsError(_without_secrets(problems, environ))
    return settings


def _document(file: Path) -> dict[str, Any]:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise SettingsError([Problem(str(file), f"cannot be read: {error.strerror or error}")]) from None
    if len(raw) > FILE_MAX_BYTES:
        raise SettingsError([Problem(str(file), f"longer than {FILE_MAX_BYTES} bytes: not a settings file")])
    try:
        return tomllib.loads(raw.decode("utf-8"), parse_float=_decimal)
    except UnicodeDecodeError:
        raise SettingsError([Problem(str(file), "is not text; allowed: TOML in UTF-8")]) from None
    except RecursionError:
        raise SettingsError([Problem(str(file), "is nested too deeply")]) from None
    except ValueError as error:
        raise SettingsError([Problem(str(file), f"is not valid TOML: {error}")]) from None


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        return Decimal("nan")  # an exponent beyond any number: refused where it is read


def _take_file(
    document: dict[str, Any], given: Given, overrides: dict[str, dict[str, Any]], problems: list[Problem]
) -> None:
    for name, value in document.items():
        if name in ("symbols", "candles"):
            given[name] = (value, Origin.FILE)
        elif name == "symbol":
            _take_overrides(value, overrides, problems)
        elif name not in GROUPS:
            problems.append(_unknown(name))
        elif not isinstance(value, dict):
            problems.append(Problem(name, f"is a value; allowed: a section [{name}]"))
        else:
            for key, own in value.items():
                given[f"{name}.{key}"] = (own, Origin.FILE)


def _take_overrides(value: Any, overrides: dict[str, dict[str, Any]], problems: list[Problem]) -> None:
    if not isinstance(value, dict) or not all(isinstance(own, dict) for own in value.values()):
        problems.append(Problem("symbol", 'allowed: sections such as [symbol."BTC-USDT-SWAP"]'))
        return
    for instrument, own in value.items():
        section = f'symbol."{instrument}"'
        read = overrides.setdefault(instrument, {})
        for key, given in own.items():
            if key not in PER_SYMBOL:
                problems.append(_unknown(key, section, PER_SYMBOL))
                continue
            hint, rule = PER_SYMBOL[key]
            try:
                read[key] = _read(given, hint, rule)
            except ValueError as error:
                problems.append(Problem(f"{section}.{key}", str(error)))


def _take_markets(markets: Sequence[Path], given: Given, problems: list[Problem]) -> None:
    names: list[str] = []
    for market in markets:
        name = inst_id_from_file_name(market)
        if name is None:
            text = "the file's name does not say its symbol; allowed: a name with one in it, such as BTCUSDT_1m.csv"
            problems.append(Problem(f"--market {market}", text))
        else:
            names.append(name)
    if names:
        given["symbols"] = (names, Origin.MARKET_FILE)


def _known(key: str, problems: list[Problem]) -> bool:
    if key in ("symbols", "candles") or key in KEYS:
        return True
    problems.append(_unknown(key))
    return False


def _unknown(key: str, section: str = "", allowed: Iterable[str] = ()) -> Problem:
    """Names the nearest known key. The value is not quoted: it may be a secret that strayed here."""
    full = f"{section}.{key}" if section else key
    name = key.rpartition(".")[2]
    if any(word in name.lower() for word in _SECRET_WORDS):
        return Problem(full, f"secrets are read from the environment only: {', '.join(SECRET_VARIABLES)}")
    if section:
        near = difflib.get_close_matches(name, list(allowed), n=1)
        return Problem(full, f"unknown setting{_meant(near)}; allowed for one symbol: {', '.join(allowed)}")
    by_name = {known.rpartition(".")[2]: known for known in KEYS}
    if name in by_name and "." in key:
        near = [by_name[name]]
    else:
        candidates = [*KEYS, *GROUPS, "symbols", "candles", "symbol"]
        near = difflib.get_close_matches(key, candidates, n=1)
        near = near or [by_name[name] for name in difflib.get_close_matches(name, list(by_name), n=1)]
    head, _, name = key.rpartition(".")
    siblings = [one for one in KEYS if one.startswith(f"{head}.")] if head else [*GROUPS, "symbol"]
    listed = "" if near or not siblings else f"; allowed: {', '.join(siblings)}"
    return Problem(full, f"unknown setting{_meant(near)}{listed}")


def _meant(near: list[str]) -> str:
    return f"; did you mean {near[0]}?" if near else ""


def _settings(given: Given, overrides: dict[str, dict[str, Any]], problems: list[Problem]) -> Settings:
    origins: dict[str, Origin] = {}
    groups: dict[str, Any] = {}
    for name, group in GROUPS.items():
        values: dict[str, Any] = {}
        for field, (hint, rule) in FIELDS[name].items():
            key = f"{name}.{field}"
            if key not in given:
                continue
            value, origins[key] = given[key]
            try:
                values[field] = _read(value, hint, rule)
            except ValueError as error:
                problems.append(Problem(key, str(error)))
        groups[name] = group(**values)
    for key, read in (("symbols", _symbols), ("candles", _candles)):
        if key in given:
            value, origins[key] = given[key]
            found = read(value, problems)
            if found:
                groups[key] = found
    origins |= {f'symbol."{name}".{key}': Origin.FILE for name, own in overrides.items() for key in own}
    return Settings(**groups, overrides=overrides, origins=origins)


def _read(value: Any, hint: Any, rule: Rule) -> Any:
    """The value as its type. Raises ValueError that quotes it and says what is allowed."""
    wrong = ValueError(f"{shown(value)}; allowed: {allowed(hint, rule)}")
    types = [kind for kind in get_args(hint) if kind is not NoneType] or [hint]
    kind = hint if get_origin(hint) is dict else types[0]
    if get_origin(kind) is dict:
        if isinstance(value, dict):
            return value
        raise wrong
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise wrong
    if kind is str or issubclass(kind, Enum):
        return _read_text(value, kind, rule, wrong)
    if isinstance(value, bool) or not isinstance(value, int | Decimal if kind is not int else int):
        raise wrong
    number = Decimal(value)
    if not number.is_finite() or not rule.holds(number):
        raise wrong
    return kind(value)


def _read_text(value: Any, kind: Any, rule: Rule, wrong: ValueError) -> Any:
    if not isinstance(value, str):
        raise wrong
    if issubclass(kind, Enum):
        for member in kind:
            if member.value == value:
                return member
        raise wrong
    if not value.isprintable() or (rule.choices and value not in rule.choices):
        raise wrong
    return value


def allowed(hint: Any, rule: Rule) -> str:
    """What a setting takes, in words."""
    if get_origin(hint) is dict:
        return "a section"
    kind = next((kind for kind in get_args(hint) if kind is not NoneType), hint)
    if kind is bool:
        return "true or false"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(str(member.value) for member in kind)
    if kind is str:
        return ", ".join(rule.choices) or "a text"
    noun = "a whole number" if kind is int else "a number"
    unit = f" ({rule.unit})" if rule.unit else ""
    return f"{noun} {rule.range_words()}{unit}".replace("  ", " ")


def _symbols(value: Any, problems: list[Problem]) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        problems.append(Problem("symbols", f'{shown(value)}; allowed: a list such as ["BTC-USDT-SWAP"]'))
        return ()
    return tuple(value) if value else _none_of("symbols", "at least one symbol", problems)


def _candles(value: Any, problems: list[Problem]) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, dict):
        problems.append(
            Problem("candles", f"{shown(value)}; allowed: a section [candles] of rows by timeframe")
        )
        return ()
    rows = Rule("rows", at_least="1", at_most=str(schema.HISTORY_ROWS_MAX))
    found: list[tuple[str, int]] = []
    for timeframe, count in value.items():
        key = f"candles.{timeframe}"
        if timeframe not in schema.TIMEFRAMES:
            near = [known for known in schema.TIMEFRAMES if known.lower() == timeframe.lower()]
            problems.append(
                Problem(key, f"unknown timeframe{_meant(near)}; allowed: {', '.join(schema.TIMEFRAMES)}")
            )
            continue
        try:
            found.append((timeframe, _read(count, int, rows)))
        except ValueError as error:
            problems.append(Problem(key, str(error)))
    return tuple(found) if value else _none_of("candles", "at least the timeframe 1m", problems)


def _none_of(key: str, wanted: str, problems: list[Problem]) -> tuple[Any, ...]:
    problems.append(Problem(key, f"is empty; allowed: {wanted}"))
    return ()


def _by_kind(settings: Settings, environ: Mapping[str, str], problems: list[Problem]) -> Settings:
    """Fill in what depends on where the bot trades: ownership, keys, the journal's place."""
    kind, account, journal = settings.venue.kind, settings.account, settings.journal
    origins = dict(settings.origins)
    if kind in (Environment.SIM, Environment.PAPER):
        # The embedded exchange has keys of its own; the user's must not travel anywhere for a simulation.
        if account.exclusive is None and "account.exclusive" not in origins:
            account = msgspec.structs.replace(account, exclusive=True)
        return msgspec.structs.replace(settings, account=account)
    if account.exclusive is None and "account.exclusive" not in origins:
        text = (
            f"must be said on {kind.value}; allowed: true (every position of the symbols is this bot's) "
            "or false (positions of others are watched, never touched)"
        )
        problems.append(Problem("account.exclusive", text))
    keys = _keys(environ, problems)
    origins |= dict.fromkeys(("api.key", "api.secret", "api.passphrase"), Origin.ENVIRONMENT)
    if not journal.path:
        place = state_directory(environ)
        if place is None:
            problems.append(
                Problem("journal.path", "no home directory is known; say where the journal is to be")
            )
            place = Path()
        journal = JournalSettings(path=str(place / f"{kind.value}.sqlite"))
    return msgspec.structs.replace(settings, account=account, keys=keys, journal=journal, origins=origins)


def _keys(environ: Mapping[str, str], problems: list[Problem]) -> Keys | None:
    found: list[Secret] = []
    for variable in SECRET_VARIABLES:
        text = environ.get(variable, "")
        if not text:
            problems.append(Problem(variable, "the environment variable is not set; demo and live need it"))
        elif not text.isascii() or text != text.strip() or not text.isprintable():
            # They travel in headers: a stray line end from a copied file would be refused far from its cause.
            problems.append(Problem(variable, "holds spaces at an end, or characters that no key has"))
        else:
            found.append(Secret(text))
    return Keys(*found) if len(found) == len(SECRET_VARIABLES) else None


def _without_secrets(problems: list[Problem], environ: Mapping[str, str]) -> list[Problem]:
    """Should a secret have been pasted into an ordinary setting, its value is quoted masked."""
    texts = [environ[name] for name in SECRET_VARIABLES if environ.get(name)]
    cleaned: list[Problem] = []
    for problem in problems:
        text = problem.text
        for secret in texts:
            text = text.replace(secret, "****")
        cleaned.append(Problem(problem.key, text))
    return cleaned
