"""A table as W3C State Chart XML 1.0, whole: for readers that are not ours.

A guard is a variable of the data model that whoever runs the document sets before an
event; that keeps the order of rows, which is the meaning of a table, without moving
Python into XML. Every variable starts as 0, which is false in all data models.

* a row that moves: a transition with a target, or without one where the state stays;
* an ignored row: a transition that does nothing;
* an impossible row: a transition that raises ``error.impossible``;
* an action: a ``<log>`` with its name.

A final state of SCXML takes no events, so what such a state ignores is left out.
"""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from anchorwatch.diagrams.catalogue import Machine
from anchorwatch.diagrams.words import name_of
from anchorwatch.machine.kernel import Row, State, Verdict

NAMESPACE = "http://www.w3.org/2005/07/scxml"
IMPOSSIBLE = "error.impossible"


def scxml(machine: Machine) -> bytes:
    definition = machine.definition
    root = ET.Element(
        "scxml",
        {
            "xmlns": NAMESPACE,
            "version": "1.0",
            "datamodel": "ecmascript",
            "name": machine.name,
            "initial": definition.initial.state.name,
        },
    )
    model = ET.SubElement(root, "datamodel")
    for guard in dict.fromkeys(name_of(row.when) for row in definition.rows if row.when is not None):
        ET.SubElement(model, "data", {"id": guard, "expr": "0"})
    for state in definition.states:
        _add_state(root, machine, state)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add_state(root: ET.Element, machine: Machine, state: State) -> None:
    if state in machine.final:
        ET.SubElement(root, "final", {"id": state.name})
        return
    drawn = ET.SubElement(root, "state", {"id": state.name})
    for event in machine.definition.events:
        for row in machine.definition.cell(state, event):
            _add_row(drawn, row)


def _add_row(drawn: ET.Element, row: Row) -> None:
    attributes = {"event": row.event.__name__}
    if row.when is not None:
        attributes["cond"] = name_of(row.when)
    if row.dest is not row.source:
        attributes["target"] = row.dest.name
    transition = ET.SubElement(drawn, "transition", attributes)
    if row.then is not None:
        ET.SubElement(transition, "log", {"label": "action", "expr": json.dumps(name_of(row.then))})
    if row.because:
        ET.SubElement(transition, "log", {"label": row.verdict.value, "expr": json.dumps(row.because)})
    if row.verdict is Verdict.IMPOSSIBLE:
        ET.SubElement(transition, "raise", {"event": IMPOSSIBLE})
