"""Every cell of a table on one page: what each event does in each state, and why nothing where nothing."""

from __future__ import annotations

from collections.abc import Sequence

from anchorwatch.diagrams.catalogue import Machine
from anchorwatch.diagrams.words import guard_of, spoken, title
from anchorwatch.machine.kernel import Guard, Row, Verdict

STAYS = "stays"


def matrix(machine: Machine) -> bytes:
    """A Markdown page: events down, states across, and the reasons as numbered remarks below."""
    definition = machine.definition
    reasons: dict[str, int] = {}
    lines = [
        f"# {machine.title}: every state, every event",
        "",
        "An arrow names where the event leads. ○ is ignored, ✕ is impossible (were it to happen, the engine",
        "would stop: a defect of ours). The numbers are the reasons, listed below.",
        "",
        "| event | " + " | ".join(title(state) for state in definition.states) + " |",
        "|---|" + "---|" * len(definition.states),
    ]
    for event in definition.events:
        rows = [definition.cell(state, event) for state in definition.states]
        everywhere = _everywhere(rows)
        head = "".join(
            f"<br>[{spoken(guard)}] ○ {_number(because, reasons)}" for guard, because in everywhere
        )
        cells = [_cell(cell, everywhere, reasons) for cell in rows]
        lines.append(f"| `{event.__name__}`{head} | " + " | ".join(cells) + " |")
    lines.append("")
    lines += [f"{number}. {reason}" for reason, number in reasons.items()]
    return ("\n".join(lines) + "\n").encode()


Remark = tuple[Guard, str]


def _everywhere(cells: Sequence[Sequence[Row]]) -> list[Remark]:
    """What is ignored under the same guard in every state that does not ignore it anyway: said once, at the event."""
    remarks = [
        [(row.when, row.because) for row in cell if row.when and row.verdict is Verdict.IGNORED]
        for cell in cells
        if cell[0].verdict is not Verdict.IGNORED or cell[0].when
    ]
    return [remark for remark in remarks[0] if all(remark in others for others in remarks)] if remarks else []


def _cell(rows: Sequence[Row], everywhere: Sequence[Remark], reasons: dict[str, int]) -> str:
    told = [row for row in rows if (row.when, row.because) not in everywhere]
    return "<br>".join(_answer(row, rows, reasons) for row in told)


def _number(because: str, reasons: dict[str, int]) -> int:
    return reasons.setdefault(because, len(reasons) + 1)


def _answer(row: Row, rows: Sequence[Row], reasons: dict[str, int]) -> str:
    number = f" {_number(row.because, reasons)}" if row.because else ""
    guard = guard_of(row, rows)
    asked = f"[{guard}] " if guard else ""
    if row.verdict is Verdict.IGNORED:
        return f"{asked}○{number}"
    if row.verdict is Verdict.IMPOSSIBLE:
        return f"{asked}✕{number}"
    leads = STAYS if row.dest is row.source else f"→ **{title(row.dest)}**"
    done = f" / {spoken(row.then)}" if row.then is not None else ""
    return f"{asked}{leads}{done}{number}"
