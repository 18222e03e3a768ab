"""What ``anchorwatch simulate`` and ``anchorwatch replay`` are asked; the work is imported when it is wanted."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter


def simulate(
    *,
    seeds: Annotated[
        str | None, Parameter("--seeds", help="how many runs, each with a seed of its own")
    ] = None,
    seed: Annotated[str | None, Parameter("--seed", help="the first of them")] = None,
    scenario: Annotated[
        tuple[str, ...], Parameter("--scenario", help="a shipped one by name, or a file; may be repeated")
    ] = (),
    faults: Annotated[
        str | None,
        Parameter("--faults", help="only these kinds (a list with commas), or the faults of a file"),
    ] = None,
    pairs: Annotated[
        bool, Parameter("--pairs", help="two kinds of fault a run and no others: a run for each pair of them")
    ] = False,
    for_: Annotated[str | None, Parameter("--for", help="how long faults happen: 10m")] = None,
    market: Annotated[
        tuple[str, ...],
        Parameter(
            "--market", help="recorded 1m candles (.csv, .csv.gz) in place of invented ones; may be repeated"
        ),
    ] = (),
    json: Annotated[str | None, Parameter("--json", help="write the results here")] = None,
    workers: Annotated[
        str | None, Parameter("--workers", help="processes; as many as there are cores")
    ] = None,
    only: Annotated[
        str | None, Parameter("--only", help="of the plan, only the faults at these places: 2,5 or none")
    ] = None,
    until: Annotated[str | None, Parameter("--until", help="end the faults early, the plan stays")] = None,
    sweep: Annotated[
        bool, Parameter("--sweep", help="kill after every entry of the merged log of the fixed scenarios")
    ] = False,
    every: Annotated[
        str | None, Parameter("--every", help="with --sweep: after every so many entries")
    ] = None,
    steps: Annotated[
        bool, Parameter("--steps", help="with --sweep: compare with kills before every step of the scheduler")
    ] = False,
    kill_at: Annotated[
        str | None, Parameter("--kill-at", help="kill after this entry of the merged log, then heal")
    ] = None,
    tape: Annotated[
        str | None, Parameter("--tape", help="record the events of each life: TAPE-1, TAPE-2, …")
    ] = None,
    torn: Annotated[
        bool, Parameter("--torn", help="with --kill-at: inside of the record of that entry")
    ] = False,
) -> int:
    """The whole bot and the exchange in one process on a virtual clock, with everything going wrong, from seeds."""
    from anchorwatch.io.commands.simulate import Wanted
    from anchorwatch.io.commands.simulate import run as campaign

    return campaign(
        Wanted(
            seeds=seeds, seed=seed, scenarios=scenario, faults=faults, pairs=pairs,
            for_=for_, market=market, json=json, workers=workers, only=only, until=until,
            sweep=sweep, every=every, steps=steps, kill_at=kill_at, torn=torn, tape=tape,
        )
    )  # fmt: skip


def replay(tape: str) -> int:
    """Give a recorded life to the machines again: the same transitions and effects, or the first difference."""
    from anchorwatch.io.commands.replay import run as replay_tape

    return replay_tape(tape)
