"""Connections that are opened anew: after the machine slept or its clock was set, and when the operator asks.

After a sleep what was known before is doubted, as after a restart.

While a host is suspended no timer of ours runs, no push is read, and the venue drops the connections after half a
minute; sockets may look open for minutes after. So every connection is opened anew, the book is read again, with
the stops, before anything is entered, and candles that were missed are filled by the readings that follow a gap.
"""

from __future__ import annotations

from anchorwatch.machine import connection, lifecycle, reconciliation, world
from anchorwatch.machine.bot import RECONCILIATION, Address, Part
from anchorwatch.machine.desk.context import Context


def connect_now(context: Context) -> None:
    """The operator has put right what kept a connection out. Those that are on their way are left alone."""
    tried = [link for link in context.bot.links if link.state in (connection.S.REFUSED, *connection.WAITING)]
    names = ", ".join(link.data.name.value for link in tried)
    context.announce("info", "CONNECT_ASKED", tries=names or "none: none is refused, and none waits")
    for link in tried:
        context.tell(Address(Part.CONNECTION, link=link.data.name), connection.ConnectRequested())


def take(context: Context, event: world.ClocksParted) -> None:
    """Open every connection anew, and read the account before anything is entered."""
    seconds = round(event.seconds, 1)
    context.announce(
        "alarm", "SLEPT", seconds=seconds, why="the host slept or its clock was set; all is read anew"
    )
    for link in context.bot.links:
        address = Address(Part.CONNECTION, link=link.data.name)
        if link.state in connection.LOSABLE:
            reason = f"the host slept or its clock was set, by {seconds} s"
            context.tell(address, connection.SocketLost(link.data.epoch, reason))
        if context.bot.link(link.data.name).state in connection.WAITING:
            context.tell(address, connection.ConnectRequested())
    if context.bot.lifecycle.state in (lifecycle.S.SYNC, lifecycle.S.READY):
        context.tell(RECONCILIATION, reconciliation.BookDoubted("the host slept or its clock was set"))
