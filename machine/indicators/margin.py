"""Where rounding would decide.

An indicator that is computed candle by candle and the same one computed of the whole series differ in their last digits. That
is nothing until a number lies exactly on a threshold, and markets bring that about: averages of a price that stands still
run together, and prices on a coarse grid make ratios as round as thresholds are. Live and back-test would then decide
differently. So thresholds lie nearer than they are set, by more than rounding and less than anybody would mean.
"""

WITHIN = 1e-6
"""By how much a threshold lies nearer: points of RSI and ADX, multiples of ATR or deviation, shares of a strength."""

EVEN = 1e-9
"""Averages that lie within this share of the price are even: neither is above the other. A tick is a thousand times more."""
