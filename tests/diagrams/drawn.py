"""What an SVG shows, without where it shows it: fonts and versions of Graphviz move things about."""

from __future__ import annotations

from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"


def shown(svg: bytes) -> list[tuple[str, str, tuple[str, ...]]]:
    """Every node, frame and arrow: its kind, its name and its words in their order; sorted."""
    found = []
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        kind = group.get("class", "")
        if kind not in ("node", "edge", "cluster"):
            continue
        name = group.get("id", "") if kind == "edge" else group.findtext(f"{SVG}title", "")
        found.append((kind, name, tuple(text.text or "" for text in group.iter(f"{SVG}text"))))
    return sorted(found)
