"""The picture in Mermaid's words, for pages that draw it themselves.

The same nodes, frames and arrows as in the drawn picture: only the layout is Mermaid's.
"""

from __future__ import annotations

import json

from anchorwatch.diagrams.picture import Arrow, Frame, Look, Picture

# Mermaid ends a label at these; no name in a table holds them, but a reason may.
_PLAIN = str.maketrans({":": "#58;", ";": "#59;"})

STYLES = {
    Look.PATH: "fill:#dceefb,stroke:#186faf",
    Look.GOAL: "fill:#d3f9d8,stroke:#2b8a3e",
    Look.TROUBLE: "fill:#ffe3e3,stroke:#cf1124",
}


def mermaid(picture: Picture) -> bytes:
    lines = [
        "---",
        f"title: {json.dumps(picture.title)}",
        "---",
        "stateDiagram-v2",
        f"    direction {picture.direction}",
    ]
    lines += [f"    classDef {look.value} {style}" for look, style in STYLES.items()]
    for node in picture.nodes:
        lines += [f"    {text}" for text in _state(node.id, node.title, node.inside)]
    for gathering in picture.gatherings:
        lines += [f"    {text}" for text in _state(gathering.id, gathering.title, gathering.inside)]
    for frame in picture.frames:
        if not frame.within:
            lines += [f"    {text}" for text in _frame(frame, picture)]
    if picture.initial:
        lines.append(f"    [*] --> {picture.initial}")
    lines += [f"    {_arrow(arrow)}" for arrow in picture.arrows]
    lines += [f"    {node.id} --> [*]" for node in picture.nodes if node.is_final]
    for frame in picture.frames:
        lines += [f"    {text}" for text in _words(frame)]
    lines += [f"    class {node.id} {node.look.value}" for node in picture.nodes if node.look in STYLES]
    return ("\n".join(lines) + "\n").encode()


def _state(id_: str, title: str, inside: tuple[str, ...]) -> list[str]:
    quoted = title.replace('"', "'")
    return [f'state "{quoted}" as {id_}', *(f"{id_} : {text.translate(_PLAIN)}" for text in inside)]


def _frame(frame: Frame, picture: Picture) -> list[str]:
    inner = [other for other in picture.frames if other.within == frame.id]
    held = {member for other in inner for member in other.members}
    lines = [f'state "{frame.title}" as {frame.id} {{']
    for other in inner:
        lines += [f"    {text}" for text in _frame(other, picture)]
    lines += [f"    {member}" for member in frame.members if member not in held]
    return [*lines, "}"]


def _words(frame: Frame) -> list[str]:
    """What holds in a whole frame, as a note at its first state."""
    texts = [text for text in (frame.remark, *frame.inside) if text]
    if not texts:
        return []
    return [
        f"note right of {frame.members[0]}",
        f"    {frame.title}",
        *(f"    {t}" for t in texts),
        "end note",
    ]


def _arrow(arrow: Arrow) -> str:
    label = "<br/>".join(text.translate(_PLAIN) for text in arrow.lines)
    return f"{arrow.source} --> {arrow.dest}" + (f" : {label}" if label else "")
