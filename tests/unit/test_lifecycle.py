"""The states of a run: which moves there are, and that no other is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.lifecycle import ENDED, MOVES, IllegalMove, RunState, check_move

# the design, written down a second time
LEGAL = {
    ("waiting", "queued"), ("waiting", "failed"), ("waiting", "cancelled"),
    ("queued", "running"), ("queued", "waiting"), ("queued", "failed"), ("queued", "cancelled"),
    ("running", "waiting"), ("running", "succeeded"), ("running", "failed"), ("running", "cancelled"),
    ("running", "paused"), ("paused", "waiting"), ("paused", "cancelled"),
}  # fmt: skip
EVERY_PAIR = list(itertools.product(RunState, RunState))


@pytest.mark.parametrize(("current", "new"), EVERY_PAIR)
def test_a_move_is_allowed_exactly_where_the_design_has_it(current: RunState, new: RunState) -> None:
    if (str(current), str(new)) in LEGAL:
        check_move(current, new)
    else:
        with pytest.raises(IllegalMove, match=f"{current} → {new}"):
            check_move(current, new)


def test_every_state_has_its_moves_written_down() -> None:
    assert set(MOVES) == set(RunState)


def test_every_state_can_be_reached_from_waiting() -> None:
    reached, found = set(), {RunState.WAITING}
    while found:
        reached |= found
        found = {new for state in found for new in MOVES[state]} - reached
    assert reached == set(RunState)


def test_every_run_that_has_not_ended_can_be_cancelled_and_every_one_that_a_person_need_not_answer_for_can_fail() -> (
    None
):
    for state in set(RunState) - ENDED:
        assert RunState.CANCELLED in MOVES[state]
        assert (RunState.FAILED in MOVES[state]) == (state is not RunState.PAUSED)


def test_a_run_succeeds_only_from_running() -> None:
    assert [state for state in RunState if RunState.SUCCEEDED in MOVES[state]] == [RunState.RUNNING]


@given(st.lists(st.sampled_from(RunState), max_size=30))
def test_any_sequence_of_moves_goes_along_legal_ones_and_stays_where_it_ended(wanted: list[RunState]) -> None:
    state = RunState.WAITING
    for new in wanted:
        before = state
        try:
            check_move(state, new)
        except IllegalMove:
            assert (str(before), str(new)) not in LEGAL
        else:
            state = new
            assert (str(before), str(new)) in LEGAL
        if before in ENDED:
            assert state is before
