"""Every single edit of what the router decides: a condition is held to be true or false, a step or one of several is left out.

The router has no rows. Its functions are read as they stand, and each is put in force with one edit by changing its code
in place, so that whoever calls it, under whatever name, calls the edited one.
"""

from __future__ import annotations
import __future__

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any, cast

from anchorwatch.machine import bot as bots
from anchorwatch.machine import gate

WORDS_MAX = 90

DECIDING: tuple[Callable[..., Any], ...] = (
    *dict.fromkeys(bots.ROUTES.values()),
    bots._doubted_orders,
    bots._flatten,
    bots._want_entry,
    bots._missing,
    bots._Run.draw_consequences,
    bots._Run._end_trading_control,
    bots._Run._cancel_resting_entries,
    bots._Run._mind_the_dead_man,
    bots._Run._send_the_guarded,
    bots._Run._flatten_late_fills,
    bots._Run._doubt_after_relogin,
    gate.entry_obstacles,
    gate.other_side_obstacles,
    gate.adding_obstacles,
    gate.standing_obstacles,
    gate.lacks_a_fact_of_the_bot,
    gate.resting_obstacles,
    gate.is_covered,
    gate.is_settled,
    gate.may_still_send,
    gate.may_still_amend,
    gate._is_busy,
    gate.holds_ours,
    gate.in_flight,
)
"""The functions of the router that decide; those that carry out are the same for every event."""


def edits() -> Iterator[tuple[str, FunctionType, CodeType]]:
    """In words, the function that is edited, and its code with the edit."""
    seen: dict[str, int] = {}
    for one in DECIDING:
        function = cast(FunctionType, one)
        tree = _Unannotated().visit(ast.parse(textwrap.dedent(inspect.getsource(function))))
        several = {id(tuple_) for node in ast.walk(tree) for tuple_ in _of_several(node)}
        for place, node in enumerate(ast.walk(tree)):
            for what, edit in _of(node, id(node) in several):
                edited = copy.deepcopy(tree)
                edit(list(ast.walk(edited))[place])
                words = f"{function.__name__}: {what}"
                seen[words] = seen.get(words, 0) + 1
                if seen[words] > 1:
                    words += f" ({seen[words]})"
                yield words, function, _compiled(edited, function)


@contextmanager
def in_force(function: FunctionType, code: CodeType) -> Iterator[None]:
    before = function.__code__
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = before


def _compiled(tree: ast.Module, function: FunctionType) -> CodeType:
    ast.fix_missing_locations(tree)
    made: dict[str, Any] = {}
    flags = __future__.annotations.compiler_flag
    exec(compile(tree, function.__code__.co_filename, "exec", flags), function.__globals__, made)
    code: CodeType = made[function.__name__].__code__
    return code


Edit = Callable[[Any], None]


class _Unannotated(ast.NodeTransformer):
    """What is said of types does nothing."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        for argument in node.args.args:
            argument.annotation = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.Pass()
        return ast.Assign(targets=[node.target], value=self.visit(node.value))


def _of_several(node: ast.AST) -> Iterator[ast.AST]:
    """Lists, and tuples that are gone through or looked into: with one element less they are of the same kind."""
    if isinstance(node, ast.List):
        yield node
    if isinstance(node, ast.For | ast.comprehension):
        yield node.iter
    if isinstance(node, ast.Compare):
        yield from node.comparators


def _of(node: ast.AST, is_several: bool) -> Iterator[tuple[str, Edit]]:
    """The edits of this place of a function, in words."""
    if isinstance(node, ast.If | ast.IfExp):
        for value in (True, False):
            yield f"'{_said(node.test)}' is held to be {str(value).lower()}", _holding(value)
    if isinstance(node, ast.BoolOp):
        for place, part in enumerate(node.values):
            yield f"'{_said(part)}' is left out of '{_said(node)}'", _neutral(place)
    if isinstance(node, ast.comprehension):
        for place, part in enumerate(node.ifs):
            yield f"'if {_said(part)}' is left out", _without("ifs", place)
    if is_several and isinstance(node, ast.List | ast.Tuple):
        for place, part in enumerate(node.elts):
            yield f"'{_said(part)}' is left out of '{_said(node)}'", _without("elts", place)
    for name in ("body", "orelse"):
        statements = getattr(node, name, None)
        if isinstance(statements, list):
            for place, statement in enumerate(statements):
                if _is_a_step(statement):
                    yield f"'{_said(statement)}' is left out", _passing(name, place)


def _is_a_step(statement: ast.stmt) -> bool:
    """Whether it does something by itself: a call, or a change of the bot."""
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute)


def _holding(value: bool) -> Edit:
    def edit(node: Any) -> None:
        node.test = ast.Constant(value)

    return edit


def _neutral(place: int) -> Edit:
    """An operand that decides nothing any more."""

    def edit(node: Any) -> None:
        node.values[place] = ast.Constant(isinstance(node.op, ast.And))

    return edit


def _without(name: str, place: int) -> Edit:
    def edit(node: Any) -> None:
        del getattr(node, name)[place]

    return edit


def _passing(name: str, place: int) -> Edit:
    def edit(node: Any) -> None:
        getattr(node, name)[place] = ast.Pass()

    return edit


def _said(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= WORDS_MAX else f"{text[: WORDS_MAX - 1]}…"
