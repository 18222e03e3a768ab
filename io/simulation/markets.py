"""The market of a run: invented from the seed, or recorded files entered at a time that the seed chooses."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from random import Random
from typing import NamedTuple

from anchorwatch.io.embedded import MINUTE_MS, default_start_ms, recorded
from anchorwatch.io.settings import Settings
from anchorwatch.io.simulation.scenario import BadScenario, MarketSpec
from anchorwatch.io.venue.candle_file import BadMarketFile
from anchorwatch.io.venue.feeds import FasterFeed, Feed
from anchorwatch.io.venue.instruments import instrument_for
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.synthetic import SyntheticFeed

# What a run may take beyond its part with faults: healing and stopping, both bounded, and some lives at the end.
BEYOND_FAULTS_S = 1_200.0
# A year of minutes takes a second to read and 20 MB to keep; a scenario has a few instruments.
FILES_KEPT = 8


class Played(NamedTuple):
    market: Market
    start_ms: int


def played(spec: MarketSpec, settings: Settings, seed: int, for_s: float) -> Played:
    """The market of this run. Raises BadScenario for a file that is none, or too short for the run."""
    if not spec.files:
        invented: dict[str, Feed] = {}
        for name in spec.instruments:
            instrument = instrument_for(name)
            assert instrument is not None
            invented[name] = SyntheticFeed(instrument, seed if spec.seed is None else spec.seed)
        return _market(spec, invented, spec.start_ms)
    feeds = _recorded(spec.files)
    first_ms = default_start_ms(settings, feeds)
    ends = [feed.end_ms for feed in feeds.values() if feed.end_ms is not None]
    length_ms = round((for_s + BEYOND_FAULTS_S) * 1000) * spec.faster
    minutes = (min(ends) - length_ms - first_ms) // MINUTE_MS
    if minutes < 0:
        raise BadScenario(
            f"market.files: {', '.join(spec.files)}: too short: a run of {for_s:g} s needs {length_ms / 3_600_000:.1f} h "
            f"of candles after the history that the strategy wants"
        )
    return _market(spec, feeds, first_ms + Random(f"{seed} start").randrange(minutes + 1) * MINUTE_MS)


def instruments_of(files: tuple[str, ...]) -> tuple[str, ...]:
    """What the files are of. Raises BadScenario for one that is no market file."""
    return tuple(_recorded(files))


@lru_cache(maxsize=FILES_KEPT)
def _recorded(files: tuple[str, ...]) -> dict[str, Feed]:
    try:
        return recorded([Path(name) for name in files])
    except BadMarketFile as error:
        raise BadScenario(f"market.files: {error}") from None


def _market(spec: MarketSpec, feeds: dict[str, Feed], start_ms: int) -> Played:
    if spec.faster > 1:
        feeds = {name: FasterFeed(feed, spec.faster, start_ms) for name, feed in feeds.items()}
    return Played(Market(feeds, start_ms, steps=spec.trades_per_minute), start_ms)
