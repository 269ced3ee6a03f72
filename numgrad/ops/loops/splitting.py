"""Reverse loops that add to neighbours, as a stencil's do, in gather form: each element fetches its terms, and is stored once.

The reverse of ``new[i] = f(a[i - 1], a[i], a[i + 1])`` adds to three elements of ``a_bar`` in each turn. In one loop, each turn
waits for the sums of the one before, and nothing is done in vectors. So what an innermost loop adds to neighbours along its
own axis goes to a buffer with zeros at both ends, and a second loop adds to each element the terms of its neighbours: the
borders are no case of their own (Hueckelheim, Kukreja, Narayanan et al., "Automatic differentiation for adjoint stencil
loops", 2019, split them off). Additions to other rows, which no turn shares, stay where they are. The two loops go over parts of a
row, whose terms fit a buffer.

What is taken apart are arrays that a loop adds to at two places or more, and does nothing else with. A number that an
innermost loop only adds to is summed in lanes: reverse sweeps alone do so, since nothing is decided by an adjoint.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from numgrad.loops.sweeps import Sweep
from numgrad.ops.loops.buffers import MOST_SHIFT, TERMS, Part, is_plain, step_of, with_buffers
from numgrad.ops.loops.indices import Lowest, lowest_of
from numgrad.ops.loops.places import Place, Places

_AHEAD, _LINE = 512, 8  # elements of a tape: how far ahead they are asked for, and how many come together


def split(sweep: Sweep) -> Sweep:
    """The sweep with such loops taken apart; itself if there are none."""
    tree = ast.parse(sweep.text)
    tapes = {each.name for each in sweep.parameters if each.role == "tape" and each.dtype != "b1"}
    splitters = []
    for function, lowest in lowest_of(tree, sweep.name):
        splitters.append(_Splitter(lowest, tapes))
        splitters[-1].visit(function)
    if not any(each.buffers or each.sums or each.added for each in splitters):
        return sweep
    return with_buffers(sweep, tree, max(each.buffers for each in splitters))


@dataclass
class _Group:
    """Additions to an array at places that differ by some turns: statements, and how many turns each is ahead of the first."""

    first: Place
    array: str
    additions: list[tuple[ast.AugAssign, int]]

    @property
    def width(self) -> int:
        """Turns between the first and the last term of an element."""
        shifts = [each for _, each in self.additions]
        return max(shifts) - min(shifts)

    def takes(self, position: Place, turn: str) -> int | None:
        """The shift of a place that belongs to the group."""
        if not position.is_plain or len(position.index) != len(self.first.index):
            return None
        shift = 0 if position == self.first else position.shift_from(self.first, turn)
        shifts = [each for _, each in self.additions]
        fits = shift is not None and max(*shifts, shift) - min(*shifts, shift) <= MOST_SHIFT
        return shift if fits else None


class _Splitter(ast.NodeTransformer):
    def __init__(self, lowest: Lowest, tapes: set[str]) -> None:
        self.lowest, self.tapes = lowest, tapes
        self.buffers = 0  # the most that one loop needs
        self.loops = 0
        self.sums = 0
        self.added = 0

    def visit_For(self, node: ast.For) -> ast.AST | list[ast.stmt]:
        """An innermost loop of plain statements is taken apart; any other is looked into."""
        if not all(map(is_plain, node.body)):
            return self.generic_visit(node)
        self._sum(node)
        self._add_once(node)
        step = step_of(node)
        groups = [] if step is None else self._groups(node)
        return self._taken_apart(node, step, groups) if step and any(each.width for each in groups) else node

    def _sum(self, node: ast.For) -> None:
        """A number that an innermost loop does nothing with but add to it is summed in vectors."""
        names = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
        for number, each in enumerate(node.body):
            if isinstance(each, ast.AugAssign) and isinstance(each.op, ast.Add) and isinstance(each.target, ast.Name):
                name = each.target.id
                if names.count(name) == 1:
                    text = f"{name} = add_in_any_order({name}, {ast.unparse(each.value)})"
                    node.body[number : number + 1] = ast.parse(text).body
                    self.sums += 1

    def _add_once(self, node: ast.For) -> None:
        """What is added to one element by several statements of a turn is summed before: a load of what was just stored waits."""
        for _, additions in self._only_added_to(node):
            by_place: dict[Place, list[ast.AugAssign]] = {}
            for statement, position in additions:
                if position.is_plain:
                    by_place.setdefault(position, []).append(statement)
            for several in [each for each in by_place.values() if len(each) > 1]:
                name = f"sum_{self.added}__"
                self.added += 1
                for number, each in enumerate(several[:-1]):
                    text = f"{name} {'+=' if number else '='} {ast.unparse(each.value)}"
                    node.body[node.body.index(each)] = ast.parse(text).body[0]
                several[-1].value = ast.BinOp(ast.Name(name, ast.Load()), ast.Add(), several[-1].value)

    def _only_added_to(self, node: ast.For) -> list[tuple[str, list[tuple[ast.AugAssign, Place]]]]:
        """Arrays with which a loop does nothing but add to elements: the statements, and the places."""
        uses: dict[str, int] = {}
        additions: dict[str, list[tuple[ast.AugAssign, Place]]] = {}
        for statement, element, position in Places(node, self.lowest):
            array = element.value.id  # type: ignore[attr-defined]
            uses[array] = uses.get(array, 0) + 1
            if (
                isinstance(statement, ast.AugAssign)
                and statement.target is element
                and isinstance(statement.op, ast.Add)
            ):
                additions.setdefault(array, []).append((statement, position))
        return [(array, each) for array, each in additions.items() if uses[array] == len(each)]

    def _groups(self, node: ast.For) -> list[_Group]:
        """What is added to neighbours, and cannot stay in the loop."""
        assert isinstance(node.target, ast.Name)
        turn, groups = node.target.id, []
        for array, additions in self._only_added_to(node):
            if len(additions) > 1 and all(position.moves(turn) for _, position in additions):
                groups += _groups_of(array, additions, turn, Places(node, self.lowest))
        return groups

    def _taken_apart(self, node: ast.For, step: int, groups: list[_Group]) -> list[ast.stmt]:
        part = Part(node, step, self.loops)
        turn, low, high = part.turn, part.low, part.high
        self.loops += 1
        buffers: dict[tuple[str, int], int] = {}  # of terms: an expression's text, and which of the name's values it is
        margins: list[int] = []
        buffer_of: dict[int, int] = {}
        group_of = {id(statement): group for group in groups for statement, _ in group.additions}
        values: list[str] = []  # names that were given a value before
        body: list[str] = []
        for each in node.body:
            group = group_of.get(id(each))
            if group is None:
                body += ast.unparse(each).split("\n")
                values += [
                    sub.id for sub in ast.walk(each) if isinstance(sub, ast.Name) and isinstance(sub.ctx, ast.Store)
                ]
                continue
            assert isinstance(each, ast.AugAssign)
            text = ast.unparse(each.value)
            key = text, values.count(text) if isinstance(each.value, ast.Name) else -len(buffers)
            if key not in buffers:
                buffers[key] = len(buffers)
                margins.append(0)
                body.append(f"{TERMS}{buffers[key]}{part.position} = {text}")
            buffer_of[id(each)] = buffers[key]
            margins[buffers[key]] = max(margins[buffers[key]], group.width)
        self.buffers = max(self.buffers, len(buffers))
        ends = [
            f"{TERMS}{k}[np.uint64({at})] = 0.0"
            for k, margin in enumerate(margins)
            for m in range(margin)
            for at in (MOST_SHIFT - 1 - m, f"{high} - {low} + {MOST_SHIFT + m}")
        ]
        gathers: list[str] = []
        for group in groups:
            gathers += _gathered(group, buffer_of, turn, low, high)
        return part.written(self._asked_ahead(node, f"{high} - {low}"), [body], [*ends, *gathers])

    def _asked_ahead(self, node: ast.For, turns: str) -> list[str]:
        """Loops that ask for what the next part takes from the tapes, while this one is at work."""
        taken: dict[str, int] = {}
        inside = [each for statement in node.body for each in ast.walk(statement)]
        for each in node.body:
            if (
                isinstance(each, ast.AugAssign)
                and isinstance(each.op, ast.Sub)
                and isinstance(each.value, ast.Constant)
            ):
                mark = ast.unparse(each.target)
                taken[mark] = taken.get(mark, 0) + int(ast.unparse(each.value))
        lines = []
        for tape in sorted(self.tapes):
            reads = [
                each.slice for each in inside if isinstance(each, ast.Subscript) and ast.unparse(each.value) == tape
            ]
            marks = {name.id for each in reads for name in ast.walk(each) if isinstance(name, ast.Name)}
            for mark in sorted(marks & set(taken)):
                last = f"{mark} - {_AHEAD}"
                lines += [
                    f"for ahead__ in range(max({last} - {taken[mark]} * ({turns}), 0), {last}, {_LINE}):",
                    f"    tape_ahead({tape}, ahead__)",
                ]
        return lines


def _groups_of(array: str, additions: list[tuple[ast.AugAssign, Place]], turn: str, places: Places) -> list[_Group]:
    """Additions to one array without those that may stay in the loop, because they are apart from each other."""
    groups: list[_Group] = []
    for statement, position in additions:
        for group in groups:
            shift = group.takes(position, turn)
            if shift is not None:
                group.additions.append((statement, shift))
                break
        else:
            groups.append(_Group(position, array, [(statement, 0)]))
    stay: list[Place] = []
    for group in groups:  # of each row one: the one whose term needs a buffer of its own, if there is one
        terms = [ast.unparse(statement.value) for statement, _ in group.additions]
        kept = next(
            (each for each in group.additions if terms.count(ast.unparse(each[0].value)) == 1), group.additions[0]
        )
        position = next(position for statement, position in additions if statement is kept[0])
        if all(places.are_apart(position, other, turn) for other in stay):
            stay.append(position)
            group.additions.remove(kept)
    return [group for group in groups if group.additions]


def _gathered(group: _Group, buffer_of: dict[int, int], turn: str, low: str, high: str) -> list[str]:
    """The loop that adds to each element of a group's array."""
    shifts = [shift for _, shift in group.additions]
    at = f"{turn}at__"
    parts = []
    for part, counted in zip(group.first.parts, group.first.counted, strict=True):
        text = ast.unparse(_with(part, turn, at))
        parts.append(f"np.uint64({text})" if counted else text)
    terms = [
        f"{TERMS}{buffer_of[id(statement)]}[np.uint64({at} - {low} + {MOST_SHIFT - shift})]"
        for statement, shift in group.additions
    ]
    return [
        f"for {at} in range({low} + {min(shifts)}, {high} + {max(shifts)}):",
        f"    {group.array}[{', '.join(parts)}] += {' + '.join(terms)}",
    ]


def _with(e: ast.expr, name: str, other: str) -> ast.expr:
    class Renamed(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return ast.Name(other) if node.id == name else node

    renamed: ast.expr = Renamed().visit(ast.parse(ast.unparse(e), mode="eval").body)
    return renamed
