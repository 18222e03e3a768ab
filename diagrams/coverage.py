"""Every cell of every table on one page of HTML, with how often each of its answers was given.

Green was given, red is allowed and never was, grey is ignored or impossible, with its reason on hover. The page
needs nothing but itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

import msgspec

from anchorwatch.diagrams.catalogue import MACHINES, Machine
from anchorwatch.diagrams.conformance import Answer, NotARun, answer_of, counted, read_moves
from anchorwatch.diagrams.words import guard_of, spoken, title
from anchorwatch.machine.kernel import Event, Row, State, Verdict

NONE: Mapping[Answer, int] = {}


class Tally(msgspec.Struct, frozen=True):
    """The cells and the rows of one table, and how many of them answered.

    A cell may be answered where one of its rows moves or ignores; the others are impossible. ``lived`` were answered in
    runs of the whole bot, ``answered`` there or in the worlds of the exhaustive check.
    """

    machine: str
    cells: int
    answerable: int
    answered: int
    lived: int
    moving: int
    moving_hit: int
    ignored: int
    ignored_hit: int
    impossible: int


def tally(machine: Machine, hits: Mapping[Answer, int], explored: Mapping[Answer, int] = NONE) -> Tally:
    """``hits`` are of runs of the whole bot, ``explored`` of the exhaustive check."""
    definition = machine.definition
    by_verdict = {verdict: [row for row in definition.rows if row.verdict is verdict] for verdict in Verdict}
    return Tally(
        machine=machine.name,
        cells=len(definition.states) * len(definition.events),
        answerable=len(_answerable(machine)),
        answered=len(_answerable(machine)) - len(_silent(machine, {**hits, **explored})),
        lived=len(_answerable(machine)) - len(_silent(machine, hits)),
        moving=len(by_verdict[Verdict.MOVES]),
        moving_hit=_hit(machine, by_verdict[Verdict.MOVES], hits),
        ignored=len(by_verdict[Verdict.IGNORED]),
        ignored_hit=_hit(machine, by_verdict[Verdict.IGNORED], hits),
        impossible=len(by_verdict[Verdict.IMPOSSIBLE]),
    )


def _answerable(machine: Machine) -> list[tuple[State, type[Event]]]:
    may = {
        (row.source, row.event) for row in machine.definition.rows if row.verdict is not Verdict.IMPOSSIBLE
    }
    return [
        (state, event)
        for state in machine.definition.states
        for event in machine.definition.events
        if (state, event) in may
    ]


def _silent(machine: Machine, hits: Mapping[Answer, int]) -> list[tuple[State, type[Event]]]:
    """The cells that may be answered and never were."""
    heard = {
        (one.source, one.trigger) for one, count in hits.items() if count and one.machine == machine.name
    }
    return [
        (state, event) for state, event in _answerable(machine) if (state.name, event.__name__) not in heard
    ]


def silent(hits: Mapping[Answer, int], machines: Sequence[Machine] = MACHINES) -> list[str]:
    """The cells that may be answered and never were, one line each."""
    return [
        f"{machine.name}: {event.__name__} in {state.name}"
        for machine in machines
        for state, event in _silent(machine, hits)
    ]


def _hit(machine: Machine, rows: Sequence[Row], hits: Mapping[Answer, int]) -> int:
    return sum(1 for row in rows if hits.get(answer_of(machine.name, row)))


def never(hits: Mapping[Answer, int], machines: Sequence[Machine] = MACHINES) -> list[str]:
    """The rows that may move and never did, one line each."""
    return [
        f"{machine.name}: {row.event.__name__} in {row.source.name} → {row.dest.name}"
        + (f" [{spoken(row.when)}]" if row.when else "")
        for machine in machines
        for row in machine.definition.rows
        if row.verdict is Verdict.MOVES and not hits.get(answer_of(machine.name, row))
    ]


def write(files: Sequence[Path], out_dir: Path) -> Path:
    """Count what these logs (or counted rows) hold and write the page. Raises `NotARun` for a file that is neither."""
    hits: Counter[Answer] = Counter()
    for file in files:
        try:
            hits += counted(read_moves(file.read_text(encoding="utf-8")))
        except (NotARun, UnicodeDecodeError) as error:
            raise NotARun(f"{file}: {error}") from None
    out_dir.mkdir(parents=True, exist_ok=True)
    written = out_dir / "coverage.html"
    written.write_bytes(page(hits, [file.name for file in files]))
    return written


def page(
    hits: Mapping[Answer, int],
    sources: Sequence[str],
    machines: Sequence[Machine] = MACHINES,
    explored: Mapping[Answer, int] = NONE,
) -> bytes:
    """The whole page; ``sources`` says in words where the counts come from."""
    tallies = [tally(machine, hits, explored) for machine in machines]
    parts = [
        _HEAD,
        "<h1>Every state, every event</h1>",
        f"<p class=lead>{_sum(tallies)} Counted from {escape('; '.join(sources)) or 'nothing yet'}.</p>",
        "<p class=key><span class='hit'>→ state <i>count</i></span> was given "
        "<span class='seen'>→ state</span> in the exhaustive check alone "
        "<span class='miss'>→ state</span> allowed, never given <span class='grey'>○</span> ignored "
        "<span class='grey'>✕</span> impossible: were it to happen, the engine would stop. "
        "Point at a mark to read why.</p>",
    ]
    for machine, counts in zip(machines, tallies, strict=True):
        parts += _table(machine, counts, hits, explored)
    parts += _silence(silent({**hits, **explored}, machines))
    parts.append("</main></html>\n")
    return "\n".join(parts).encode()


def _sum(tallies: Sequence[Tally]) -> str:
    cells, answerable, answered, lived, moving, hit = (
        sum(getattr(one, name) for one in tallies)
        for name in ("cells", "answerable", "answered", "lived", "moving", "moving_hit")
    )
    alone = f" {lived:,} of them in runs of the whole bot, the others in the exhaustive check alone."
    return (
        f"<b>{answered:,} of the {answerable:,} cells that may be answered were ({_share(answered, answerable)}).</b>"
        f"{alone if lived < answered else ''} "
        f"{cells:,} cells in all, every one decided; {hit:,} of {moving:,} rows that may move have moved."
    )


def _share(part: int, whole: int) -> str:
    """In per cent, rounded down: 100 % is all of it."""
    return f"{part * 1_000 // whole / 10 if whole else 0:.1f} %"


def _silence(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"<section id=silent><h2>May be answered and never were: {len(names):,} cells</h2><ul>"
        yield "".join(f"<li>{escape(name)}</li>" for name in names) + "</ul></section>"


def _table(
    machine: Machine, counts: Tally, hits: Mapping[Answer, int], explored: Mapping[Answer, int]
) -> Iterator[str]:
    definition = machine.definition
    yield f"<section id='{machine.name}'><h2>{escape(machine.title)}</h2>"
    yield (
        f"<p>{counts.answered:,} of the {counts.answerable:,} cells that may be answered were "
        f"({_share(counts.answered, counts.answerable)}): {counts.moving_hit} of {counts.moving} moving rows, {counts.ignored_hit} of {counts.ignored} ignored ones, "
        f"{counts.impossible} impossible.</p><div class=wide><table><thead><tr><th></th>"
    )
    yield "".join(f"<th>{escape(title(state))}</th>" for state in definition.states) + "</tr></thead><tbody>"
    for event in definition.events:
        meaning = " ".join((event.__doc__ or "").split())
        cells = "".join(
            f"<td>{_cell(machine, definition.cell(state, event), hits, explored)}</td>"
            for state in definition.states
        )
        yield f"<tr><th title='{escape(meaning, quote=True)}'>{event.__name__}</th>{cells}</tr>"
    yield "</tbody></table></div></section>"


def _cell(
    machine: Machine, rows: Sequence[Row], hits: Mapping[Answer, int], explored: Mapping[Answer, int]
) -> str:
    return "".join(_mark(machine, row, rows, hits, explored) for row in rows)


def _mark(
    machine: Machine,
    row: Row,
    cell: Sequence[Row],
    hits: Mapping[Answer, int],
    explored: Mapping[Answer, int],
) -> str:
    count = hits.get(answer_of(machine.name, row), 0)
    guard = guard_of(row, cell)
    told = [f"when {guard}" if guard else "", spoken(row.then) if row.then is not None else "", row.because]
    hover = escape("; ".join(filter(None, told)) or "no action", quote=True)
    if row.verdict is Verdict.MOVES:
        leads = "stays" if row.dest is row.source else f"→ {escape(title(row.dest))}"
        shown = f"{leads} <i>{count:,}</i>" if count else leads
        given = "hit" if count else "seen" if answer_of(machine.name, row) in explored else "miss"
        return f"<span class='{given}' title='{hover}'>{shown}</span>"
    sign = "○" if row.verdict is Verdict.IGNORED else "✕"
    return f"<span class=grey title='{hover}'>{sign}{f' <i>{count:,}</i>' if count else ''}</span>"


_HEAD = """<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width, initial-scale=1">
<title>anchorwatch: every state, every event</title>
<style>
:root { color-scheme: light dark; --ink: #1c2430; --dim: #6b7685; --paper: #fbfaf7; --line: #e2ded5;
  --hit: #dff0e3; --hit-ink: #14532d; --miss: #fbe0dd; --miss-ink: #8f1d14; --grey: #eeece6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ec; --dim: #93a0b0; --paper: #14181e; --line: #2b323c;
  --hit: #163a24; --hit-ink: #a8e5bd; --miss: #4a1a16; --miss-ink: #ffb9b1; --grey: #222831; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1400px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 0; }
p { margin: .2rem 0 .8rem; color: var(--dim); } .lead { font-size: 1.05rem; color: var(--ink); }
ul { columns: 22rem; color: var(--dim); font: 12px/1.6 ui-monospace, monospace; padding-left: 1.2rem; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; font-size: 12.5px; width: 100%; }
th, td { padding: .3rem .45rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--dim); font-weight: 600; white-space: nowrap; }
tbody th { font: 600 12px/1.6 ui-monospace, monospace; position: sticky; left: 0; background: var(--paper); }
span { display: inline-block; border-radius: 4px; padding: 0 .35rem; margin: 1px 2px 1px 0; white-space: nowrap; cursor: default; }
i { font-style: normal; opacity: .65; font-variant-numeric: tabular-nums; }
.hit { background: var(--hit); color: var(--hit-ink); } .miss { background: var(--miss); color: var(--miss-ink); }
.seen { border: 1px solid var(--hit); color: var(--dim); }
.grey { background: var(--grey); color: var(--dim); }
</style><main>"""
