"""`SummaryWriter`: curves, pictures and histograms for TensorBoard, as the package tensorboardX writes them.

>>> import numgrad as ng
>>> from numgrad.utils.tensorboard import SummaryWriter
>>> with SummaryWriter(write_to_disk=False) as writer:
...     writer.add_scalar("loss", ng.tensor(0.5), global_step=1)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numgrad.tensor.tensor import Tensor

try:
    import tensorboardX
except ImportError as error:
    raise ImportError(
        "numgrad.utils.tensorboard writes by the package tensorboardX, which is not installed; "
        "install it with: python -m pip install 'numgrad[tensorboard]'"
    ) from error

__all__ = ["SummaryWriter"]


class SummaryWriter(tensorboardX.SummaryWriter):  # type: ignore[misc]
    """tensorboardX's writer, whose methods take numgrad's tensors where they take arrays.

    ``add_scalar``, ``add_scalars``, ``add_histogram``, ``add_image``, ``add_images``, ``add_figure`` (of `numgrad.viz`, or any of
    matplotlib's), ``add_text``, ``add_embedding``, ``add_pr_curve``, ``add_mesh``, ``add_hparams`` and others have torch's names
    and arguments. ``tensorboard --logdir runs`` shows what was written; it is a package of its own.

    Parameters
    ----------
    log_dir
        The folder; by default ``runs/`` and one with the time and the machine's name.
    comment, purge_step, max_queue, flush_secs, filename_suffix
        As torch's.

    >>> import numgrad as ng
    >>> from numgrad.utils.tensorboard import SummaryWriter
    >>> writer = SummaryWriter(write_to_disk=False)
    >>> writer.add_histogram("weight", ng.nn.Linear(3, 2).weight, global_step=1)
    >>> writer.add_figure("loss", ng.viz.curves([3.0, 2.0, 1.5]).figure)
    >>> writer.close()
    """

    def __init__(self, log_dir: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(None if log_dir is None else str(log_dir), *args, **kwargs)

    @property
    def log_dir(self) -> Any:
        """The folder that is written to."""
        return self.logdir

    def get_logdir(self) -> Any:
        """The folder that is written to, as `log_dir`."""
        return self.logdir

    def add_graph(self, model: Any, *args: Any, **kwargs: Any) -> None:
        """Refused: the package reads graphs of torch alone.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            "SummaryWriter.add_graph: tensorboardX reads graphs of torch alone; numgrad.viz.graph draws numgrad's"
        )

    def add_tensor(self, tag: str, *args: Any, **kwargs: Any) -> None:
        """Refused: the package does not write tensors as such.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            f"SummaryWriter.add_tensor: tensorboardX does not write tensors ({tag!r}); add_histogram shows how its numbers are "
            "spread, and numgrad.save keeps them"
        )


def _plain(value: Any) -> Any:
    """Tensors as arrays, in tuples, lists and dicts as well."""
    if isinstance(value, Tensor):
        return value.detach().numpy()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value


def _taking_tensors(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: SummaryWriter, *args: Any, **kwargs: Any) -> Any:
        return method(self, *_plain(args), **_plain(kwargs))

    call.__module__ = __name__  # where pickles find it
    return call


for _name in dir(tensorboardX.SummaryWriter):
    if _name.startswith("add_") and _name not in vars(SummaryWriter):
        setattr(SummaryWriter, _name, _taking_tensors(getattr(tensorboardX.SummaryWriter, _name)))
