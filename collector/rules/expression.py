"""Pure. Rule expressions: parsed once by the standard library's grammar against a white list, checked, then bound to signals.

    F > 5 and Q < flow_zero and I < share * plate(I, "rated_current_a")

Arithmetic (+ - * /), comparison, `and`/`or`/`not`, names of needs and parameters, and the functions of `collector.rules.functions`.
Logic has three values: what is not known is None, and Kleene's tables say what follows from it (`False and unknown` is False).
Nothing of Python's own can be reached: no attributes, no subscripts, no calls of anything but those functions.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from collector.rules.duration import duration_ms
from collector.rules.function import Argument, Function, Memory, Thunk
from collector.rules.functions import functions
from collector.rules.signal import Known, View

NameKind = Literal["signal", "signals", "param", "time", "number"]
"""`time`: a parameter with a unit of time, good for a span; `number`: a name of link rules."""
Gives = Literal["number", "truth"]

MAX_TEXT = 1000
MAX_NODES = 200

_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_COMPARISON: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip


class ExpressionError(ValueError):
    """What is wrong with an expression, where (column from 0) and the mend, for people."""

    def __init__(self, column: int, what: str, do: str) -> None:
        super().__init__(what)
        self.column = column
        self.what = what
        self.do = do


@dataclass(frozen=True, slots=True)
class Scope:
    """What the names of an expression stand for in one attached rule."""

    views: Mapping[str, View | None]
    groups: Mapping[str, Sequence[View]]
    params: Mapping[str, float]
    spans_ms: Mapping[str, int]
    numbers: Mapping[str, Known]
    """Changed by the caller between evaluations (link rules)."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An expression on the signals of one attached rule."""

    value: Thunk
    memories: tuple[Memory, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A checked expression."""

    text: str
    gives: Gives
    tree: ast.expr

    def bind(self, scope: Scope) -> Bound:
        """The expression on `scope`. Raises ExpressionError for an argument that only shows there to be wrong."""
        binder = _Binder(scope)
        return Bound(binder.thunk(self.tree), tuple(binder.memories))

    def names(self) -> frozenset[str]:
        """Every name it uses, functions left out."""
        called = {id(n.func) for n in ast.walk(self.tree) if isinstance(n, ast.Call)}
        return frozenset(n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name) and id(n) not in called)


def parse(text: str, names: Mapping[str, NameKind]) -> Expression:
    """The expression in `text`. Raises ExpressionError."""
    if len(text) > MAX_TEXT:
        raise ExpressionError(0, f"The expression is longer than {MAX_TEXT} characters.", "split the rule in two.")
    line = " ".join(text.split())
    try:
        tree = ast.parse(line, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = (getattr(error, "offset", None) or 1) - 1
        raise ExpressionError(column, f'"{line}" is no expression.', "check brackets, operators and quotation marks.") from error
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise ExpressionError(0, "The expression has too many parts.", "split the rule in two.")
    return Expression(line, _Checker(names).gives(tree), tree)


class _Checker:
    """Says of each node whether it gives a number or a truth value, and refuses everything else."""

    def __init__(self, names: Mapping[str, NameKind]) -> None:
        self._names = names

    def gives(self, node: ast.expr) -> Gives:
        match node:
            case ast.BoolOp(values=values):
                for value in values:
                    self._expect(value, "truth")
                return "truth"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self._expect(operand, "truth")
                return "truth"
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                self._expect(operand, "number")
                return "number"
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                self._expect(left, "number")
                self._expect(right, "number")
                return "number"
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARISON for op in ops):
                for side in (left, *others):
                    self._expect(side, "number")
                return "truth"
            case ast.Constant(value=bool()):
                return "truth"
            case ast.Constant(value=int() | float()):
                return "number"
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(node, name, args)
            case _:
                what = f'"{ast.unparse(node)}" is not part of the expression language.'
                raise ExpressionError(
                    node.col_offset, what, "use arithmetic, comparison, and/or/not, names and functions of docs/rules.md."
                )

    def _expect(self, node: ast.expr, wanted: Gives) -> None:
        # A signal stands for a truth value where one is asked for: points of kind bool (a float switch) read naturally.
        given = self.gives(node)
        if given == wanted or (isinstance(node, ast.Name) and self._names.get(node.id) in ("signal", "number")):
            return
        words = {"number": "a number", "truth": "a truth value"}
        what = f'"{ast.unparse(node)}" is {words[given]}, {words[wanted]} is needed here.'
        raise ExpressionError(node.col_offset, what, "compare numbers with < or >, join truth values with and/or.")

    def _name(self, node: ast.expr, name: str) -> Gives:
        kind = self._names.get(name)
        if kind is None:
            known = ", ".join(sorted(self._names)) or "none"
            raise ExpressionError(
                node.col_offset, f'"{name}" is neither a need nor a parameter of this rule.', f"use one of: {known}."
            )
        if kind == "signals":
            raise ExpressionError(
                node.col_offset, f'"{name}" is a group of signals.', "use it in a function of groups, e.g. off_normal."
            )
        return "number"

    def _call(self, node: ast.expr, name: str, args: list[ast.expr]) -> Gives:
        function = functions().get(name)
        if function is None:
            raise ExpressionError(
                node.col_offset, f'There is no function "{name}".', f"use one of: {', '.join(sorted(functions()))}."
            )
        if len(args) != len(function.takes) and not (function.variadic and len(args) > len(function.takes)):
            what = f'"{name}" takes {len(function.takes)} arguments, not {len(args)}.'
            raise ExpressionError(node.col_offset, what, f"write {name}({', '.join(function.takes)}).")
        for index, argument in enumerate(args):
            self._argument(argument, function, function.takes[min(index, len(function.takes) - 1)])
        return function.gives

    def _argument(self, node: ast.expr, function: Function, takes: str) -> None:
        kind = self._names.get(node.id) if isinstance(node, ast.Name) else None
        if takes == "number":
            self._expect(node, "number")
        elif takes in ("signal", "signals"):
            if kind != takes:
                what = f'"{ast.unparse(node)}" is not a {takes[:6]} name; "{function.name}" needs one.'
                raise ExpressionError(
                    node.col_offset, what, "name one of the rule's needs" + (" with `many`." if takes == "signals" else ".")
                )
        elif takes == "duration" and kind != "time":
            word = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            try:
                duration_ms(word)
            except ValueError as error:
                raise ExpressionError(
                    node.col_offset, f"{error}.", 'write "10m", or name a parameter with a unit of time.'
                ) from error
        elif takes == "text" and not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            raise ExpressionError(
                node.col_offset, f'"{function.name}" needs a quoted word here.', 'write it in quotation marks, e.g. "low".'
            )


class _Binder:
    """Turns a checked tree into closures over one scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.memories: list[Memory] = []

    def thunk(self, node: ast.expr) -> Thunk:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return _all([self.thunk(v) for v in values])
            case ast.BoolOp(values=values):
                return _negated(_all([_negated(self.thunk(v)) for v in values]))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _negated(self.thunk(operand))
            case ast.UnaryOp(operand=operand):
                return _arithmetic(operator.sub, lambda _: 0.0, self.thunk(operand))
            case ast.BinOp(left=left, op=op, right=right):
                return _arithmetic(_ARITHMETIC[type(op)], self.thunk(left), self.thunk(right))
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [self.thunk(side) for side in (left, *others)]
                return _all([_compared(_COMPARISON[type(op)], sides[i], sides[i + 1]) for i, op in enumerate(ops)])
            case ast.Constant(value=bool() | int() | float() as constant):
                return _constant(constant if isinstance(constant, bool) else float(constant))
            case ast.Name(id=name):
                return self._name(name)
            case ast.Call(func=ast.Name(id=name), args=args):
                return self._call(name, args)
        raise AssertionError(f"unchecked {ast.dump(node)}")

    def _name(self, name: str) -> Thunk:
        scope = self._scope
        if name in scope.params:
            return _constant(scope.params[name])
        if name in scope.views:
            view = scope.views[name]
            return view.value if view is not None else _constant(None)
        numbers = scope.numbers
        return lambda _: numbers.get(name)

    def _call(self, name: str, args: list[ast.expr]) -> Thunk:
        function = functions()[name]
        takes = [function.takes[min(i, len(function.takes) - 1)] for i in range(len(args))]
        try:
            memory = function.make(*(self._argument(arg, kind) for arg, kind in zip(args, takes, strict=True)))
        except ValueError as error:
            raise ExpressionError(args[0].col_offset, f"{error}.", "see docs/rules.md.") from error
        self.memories.append(memory)
        return memory.value

    def _argument(self, node: ast.expr, takes: str) -> Argument:
        name = node.id if isinstance(node, ast.Name) else ""
        word = node.value if isinstance(node, ast.Constant) else ""
        if takes == "signal":
            return self._scope.views[name]
        if takes == "signals":
            return self._scope.groups[name]
        if takes == "duration":
            return self._scope.spans_ms[name] if name else duration_ms(str(word))
        return str(word) if takes == "text" else self.thunk(node)


def _constant(value: Known) -> Thunk:
    return lambda _: value


def _all(parts: Sequence[Thunk]) -> Thunk:
    def conjunction(at_ms: int) -> Known:
        result: Known = True
        for part in parts:
            value = part(at_ms)
            if value is None:
                result = None
            elif not value:
                return False
        return result

    return conjunction


def _negated(part: Thunk) -> Thunk:
    def negation(at_ms: int) -> Known:
        value = part(at_ms)
        return None if value is None else not value

    return negation


def _compared(compare: Callable[[float, float], bool], left: Thunk, right: Thunk) -> Thunk:
    def comparison(at_ms: int) -> Known:
        a, b = left(at_ms), right(at_ms)
        return None if a is None or b is None else compare(a, b)

    return comparison


def _arithmetic(compute: Callable[[float, float], float], left: Thunk, right: Thunk) -> Thunk:
    def arithmetic(at_ms: int) -> Known:
        a, b = left(at_ms), right(at_ms)
        if a is None or b is None:
            return None
        try:
            return compute(a, b)
        except (ZeroDivisionError, OverflowError):
            return None

    return arithmetic
