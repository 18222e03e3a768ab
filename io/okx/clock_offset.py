"""How far the venue's clock is from ours, estimated from the round trips of `GET /public/time`.

One round trip tells the offset with an error of at most half its length: the answer was made somewhere between
sending and receiving.  So the shortest of the recent round trips is believed, and it decides alone: averaging it
with slower ones would only add their error.
"""

from __future__ import annotations

import msgspec

# Enough to hold one quick round trip through a bad minute, few enough that a drifting clock is followed.
SAMPLES_KEPT = 8

# OKX v5 refuses a request that is 30 s off.  A clock that moves by 3 s between two looks was set, not drifting:
# timestamps of candles, deadlines and stops can no longer be compared with earlier ones.
JUMP_MS = 3_000


class Sample(msgspec.Struct, frozen=True):
    """One round trip. `sent_ms` and `received_ms` by our clock, `server_ms` by the venue's."""

    sent_ms: int
    received_ms: int
    server_ms: int

    @property
    def round_trip_ms(self) -> int:
        return self.received_ms - self.sent_ms

    @property
    def offset_ms(self) -> int:
        """Venue minus us, at the midpoint of the round trip."""
        return self.server_ms - (self.sent_ms + self.received_ms) // 2

    @property
    def error_ms(self) -> int:
        """How wrong `offset_ms` can be at most."""
        return (self.round_trip_ms + 1) // 2


class ClockOffset(msgspec.Struct, frozen=True):
    """What is known of the venue's clock. Immutable: `after` gives the next state of knowledge."""

    samples: tuple[Sample, ...] = ()
    jump_ms: int = 0
    """By how much the last sample disagreed beyond its own error, when that was a jump; otherwise 0."""

    @property
    def known(self) -> bool:
        return bool(self.samples)

    @property
    def offset_ms(self) -> int:
        """Milliseconds to add to our clock to get the venue's; 0 while nothing is known."""
        best = self._best()
        return best.offset_ms if best is not None else 0

    @property
    def error_ms(self) -> int | None:
        best = self._best()
        return best.error_ms if best is not None else None

    @property
    def jumped(self) -> bool:
        return self.jump_ms != 0

    def after(self, sample: Sample) -> ClockOffset:
        """The knowledge after one more round trip.

        A sample whose receiving precedes its sending proves that our clock was set back meanwhile: it says nothing
        of the offset and starts the estimate anew.  So does a jump: older samples describe a clock that is gone.
        """
        if sample.round_trip_ms < 0:
            return ClockOffset((), jump_ms=sample.round_trip_ms)
        best = self._best()
        if best is not None:
            moved_ms = sample.offset_ms - best.offset_ms
            if abs(moved_ms) > JUMP_MS + sample.error_ms + best.error_ms:
                return ClockOffset((sample,), jump_ms=moved_ms)
        return ClockOffset((*self.samples, sample)[-SAMPLES_KEPT:])

    def _best(self) -> Sample | None:
        """The shortest round trip; of equals the latest, because clocks drift."""
        return min(reversed(self.samples), key=lambda sample: sample.round_trip_ms, default=None)
