"""No limit on the address space may end a process but by an exception; `address_space` runs as many limits as one likes."""

from __future__ import annotations

import sys

import pytest

from numgrad.runtime import room
from tests.runtime.address_space import COMPILING, MB, Limit, Trial, limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS and /proc")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("limited"))


@pytest.mark.slow
def test_a_few_limits(trial: Trial) -> None:
    ends = [trial.run(limit) for limit in limits(4, trial.peak())]
    assert not [end for end in ends if end.is_fatal]
    assert {end.kind for end in ends} >= {"ok", "refused"}


# Without asking for room, LLVM aborts.
@pytest.mark.parametrize(("stage", "nbytes"), [("step", 0), ("step", 1_720_740), ("backward", 0)])
def test_limits_that_loading_a_kernel_did_not_survive(stage: str, nbytes: int, trial: Trial) -> None:
    end = trial.run(Limit(stage, nbytes))
    assert not end.is_fatal, end


def test_what_there_is_no_room_for_is_told() -> None:
    assert room.is_there(MB)
    room.require(MB, "nothing")
    with pytest.raises(MemoryError, match=r"loading may take 1152921504606 MB of address space.* \(ulimit -v, or the"):
        room.require(1152921504606 * MB, "loading")


@pytest.mark.parametrize("stage", COMPILING)
def test_compiling_without_room(stage: str, trial: Trial) -> None:
    end = trial.run(Limit(stage, 30 * MB))
    assert (end.kind, end.where) == ("refused", stage), end
