"""``anchorwatch simulate``: the whole bot and the exchange in one process, with everything going wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec

from anchorwatch.diagrams.conformance import as_rows
from anchorwatch.diagrams.counting import answers_counted
from anchorwatch.io.commands.judging import by_the_check
from anchorwatch.io.durations import duration_s
from anchorwatch.io.seams import elapsed_s
from anchorwatch.io.settings import Problem, SettingsError
from anchorwatch.io.simulation.campaign import Sum, Task, cores, run_all
from anchorwatch.io.simulation.faults import Kind
from anchorwatch.io.simulation.markets import instruments_of, played
from anchorwatch.io.simulation.minimise import minimised, readable
from anchorwatch.io.simulation.observer import PROPERTIES
from anchorwatch.io.simulation.scenario import (
    SUFFIX,
    BadScenario,
    Scenario,
    find_scenario,
    kinds_in,
    read_faults,
    shipped,
)
from anchorwatch.io.simulation.world import Outcome, settings_of
from anchorwatch.machine.lifecycle import Exit

SEEDS_MAX = 1_000_000
WORKERS_MAX = 256
EVERY_MAX = 1_000_000
# Failures that are made small and told; the others are counted.
TOLD_MAX = 3
# Whatever two things go wrong together: a run of each has few faults, which makes what it shows plain.
PAIRS = tuple(combinations(Kind, 2))


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for, as text."""

    seeds: str | None = None
    seed: str | None = None
    scenarios: tuple[str, ...] = ()
    faults: str | None = None
    pairs: bool = False
    for_: str | None = None
    market: tuple[str, ...] = ()
    json: str | None = None
    workers: str | None = None
    only: str | None = None
    until: str | None = None
    sweep: bool = False
    every: str | None = None
    steps: bool = False
    kill_at: str | None = None
    torn: bool = False
    tape: str | None = None


def run(wanted: Wanted) -> int:
    """Simulate, tell, and return the exit code: 1 when a property was violated, or a trace is none that the
    environment of the check explains; 2 when a strategy failed. Raises SettingsError."""
    tasks, workers = read(wanted)
    if wanted.sweep:
        return _sweep(wanted, workers)
    report = Path(wanted.json) if wanted.json else None
    began_s = elapsed_s()
    total = Sum()
    by_seed = {task.seed: task for task in tasks}
    for outcome in run_all(tasks, workers):
        total.take(outcome)
        _say(_line(outcome, len(total.outcomes), len(tasks)))
    kinds = tuple(kind for kind in Kind if any(kind in task.kinds for task in tasks))
    # Told and written before failures are made small: that may take longer than the runs did.
    result = _told(total, {}, kinds)
    _sum_up(total, result, elapsed_s() - began_s)
    _write(report, result)
    told: dict[int, tuple[str, list[str]]] = {}
    for outcome in sorted(total.failed, key=lambda one: one.seed)[:TOLD_MAX]:
        told[outcome.seed] = _tell(by_seed[outcome.seed], outcome)
    for seed, words in total.rejects[:TOLD_MAX]:
        replay = by_seed[seed].replay()
        _say(f"\nseed {seed}: {words}\n  again: {replay}")
        told.setdefault(seed, (replay, words.splitlines()))
    if told:
        _write(report, _told(total, told, kinds))
    fell = sorted((one for one in total.outcomes if one.strategy_failed), key=lambda one: one.seed)
    for outcome in fell[:TOLD_MAX]:
        _say(f"\nseed {outcome.seed}: {outcome.strategy_failed}; entries were halted from there on")
    if not total.is_clean:
        return 1
    return Exit.BAD_SETTINGS.value if fell else 0


def _told(total: Sum, traces: dict[int, tuple[str, list[str]]], kinds: Sequence[Kind]) -> dict[str, Any]:
    return {**total.as_dict(traces, kinds), **as_rows(total.answers)}


def _write(report: Path | None, result: dict[str, Any]) -> None:
    if report is not None:
        report.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))


def _sweep(wanted: Wanted, workers: int) -> int:
    from anchorwatch.io.commands import sweep

    problems: list[Problem] = []
    every = wanted.every or "1"
    if not (every.isascii() and every.isdigit() and 1 <= int(every[:9]) <= EVERY_MAX):
        problems.append(Problem("--every", f"{every!r}; allowed: a whole number from 1 to {EVERY_MAX}"))
    chosen = _scenarios(wanted, problems) if wanted.scenarios else _fixed()
    if wanted.steps and sweep.STEPS_SCENARIO not in [one.name for one in chosen]:
        problems.append(Problem("--steps", f"allowed: together with --scenario {sweep.STEPS_SCENARIO}"))
    if wanted.market and not problems:
        chosen = _on_market(wanted, chosen, problems)
    if problems:
        raise SettingsError(problems)
    report = Path(wanted.json) if wanted.json else None
    return sweep.run(chosen, every=int(every), jobs=workers, report=report, at_steps=wanted.steps)


def _fixed() -> list[Scenario]:
    """The shipped scenarios whose faults are their own."""
    return [one for one in shipped().values() if not one.random_faults]


def read(wanted: Wanted) -> tuple[list[Task], int]:
    """The runs to make, and on how many processes. Raises SettingsError with every problem that was found."""
    problems: list[Problem] = []

    def number(name: str, text: str | None, otherwise: int, most: int) -> int:
        if text is None:
            return otherwise
        if text.isascii() and text.isdigit() and 0 <= int(text[:19]) <= most:
            return int(text)
        problems.append(Problem(name, f"{text!r}; allowed: a whole number up to {most}"))
        return otherwise

    def span(name: str, text: str | None) -> float | None:
        try:
            return duration_s(text) if text is not None else None
        except ValueError as error:
            problems.append(Problem(name, str(error)))
            return None

    first = number("--seed", wanted.seed, 1, 2**62)
    few = len(PAIRS) if wanted.pairs else 20
    count = number("--seeds", wanted.seeds, 1 if wanted.seed is not None else few, SEEDS_MAX)
    workers = number("--workers", wanted.workers, cores(), WORKERS_MAX)
    scenarios = _scenarios(wanted, problems)
    kinds = tuple(Kind)
    try:
        if wanted.faults is not None and wanted.faults.endswith(SUFFIX):
            own = read_faults(Path(wanted.faults))
            scenarios = [msgspec.structs.replace(one, fault=own, random_faults=False) for one in scenarios]
        elif wanted.faults is not None:
            kinds = kinds_in(wanted.faults)
    except BadScenario as error:
        problems.append(Problem("--faults", str(error)))
    if wanted.pairs and wanted.faults is not None:
        problems.append(Problem("--pairs", "allowed: without --faults, which says what goes wrong"))
    if wanted.pairs and not all(one.random_faults for one in scenarios):
        problems.append(Problem("--pairs", "allowed: with scenarios whose faults are drawn from the seed"))
    for_s, until_s = span("--for", wanted.for_), span("--until", wanted.until)
    if for_s is not None:
        scenarios = [msgspec.structs.replace(one, for_s=for_s) for one in scenarios]
    if wanted.market and not problems:
        scenarios = _on_market(wanted, scenarios, problems)
    kill_at = number("--kill-at", wanted.kill_at, 0, 2**31)
    only = _places(wanted.only, problems)
    if wanted.json is not None and not Path(wanted.json).resolve().parent.is_dir():
        problems.append(
            Problem(
                "--json", f"{wanted.json!r} cannot be written; allowed: a file in a directory that exists"
            )
        )
    if wanted.tape is not None and count != 1:
        problems.append(Problem("--tape", f"{count} seeds; allowed: with one, such as --seed 3 --seeds 1"))
    if wanted.tape is not None and not Path(wanted.tape).resolve().parent.is_dir():
        problems.append(
            Problem("--tape", f"{wanted.tape!r} cannot be written; allowed: in a directory that exists")
        )
    if problems:
        raise SettingsError(problems)
    names = wanted.scenarios or tuple(one.name for one in scenarios)
    tasks = [
        Task(
            scenario=scenarios[seed % len(scenarios)],
            asked=("--scenario", names[seed % len(scenarios)], *_shaping(wanted)),
            seed=seed,
            kinds=PAIRS[seed % len(PAIRS)] if wanted.pairs else kinds,
            only=only,
            until_s=until_s,
            kill_at=kill_at,
            torn=wanted.torn,
            tape=wanted.tape,
            judge=by_the_check,
            counting=answers_counted,
        )
        for seed in range(first, first + count)
    ]
    return tasks, workers if wanted.sweep else min(workers, len(tasks))


def _shaping(wanted: Wanted) -> tuple[str, ...]:
    """What else on the command line changes the scenario itself."""
    words = [] if wanted.for_ is None else ["--for", wanted.for_]
    if wanted.faults is not None and wanted.faults.endswith(SUFFIX):
        words += ["--faults", wanted.faults]
    for name in wanted.market:
        words += ["--market", name]
    return tuple(words)


def _on_market(wanted: Wanted, scenarios: list[Scenario], problems: list[Problem]) -> list[Scenario]:
    try:
        return [_on_files(wanted.market, one) for one in scenarios]
    except BadScenario as error:
        problems.append(Problem("--market", str(error).removeprefix("market.files: ")))
        return scenarios


def _on_files(files: tuple[str, ...], scenario: Scenario) -> Scenario:
    """The scenario on recorded candles. Raises BadScenario where it cannot be played on them."""
    market = msgspec.structs.replace(scenario.market, files=files, instruments=instruments_of(files))
    there = msgspec.structs.replace(scenario, market=market)
    played(market, settings_of(there), 1, there.for_s)
    return there


def _scenarios(wanted: Wanted, problems: list[Problem]) -> list[Scenario]:
    found: list[Scenario] = []
    try:
        if wanted.scenarios:
            found = [find_scenario(name) for name in wanted.scenarios]
        else:
            found = [one for one in shipped().values() if one.random_faults]
        for one in found:
            settings_of(one)
        found = [_on_files(one.market.files, one) if one.market.files else one for one in found]
    except BadScenario as error:
        problems.append(Problem("--scenario", str(error)))
    return found


def _places(text: str | None, problems: list[Problem]) -> tuple[int, ...] | None:
    if text is None:
        return None
    if text == "none":
        return ()
    words = text.split(",")
    if not all(word.isascii() and word.isdigit() and int(word[:9]) > 0 for word in words):
        problems.append(Problem("--only", f"{text!r}; allowed: places in the plan such as 2,5, or none"))
        return None
    return tuple(int(word) for word in words)


def _line(outcome: Outcome, number: int, of: int) -> str:
    struck = sum(outcome.faults.values())
    verdict = "ok" if not outcome.violations else f"VIOLATED {outcome.violations[0].property}"
    return (
        f"{number:>5}/{of}  seed {outcome.seed:<6} {outcome.virtual_s:7.0f} s  {outcome.lives:>3} lives  "
        f"{outcome.orders:>4} orders  {struck:>3} faults  {outcome.digest[:12]}  {verdict}"
    )


def _tell(task: Task, outcome: Outcome) -> tuple[str, list[str]]:
    """Make a failure small and print it; returns the command that makes it again, and its trace."""
    _say(f"\nseed {outcome.seed}: made smaller …")
    small = minimised(msgspec.structs.replace(task, judge=None, counting=None), outcome)
    trace, replay = readable(small.outcome.trace), small.task.replay()
    for found in small.outcome.violations:
        _say(f"  {found.property} at {found.at_s:.3f} s: {PROPERTIES[found.property]}\n    {found.words}")
    _say("  the plan:")
    for fault in small.task.plan():
        _say(f"    {fault.words()}")
    _say("  what happened:")
    for line in trace:
        _say(f"    {line}")
    _say(f"  again: {replay}\n  digest {small.outcome.digest} ({small.runs} runs to make it small)")
    return replay, trace


def _sum_up(total: Sum, result: dict[str, Any], wall_s: float) -> None:
    _say("\nfault                        struck   while a write was in flight")
    for kind, count in result["faults"].items():
        _say(f"  {kind:<26} {count:>6}   {result['in_flight'][kind]:>6}")
    _say(_floors(result["floors"]))
    spells = result["unprotected"]
    _say(
        f"\n{result['seeds']} seeds, {result['virtual_seconds'] / 3600:.2f} virtual hours in {result['cpu_seconds']:.1f} CPU "
        f"seconds ({wall_s:.1f} s of wall time): {_ratio(result['virtual_seconds'], result['cpu_seconds'])}× real time, "
        f"{_ratio(result['messages'], result['virtual_seconds'])} messages a second\n"
        f"{result['lives']} lives, {result['orders']} orders, {result['spells']} positions or spells; without a stop: "
        f"p50 {spells['p50']:.3f} s, p99 {spells['p99']:.3f} s, at most {spells['max']:.3f} s\n"
        f"{len(result['violations'])} violations in {len(total.failed)} seeds"
    )
    judged = result["acceptance"]
    _say(
        f"{judged['traces']} traces held against the environment of the check ({judged['observations']} observations, "
        f"explained by {judged['rules']} of its rules): {result['rejects']} rejected"
    )


def _floors(floors: dict[str, Any]) -> str:
    wanted = f"{floors['struck']} times, and {floors['in_flight']} while a write was in flight"
    if floors["met"]:
        return (
            f"\nfloors: MET: every kind struck at least {wanted} "
            f"(the least: {floors['least_struck']} and {floors['least_in_flight']})"
        )
    return f"\nfloors: NOT MET: not every kind struck at least {wanted}: {', '.join(floors['short'])}"


def _ratio(this: float, by: float) -> str:
    return f"{this / by:.1f}" if by else "–"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
