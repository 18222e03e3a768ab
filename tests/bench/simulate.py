"""How much faster than real time the whole bot and exchange run in one process, at two rates of messages.

``simulate`` plays each of ``scenarios/*.toml`` for as long as the file says and prints its message rate, the ratio of
virtual to CPU time, and how many messages a CPU second carried. A message is a request, an answer or a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anchorwatch.io.simulation.campaign import Task
from anchorwatch.io.simulation.scenario import read_scenario

SCENARIOS = Path(__file__).parent / "scenarios"
SEED = 3


def run() -> Iterator[str]:
    """A line a scenario."""
    yield f"{'':12}{'virtual':>12}{'CPU':>10}{'messages/s':>12}{'ratio':>9}{'days a CPU minute':>19}{'messages/CPU s':>16}"
    for path in sorted(SCENARIOS.glob("*.toml")):
        outcome = Task(scenario=read_scenario(path), seed=SEED).run()
        assert outcome.violations == (), outcome.violations
        ratio = outcome.virtual_s / outcome.cpu_s
        yield (
            f"{path.stem:12}{outcome.virtual_s:>10.0f} s{outcome.cpu_s:>8.1f} s"
            f"{outcome.messages / outcome.virtual_s:>12.2f}{ratio:>8.0f}×{ratio * 60 / 86_400:>19.2f}"
            f"{outcome.messages / outcome.cpu_s:>16.0f}"
        )
