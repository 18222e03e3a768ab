"""A run's trace, and what somebody outside says of it: whether it could have happened by the rules he knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from anchorwatch.io.simulation.recording import Judgement, Recorder
from anchorwatch.io.simulation.world import World
from anchorwatch.machine.trace import Seen

# Half an hour of the busiest run. What is seen later is not judged, and the judgement says how much was.
TRACE_MAX = 30_000


Judge = Callable[[Sequence[Seen]], Judgement]


class Trial:
    """Collects the trace of one world from its beginning."""

    def __init__(self, world: World) -> None:
        self._trace: list[Seen] = []
        self._is_whole = True
        world.recorder = Recorder(world.venue, world.account, self._take)
        world.venue.publisher.watchers.append(world.recorder)

    def _take(self, one: Seen) -> None:
        if len(self._trace) < TRACE_MAX:
            self._trace.append(one)
        else:
            self._is_whole = False

    def judged(self, judge: Judge) -> Judgement:
        return msgspec.structs.replace(judge(self._trace), is_whole=self._is_whole)
