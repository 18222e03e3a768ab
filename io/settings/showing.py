"""Settings for people: what holds and where it came from, and the reference of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from anchorwatch.io.settings.problems import shown
from anchorwatch.io.settings.reading import FIELDS, SECRET_VARIABLES, allowed
from anchorwatch.io.settings.schema import GROUPS, HISTORY_DEFAULT, SYMBOLS_DEFAULT, Origin, Settings
from anchorwatch.io.settings.secret import MASK


def effective(settings: Settings) -> list[tuple[str, str, str]]:
    """Every setting as (key, value, origin). Secrets are masked."""
    return [(key, text, settings.origins.get(key, Origin.DEFAULT).value) for key, text in _rows(settings)]


def _rows(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "symbols", ", ".join(settings.symbols)
    for name in GROUPS:
        group = getattr(settings, name)
        for field, (_, rule) in FIELDS[name].items():
            value = getattr(group, field)
            yield f"{name}.{field}", _value(value, empty=f"({rule.default})" if rule.default else "")
    yield "candles", ", ".join(f"{timeframe} {rows}" for timeframe, rows in settings.candles)
    for instrument, own in settings.overrides.items():
        for key, value in own.items():
            yield f'symbol."{instrument}".{key}', _value(value)
    if settings.keys is not None:
        yield from ((f"api.{name}", MASK) for name in ("key", "secret", "passphrase"))


def _value(value: Any, empty: str = "") -> str:
    if value is None or value == "":
        return empty
    return value if isinstance(value, str) else shown(value)


def reference() -> str:
    """All settings as Markdown: a table each section."""
    lines = [
        "# Settings",
        "",
        "One TOML file (`--config FILE`). Later wins: default, file, market file, command line. "
        "A fraction is a share of one: `0.01` is one percent.",
        "",
        "Secrets come from the environment only: "
        + ", ".join(f"`{name}`" for name in SECRET_VARIABLES)
        + ".",
        "",
        "## Outside any section",
        "",
        *_TABLE_HEAD,
        _line(
            "symbols",
            list(SYMBOLS_DEFAULT),
            "USDT-settled swaps",
            "what to trade; `--market` files say it too",
        ),
        "",
    ]
    for name, group in GROUPS.items():
        defaults = group()
        lines += [f"## [{name}]", ""]
        doc = _doc(group)
        lines += [doc, ""] if doc else []
        lines += _TABLE_HEAD
        for field, (hint, rule) in FIELDS[name].items():
            default: Any = getattr(defaults, field)
            if default is None or default == "":
                default = None
            star = " *" if rule.per_symbol else ""
            text = _line(field + star, default, allowed(hint, rule), rule.meaning, rule.default)
            lines.append(text)
        lines.append("")
    history = "; ".join(f'"{timeframe}" = {rows}' for timeframe, rows in HISTORY_DEFAULT)
    lines += [
        "## [candles]",
        "",
        f"Rows of history by timeframe, loaded at start; the section replaces the default one: `{history}`.",
        "",
        '## [symbol."BTC-USDT-SWAP"]',
        "",
        "Values for one symbol: every setting that is marked * above, without its section's name.",
    ]
    return "\n".join(lines) + "\n"


_TABLE_HEAD = ("| setting | default | allowed | meaning |", "|---|---|---|---|")


def _line(name: str, default: Any, allowed_words: str, meaning: str, default_words: str = "") -> str:
    value = default_words if default is None else f"`{shown(default)}`"
    return f"| {name} | {value} | {allowed_words} | {meaning} |"


def _doc(group: type[msgspec.Struct]) -> str:
    """A group's own words, where it has any (msgspec gives none by itself)."""
    return " ".join((group.__doc__ or "").split())
