"""What a notebook shows of a module: its parts, to be unfolded, with the numbers of their parameters."""

from __future__ import annotations

import html
from typing import Any

from numgrad.nn.parameter import UninitializedTensorMixin


def module_html(module: Any, name: str = "") -> str:
    """A module as HTML; each of its own modules can be unfolded.

    >>> import numgrad as ng
    >>> module_html(ng.nn.ReLU())
    '<div><code>ReLU()</code></div>'
    """
    return f"<div>{_part(module, name, True)}</div>"


def _part(module: Any, name: str, is_open: bool) -> str:
    own = {key: value for key, value in module._parameters.items() if value is not None}
    title = f"{name}: " if name else ""
    head = f"<code>{html.escape(title)}{html.escape(module._get_name())}({html.escape(module.extra_repr())})</code>"
    known = [parameter for parameter in module.parameters() if not isinstance(parameter, UninitializedTensorMixin)]
    count = sum(parameter.numel() for parameter in known)
    if count:
        frozen = count - sum(parameter.numel() for parameter in known if parameter.requires_grad)
        head += f" <small>{count:,} parameters{f', {frozen:,} frozen' if frozen else ''}</small>"
    if not module._modules and not own:
        return head
    rows = [
        f"<div style='margin-left:1.5em'><small><code>{html.escape(key)}</code> {_extents(value)}</small></div>"
        for key, value in own.items()
    ]
    rows += [
        f"<div style='margin-left:1.5em'>{_part(each, key, False)}</div>"
        for key, each in module._modules.items()
        if each is not None
    ]
    return f"<details{' open' if is_open else ''}><summary>{head}</summary>{''.join(rows)}</details>"


def _extents(parameter: Any) -> str:
    return (
        "not known yet"
        if isinstance(parameter, UninitializedTensorMixin)
        else " × ".join(map(str, parameter.shape)) or "a number"
    )
