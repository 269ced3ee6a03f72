"""The registry of ops: the `Op` record and the table (`op`), the wrappers before the engine (`chain`), prepared backwards
(`saved_calls`), gradients of windows (`windows`), and the cache of plans (`plans`).
"""

from numgrad.registry import chain
from numgrad.registry.chain import is_wrapped, set_engine, unwrap_dispatch, wrap_dispatch
from numgrad.registry.op import EVERY, OPS, Op, Saving, find
from numgrad.registry.plans import forget_plans, half_of
from numgrad.registry.saved_calls import BACKWARD, SavedCall, check_gradients, first_run, learn_backwards, saved_calls
from numgrad.registry.windows import LEAST_JOINED, Windows

__all__ = [
    "BACKWARD",
    "EVERY",
    "LEAST_JOINED",
    "OPS",
    "Op",
    "SavedCall",
    "Saving",
    "Windows",
    "chain",
    "check_gradients",
    "find",
    "first_run",
    "forget_plans",
    "half_of",
    "is_wrapped",
    "learn_backwards",
    "saved_calls",
    "set_engine",
    "unwrap_dispatch",
    "wrap_dispatch",
]
