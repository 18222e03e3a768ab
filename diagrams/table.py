"""A whole table as JSON: states, events and every row with its guard, action, verdict and reason."""

from __future__ import annotations

import json
from typing import Any

from anchorwatch.diagrams.catalogue import Machine
from anchorwatch.diagrams.words import name_of, title
from anchorwatch.machine.kernel import Event, Row, State, kinds


def table(machine: Machine) -> bytes:
    """One state, event or row a line, so that a changed row is a changed line."""
    definition = machine.definition
    lists = {
        "states": [_state(machine, state) for state in definition.states],
        "events": [_event(event) for event in definition.events],
        "rows": [_row(row) for row in definition.rows],
    }
    head = {"machine": machine.name, "title": machine.title, "initial": definition.initial.state.name}
    parts = [f"  {_line(key)}: {_line(value)}" for key, value in head.items()]
    for key, items in lists.items():
        body = ",\n".join(f"    {_line(item)}" for item in items)
        parts.append(f"  {_line(key)}: [\n{body}\n  ]")
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _state(machine: Machine, state: State) -> dict[str, Any]:
    return {
        "name": state.name,
        "title": title(state),
        "on_path": state in machine.path,
        "is_goal": state is machine.goal,
        "is_trouble": state in machine.trouble,
        "is_final": state in machine.final,
    }


def _event(event: type[Event]) -> dict[str, Any]:
    known = kinds(event)
    fields = {
        name: known[name].name.lower() if name in known else "control" for name in event.__struct_fields__
    }
    meaning = " ".join((event.__doc__ or "").split())
    return {"name": event.__name__, "fields": fields, "meaning": meaning}


def _row(row: Row) -> dict[str, Any]:
    return {
        "source": row.source.name,
        "event": row.event.__name__,
        "guard": name_of(row.when) if row.when is not None else None,
        "action": name_of(row.then) if row.then is not None else None,
        "dest": row.dest.name,
        "verdict": row.verdict.value,
        "because": row.because,
    }
