"""Which of a few layouts reads best.

Graphviz has no notion of a label that must stay clear of another. The same graph,
laid out under a few different switches, comes out with many such collisions or with
none; they are counted here, and the calmest layout wins. The choice changes where
things stand and never what is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pygraphviz

HIDDEN_WEIGHT = 10  # words over words cannot be read; a line through words can
SAMPLES = 12  # points looked at on each piece of a curve: closer together than a line of text is high
NEAR = 1.0  # points: boxes that only touch do not collide


class Switches(msgspec.Struct, frozen=True):
    """``newrank`` ranks across frames; ``from_last`` starts a frame's arrows low; ``nodesep`` in inches."""

    newrank: bool
    from_last: bool
    nodesep: float


TRIED = tuple(
    Switches(newrank, from_last, nodesep)
    for from_last in (True, False)
    for newrank in (True, False)
    for nodesep in (0.45, 0.6)
)
"""In this order: arrows that start low and states that stand close make the smaller pictures."""

Rectangle = tuple[float, float, float, float]  # left, bottom, right, top, in points


def calmest(build: Callable[[Switches], pygraphviz.AGraph]) -> Switches:
    """The first switches without collisions, or else those with the fewest."""
    # Graphs are not kept: one that was laid out once must not be written as text any more (pygraphviz crashes).
    counts: dict[Switches, int] = {}
    for switches in TRIED:
        counts[switches] = collisions(build(switches))
        if counts[switches] == 0:
            break
    return min(counts, key=lambda switches: counts[switches])


def collisions(graph: pygraphviz.AGraph) -> int:
    """How much lies over something else, once the graph is laid out."""
    return collisions_in(json.loads(graph.draw(format="json", prog="dot")))


def collisions_in(drawn: dict[str, Any]) -> int:
    """The same for a layout as Graphviz tells it in JSON.

    A label over a label or over a state hides words and counts more than a line through
    either.
    """
    edges = drawn.get("edges", ())
    labels = [(index, box) for index, edge in enumerate(edges) if (box := _label(edge)) is not None]
    nodes = [(item["_gvid"], _node(item)) for item in drawn["objects"] if "pos" in item]
    hidden = sum(_collide(one, other) for index, (_, one) in enumerate(labels) for _, other in labels[:index])
    hidden += sum(_collide(label, node) for _, label in labels for _, node in nodes)
    crossed = 0
    for index, edge in enumerate(edges):
        points = _points(edge)
        crossed += sum(_runs_through(points, box) for owner, box in labels if owner != index)
        ends = (edge["tail"], edge["head"])
        crossed += sum(_runs_through(points, box) for node, box in nodes if node not in ends)
    return HIDDEN_WEIGHT * hidden + crossed


def _texts(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    size = 0.0
    for operation in item.get("_ldraw_", ()):
        if operation["op"] == "F":
            size = operation["size"]
        elif operation["op"] == "T":
            yield {**operation, "size": size}


def _label(edge: dict[str, Any]) -> Rectangle | None:
    boxes = []
    for text in _texts(edge):
        x, y = text["pt"]
        left = {"l": x, "c": x - text["width"] / 2, "r": x - text["width"]}[text["align"]]
        boxes.append((left, y, left + text["width"], y + text["size"]))
    if not boxes:
        return None
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def _points(edge: dict[str, Any]) -> list[tuple[float, float]]:
    """Points along the curve of an edge, which is made of cubic pieces that share their ends."""
    points = []
    for operation in edge.get("_draw_", ()):
        if operation["op"] != "b":
            continue
        spots = operation["points"]
        for start in range(0, len(spots) - 3, 3):
            piece = spots[start : start + 4]
            points += [_on_curve(piece, step / SAMPLES) for step in range(SAMPLES + 1)]
    return points


def _on_curve(piece: list[list[float]], t: float) -> tuple[float, float]:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    x, y = (sum(w * spot[axis] for w, spot in zip(weights, piece, strict=True)) for axis in (0, 1))
    return x, y


def _runs_through(points: list[tuple[float, float]], box: Rectangle) -> bool:
    left, bottom, right, top = box
    return any(left < x < right and bottom < y < top for x, y in points)


def _node(item: dict[str, Any]) -> Rectangle:
    x, y = (float(part) for part in item["pos"].split(","))
    half_width, half_height = float(item["width"]) * 36, float(item["height"]) * 36  # inches to half points
    return x - half_width, y - half_height, x + half_width, y + half_height


def _collide(one: Rectangle, other: Rectangle) -> bool:
    return (
        one[0] + NEAR < other[2]
        and other[0] + NEAR < one[2]
        and one[1] + NEAR < other[3]
        and other[1] + NEAR < one[3]
    )
