"""How alike two markets move: Pearson's correlation of the logarithmic returns of their candles."""

from __future__ import annotations

import numpy as np

from anchorwatch.machine.candles import Arrays


def correlation(one: Arrays, other: Arrays, returns: int) -> float | None:
    """From -1 to 1, over the newest ``returns`` returns of the candles that both have; None where there are fewer.

    Candles of one moment arrive one after the other: what only one of the two has yet does not count. A market that
    stands still moves with none: 0. Each run of candles has no hole.
    """
    if not len(one.open_ms) or not len(other.open_ms):
        return None
    newest_ms = min(int(one.open_ms[-1]), int(other.open_ms[-1]))
    moved = []
    for arrays in (one, other):
        end = int(np.searchsorted(arrays.open_ms, newest_ms)) + 1
        if end < returns + 1:
            return None
        closes = arrays.close[end - returns - 1 : end]
        moved.append(np.diff(np.log(closes)))
    if not all(values.std() > 0 for values in moved):
        return 0.0
    return float(np.corrcoef(moved[0], moved[1])[0, 1])
