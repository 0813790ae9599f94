"""The life of a stream processor: one table, and nothing else decides.

Pure. Knows which state follows which event; knows nothing of tasks, stores or media.
"""

from collections.abc import Mapping
from enum import StrEnum

from streamproc.errors import StreamprocError


class ProcessorState(StrEnum):
    """Rekognition's StreamProcessorStatus, and DELETED, which no caller ever sees."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    FAILED = "FAILED"
    UPDATING = "UPDATING"
    DELETED = "DELETED"


class Event(StrEnum):
    """What happens to a processor. Callers ask for the first four, the rest happens."""

    START = "Start"
    STOP = "Stop"
    DELETE = "Delete"
    UPDATE = "Update"
    STARTED = "opened"
    STOPPED = "drained"
    FAILED = "error"
    UPDATED = "updated"
    INTERRUPTED = "daemon ended"


S, E = ProcessorState, Event

TRANSITIONS: Mapping[ProcessorState, Mapping[Event, ProcessorState]] = {
    S.STOPPED: {E.START: S.STARTING, E.UPDATE: S.UPDATING, E.DELETE: S.DELETED},
    S.STARTING: {
        E.STARTED: S.RUNNING,
        E.STOP: S.STOPPING,
        E.FAILED: S.FAILED,
        E.INTERRUPTED: S.STOPPED,
    },
    S.RUNNING: {E.STOP: S.STOPPING, E.FAILED: S.FAILED, E.INTERRUPTED: S.STOPPED},
    S.STOPPING: {E.STOPPED: S.STOPPED, E.FAILED: S.FAILED, E.INTERRUPTED: S.STOPPED},
    S.FAILED: {E.START: S.STARTING, E.UPDATE: S.UPDATING, E.DELETE: S.DELETED},
    # Only label detection can be updated; a face-search processor is refused before it gets here.
    S.UPDATING: {E.UPDATED: S.STOPPED, E.INTERRUPTED: S.STOPPED},
    S.DELETED: {},
}

_PARTICIPLES = {
    E.START: "started",
    E.STOP: "stopped",
    E.DELETE: "deleted",
    E.UPDATE: "updated",
}


class IllegalTransition(StreamprocError):
    """The event is not allowed in this state; nothing was changed."""

    def __init__(self, state: ProcessorState, event: Event) -> None:
        allowed = [origin for origin, events in TRANSITIONS.items() if event in events]
        super().__init__(
            f"it is {state}, and only a processor that is {' or '.join(allowed)} "
            f"can be {_PARTICIPLES.get(event, event.value)}"
        )
        self.state = state
        self.event = event


def next_state(state: ProcessorState, event: Event) -> ProcessorState:
    """Return the state that follows, or raise IllegalTransition and change nothing."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(state, event) from None


def draw_states() -> str:
    """The table as a Mermaid state diagram, for the README; a test keeps the two equal."""
    lines = ["stateDiagram-v2", "    [*] --> STOPPED: Create"]
    for state, events in TRANSITIONS.items():
        for event, following in events.items():
            target = "[*]" if following is S.DELETED else following
            lines.append(f"    {state} --> {target}: {event}")
    return "\n".join(lines)
