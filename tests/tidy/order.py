"""Nothing in machine/ and io/ depends on the order of a set, on `hash`, on an address or on a folder's listing.

A set's order follows from PYTHONHASHSEED and from memory addresses, so whoever walks through one decides
differently in every process. What asks about a whole set (`in`, `len`, `sorted`, `any`, another set) is fine.

The rule reads types where they are written down: set displays and calls, set operators, and every name, attribute
and function that is annotated or assigned as a set, in the file or, for attributes and functions, anywhere in the house.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.rules import dotted, trees

SET_TYPES = frozenset(("set", "frozenset", "Set", "AbstractSet", "MutableSet"))
SET_METHODS = frozenset(("union", "intersection", "difference", "symmetric_difference"))
SET_OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
# These answer alike in whatever order they are given the members.
ORDERLESS = frozenset(("sorted", "len", "any", "all", "sum", "set", "frozenset", "min", "max"))
ORDERED = frozenset(
    ("list", "tuple", "iter", "enumerate", "zip", "map", "filter", "deque", "dict.fromkeys", "chain")
)
PER_PROCESS = frozenset(("hash", "id"))
LISTINGS = frozenset(("iterdir", "glob", "rglob", "listdir", "scandir"))

# Where the order, or the hash, reaches nobody.
ALLOWED = {
    (
        "io/settings/secret.py",
        "hash",
    ): "a secret's own __hash__: equal secrets are equal keys, nothing is ordered by it",
}


def nothing_depends_on_an_unordered_thing(root: Path) -> list[str]:
    house = [(name, tree) for name, tree in trees(root, "machine", "io")]
    known = _declared_sets(tree for _, tree in house)
    complaints = []
    for name, tree in house:
        look = _Look(known)
        look.visit(tree)
        complaints += [
            f"{name}:{line}: {what}; sort it, or keep a tuple or a dict"
            for line, what, word in look.found
            if (name, word) not in ALLOWED
        ]
    return complaints


def _is_set_annotation(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value, mode="eval").body
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _is_set_annotation(node.left) or _is_set_annotation(node.right)
    if isinstance(node, ast.Subscript):
        node = node.value
    return node is not None and dotted(node).split(".")[-1] in SET_TYPES


def _declared_sets(house: Iterator[ast.Module]) -> frozenset[str]:
    """`.x` for attributes that are sets, `f()` for functions that return one."""
    names = set()
    for tree in house:
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign) and _is_set_annotation(node.annotation):
                names.add("." + dotted(node.target).split(".")[-1])
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_set_annotation(
                node.returns
            ):
                is_property = any(dotted(one).endswith("property") for one in node.decorator_list)
                names.add(f".{node.name}" if is_property else f"{node.name}()")
            elif isinstance(node, ast.Assign) and _is_plain_set(node.value):
                names.update(
                    "." + dotted(t).split(".")[-1] for t in node.targets if isinstance(t, ast.Attribute)
                )
    return frozenset(names)


def _called(node: ast.Call) -> str:
    """The last word of what is called: `join` for `", ".join(…)`."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else dotted(node.func)


def _is_plain_set(node: ast.expr) -> bool:
    return isinstance(node, ast.Set | ast.SetComp) or (
        isinstance(node, ast.Call) and dotted(node.func) in ("set", "frozenset")
    )


class _Look(ast.NodeVisitor):
    """Walks one file, knowing which names of the present function are sets."""

    def __init__(self, known: frozenset[str]) -> None:
        self._known = known
        self._names: list[set[str]] = [set()]
        self.found: list[tuple[int, str, str]] = []
        self._excused: set[ast.AST] = set()

    def _is_set(self, node: ast.expr) -> bool:
        if _is_plain_set(node):
            return True
        if isinstance(node, ast.Name):
            return any(node.id in names for names in self._names)
        if isinstance(node, ast.Attribute):
            return f".{node.attr}" in self._known
        if isinstance(node, ast.Await):
            return self._is_set(node.value)
        if isinstance(node, ast.IfExp):
            return self._is_set(node.body) or self._is_set(node.orelse)
        if isinstance(node, ast.BinOp) and isinstance(node.op, SET_OPERATORS):
            return self._is_set(node.left) or self._is_set(node.right) or self._are_keys(node)
        if isinstance(node, ast.Call):
            called = _called(node)
            if isinstance(node.func, ast.Attribute) and called in SET_METHODS:
                return self._is_set(node.func.value)
            return f"{called}()" in self._known
        return False

    @staticmethod
    def _are_keys(node: ast.BinOp) -> bool:
        return any(
            isinstance(side, ast.Call)
            and isinstance(side.func, ast.Attribute)
            and side.func.attr in ("keys", "items")
            for side in (node.left, node.right)
        )

    def _complain(self, node: ast.expr, what: str, word: str) -> None:
        self.found.append((node.lineno, what, word))

    def _walk_through(self, node: ast.expr) -> None:
        if self._is_set(node):
            self._complain(node, "walks through a set, whose order differs from process to process", "set")
        if isinstance(node, ast.Call) and _called(node) in LISTINGS:
            self._complain(node, "walks through a folder in whatever order the file system likes", "folder")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._scope(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._scope(node)

    def _scope(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        self._names.append({one.arg for one in arguments if _is_set_annotation(one.annotation)})
        self.generic_visit(node)
        self._names.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name) and self._is_set(node.value):
                self._names[-1].add(target.id)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
        if isinstance(node.target, ast.Name) and _is_set_annotation(node.annotation):
            self._names[-1].add(node.target.id)

    def visit_For(self, node: ast.For) -> None:
        self._walk_through(node.iter)
        self.generic_visit(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        self._walk_through(node.value)
        self.generic_visit(node)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp) -> None:
        if node not in self._excused:
            for generator in node.generators:
                self._walk_through(generator.iter)
        self.generic_visit(node)

    visit_ListComp = visit_GeneratorExp = visit_DictComp = _comprehension  # noqa: N815

    def visit_Call(self, node: ast.Call) -> None:
        called = dotted(node.func)
        last = _called(node)
        by_key = any(word.arg == "key" for word in node.keywords)
        if called in ORDERLESS and not (by_key and called in ("min", "max")):
            self._excused.update(node.args)
        elif called in ORDERED or last in ("join", "chain", "fromkeys") or called in ("min", "max"):
            for argument in node.args:
                self._walk_through(argument)
        elif called in PER_PROCESS:
            self._complain(node, f"uses {called}(), which differs from process to process", called)
        elif (
            last == "pop"
            and not node.args
            and isinstance(node.func, ast.Attribute)
            and self._is_set(node.func.value)
        ):
            self._complain(node, "pops from a set, which gives any member", "set")
        self.generic_visit(node)
