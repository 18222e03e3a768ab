from typing import Any

import msgspec
import pytest

from anchorwatch.machine.kernel import (
    BadTable,
    Data,
    Definition,
    Effect,
    Event,
    Identity,
    Kind,
    Reason,
    Row,
    Snapshot,
    State,
    Step,
    UnexpectedEvent,
    Verdict,
    canonical,
    identities,
    ignored,
    ignored_before,
    impossible,
    kinds,
    renamed,
)


class S(State):
    SHUT = "shut"
    OPEN = "open"


class Door(Data, frozen=True):
    opened: int = 0
    ticket: Identity = 0
    older: Identity = 0
    remark: Reason = ""


class Pushed(Event, frozen=True):
    pass


class Pulled(Event, frozen=True):
    pass


class Rang(Event, frozen=True):
    pass


class Creak(Effect, frozen=True):
    opened: int


def is_new(door: Door, event: Event) -> bool:
    return door.opened == 0


def was_opened(door: Door, event: Event) -> bool:
    return door.opened > 0


def swing(door: Door, event: Event) -> Step[Door]:
    door = msgspec.structs.replace(door, opened=door.opened + 1)
    return door, (Creak(door.opened),)


SHUT = Snapshot(S.SHUT, Door())
ROWS = (
    Row(S.SHUT, Pushed, S.OPEN, when=is_new, then=swing),
    Row(S.SHUT, Pushed, S.OPEN),
    Row(S.OPEN, Pulled, S.SHUT),
    *ignored((S.OPEN,), (Pushed,), "it is open"),
    *impossible((S.SHUT,), (Pulled,), "it has no handle outside"),
)
DOOR = Definition("door", SHUT, ROWS)


def test_a_row_with_an_action_gives_its_data_and_its_effects() -> None:
    assert DOOR.step(SHUT, Pushed()) == (Snapshot(S.OPEN, Door(opened=1)), (Creak(1),))


def test_rows_of_a_cell_are_tried_from_the_top() -> None:
    used = Snapshot(S.SHUT, Door(opened=1))
    assert DOOR.step(used, Pushed()) == (Snapshot(S.OPEN, Door(opened=1)), ())


def test_an_ignored_event_changes_nothing() -> None:
    snapshot = Snapshot(S.OPEN, Door(opened=1))
    assert DOOR.step(snapshot, Pushed()) == (snapshot, ())


@pytest.mark.parametrize("step", [DOOR.step, DOOR.step_interpreted])
def test_an_impossible_event_is_an_error_that_names_event_state_and_reason(step: Any) -> None:
    with pytest.raises(UnexpectedEvent, match="Pulled in SHUT: it has no handle outside"):
        step(SHUT, Pulled())


def test_the_error_of_an_impossible_event_names_the_machine() -> None:
    with pytest.raises(UnexpectedEvent, match=r"^door: "):
        DOOR.step(SHUT, Pulled())


@pytest.mark.parametrize("step", [DOOR.step, DOOR.step_interpreted])
def test_an_event_that_the_table_does_not_know_is_an_error(step: Any) -> None:
    with pytest.raises(UnexpectedEvent, match="door: Rang in SHUT: no row accepts it"):
        step(SHUT, Rang())


def test_an_event_is_known_by_its_own_type_and_not_by_its_family() -> None:
    class PushedHard(Pushed, frozen=True):
        pass

    with pytest.raises(UnexpectedEvent, match="PushedHard in SHUT"):
        DOOR.step(SHUT, PushedHard())


def test_an_error_leaves_the_snapshot_as_it_was() -> None:
    before = Snapshot(S.SHUT, Door(opened=3, remark="kept"))
    with pytest.raises(UnexpectedEvent):
        DOOR.step(before, Pulled())
    assert before == Snapshot(S.SHUT, Door(opened=3, remark="kept"))


def test_the_interpreter_goes_on_after_an_error() -> None:
    with pytest.raises(UnexpectedEvent):
        DOOR.step_interpreted(SHUT, Pulled())
    assert DOOR.step_interpreted(SHUT, Pushed()) == DOOR.step(SHUT, Pushed())


# What is refused when the table is made, which is when its module is imported.


def refused(*rows: Row) -> str:
    with pytest.raises(BadTable) as error:
        Definition("door", SHUT, rows)
    return str(error.value)


def test_an_undecided_cell_is_refused_by_name() -> None:
    assert refused(*ROWS[:-1]) == (
        "door: Pulled in SHUT: undecided; add a row, or say why it is ignored or impossible"
    )


def test_a_cell_that_is_undecided_when_its_guards_refuse_is_refused() -> None:
    assert "Pushed in SHUT: undecided when every guard refuses" in refused(ROWS[0], *ROWS[2:])


def test_a_row_below_an_unguarded_one_is_refused() -> None:
    assert "Pushed in SHUT: unreachable row" in refused(ROWS[1], ROWS[0], *ROWS[2:])


def test_two_rows_without_a_guard_in_one_cell_are_refused() -> None:
    assert "Pushed in OPEN: unreachable row" in refused(*ROWS, Row(S.OPEN, Pushed, S.SHUT))


def test_a_row_with_the_guard_of_an_earlier_one_is_refused() -> None:
    assert "Pushed in SHUT: duplicate row" in refused(ROWS[0], ROWS[0], *ROWS[1:])


def test_a_guard_above_a_row_that_answers_the_same_is_refused() -> None:
    same = ignored((S.OPEN,), (Pushed,), "it is open, and new", when=is_new)
    assert "Pushed in OPEN: superfluous guard: the row below answers the same" in refused(*same, *ROWS)


def test_what_is_ignored_anyway_needs_no_guarded_row_before_it() -> None:
    before = ignored_before(ROWS, S, (Pushed, Pulled), "it was opened before", when=was_opened)
    assert [(row.source, row.event) for row in before] == [
        (S.SHUT, Pushed),
        (S.SHUT, Pulled),
        (S.OPEN, Pulled),
    ]
    opened = Snapshot(S.SHUT, Door(opened=1))
    assert Definition("door", SHUT, (*before, *ROWS)).step(opened, Pulled()) == (opened, ())


@pytest.mark.parametrize(("made", "word"), [(ignored, "ignored"), (impossible, "impossible")])
def test_what_does_not_move_has_to_say_why(made: Any, word: str) -> None:
    rows = [row for row in ROWS if row.source is not S.OPEN or row.event is not Pushed]
    assert f"Pushed in OPEN: {word} without a reason" in refused(*rows, *made((S.OPEN,), (Pushed,), ""))


def test_a_state_that_nothing_leads_to_is_refused() -> None:
    assert refused(
        *impossible((S.SHUT,), (Pushed, Pulled), "nailed shut"),
        *impossible((S.OPEN,), (Pushed,), "nailed shut"),
        Row(S.OPEN, Pulled, S.SHUT),
    ) == ("door: nothing leads to OPEN")


def test_an_ignored_row_leads_nowhere_whatever_it_says() -> None:
    row = Row(S.SHUT, Pushed, S.OPEN, because="it is stuck", verdict=Verdict.IGNORED)
    assert "nothing leads to OPEN" in refused(row, *ROWS[2:])


# Identities and payload.


def test_fields_are_control_unless_their_type_says_otherwise() -> None:
    assert kinds(Door) == {"ticket": Kind.IDENTITY, "older": Kind.IDENTITY, "remark": Kind.PAYLOAD}


def test_identities_are_those_fields_in_order_and_no_other_number() -> None:
    assert identities(Door(opened=5, ticket=9, older=4)) == (9, 4)


def test_renaming_changes_identities_and_nothing_else() -> None:
    door = Door(opened=9, ticket=9, older=4, remark="x")
    assert renamed(door, {9: 2, 4: 1}) == Door(opened=9, ticket=2, older=1, remark="x")


def test_renaming_without_identities_gives_the_same_object() -> None:
    effect = Creak(1)
    assert renamed(effect, {}) is effect


def test_snapshots_that_differ_by_names_and_words_only_have_one_canonical_form() -> None:
    one = Snapshot(S.OPEN, Door(opened=1, ticket=17, older=12, remark="tuesday"))
    other = Snapshot(S.OPEN, Door(opened=1, ticket=3, older=2, remark="friday"))
    assert canonical(one) == canonical(other)
    assert hash(canonical(one)) == hash(canonical(other))


@pytest.mark.parametrize(
    "other",
    [
        Snapshot(S.SHUT, Door(opened=1, ticket=17, older=12)),
        Snapshot(S.OPEN, Door(opened=2, ticket=17, older=12)),
        Snapshot(S.OPEN, Door(opened=1, ticket=12, older=17)),
        Snapshot(S.OPEN, Door(opened=1, ticket=12, older=12)),
    ],
    ids=["state", "control", "order of identities", "equality of identities"],
)
def test_what_behaves_differently_keeps_its_own_canonical_form(other: Snapshot[Door]) -> None:
    assert canonical(Snapshot(S.OPEN, Door(opened=1, ticket=17, older=12))) != canonical(other)


def test_no_identity_yet_is_not_an_old_identity() -> None:
    # Zero stands for "none": an action may ask for it, so renaming must not hand it out.
    some = Snapshot(S.OPEN, Door(ticket=7, older=6))
    none = Snapshot(S.OPEN, Door(ticket=7, older=0))
    assert canonical(some) != canonical(none)


def test_a_canonical_form_is_its_own_canonical_form() -> None:
    form = canonical(Snapshot(S.OPEN, Door(opened=1, ticket=17, older=12, remark="x")))
    assert canonical(form) == form
