"""What must hold for the daemon to be well: every check behind /readyz and DescribeStreamproc.

Each looks at what a part knows of itself already; none does anything. Vital is what it cannot
serve without: a broker or a camera that is away is told, but does not make the daemon unready.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from streamproc.audit.log import Audit
from streamproc.cameras.view import CameraStatus, CameraView
from streamproc.events.outlet import OutletView
from streamproc.health import Health
from streamproc.loading import Loading
from streamproc.metrics.sources import Sources
from streamproc.processor.state import ProcessorState
from streamproc.processor.view import ProcessorView

STUCK_S: Final = 60.0
DISK_FULL_BYTES: Final = 64 * 1024 * 1024
"""With less than this, the next state, event or fragment may find no room."""
DISK_LOW_BYTES: Final = 1024 * 1024 * 1024
_NAMED_MAX: Final = 5


def add_checks(health: Health, parts: Sources, loading: Loading, audit: Audit) -> None:
    """All of them. parts is where the metrics are read from, too."""

    def models() -> str:
        return "" if loading.is_loaded else "the models are loading; ask again in some seconds"

    def inference() -> str:
        stuck = parts.scheduler.stuck(STUCK_S)
        return f"{stuck}; restart streamproc, and see its log" if stuck else ""

    async def room(bytes_min: int) -> str:
        free = (await health.disk(parts.data_dir)).free
        return _disk(parts.data_dir, free) if free < bytes_min else ""

    async def disk() -> str:
        return await room(DISK_FULL_BYTES)

    async def disk_space() -> str:
        return await room(DISK_LOW_BYTES)

    health.add("models", models, vital=True)
    health.add("inference", inference, vital=True)
    health.add("disk", disk, vital=True)
    health.add("audit", lambda: audit.trouble, vital=True)
    health.add("disk space", disk_space)
    health.add("processors", lambda: failed_processors(parts.supervisor.views()))
    health.add("cameras", lambda: troubled_cameras(parts.cameras()))
    health.add("outlets", lambda: troubled_outlets(parts.outlets()))


def tell_of_the_end(health: Health) -> None:
    """From now on, while all that runs is drained: nobody should come in any more."""
    health.add("stopping", lambda: "streamproc is stopping; ask another, or later", vital=True)


def failed_processors(views: Sequence[ProcessorView]) -> str:
    """Those that need a person."""
    failed = [view for view in views if view.state is ProcessorState.FAILED]
    return _listed("FAILED", [(view.spec.name, view.message) for view in failed])


def troubled_cameras(views: Sequence[CameraView]) -> str:
    """Those whose picture does not come."""
    away = [view for view in views if view.status in (CameraStatus.RETRYING, CameraStatus.REFUSED)]
    return _listed("not live", [(view.name, view.message) for view in away])


def troubled_outlets(views: Sequence[OutletView]) -> str:
    """Those that take no events."""
    away = [view for view in views if not view.connected]
    return _listed("not connected", [(f"{view.kind} {view.name}", view.message) for view in away])


def _listed(what: str, named: Sequence[tuple[str, str]]) -> str:
    if not named:
        return ""
    told = [f"{name} ({message})" if message else name for name, message in named[:_NAMED_MAX]]
    more = f" and {len(named) - _NAMED_MAX} more" if len(named) > _NAMED_MAX else ""
    return f"{what}: {'; '.join(told)}{more}"


def _disk(folder: Path, free: int) -> str:
    return (
        f"{free / 1e6:.0f} MB are free where {folder} is; delete what is not needed, or lower "
        "video.bytes_per_stream_max and events.kept_days"
    )
