"""The table of states: every pair, its words and its picture."""

from pathlib import Path

import botocore.session
import pytest

from streamproc.processor.state import (
    TRANSITIONS,
    Event,
    IllegalTransition,
    ProcessorState,
    draw_states,
    next_state,
)

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.mark.parametrize("state", ProcessorState)
@pytest.mark.parametrize("event", Event)
def test_every_pair_is_declared_or_refused(state: ProcessorState, event: Event) -> None:
    if event in TRANSITIONS[state]:
        assert next_state(state, event) in ProcessorState
    else:
        with pytest.raises(IllegalTransition):
            next_state(state, event)


def test_states_are_those_of_the_service() -> None:
    model = botocore.session.get_session().get_service_model("rekognition")
    documented = set(model.shape_for("StreamProcessorStatus").enum)
    assert {state.value for state in ProcessorState} == documented | {"DELETED"}


def test_every_state_but_deleted_can_be_left_and_reached() -> None:
    reached = {state for events in TRANSITIONS.values() for state in events.values()}
    assert reached == set(ProcessorState)
    assert [state for state, events in TRANSITIONS.items() if not events] == ["DELETED"]


@pytest.mark.parametrize("state", set(ProcessorState) - {ProcessorState.DELETED})
def test_no_state_is_a_dead_end(state: ProcessorState) -> None:
    """From everywhere some way leads to being deleted: nothing is ever stuck."""
    seen, ahead = set(), {state}
    while ahead:
        seen |= ahead
        ahead = {following for at in ahead for following in TRANSITIONS[at].values()} - seen
    assert ProcessorState.DELETED in seen


def test_a_refusal_says_what_would_be_allowed() -> None:
    with pytest.raises(
        IllegalTransition,
        match="it is RUNNING, and only a processor that is STOPPED or FAILED can be started",
    ):
        next_state(ProcessorState.RUNNING, Event.START)


def test_the_picture_in_the_readme_is_drawn_from_the_table() -> None:
    _, opened, rest = README.read_text().partition("<!-- state-machine -->")
    picture, closed, _ = rest.partition("<!-- /state-machine -->")
    assert opened
    assert closed, "README.md needs <!-- state-machine --> and <!-- /state-machine -->"
    assert picture.strip() == f"```mermaid\n{draw_states()}\n```"
