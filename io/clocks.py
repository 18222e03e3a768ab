"""Virtual time at a chosen pace, over real sockets.

Theory of operation
===================

A clock that merely runs N times faster starves: at 600× a pause of a tenth of a second, for the
garbage collector or a slow disk, is a minute of virtual time, and every keep-alive fires. So here

* **time stands still while tasks run.** It moves only when trio has nothing left to run;
* **a deadline is reached only out of quiet**: since the last task step trio has polled for I/O and
  found nothing, for at least `NEAR_QUIET_S` (or `FAR_QUIET_S` before a jump of a second or more). An
  answer that lies in the kernel always beats the deadline that waits for it, whatever this process
  was doing meanwhile, even when the operating system did not let it run at all;
* **the pace is a schedule, not a rate.** Virtual second *v* is due *v*/N real seconds after the start.
  What computing or oversleeping cost is made up by shorter waits, within `CATCH_UP_MAX_S`; what is
  due within `GRAIN_S` is due now, because the operating system cannot wait more finely.
  Over any stretch time passes at most N times as fast as real time, give or take those two constants.

With no pace (``speed=None``) everything is due at once and the quiet alone holds time back: that is
trio's autojump, except that loopback bytes get their chance to arrive. A connection to *another*
process or host answers in real time, so it deserves a finite speed.

How trio is followed: its loop calls ``deadline_to_sleep_time`` exactly when it has nothing to run and
is about to poll, and ``current_time`` directly after that poll. Task steps are counted through trio's
instruments. Known limit: ``trio.testing.wait_all_tasks_blocked`` may wait past near deadlines here;
tests that want it use ``MockClock``.
"""

from __future__ import annotations

import math
import time

import trio

# What epoll can tell apart: it counts in whole milliseconds, rounding up.
GRAIN_S = 0.001
# Loopback bytes are with their reader when `send` returns, unless the kernel is busy enough to leave
# them to its softirq thread; a few polls outlast that at a cost that 10,000 deadlines a second can pay.
NEAR_QUIET_S = 0.000_05
# A jump this far may step over an answer deadline, so it waits for a grain of quiet: a little less, or
# the rounding up makes it two.
FAR_JUMP_S = 1.0
FAR_QUIET_S = 0.9 * GRAIN_S
# A longer stall (a debugger, a suspended process) is not made up for: time went on without us.
CATCH_UP_MAX_S = 0.1


class _Stirring(trio.abc.Instrument):
    """Notes whether any task has run since it was last asked."""

    def __init__(self) -> None:
        self.noted = True

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.noted = True

    def asked(self) -> bool:
        noted, self.noted = self.noted, False
        return noted


class PacedClock(trio.abc.Clock):
    """Virtual time, starting at 0.0, that passes at most `speed` times as fast as real time.

    ``speed=None`` (or ``math.inf``) sets no pace; ``speed=1`` is real time, except that a deadline cannot fire
    while a task computes. One clock serves one ``trio.run``. Raises ValueError for a speed that is
    not a positive number.
    """

    def __init__(self, speed: float | None = None) -> None:
        speed = math.inf if speed is None else float(speed)
        if not speed > 0:
            raise ValueError(f"speed must be a positive number, not {speed}")
        self.speed = speed
        self._now_s = 0.0
        self._stirring = _Stirring()
        # Readings of the real clock, in seconds: when the run began, where the schedule starts (later
        # than that once a stall has been forgiven), when the present quiet began.
        self._began = self._schedule_from = self._quiet_since = 0.0
        # The wait that trio is in, if any: when it was opened, and the deadline it must not pass.
        self._wait: tuple[float, float] | None = None

    def start_clock(self) -> None:
        self._began = self._schedule_from = self._quiet_since = time.perf_counter()
        trio.lowlevel.add_instrument(self._stirring)

    def current_time(self) -> float:
        if self._wait is not None:
            self._close_wait(*self._wait)
        return self._now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        real = time.perf_counter()
        if self._stirring.asked():
            self._quiet_since = real
        if deadline <= self._now_s:
            return 0.0
        if deadline == math.inf:
            return self._open_wait(real, deadline, math.inf)
        is_far = deadline - self._now_s >= FAR_JUMP_S
        quiet_in_s = self._quiet_since + (FAR_QUIET_S if is_far else NEAR_QUIET_S) - real
        due_in_s = self._due_in_s(deadline, real)
        if due_in_s >= GRAIN_S or (is_far and quiet_in_s > 0):
            return self._open_wait(real, deadline, max(due_in_s, quiet_in_s))
        if quiet_in_s <= 0:
            self._now_s = deadline
        return 0.0

    def virtual_s(self) -> float:
        """Virtual seconds that have passed since the run began."""
        return self._now_s

    def real_s(self) -> float:
        """Real seconds that have passed since the run began; 0.0 before it."""
        return time.perf_counter() - self._began if self._began else 0.0

    def speed_reached(self) -> float:
        """Virtual seconds per real second over the run so far; 0.0 before it begins."""
        real_s = self.real_s()
        return self._now_s / real_s if real_s > 0 else 0.0

    def _due_in_s(self, deadline: float, real: float) -> float:
        """Real seconds until the schedule reaches `deadline`; negative when it is behind."""
        behind_s = real - self._schedule_from - self._now_s / self.speed
        if behind_s > CATCH_UP_MAX_S:
            self._schedule_from += behind_s - CATCH_UP_MAX_S
        return self._schedule_from + deadline / self.speed - real

    def _open_wait(self, real: float, deadline: float, wait_s: float) -> float:
        self._wait = (real, deadline)
        return wait_s

    def _close_wait(self, opened: float, deadline: float) -> None:
        """Let the time of the wait pass, up to just short of the deadline.

        Whether I/O ended the wait cannot be seen from here. If it did, its task runs now, in time; if
        not, trio asks again at once, finds that nothing has stirred, and the deadline is reached.
        """
        self._wait = None
        if self.speed == math.inf:
            return
        passed = self._now_s + (time.perf_counter() - opened) * self.speed
        self._now_s = max(self._now_s, min(passed, math.nextafter(deadline, -math.inf)))
