"""Why nothing is entered, in words: what the gate lacks, and for each missing fact of a symbol the reason."""

from __future__ import annotations

from anchorwatch.machine import bot as bots
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.readiness import Missing

SHOWN_MAX = 12
"""Reasons in one line for people; the first is where to look."""


def obstacles(context: Context) -> tuple[str, ...]:
    """Every obstacle that stands, each once: those of the bot, then those of each symbol in the order of the start."""
    found: dict[str, None] = {}
    for name, chart in context.charts.items():
        for reason in bots.standing_obstacles(context.bot, name):
            symbol, _, fact = reason.partition(" ")
            words = chart.missing.get(fact) if symbol == name else None
            if words is None:
                found[reason] = None
        for fact, words in chart.missing.items():
            found[f"{name} {fact}: {words}"] = None
    return tuple(found)


def of_bot(context: Context) -> tuple[Missing, ...]:
    """What is in the way of every entry, whichever symbol it would be of."""
    return tuple(Missing(reason, "") for reason in bots.standing_obstacles(context.bot, ""))


def of_symbol(context: Context, instrument: str) -> tuple[Missing, ...]:
    """What is in the way of this symbol's entries alone: its facts, in the order of the start, and what else gates it."""
    known = context.charts[instrument].missing
    every = {one.fact for one in of_bot(context)}
    others = []
    for reason in bots.standing_obstacles(context.bot, instrument):
        symbol, _, fact = reason.partition(" ")
        if reason not in every and not (symbol == instrument and fact in known):
            others.append(Missing(reason, ""))
    return (*others, *(Missing(fact, words) for fact, words in known.items()))


def in_one_line(context: Context) -> str:
    every = obstacles(context)
    more = f"; and {len(every) - SHOWN_MAX} more" if len(every) > SHOWN_MAX else ""
    return "; ".join(every[:SHOWN_MAX]) + more
