"""The bot in a terminal: stage, connections, positions with stop and pnl, and the last transitions.

The engine builds a `View` (plain figures, no machine) and hands it over; drawing is bounded in real time, so that
a run at 600× does not spend itself on pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from types import TracebackType

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from anchorwatch.io.durations import age_words, clock_words, day_words
from anchorwatch.machine.kernel import Move

# The eye reads no more, and each drawing costs the engine a few milliseconds.
REDRAW_S = 0.25

# As many as fit a small terminal below the rest.
MOVES_SHOWN = 8
POSITIONS_SHOWN = 12
REASONS_SHOWN = 4


class ConnectionRow(msgspec.Struct, frozen=True):
    """One connection: ``state`` since ``since_ms``, with so many failures in a row."""

    name: str
    state: str
    since_ms: int
    failures: int = 0


class PositionRow(msgspec.Struct, frozen=True):
    """One position. ``protection`` is the state of its protection machine; ``stop`` None means none is known live."""

    leg: str
    contracts: Decimal
    entry: Decimal
    mark: Decimal | None
    stop: Decimal | None
    pnl_usd: Decimal | None
    protection: str
    age_ms: int


class View(msgspec.Struct, frozen=True):
    """Everything that the live view shows, at one moment of venue time."""

    at_ms: int
    stage: str
    permission: str
    why_not_ready: tuple[str, ...] = ()
    connections: tuple[ConnectionRow, ...] = ()
    positions: tuple[PositionRow, ...] = ()
    equity: Decimal | None = None
    recent: tuple[tuple[int, Move], ...] = ()
    speed: float | None = None


_CALM_CONNECTIONS = ("live", "replacing", "probing")
_CALM_PROTECTION = ("covered", "moving")


def render(view: View, title: str = "anchorwatch") -> RenderableType:
    """The picture of a view."""
    parts: list[RenderableType] = [_headline(view), Text("")]
    if view.connections:
        parts += [_connections(view), Text("")]
    parts += [_positions(view), Text("")]
    if view.recent:
        parts.append(_moves(view))
    return Panel(Group(*parts), title=title, title_align="left", border_style="dim", padding=(0, 1))


def _headline(view: View) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 2))
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, justify="right")
    style = "bold green" if view.stage == "READY" else "bold yellow"
    permitted = "green" if view.permission == "open" else "bold yellow"
    entries = Text.assemble(("entries ", "dim"), (view.permission, permitted))
    speed = f"  {view.speed:.0f}×" if view.speed is not None else ""
    row.add_row(
        Text(view.stage, style=style),
        entries,
        Text(f"{day_words(view.at_ms)} {clock_words(view.at_ms)[:8]}{speed}"),
    )
    why = list(view.why_not_ready[:REASONS_SHOWN])
    if len(view.why_not_ready) > REASONS_SHOWN:
        why.append(f"and {len(view.why_not_ready) - REASONS_SHOWN} more")
    equity = Text("" if view.equity is None else f"equity {view.equity:,.2f} USD")
    waiting = Text("waits for " + ", ".join(why), style="yellow") if why else Text("")
    row.add_row(Text(""), waiting, equity)
    return row


def _connections(view: View) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for connection in view.connections:
        calm = connection.state.lower() in _CALM_CONNECTIONS
        failed = f"{connection.failures} failed" if connection.failures else ""
        table.add_row(
            Text(connection.name, style="dim"),
            Text(connection.state, style="green" if calm else "bold yellow"),
            Text(age_words(view.at_ms - connection.since_ms), style="dim"),
            Text(failed, style="yellow"),
        )
    return table


def _positions(view: View) -> RenderableType:
    if not view.positions:
        return Text("no position", style="dim")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("position", no_wrap=True)
    for name in ("contracts", "entry", "mark", "stop", "pnl"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("protection", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    for row in view.positions[:POSITIONS_SHOWN]:
        gains = row.pnl_usd is not None and row.pnl_usd >= 0
        pnl = "–" if row.pnl_usd is None else f"{row.pnl_usd:+.2f}"
        table.add_row(
            row.leg,
            f"{row.contracts:f}",
            f"{row.entry:f}",
            _price(row.mark),
            Text(_price(row.stop), style="" if row.stop is not None else "bold red"),
            Text(pnl, style="green" if gains else "red"),
            Text(row.protection, style="green" if row.protection.lower() in _CALM_PROTECTION else "bold red"),
            age_words(row.age_ms),
        )
    left = len(view.positions) - POSITIONS_SHOWN
    if left > 0:
        table.add_row(Text(f"and {left} more", style="dim"), *[""] * 7)
    return table


def _price(px: Decimal | None) -> str:
    return "–" if px is None else f"{px:f}"


def _moves(view: View) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, min_width=len("12:00:03"))
    for _ in range(3):
        table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for at_ms, move in view.recent[-MOVES_SHOWN:]:
        machine = f"{move.machine} {move.id}" if move.id and move.id != move.machine else move.machine
        table.add_row(
            Text(clock_words(at_ms)[:8], style="dim"),
            Text(machine),
            Text(f"{move.source} → {move.dest}"),
            Text(move.trigger, style="dim"),
            Text(move.cause, style="dim"),
        )
    return table


class LiveView:
    """Draws views in place, at most every `REDRAW_S` of real time. ``real_s`` is the host's clock in seconds."""

    def __init__(self, console: Console, real_s: Callable[[], float], title: str = "anchorwatch") -> None:
        # No thread of its own: it draws when it is shown something.
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._real_s = real_s
        self._title = title
        self._drawn_at_s: float | None = None
        self._pending: View | None = None

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The last view stays on the screen when the bot has gone.
        if self._pending is not None:
            self._draw(self._pending)
        with suppress(OSError):
            self._live.stop()

    def is_due(self) -> bool:
        """Whether a view shown now would be drawn now."""
        if self._drawn_at_s is None:
            return True
        passed_s = self._real_s() - self._drawn_at_s
        # The host's clock may be set back: then draw, and count anew.
        return passed_s >= REDRAW_S or passed_s < 0

    def show(self, view: View) -> None:
        """Draw the view, or keep it for the end when the last drawing is too near."""
        if self.is_due():
            self._drawn_at_s = self._real_s()
            self._pending = None
            self._draw(view)
        else:
            self._pending = view

    def _draw(self, view: View) -> None:
        # A terminal that is gone (a closed window, a lost line) must not stop a bot that guards a position.
        with suppress(OSError):
            self._live.update(render(view, self._title), refresh=True)


class AboveTheView:
    """Writes lines above the live view."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        self._console.print(text, end="", markup=False, highlight=False, soft_wrap=True)

    def flush(self) -> None:
        """The console keeps nothing back."""
