"""The exhaustive checker: complete worlds hold, planted defects are named, and the renaming is sound."""

import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from anchorwatch.diagrams.check import mutation
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.calm import calmed
from anchorwatch.diagrams.check.configurations import BY_NAME, QUICK, SMALL, C
from anchorwatch.diagrams.check.defects import DEFECTS, DESK_DEFECTS, LIVE_DEFECTS, ONE, Defect, edited
from anchorwatch.diagrams.check.leg import At, Leg, Order, Stop, StopPush
from anchorwatch.diagrams.check.liveness import PROMISES
from anchorwatch.diagrams.check.model import DIES, DIES_WITH_DISK, Model
from anchorwatch.diagrams.check.netting import CLOSES, OPENS
from anchorwatch.diagrams.check.probes import defect_of_the_past, stale_defect
from anchorwatch.diagrams.check.process import Shell, crashed, unborn
from anchorwatch.diagrams.check.production import (
    Canonical,
    Production,
    addressed,
    canonical_bot,
)
from anchorwatch.diagrams.check.properties import PROPERTIES
from anchorwatch.diagrams.check.recording import recorded
from anchorwatch.diagrams.check.report import rows_of
from anchorwatch.diagrams.check.run import agrees, check, names, run, ways
from anchorwatch.diagrams.check.search import Search, explore
from anchorwatch.diagrams.check.surroundings import absorb
from anchorwatch.diagrams.check.telling import sequence, table
from anchorwatch.diagrams.check.unanswered import UNANSWERED, reason_of, rows, summed
from anchorwatch.machine import bot as bots
from anchorwatch.machine import order, permission, protection, reconciliation
from anchorwatch.machine.bot import Bot, Part
from anchorwatch.machine.kernel import Event, Kind, Row, Snapshot, UnexpectedEvent, identities, kinds, renamed

STOPPING = msgspec.structs.replace(ONE, stops=True)


@pytest.fixture(scope="module")
def explored() -> Model:
    """One entry and a stop, explored to its end."""
    model = Model(STOPPING)
    found = explore(model, time.perf_counter)
    assert found.complete
    return model


def test_a_world_with_one_entry_is_seen_whole_and_holds_every_property() -> None:
    model = Model(STOPPING)
    found = explore(model, time.perf_counter, violations_max=10)
    assert (found.complete, found.counterexamples, found.dead_ends) == (True, (), ())
    assert {one.id for one in PROPERTIES} - {"S16"} <= model.witnesses  # no dead man's switch in this world


def test_two_explorations_of_one_world_find_the_same() -> None:
    first, second = (explore(Model(ONE), time.perf_counter) for _ in range(2))
    assert (first.states, first.transitions, first.depth) == (second.states, second.transitions, second.depth)


def test_in_net_mode_a_side_that_has_turned_is_found_and_covered() -> None:
    model = Model(BY_NAME["turned"])
    search = Search(model)
    search.run(1, lambda: False)
    sides = {"somebody turns the position", "a stop that was left behind opens the other side"}
    for label in (*sides, *(f"short: {one}" for one in sides)):
        way = search.ways_to_labels()[label]
        which = 0 if label.startswith("short") else 1
        facets, leg, _ = model.shown(way[-1].core, which)
        assert (leg.contracts, leg.booked) == (1, 0)
        assert facets.reconciliation is not reconciliation.S.SETTLED


def test_an_exploration_that_is_cut_says_so() -> None:
    found = explore(Model(msgspec.structs.replace(ONE, states_max=100)), time.perf_counter)
    assert not found.complete


@pytest.mark.parametrize(
    "defect", [*DEFECTS, *LIVE_DEFECTS, *DESK_DEFECTS], ids=lambda defect: defect.name.replace(" ", "_")
)
def test_a_planted_defect_is_named_by_its_property(defect: Defect) -> None:
    assert names(defect) == [defect.breaks]


def test_a_planted_defect_is_gone_when_its_exploration_is_over() -> None:
    before = dict(bots.DEFINITIONS), bots.is_covered
    for defect in (*DEFECTS, *LIVE_DEFECTS):
        with defect.plant():
            pass
    assert (dict(bots.DEFINITIONS), bots.is_covered) == before


def test_a_counterexample_is_a_table_from_before_the_start_to_the_breach() -> None:
    defect = next(one for one in DEFECTS if one.breaks == "S6")
    with defect.plant():
        model = Model(defect.bounds)
        (found,) = explore(model, time.perf_counter).counterexamples
        lines, drawn = list(table(model, found)), list(sequence(model, found))
    assert lines[0].startswith("S6 is broken")
    assert "(before the start)" in lines[2]
    assert "the bot starts" in lines[3]
    assert "push: the entry is" in lines[-1]
    assert len(lines) == len(found.steps) + 2
    assert drawn[0] == "sequenceDiagram"
    assert "S6 is broken" in drawn[-1]
    assert any("people->>bot: the strategy wants to enter" in line for line in drawn)


def test_a_lost_stale_row_is_found_though_the_world_drops_what_is_stale() -> None:
    def never(data: object, event: object) -> bool:
        return False

    def without_stale(row: Row) -> Row:
        return msgspec.structs.replace(row, when=never) if row.when is order.is_stale else row

    with edited((Part.ENTRY, Part.CLOSE), without_stale):
        found = explore(Model(ONE), time.perf_counter)
    assert [one.property for one in found.counterexamples] == ["S0"]


def test_no_snapshot_that_is_reached_is_moved_by_a_report_of_the_past(explored: Model) -> None:
    snapshots = {
        (part, snapshot)
        for bot in explored.production.bots.values
        for _, slot in bot.legs
        for part, snapshot in (
            (Part.ENTRY, slot.entry),
            (Part.CLOSE, slot.close),
            (Part.PROTECTION, slot.protection),
        )
    }
    assert len(snapshots) > 20
    assert [defect_of_the_past(part, snapshot) for part, snapshot in snapshots] == [""] * len(snapshots)


def stretched(bot: Bot, factor: int) -> Bot:
    """The same bot with every identity further apart, in the same order, and each machine's by a factor of its own."""
    machines = 1

    def of(snapshot: Snapshot[Any]) -> Snapshot[Any]:
        nonlocal machines
        machines += 1
        names = {name: name * factor * machines for name in identities(snapshot.data)}
        return Snapshot(snapshot.state, renamed(snapshot.data, names))

    legs = tuple(
        (key, bots.Slot(**{field: of(getattr(slot, field)) for field in bots.Slot.__struct_fields__}))
        for key, slot in bot.legs
    )
    changed = {
        field: of(value)
        for field in bot.__struct_fields__
        if isinstance(value := getattr(bot, field), Snapshot)
    }
    links = tuple(of(link) for link in bot.links)
    top = max((name for _, slot in legs for name in names_of(slot)), default=0)
    return msgspec.structs.replace(bot, **changed, links=links, legs=legs, sequence=top + factor)


def names_of(slot: bots.Slot) -> Iterator[int]:
    for field in bots.Slot.__struct_fields__:
        yield from identities(getattr(slot, field).data)


def outcomes(production: Production, factor: int) -> Iterator[Bot | str]:
    """What becomes of every bot that was reached on every event that was ever told, in canonical form."""
    for reached in production.bots.values:
        bot = stretched(reached, factor)
        for tell in production.tells.values:
            before = bots.with_next_sequence(bot) if tell.event is protection.CoverAdopted else bot
            address, event = addressed(before, tell)
            try:
                yield canonical_bot(bots.step(before, address, event).bot, Canonical())
            except (UnexpectedEvent, AssertionError):
                yield "unexpected"


def test_renaming_identities_commutes_with_the_step_of_the_bot() -> None:
    model = Model(ONE)
    explore(model, time.perf_counter)
    assert list(outcomes(model.production, 1)) == list(outcomes(model.production, 7))


def test_words_for_people_decide_nothing() -> None:
    model = Model(ONE)
    explore(model, time.perf_counter)
    production = model.production
    worded = [tell for tell in production.tells.values if Kind.PAYLOAD in kinds(tell.event).values()]
    assert worded
    for bot in production.bots.values:
        for tell in worded:
            address, event = addressed(bot, tell)
            assert told(bot, address, event) == told(bot, address, with_words(event))


def told(bot: Bot, address: bots.Address, event: Event) -> Bot | str:
    try:
        return canonical_bot(bots.step(bot, address, event).bot, Canonical())
    except (UnexpectedEvent, AssertionError):
        return "unexpected"


def with_words(event: Event) -> Event:
    said = {field: "because" for field, kind in kinds(type(event)).items() if kind is Kind.PAYLOAD}
    return msgspec.structs.replace(event, **said)


def test_pushes_are_lost_with_their_connection_and_nothing_else_is(explored: Model) -> None:
    facets = next(one for one in explored.production.facets.values if one.is_born and not one.hears_orders)
    order_ = Order(size=1, at=At.LIVE, intent=True)
    leg = Leg(entry=msgspec.structs.replace(order_, pushes=(order_.report,)))
    assert calmed(leg, facets, ONE).entry == order_


def test_a_stop_that_is_not_meant_any_more_keeps_resting() -> None:
    effects = (protection.PlaceStop(0),)
    before = Leg(contracts=1, booked=1, mine=Stop(live=True, known=True, pushes=(StopPush.LIVE,)))
    after, told_at_once, broken = absorb(before, effects, ONE)
    assert (told_at_once, broken) == ((), "")
    assert (after.mine, after.other) == (Stop(), before.mine)


@pytest.mark.parametrize(
    ("machine", "verdict", "good"),
    [
        ("order", "contract", True),
        ("router", "equivalent", True),
        ("order", "equivalent", False),
        ("order", "survivor", False),
    ],
)
def test_a_row_that_decides_nothing_and_an_edit_that_nothing_notices_fail_the_check(
    machine: str, verdict: str, good: bool
) -> None:
    edits = mutation.summed([mutation.Judged(machine, "an edit", verdict)])
    assert agrees({"mutants": edits}) is good


def test_the_report_for_programs_has_the_keys_that_they_read() -> None:
    written: list[str] = []
    spin = {"config": "one entry", "states": 1, "transitions": 2, "agrees": True}
    mutants = mutation.summed([mutation.Judged("order", "an edit", "survivor")])
    code = run((ONE,), True, written.append, workers=1, more=lambda: {"spin": [spin], "mutants": mutants})
    report = json.loads("".join(written))
    assert code == 1, "an edit that nothing notices is a hole in the proof"
    assert {"states", "seconds", "abstractions"} <= set(report)
    assert {"total", "equivalent", "killed", "by_property", "by_contract", "survivors"} <= set(
        report["mutants"]
    )
    assert report["spin"] == [spin]
    (config,) = report["configs"]
    measured = {"states", "transitions", "depth", "seconds", "cores", "complete", "cut", "clipped"}
    assert {"name", "bounds"} | measured <= set(config)
    assert (config["complete"], config["cut"], config["clipped"]) == (True, False, 0)
    assert config["states"] == report["states"]
    keys = {"name", "kind", "holds", "witness", "planted_defect_caught", "fairness"}
    assert all(keys <= set(one) for one in report["properties"])
    assert all(one["holds"] and one["planted_defect_caught"] for one in report["properties"])
    assert [one["name"] for one in report["properties"]] == [
        *(f"S{number}" for number in range(18)),
        *(promise.id for promise in PROMISES),
    ]
    assert all(one["fairness"] for one in report["properties"] if one["kind"] == "liveness")


def test_a_world_that_was_not_seen_whole_is_no_success() -> None:
    written: list[str] = []
    code = run((msgspec.structs.replace(ONE, states_max=100),), False, written.append, workers=1)
    assert code == 1
    assert "NOT COMPLETE" in written[0]


def test_a_crash_leaves_the_permission_of_the_journal() -> None:
    shell = Shell(permission=permission.S.HALTED, paused_below=True)
    bot = unborn(ONE, crashed(shell))
    assert (bot.permission.state, bot.permission.data.paused_below) == (permission.S.HALTED, True)


def test_a_shortest_way_to_every_row_and_rule_is_written_down() -> None:
    found = ways((ONE,))
    assert found["rules"]["the entry fills"][:2] == ["one entry", "(before the start)"]
    assert found["rules"]["the entry fills"][-1] == "the entry fills"
    assert len(found["rows"]) > 60


@pytest.mark.parametrize(
    "name", ["maker", "moves", "journal", "again", "stages", "switch", "net and a crash", "turned"]
)
def test_a_small_world_is_seen_whole_and_holds_every_property(name: str) -> None:
    checked = check(BY_NAME[name])
    assert checked.is_sound, "\n".join(one.table for one in checked.told)


def test_another_stop_goes_with_its_position_or_stays_and_every_property_holds() -> None:
    checked = check(BY_NAME["followed"])
    assert checked.is_sound, "\n".join(one.table for one in checked.told)
    assert {"another stop goes with its position", "another stop of ours triggers"} <= set(
        checked.explored.labels
    )


@pytest.mark.parametrize("name", ["shared, over a crash", "a shared part, over a crash"])
def test_after_a_crash_ours_is_told_from_a_strangers_and_every_property_holds(name: str) -> None:
    checked = check(BY_NAME[name])
    assert checked.is_sound, "\n".join(one.table for one in checked.told)
    lost = {DIES_WITH_DISK} if BY_NAME[name].disks else set()
    assert {DIES, "answer: our own orders and their fills", *lost} <= set(checked.explored.labels)


def test_what_somebody_s_order_seems_to_open_is_found_or_never_was() -> None:
    model = Model(BY_NAME["hearsay"])
    search = Search(model)
    search.run(1, lambda: False)
    assert search.complete
    assert {OPENS, CLOSES, f"short: {OPENS}", f"short: {CLOSES}"} <= set(model.used_labels())
    seemed = [leg for core in range(len(model)) if (leg := model.shown(core)[1]).whose.is_hearsay]
    assert any(leg.contracts for leg in seemed)
    assert any(leg.whose.missed_again and not leg.contracts for leg in seemed)


def test_every_reason_why_a_row_answers_nowhere_is_about_rows_that_there_are() -> None:
    for reason in UNANSWERED:
        meant = [row for definition, _, row in rows() if reason.means(definition.name, row)]
        assert {row.source for row in meant} == set(reason.states), reason
        assert {row.event for row in meant} == set(reason.events), reason
        assert not reason.world or reason.world in BY_NAME


def test_a_row_that_answers_nowhere_has_a_reason_or_is_missed() -> None:
    nothing = summed(frozenset())
    assert nothing["fired"] == 0
    assert len(nothing["missed"]) + len(nothing["explained"]) == nothing["of"]
    everything = summed({(definition.name, number) for definition, number, _ in rows()})
    assert everything["missed"] == everything["explained"] == []
    assert "lifecycle: StopRequested in STOPPED" in everything["needed"]


def test_a_probe_of_the_past_is_no_answer_of_a_row_that_ignores_whatever_it_speaks_of() -> None:
    live, probed = Snapshot(order.S.LIVE, order.Order(order.Role.ENTRY, 1_001)), set[tuple[str, int]]()
    with recorded(set(), probed):
        assert stale_defect(bots.Part.ENTRY, live) == ""
        rows_probed = [order.ORDER.rows[number] for _, number in probed]
        assert {row.event for row in rows_probed} >= {order.OrderFilled, order.OrderCancelled}
        assert all(row.when is order.is_stale for row in rows_probed)


@pytest.mark.proof
def test_every_row_answers_in_the_default_worlds_or_says_why_not() -> None:
    found = rows_of([check(one) for one in (C, *SMALL)])
    assert (found["missed"], found["needed"]) == ([], [])


@pytest.mark.proof
@pytest.mark.parametrize("name", sorted({one.world for one in UNANSWERED if one.world}))
def test_a_row_that_takes_a_larger_world_answers_there(name: str) -> None:
    checked = check(BY_NAME[name])
    assert checked.is_sound, "\n".join(one.table for one in checked.told)
    for definition, number, row in rows():
        reason = reason_of(definition.name, row)
        if reason is not None and reason.world == name:
            assert (definition.name, number) in checked.explored.rows, row


def test_the_quick_worlds_are_named_apart() -> None:
    names = [bounds.name for bounds in QUICK]
    assert len(set(names)) == len(names)
    assert all(isinstance(bounds, Bounds) for bounds in QUICK)
