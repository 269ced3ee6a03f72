"""`numgrad.jit.save` and `numgrad.jit.load`: captured programs in files; the work is done in `saved`."""

from __future__ import annotations

import os
import sys
from typing import Any

from numgrad.errors import CaptureError


class Files:
    """The part of `numgrad.jit` that writes and reads files."""

    def save(self, step: Any, path: str | os.PathLike[str]) -> None:
        """Write the captured programs of a step to a file, with the memory that they use: parameters, states, random states.

        Those are written that fit what the step sees now, such as the train or eval mode of its modules.

        The file is one of safetensors, whose metadata hold the programs as JSON: `numgrad.load` reads the weights in it, and
        `load` the programs. It holds no pickle and no machine code. A path is written atomically.

        Raises
        ------
        TypeError
            ``step`` was not made by `jit`.
        CaptureError
            Nothing is captured yet, or a program does what a file cannot hold: it calls Python between its launches (`host`,
            a schedule), has arguments that are neither tensors, numbers, texts nor containers of them, or uses an op that is
            not in the registry (a function with loops, or one of `numgrad.elementwise`).
        OSError
            The file cannot be written.

        >>> import os, tempfile
        >>> import numgrad as ng
        >>> double = ng.jit(lambda x: 2 * x)
        >>> _ = double(ng.ones(3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "double.program")
        ...     ng.jit.save(double, path)
        ...     program = ng.jit.load(path)
        >>> program(ng.tensor([1.0, 2.0, 3.0]))
        tensor([2., 4., 6.])
        """
        from numgrad.compile.jit import step_of

        jitted = step_of(step)
        programs = jitted.programs()
        if not programs:
            raise CaptureError(
                f"jit.save: {jitted} has no captured program yet; call it first, twice if it has an optimizer"
            )
        differences = [each.difference_of_seen() for each in programs]
        programs = [each for each, difference in zip(programs, differences, strict=True) if difference is None]
        if not programs:
            raise CaptureError(
                f"jit.save: no program of {jitted} fits what it sees now: {differences[-1]}; call it again first"
            )
        from numgrad.compile.saved import program as saved

        saved.save(programs, jitted.passes, _version(), path)

    def load(self, path: str | os.PathLike[str]) -> Any:
        """The programs of a file that `save` wrote, as one function of the step's arguments.

        Nothing in the file is executed: each op is one of numgrad's, and its plan is made anew. Kernels come from the store of
        compiled kernels, or are compiled. With kernels for the same CPU, results have the bits that the step's would have had.

        Returns
        -------
        Program
            It has `parameters()`, `state_dict()` and `tensors()`, its own, and ``options`` of its optimizers.

        Raises
        ------
        WeightsFormatError
            The file is damaged or hostile, holds no program, or one of another version of numgrad.
        OSError
            The file cannot be opened or read.

        >>> import os, tempfile
        >>> import numgrad as ng
        >>> weight = ng.ones(2, requires_grad=True)
        >>> optimizer = ng.optim.SGD([weight], lr=0.5)
        >>> @ng.jit
        ... def step(x):
        ...     optimizer.zero_grad()
        ...     loss = (weight * x).sum()
        ...     loss.backward()
        ...     optimizer.step()
        ...     return loss.detach()
        >>> step(ng.tensor([1.0, 2.0]))
        tensor(3.)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "step.program")
        ...     ng.jit.save(step, path)
        ...     program = ng.jit.load(path)
        >>> program(ng.tensor([1.0, 2.0])), list(program.options[0].items())[:2]
        (tensor(0.5000), [('lr', 0.5), ('momentum', 0.0)])
        >>> list(program.parameters())
        [tensor([ 0., -1.], requires_grad=True)]
        """
        from numgrad.compile.saved import program as saved

        return saved.load(path, _version())


def _version() -> str:
    version: str = sys.modules["numgrad"].__version__  # which is above this layer
    return version
