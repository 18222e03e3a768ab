"""Single edits of the tables and of the router are noticed, by a property or by a contract."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import FunctionType
from typing import cast

import msgspec
import pytest

from anchorwatch.diagrams.check import mutation
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.contracts import CONTRACTS, Contract, broken_contract, is_kept
from anchorwatch.diagrams.check.defects import answering
from anchorwatch.diagrams.check.edits import Mutant, edited_table, mutants
from anchorwatch.diagrams.check.mutation import Base, Judged, judged
from anchorwatch.diagrams.check.router_edits import DECIDING
from anchorwatch.machine import bot as bots
from anchorwatch.machine import order
from anchorwatch.machine.kernel import BadTable

SAMPLED = 307
"""Every so many edits are judged here; all of them are by ``make proof``."""


@pytest.fixture(scope="module")
def bases() -> list[Base]:
    return [Base(bounds) for bounds in mutation.WORLDS[:5]]


@pytest.fixture(scope="module")
def every() -> list[Mutant]:
    return list(mutants())


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.words.replace(" ", "_"))
def test_the_tables_keep_every_contract(contract: Contract) -> None:
    assert contract.holds(), contract.words


def test_a_contract_is_broken_by_the_edit_that_it_speaks_against(every: list[Mutant]) -> None:
    edit = next(one for one in every if one.words == "STOPPING, StopStepEnded when has_next_step: is deleted")
    with edit.plant():
        assert broken_contract() == "R10.1"
    assert broken_contract() == ""


@pytest.mark.proof
def test_every_contract_is_broken_by_some_edit(every: list[Mutant]) -> None:
    unbroken = {contract.words: contract for contract in CONTRACTS}
    for edit in every:
        with suppress(BadTable), edit.plant(), mutation.interrupted_after(mutation.CONTRACTS_CPU_MAX_S):
            unbroken = {words: one for words, one in unbroken.items() if is_kept(one)}
    assert not unbroken, "what no edit breaks says nothing about the tables"


def test_an_edit_is_undone_when_it_has_been_judged(every: list[Mutant]) -> None:
    before = dict(bots.DEFINITIONS), dict(bots.ROUTES)
    for edit in every[::97]:
        with suppress(BadTable), edit.plant():
            pass
    assert before == (bots.DEFINITIONS, bots.ROUTES)


def test_a_verdict_names_one_world() -> None:
    names = [bounds.name for bounds in mutation.WORLDS]
    assert len(set(names)) == len(names)


def test_every_row_is_edited(every: list[Mutant]) -> None:
    edited = {(one.machine, one.row) for one in every}
    for definition in bots.DEFINITIONS.values():
        assert {(definition.name, number) for number in range(len(definition.rows))} <= edited


def test_the_router_is_edited_where_it_decides_and_left_as_it_was(every: list[Mutant]) -> None:
    before = [cast(FunctionType, one).__code__ for one in DECIDING]
    edits = {one.words: one for one in every if one.machine == "router"}
    assert len(edits) == sum(one.machine == "router" for one in every), "each in words of its own"
    hands_off = edits["standing_obstacles: 'instrument in bot.hands_off' is held to be false"]
    with hands_off.plant():
        assert broken_contract() == "R9.7"
    two_closes = "'run.bot.slot(address.leg).close.state not in order.FREE' is held to be false"
    with edits[f"_close: {two_closes}"].plant():
        assert broken_contract() == "S12"
    assert [cast(FunctionType, one).__code__ for one in DECIDING] == before
    assert broken_contract() == ""


def test_a_row_is_led_to_every_state_but_its_own(every: list[Mutant]) -> None:
    led = [one.words.rpartition(": ")[2] for one in every if one.words.startswith("SENT, OrderRefused:")]
    elsewhere = {f"goes to {state.name}" for state in order.S if state not in (order.S.SENT, order.S.REFUSED)}
    assert {*led} == {*elsewhere, "stays", "is deleted", "forgets end_refused"}


def test_an_edit_that_breaks_a_property_is_killed_by_its_name(bases: list[Base], every: list[Mutant]) -> None:
    edit = next(one for one in every if one.words == "HALTED, HaltRequested: goes to OPEN")
    found = judged(edit, bases)
    assert (found.verdict, found.by) == ("property", "S17")


def test_an_edit_that_changes_nothing_is_called_equivalent(bases: list[Base], every: list[Mutant]) -> None:
    words = "SENT, AnswerLost: is deleted"
    of_the_table = next(one for one in every if one.machine == "order" and one.words == words)
    row = order.ORDER.rows[of_the_table.row]
    in_other_words = msgspec.structs.replace(
        of_the_table,
        plant=lambda: edited_table("order", of_the_table.row, msgspec.structs.replace(row, because="x")),
    )
    found = judged(in_other_words, bases)
    assert found.verdict == "equivalent"
    told = mutation.summed([found])
    assert told["equivalents"] == [{"machine": "order", "edit": words, "because": mutation.UNCHANGED}]


def test_an_edit_with_which_a_step_never_ends_is_no_endless_judgement(
    monkeypatch: pytest.MonkeyPatch, every: list[Mutant]
) -> None:
    monkeypatch.setattr(mutation, "CONTRACTS_CPU_MAX_S", 0.5)
    edit = next(one for one in every if one.words == "STOPPING, StopStepEnded: stays")
    found = judged(edit, ())
    assert (found.verdict, found.by) == ("contract", "R10.1")
    assert broken_contract() == ""


def test_no_sampled_edit_of_orders_and_stops_survives(bases: list[Base], every: list[Mutant]) -> None:
    sample = [one for one in every[::SAMPLED] if one.machine in ("order", "protection", "position")]
    survivors = [one.words for one in (judged(edit, bases) for edit in sample) if one.verdict == "survivor"]
    assert len(sample) > 10
    assert survivors == []


def test_a_run_that_was_cut_off_goes_on_unless_the_code_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutation, "WORLDS", ())  # contracts alone judge here
    kept, told = tmp_path / "judged.jsonl", list[Judged]()
    first = mutation.run(1, SAMPLED, told.append, kept)
    assert (first["total"], first["equivalent"] + first["killed"]) == (len(told), len(told))
    lines = kept.read_bytes().splitlines()
    kept.write_bytes(b"\n".join(lines[:-2]) + b"\n")
    again = list[Judged]()
    assert mutation.run(1, SAMPLED, again.append, kept) == first
    assert again == told[-2:]
    kept.write_bytes(b"\n".join([b"of other code", *lines[1:]]) + b"\n")
    anew = list[Judged]()
    assert mutation.run(1, SAMPLED, anew.append, kept) == first
    assert anew == told


def test_a_world_that_is_broken_without_any_edit_is_no_base() -> None:
    with pytest.raises(AssertionError), bots_covered_always():
        Base(Bounds("stop", entries=1, stops=True))


def bots_covered_always() -> AbstractContextManager[None]:
    return answering("is_covered", True)
