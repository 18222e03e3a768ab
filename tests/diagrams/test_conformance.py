"""A log is held against the tables, and what it used of them is counted and drawn."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from anchorwatch.diagrams import coverage
from anchorwatch.diagrams.catalogue import MACHINES
from anchorwatch.diagrams.conformance import Answer, NotARun, answer_of, as_rows, counted, read_moves, strays
from anchorwatch.diagrams.counting import answers_counted
from anchorwatch.machine import order
from anchorwatch.machine.kernel import Definition, Snapshot, UnexpectedEvent, Verdict

ROWS = [(machine, row) for machine in MACHINES for row in machine.definition.rows]


def move(machine: str, path: str, trigger: str, id: str = "bot") -> dict[str, Any]:
    source, dest = path.split(" ")
    return {
        "event": "transition", "at_ms": 1, "machine": machine, "id": id,
        "source": source, "trigger": trigger, "dest": dest, "cause": "",
    }  # fmt: skip


BOOT = [move("lifecycle", "INIT CLIENT", "StageDone"), move("lifecycle", "CLIENT MODULES", "StageDone")]


def test_what_the_tables_say_is_no_stray() -> None:
    assert strays(BOOT) == []


def test_a_move_that_no_row_makes_is_named() -> None:
    assert strays([*BOOT, move("lifecycle", "MODULES READY", "StageDone")]) == [
        "move 3: lifecycle bot: MODULES → READY on StageDone is no row of the table"
    ]


def test_a_row_that_only_ignores_moves_nothing() -> None:
    ignoring = next(
        row for machine, row in ROWS if row.verdict is Verdict.IGNORED and machine.name == "position"
    )
    name = ignoring.source.name
    [stray] = strays([move("position", f"{name} {name}", ignoring.event.__name__, "BTC-USDT-SWAP/long")])
    assert "is no row" in stray


def test_a_move_that_begins_where_the_machine_does_not_stand_is_named() -> None:
    leap = [*BOOT, move("lifecycle", "WS SAFETY", "StageDone")]
    assert strays(leap) == ["move 3: lifecycle bot: WS → SAFETY on StageDone, but it stood in MODULES"]


def test_each_leg_and_each_connection_stands_for_itself_and_a_new_life_begins_anew() -> None:
    dial = [move("connection", "IDLE DIALING", "ConnectRequested", name) for name in ("public", "private")]
    assert strays([BOOT[0], *dial, BOOT[0], *dial]) == []


def test_a_log_counts_the_first_of_the_rows_that_it_cannot_tell_apart() -> None:
    hits = counted([*BOOT, BOOT[0]])
    assert {(one.source, one.dest): count for one, count in hits.items()} == {
        ("INIT", "CLIENT"): 2,
        ("CLIENT", "MODULES"): 1,
    }
    assert all(one in {answer_of(machine.name, row) for machine, row in ROWS} for one in hits)


def test_counted_rows_are_read_back_as_they_were() -> None:
    hits = Counter({answer_of(machine.name, row): number for number, (machine, row) in enumerate(ROWS, 1)})
    assert counted(read_moves(json.dumps(as_rows(hits)))) == hits


def test_a_log_is_read_whatever_stands_between_its_lines() -> None:
    text = "\n".join(["no json", *map(json.dumps, BOOT), json.dumps({"event": "stage"}), "[1]"])
    assert read_moves(text) == BOOT


@pytest.mark.parametrize("text", ["", "no json\n", "{}", '{"rows": 1}', '[{"event": "transition"}]'])
def test_a_file_that_is_no_run_is_refused(text: str) -> None:
    with pytest.raises(NotARun):
        read_moves(text)


def test_the_page_shows_a_hit_with_its_count_a_miss_and_a_reason(tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    log.write_text("\n".join(map(json.dumps, BOOT)))
    text = coverage.write([log], tmp_path).read_text()
    assert "<span class='hit' title='" in text
    assert "→ CLIENT <i>1</i>" in text
    assert "run.jsonl" in text
    missing = coverage.never(counted(BOOT))
    assert len(missing) == sum(row.verdict is Verdict.MOVES for _, row in ROWS) - 2
    tables = text.split("<section", 1)[1]  # below the key
    assert tables.count("class='miss'") == len(missing)
    for _, row in ROWS:
        if row.verdict is Verdict.IMPOSSIBLE:
            assert row.because.split(";")[0].split("'")[0] in text


def test_every_cell_is_on_the_page_decided() -> None:
    text = coverage.page({}, []).decode()
    assert "<td></td>" not in text
    assert text.count("<td>") == sum(coverage.tally(machine, {}).cells for machine in MACHINES)


def test_nothing_is_missing_when_every_row_was_given() -> None:
    hits: dict[Answer, int] = {answer_of(machine.name, row): 1 for machine, row in ROWS}
    assert coverage.never(hits) == []


def test_the_figure_counts_cells_that_may_be_answered_and_names_those_that_were_not() -> None:
    [orders] = [machine for machine in MACHINES if machine.name == "order"]
    sent, closed = (
        Answer("order", "SENT", "OrderRefused", "REFUSED"),
        Answer("order", "IDLE", "QueryDue", "IDLE"),
    )
    counts = coverage.tally(orders, {sent: 3, closed: 1})  # the second is impossible: it is no answer
    may = {(row.source, row.event) for row in orders.definition.rows if row.verdict is not Verdict.IMPOSSIBLE}
    assert (counts.answered, counts.answerable) == (1, len(may))
    assert counts.answerable < counts.cells
    names = coverage.silent({sent: 3}, [orders])
    assert len(names) == counts.answerable - 1
    assert "order: OrderRefused in SENT" not in names
    assert "order: OrderRefused in LIVE" in names
    shown = coverage.page({sent: 3}, [], [orders]).decode()
    assert f"<b>1 of the {counts.answerable} cells that may be answered were" in shown
    assert "<li>order: OrderRefused in LIVE</li>" in shown


def test_a_cell_is_answered_by_any_of_its_rows() -> None:
    hits = {answer_of(machine.name, row): 1 for machine, row in ROWS if row.verdict is not Verdict.IMPOSSIBLE}
    assert coverage.silent(hits) == []
    assert "100.0 %" in coverage.page(hits, []).decode()
    assert "never were" not in coverage.page(hits, []).decode()


def test_while_answers_are_counted_moves_and_what_is_ignored_count_and_errors_do_not() -> None:
    live = Snapshot(order.S.LIVE, order.Order(order.Role.ENTRY, 7))
    step = Definition.step
    with answers_counted() as hits:
        order.ORDER.step(live, order.OrderFilled(7))
        order.ORDER.step(live, order.OrderSeenLive(7))
        order.ORDER.step(live, order.OrderFilled(6))
        with pytest.raises(UnexpectedEvent):
            order.ORDER.step(live, order.GuardRuns(7))
    order.ORDER.step(live, order.OrderFilled(7))
    assert Definition.step is step
    assert hits == {
        Answer("order", "LIVE", "OrderFilled", "FILLED"): 1,
        Answer("order", "LIVE", "OrderSeenLive", "LIVE"): 1,
        Answer("order", "LIVE", "OrderFilled", "LIVE", "is_stale"): 1,
    }
