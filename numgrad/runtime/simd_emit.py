"""The pieces of the micro-kernels of `simd`: vectors, addresses and loops in LLVM's language."""

from __future__ import annotations

from typing import Any

from numgrad.runtime import target

STORE, ADD, STREAM = 0, 1, 2
LINE = 64  # bytes of a cache line


class Tile:
    """Emits the pieces that the micro-kernels are made of."""

    def __init__(self, context, builder, code: str, rows: int, vectors: int) -> None:
        from llvmlite import ir

        self.ir, self.builder = ir, builder
        self.element = ir.FloatType() if code == "f4" else ir.DoubleType()
        self.itemsize = 4 if code == "f4" else 8
        self.lanes = target.host_target().lanes(self.itemsize)
        self.fused = target.host_target().fused
        self.vector = ir.VectorType(self.element, self.lanes)
        self.rows, self.vectors = rows, vectors
        self.columns = vectors * self.lanes

    def word(self, value: int):
        return self.ir.Constant(self.ir.IntType(64), value)

    def pointer(self, address, kind=None):
        """A pointer to bytes, or to ``kind``, from an address."""
        return self.builder.inttoptr(address, (kind or self.ir.IntType(8)).as_pointer())

    def advance(self, pointer, nbytes):
        return self.builder.gep(pointer, [self.word(nbytes) if isinstance(nbytes, int) else nbytes])

    def read(self, pointer, kind, align: int):
        return self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()), align=align)

    def read_word(self, pointer, index: int):
        return self.read(self.advance(pointer, 8 * index), self.ir.IntType(64), 8)

    def read_vector(self, pointer, index: int = 0):
        return self.read(self.advance(pointer, index * self.lanes * self.itemsize), self.vector, self.itemsize)

    def read_broadcast(self, pointer):
        """One element in all lanes."""
        return self.in_all_lanes(self.read(pointer, self.element, self.itemsize))

    def in_all_lanes(self, value):
        """A vector of one value."""
        lane = self.ir.IntType(32)
        undefined = self.ir.Constant(self.ir.VectorType(value.type, self.lanes), self.ir.Undefined)
        first = self.builder.insert_element(undefined, value, self.ir.Constant(lane, 0))
        zeros = self.ir.Constant(self.ir.VectorType(lane, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def multiply_add(self, x, y, total):
        """``x * y + total``, in one rounding where the CPU does that in one instruction."""
        from numba.core import cgutils

        if not self.fused:
            return self.builder.fadd(self.builder.fmul(x, y), total)
        name = f"llvm.fma.v{self.lanes}f{8 * self.itemsize}"
        kind = self.ir.FunctionType(self.vector, [self.vector] * 3)
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [x, y, total])

    def add_outer_product(self, column: list[Any], offset, row, totals: list[Any]) -> list[Any]:
        """``totals[i, j] + column[i] * row[j]``: elements at ``offset`` from the pointers, and vectors side by side."""
        right = [self.read_vector(row, j) for j in range(self.vectors)]
        results = []
        for i, pointer in enumerate(column):
            factor = self.read_broadcast(self.advance(pointer, offset))
            results += [self.multiply_add(factor, right[j], totals[i * self.vectors + j]) for j in range(self.vectors)]
        return results

    def prefetch(self, pointer, to_write: bool = False) -> None:
        """Ask for the cache line of an address that will be read soon, or read and written; it need not be valid."""
        from numba.core import cgutils

        small = self.ir.IntType(32)
        kind = self.ir.FunctionType(self.ir.VoidType(), [pointer.type, small, small, small])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        into = (1, 3) if to_write else (0, 2)  # for this CPU alone and into the first cache, or into the second
        self.builder.call(function, [pointer, *(self.ir.Constant(small, value) for value in (*into, 1))])

    def prefetch_rows(self, goals: list[Any], mode) -> None:
        """Ask for the tile's lines, which are written after its sum, so long before that they have come by then.

        Rows of a result lie pages apart, so the CPU does not foresee them. Lines that pass the caches are not asked for.
        """
        if self._may_be(mode, STORE, ADD):
            with self.builder.if_then(self.builder.icmp_signed("!=", mode, self.word(STREAM))):
                for goal in goals:
                    for line in range(0, self.columns * self.itemsize, LINE):
                        self.prefetch(self.advance(goal, line), to_write=True)

    def _may_be(self, mode, *modes: int) -> bool:
        """Whether a mode may be one of these: each way to write that is not left out has to be compiled."""
        return not isinstance(mode, self.ir.Constant) or mode.constant in modes

    def room(self, count: int):
        """A pointer to so many vectors on the stack."""
        from numba.core import cgutils

        return cgutils.alloca_once(self.builder, self.vector, size=self.word(count))

    def zeros(self, count: int) -> list[Any]:
        return [self.ir.Constant(self.vector, [0.0] * self.lanes)] * count

    def loop(self, count, carried: list[Any], body, rolled: bool = False) -> list[Any]:
        """``for index in range(count): carried = body(index, carried)``; the values after the last turn.

        LLVM writes out the turns of a short loop side by side, unless it stays ``rolled``.
        """
        builder = self.builder
        before = builder.block
        head, inside, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(self.ir.IntType(64))
        phis = [builder.phi(value.type) for value in carried]
        builder.cbranch(builder.icmp_signed("<", index, count), inside, after)
        builder.position_at_end(inside)
        results = body(index, phis)
        following = builder.add(index, self.word(1))
        end = builder.block
        back = builder.branch(head)
        if rolled:
            self._keep_rolled(back)
        for phi, first, result in zip([index, *phis], [self.word(0), *carried], [following, *results], strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(result, end)
        builder.position_at_end(after)
        return phis

    def _keep_rolled(self, branch) -> None:
        """Forbid LLVM to unroll the loop that this branch closes."""
        module = self.builder.module
        text = self.ir.MetaDataString(module, "llvm.loop.unroll.disable")
        node = self.ir.MDValue(module, [module.add_metadata([text])], name=str(len(module.metadata)))
        node.operands = (node, *node.operands)  # LLVM knows a loop's node by that it begins with itself
        branch.set_metadata("llvm.loop", node)

    def write(self, pointers: list[Any], totals: list[Any], mode) -> None:
        """Write vectors to their addresses, as ``mode`` says."""
        builder, align = self.builder, self.itemsize
        pointers = [builder.bitcast(pointer, self.vector.as_pointer()) for pointer in pointers]

        def store() -> None:
            for total, pointer in zip(totals, pointers, strict=True):
                builder.store(total, pointer, align=align)

        def add() -> None:
            for total, pointer in zip(totals, pointers, strict=True):
                builder.store(builder.fadd(builder.load(pointer, align=align), total), pointer, align=align)

        def stream() -> None:
            past = builder.module.add_metadata([self.ir.Constant(self.ir.IntType(32), 1)])
            for total, pointer in zip(totals, pointers, strict=True):
                builder.store(total, pointer, align=self.lanes * align).set_metadata("nontemporal", past)

        ways = {STORE: store, ADD: add, STREAM: stream}
        if isinstance(mode, self.ir.Constant):
            ways[mode.constant]()
            return
        blocks = [builder.append_basic_block(way.__name__) for way in ways.values()]
        done = builder.append_basic_block("done")
        choice = builder.switch(mode, blocks[STORE])
        for number in (ADD, STREAM):
            choice.add_case(self.word(number), blocks[number])
        for way, block in zip(ways.values(), blocks, strict=True):
            builder.position_at_end(block)
            way()
            builder.branch(done)
        builder.position_at_end(done)

    def lanes_below(self, count, first: int = 0):
        """The lanes of a vector of a line, which begins with element ``first``, that are among the line's first ``count``."""
        numbers = self.ir.Constant(self.ir.VectorType(count.type, self.lanes), list(range(first, first + self.lanes)))
        return self.builder.icmp_signed("<", numbers, self.in_all_lanes(count))

    def read_part(self, pointer, chosen):
        """The ``chosen`` lanes of a vector in memory, and zeros; the others' memory need not exist."""
        return self._masked("load", pointer, chosen, [self.ir.Constant(self.vector, [0.0] * self.lanes)])

    def write_chosen(self, vector, pointer, chosen) -> None:
        """Write these lanes of a vector."""
        self._masked("store", pointer, chosen, [], vector)

    def _masked(self, what: str, pointer, chosen, rest: list[Any], *vector):
        from numba.core import cgutils

        ir = self.ir
        arguments = [*vector, self.builder.bitcast(pointer, self.vector.as_pointer())]
        arguments += [ir.Constant(ir.IntType(32), self.itemsize), chosen, *rest]
        kind = ir.FunctionType(self.vector if what == "load" else ir.VoidType(), [each.type for each in arguments])
        name = f"llvm.masked.{what}.v{self.lanes}f{8 * self.itemsize}.p0"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)

    def write_part(self, pointers: list[Any], totals: list[Any], columns, mode) -> None:
        """Write ``columns`` elements of each row of vectors, as ``mode`` says (`STREAM`: as `STORE`)."""
        ir, builder = self.ir, self.builder
        masks = [self.lanes_below(columns, j * self.lanes) for j in range(self.vectors)]
        parts = [
            (each, total, masks[i % self.vectors]) for i, (each, total) in enumerate(zip(pointers, totals, strict=True))
        ]

        def add() -> None:
            for pointer, total, mask in parts:
                self.write_chosen(builder.fadd(self.read_part(pointer, mask), total), pointer, mask)

        def put() -> None:
            for pointer, total, mask in parts:
                self.write_chosen(total, pointer, mask)

        if isinstance(mode, ir.Constant):
            (add if mode.constant == ADD else put)()
            return
        with builder.if_else(builder.icmp_signed("==", mode, self.word(ADD))) as (adds, other):
            with adds:
                add()
            with other:
                put()

    def store_vectors(self, totals: list[Any], out_rows, out_shift, columns, mode) -> None:
        """Write the tile: whole vectors, or parts of them if ``columns`` are fewer."""
        builder = self.builder
        width = self.lanes * self.itemsize
        rows = [self.pointer(builder.add(self.read_word(out_rows, i), out_shift)) for i in range(self.rows)]
        pointers = [self.advance(rows[i], j * width) for i in range(self.rows) for j in range(self.vectors)]
        with builder.if_else(builder.icmp_signed(">=", columns, self.word(self.columns))) as (whole, part):
            with whole:
                self.write(pointers, totals, mode)
            with part:
                self.write_part(pointers, totals, columns, mode)

    def row_pointers(self, out, out_row) -> list[Any]:
        """Where the tile's rows begin, which lie at fixed distances."""
        builder = self.builder
        return [self.pointer(builder.add(out, builder.mul(self.word(i), out_row))) for i in range(self.rows)]

    def write_rows(self, totals: list[Any], goals: list[Any], used_rows, columns, mode) -> None:
        """Write the first ``used_rows`` rows of the tile to where ``goals`` point."""
        builder = self.builder
        width = self.lanes * self.itemsize
        whole = builder.icmp_signed(">=", columns, self.word(self.columns))
        for i in range(self.rows):
            with builder.if_then(builder.icmp_signed("<", self.word(i), used_rows)):
                pointers = [self.advance(goals[i], j * width) for j in range(self.vectors)]
                mine = totals[i * self.vectors : (i + 1) * self.vectors]
                with builder.if_else(whole) as (all_columns, part):
                    with all_columns:
                        self.write(pointers, mine, mode)
                    with part:
                        self.write_part(pointers, mine, columns, mode)

    def sum_of_lanes(self, vector):
        """All lanes added up, halves onto halves: the same order on every CPU of one vector width."""
        lanes, builder, ir = self.lanes, self.builder, self.ir
        while lanes > 1:
            half = lanes // 2
            index = ir.VectorType(ir.IntType(32), half)
            low = builder.shuffle_vector(vector, vector, ir.Constant(index, list(range(half))))
            high = builder.shuffle_vector(vector, vector, ir.Constant(index, list(range(half, lanes))))
            vector, lanes = builder.fadd(low, high), half
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))
