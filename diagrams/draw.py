"""From a picture to Graphviz: layout, colours and fonts.

The colours are few and carry one meaning each: dark for the way that things go when
all is well, red for what a person should worry about, grey for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pygraphviz

from anchorwatch.diagrams.layout import Switches, calmest
from anchorwatch.diagrams.picture import Arrow, Frame, Gathering, Look, Node, Picture

FONT = "Helvetica"
DPI = 144  # sharp on a screen of double density, where most people read a README
INK, FAINT = "#1f2933", "#7b8794"
FILL = {Look.PLAIN: "#f5f7fa", Look.PATH: "#dceefb", Look.GOAL: "#d3f9d8", Look.TROUBLE: "#ffe3e3"}
STROKE = {Look.PLAIN: "#9aa5b1", Look.PATH: "#186faf", Look.GOAL: "#2b8a3e", Look.TROUBLE: "#cf1124"}
WORDS = {Look.PLAIN: "#52606d", Look.PATH: INK, Look.GOAL: INK, Look.TROUBLE: "#9b1c1c"}
WANTED = (Look.PATH, Look.GOAL)
START = "start"  # the initial marker's id; no state is called that, for states are upper case


def graph(picture: Picture) -> pygraphviz.AGraph:
    """The picture as a Graphviz graph under the switches that read best, not yet laid out."""
    return _graph(picture, calmest(lambda switches: _graph(picture, switches)))


def _graph(picture: Picture, switches: Switches) -> pygraphviz.AGraph:
    caption = f'<FONT POINT-SIZE="10" COLOR="{FAINT}">{escape(picture.caption)}</FONT>'
    drawn = pygraphviz.AGraph(directed=True, strict=False, name=picture.name)
    drawn.graph_attr.update(
        rankdir=picture.direction,
        compound="true",
        newrank=str(switches.newrank).lower(),
        nodesep=str(switches.nodesep),
        ranksep="0.45",
        pad="0.25",
        bgcolor="white",
        fontname=FONT,
        fontsize="18",
        fontcolor=INK,
        labelloc="t",
        label=f"<{escape(picture.title)}<BR/>{caption}<BR/> >",
    )
    drawn.node_attr.update(
        shape="box", style="rounded,filled", fontname=FONT, fontsize="13", fontcolor=INK, margin="0.16,0.08"
    )
    drawn.edge_attr.update(fontname=FONT, fontsize="10.5", arrowsize="0.75")
    for node in picture.nodes:
        _add_node(drawn, node)
    sources = {arrow.source for arrow in picture.arrows}
    clusters: dict[str, pygraphviz.AGraph] = {}
    for frame in picture.frames:
        remarks = [g for g in picture.gatherings if g.id not in sources and _home(picture, g) is frame]
        clusters[frame.id] = _add_frame(clusters.get(frame.within, drawn), frame, remarks)
    for gathering in picture.gatherings:
        if gathering.id in sources or _home(picture, gathering) is None:
            _add_gathering(drawn, gathering)
    if picture.initial:
        drawn.add_node(START, shape="point", width="0.16", color=INK, label="")
        drawn.add_edge(START, picture.initial, key="start", color=INK, penwidth="1.6", weight="10")
    for arrow in picture.arrows:
        _add_arrow(drawn, arrow, picture, switches)
    return drawn


def _home(picture: Picture, gathering: Gathering) -> Frame | None:
    """The smallest frame around all that a gathering stands for."""
    around = [frame for frame in picture.frames if set(gathering.members) <= set(frame.members)]
    return around[-1] if around else None


def _add_node(drawn: pygraphviz.AGraph, node: Node) -> None:
    drawn.add_node(
        node.id,
        label=_stacked(node.title, node.inside, bold=node.look in WANTED),
        fillcolor=FILL[node.look],
        color=STROKE[node.look],
        penwidth="1.8" if node.look in WANTED else "1.2",
        peripheries="2" if node.is_final else "1",
    )


def _stacked(title: str, lines: tuple[str, ...], bold: bool) -> str:
    """A title with small lines below it, as Graphviz' HTML-like label."""
    head = f"<B>{escape(title)}</B>" if bold else escape(title)
    small = "".join(
        f'<BR ALIGN="LEFT"/><FONT POINT-SIZE="10" COLOR="{WORDS[Look.PLAIN]}">{escape(text)}</FONT>'
        for text in lines
    )
    return f'<{head}{small}<BR ALIGN="LEFT"/>>' if lines else f"<{head}>"


def _add_frame(around: pygraphviz.AGraph, frame: Frame, remarks: Sequence[Gathering]) -> pygraphviz.AGraph:
    """The words of a frame stand beside its first state: at the top, arrows would run through them.

    ``remarks`` are gatherings without arrows: they need no place of their own.
    """
    words = f"{frame.id}_words"
    texts = [frame.remark, *frame.inside]
    for remark in remarks:
        texts += [f"{remark.title}:", *remark.inside]
    lines = "".join(f'<BR ALIGN="LEFT"/>{escape(text)}' for text in texts if text)
    around.add_node(
        words,
        label=f'<<B>{escape(frame.title)}</B>{lines}<BR ALIGN="LEFT"/>>',
        shape="plaintext",
        style="",
        fontsize="10.5",
        fontcolor=WORDS[Look.PLAIN],
    )
    cluster = around.add_subgraph(
        [*frame.members, words],
        name=f"cluster_{frame.id}",
        label="",
        style="rounded,dashed",
        color=STROKE[Look.PLAIN],
        margin="14",
    )
    cluster.add_subgraph([frame.members[0], words], name=f"beside_{frame.id}", rank="same")
    return cluster


def _add_gathering(drawn: pygraphviz.AGraph, gathering: Gathering) -> None:
    drawn.add_node(
        gathering.id,
        label=_stacked(gathering.title, gathering.inside, bold=False),
        shape="box",
        style="rounded,dashed",
        color=STROKE[Look.PLAIN],
        fontsize="11",
        fontcolor=WORDS[Look.PLAIN],
    )


def _add_arrow(drawn: pygraphviz.AGraph, arrow: Arrow, picture: Picture, switches: Switches) -> None:
    frame = next((frame for frame in picture.frames if frame.id == arrow.source), None)
    # Graphviz draws from a node to a node; out of a frame it only hides the part inside.
    tail = frame.members[-1 if switches.from_last else 0] if frame else arrow.source
    attributes = {"ltail": f"cluster_{frame.id}"} if frame else {}
    drawn.add_edge(
        tail,
        arrow.dest,
        key=f"{arrow.source}->{arrow.dest}",
        id=f"{arrow.source}..{arrow.dest}",
        label="".join(f" {text} \\l" for text in arrow.lines),
        color=STROKE[arrow.look],
        fontcolor=WORDS[arrow.look],
        penwidth="2.4" if arrow.look is Look.PATH else "1.1",
        weight="20" if arrow.look is Look.PATH and not frame else "1",
        **attributes,
    )


def svg(picture: Picture) -> bytes:
    return _rendered(picture, "svg")


def png(picture: Picture) -> bytes:
    drawn = graph(picture)
    drawn.graph_attr["dpi"] = str(DPI)
    return bytes(drawn.draw(format="png", prog="dot"))


def dot(picture: Picture) -> bytes:
    return str(graph(picture).to_string()).encode()


def _rendered(picture: Picture, form: str) -> bytes:
    return bytes(graph(picture).draw(format=form, prog="dot"))
