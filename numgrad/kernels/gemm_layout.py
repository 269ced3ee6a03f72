"""Records for kernels: the layouts of the operands of products, and the blocks of a result."""

from __future__ import annotations

from typing import NamedTuple

from numgrad.runtime.kernel import device
from numgrad.runtime.plan import Operand
from numgrad.runtime.program import Array


class Steps(NamedTuple):
    """Elements from one matrix of a batch to the next, from one row to the next, and from one column to the next."""

    batch: int
    row: int
    column: int = 1


class TapSteps(NamedTuple):
    """Elements from one batch, tap, channel and column of a right operand to the next."""

    batch: int
    tap: int
    channel: int
    column: int


class Blocks(NamedTuple):
    """A result, and the blocks of rows and columns that it is cut into; an item of a launch is one of them."""

    rows: int
    columns: int
    row_block: int
    column_block: int
    row_blocks: int
    column_blocks: int


@device
def block_of(item, blocks):
    """(first row, last row, first column, last column, rest) of an item; ``rest`` counts whole sets of blocks."""
    rest = item // blocks.row_blocks
    first_row = item % blocks.row_blocks * blocks.row_block
    first_column = rest % blocks.column_blocks * blocks.column_block
    last_row = min(blocks.rows, first_row + blocks.row_block)
    last_column = min(blocks.columns, first_column + blocks.column_block)
    return first_row, last_row, first_column, last_column, rest // blocks.column_blocks


class Matrices(NamedTuple):
    """A layout of matrices: element (i, j) of number g is element ``g * batch + i * row + j * column`` from ``offset`` on."""

    operand: Operand
    batch: int
    row: int
    column: int = 1
    offset: int = 0

    @property
    def steps(self) -> Steps:
        """The record for kernels."""
        return Steps(self.batch, self.row, self.column)

    @property
    def array(self) -> Array:
        """All of the operand from the first element on."""
        return self.operand.array(self.operand.extent - self.offset, offset=self.offset)

    @property
    def transposed(self) -> Matrices:
        """The transposes."""
        return Matrices(self.operand, self.batch, self.column, self.row, self.offset)

    def from_column(self, first: int) -> Matrices:
        """The matrices without the columns before ``first``."""
        return self._replace(offset=self.offset + first * self.column)


class Right(NamedTuple):
    """The layout of ``b[g, t, c, j]``: element ``g * batch + t * tap + c * channel + j * column`` from ``offset`` on."""

    operand: Operand
    batch: int
    tap: int
    channel: int
    column: int
    offset: int = 0

    @property
    def steps(self) -> TapSteps:
        """The record for kernels."""
        return TapSteps(self.batch, self.tap, self.channel, self.column)

    @property
    def array(self) -> Array:
        """All of the operand from the first element on."""
        return self.operand.array(self.operand.extent - self.offset, offset=self.offset)
