"""What one exploration covers: every bound is a field, and what is left out is said in words."""

from __future__ import annotations

import msgspec

from anchorwatch.machine import connection


class Bounds(msgspec.Struct, frozen=True):
    """One configuration of the world.

    ``faults`` and ``crashes`` are how many of them one run may hold. Free of charge are what
    the venue does every day: partial fills, cancels, triggers, late pushes.
    """

    name: str
    faults: int = 0
    crashes: int = 0
    entries: int = 2  # how often the strategy may want one: two make a leg that follows another
    both_legs: bool = False  # long and short of one instrument; else the long leg alone
    net: bool = False  # and both are one position, whose sign says the side (net mode)
    size: int = 1  # contracts of an entry: 2 makes partial fills
    detailed: tuple[connection.Name, ...] = ()  # connections whose every step takes its time, and may fail
    lossy: tuple[
        connection.Name, ...
    ] = ()  # connections that may be lost, and open at once; all others deliver
    attempts_max: int = 1
    prompt: bool = False  # whatever else happens while something is under way is a delay, and costs a fault
    overtaking: bool = False  # what a reading or query shows may be overtaken before its answer arrives
    late_reads: bool = False  # a reading that an earlier stop asked for still arrives, and is to be ignored
    slow_journal: bool = False  # the journal's answer takes its time; without it, it comes at once
    unruly: bool = (
        False  # a push may be lost, come twice, or come before its turn, on a connection that is up
    )
    loses: bool = True  # of what is unruly: without it, a push comes, in whatever turn
    unsent: bool = False  # a close may wait for its turn to be sent until it is too late
    travels: bool = False  # what a reading of the account shows is as of any time between question and answer
    lags: bool = False  # the venue's lists may stand still for a while, and show what was
    foreign: bool = False  # somebody else opens, adds to and takes from positions
    parts: tuple[int, ...] = (1,)  # contracts that trade at once, beside all that are left
    belt: bool = False  # an entry brings an attached stop, which outlives the position
    beside: bool = (
        False  # another stop is no obstacle to a late one of the whole position: it is an attached one
    )
    follows: bool = False  # another stop of the whole position goes with it, as the one that is meant does
    moves: bool = False  # the stop is moved
    reduces: bool = False  # the strategy takes a part
    rests: bool = False  # an entry may wait in the venue's book, and is repriced
    pushy: bool = False  # the strategy asks for everything at any time, also for what it may not have
    dead_man: bool = False  # the dead man's switch is used
    takes_stops: bool = False  # and the venue's countdown cancels stops too, which no page of it says
    journal_fails: bool = False
    operator: bool = False  # pause, resume
    halts: bool = False
    stops: bool = False  # the bot may be asked to stop
    checks: bool = False  # the periodic check of an account that is settled
    doubts: bool = False  # a pushed position may differ from the book for so long that it is read
    strangers: bool = False  # somebody else closes the position, or cancels the stop
    turns: bool = (
        False  # in net mode: somebody's order, or a stop that outlived its position, opens the other side
    )
    hearsay: bool = False  # in net mode: somebody's orders open and close what the book holds nothing of
    twins: bool = False  # with them: a twin of the bot places stops of its own, which look like ours
    stages_fail: bool = False
    slow_stages: bool = False  # every stage takes its time, and may fail, be refused or be late
    facts: bool = False  # a fact may be lost and gained
    closes: bool = True  # the strategy closes; without it, only stops do
    fills: bool = True  # entries fill; without it, they rest or are cancelled
    takes_late: bool = (
        False  # what a firing of the countdown took is noticed some time later, and maybe twice
    )
    slow_stop: bool = False  # every step of the stop takes its time, and may fail
    mailbox: bool = False  # what was put into the mailbox before its wait was ended is still told
    shared: bool = False  # strangers trade in the same position, and only what our own orders filled is ours
    others: int = 1  # contracts that strangers may hold in it
    disks: bool = False  # and a crash may take the disk with it, while no order of ours is open
    empties: bool = False  # a reading of the account may show nothing though something is there
    states_max: int = 5_000_000  # what fits in memory: beyond it the exploration is cut, and says so
