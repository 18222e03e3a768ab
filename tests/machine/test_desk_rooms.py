"""Which room of the desk takes which event."""

from anchorwatch.machine import world
from anchorwatch.machine.desk import TAKERS, Told
from anchorwatch.machine.kernel import Event


def test_every_event_of_the_world_has_a_room() -> None:
    said = {
        kind
        for kind in vars(world).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind.__module__ == world.__name__
    }
    assert set(TAKERS) == said - {world.Observed} | {Told}
