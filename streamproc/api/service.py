"""What every Rekognition operation stands on: the service and the parts it may use.

The modules beside this one register their operations here. Knows nothing of HTTP.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamproc.api.own_model import OWN
from streamproc.api.pictures import PictureSource
from streamproc.api.rights import rights
from streamproc.api.tag_store import TagStore
from streamproc.audit.log import Audit, NoAudit
from streamproc.cameras.service import Cameras
from streamproc.config import Config
from streamproc.events.service import EventService
from streamproc.gateway.dispatch import Service
from streamproc.health import Health
from streamproc.jobs.runner import JobRunner
from streamproc.objects.store import ObjectStore
from streamproc.processor.ports import Analyser
from streamproc.processor.supervisor import Supervisor

if TYPE_CHECKING:  # it brings FAISS, which nothing needs before there are models
    from streamproc.collection.service import CollectionService


@dataclass(frozen=True, slots=True)
class ApiServices:
    """What the daemon hands to every handler."""

    supervisor: Supervisor
    collections: "CollectionService"
    scheduler: Analyser
    tags: TagStore
    images: PictureSource
    objects: ObjectStore
    jobs: JobRunner
    config: Config
    audit: Audit = field(default_factory=NoAudit)
    cameras: Cameras | None = None
    events: EventService | None = None  # None where no events are kept
    health: Health = field(default_factory=Health)


rekognition = Service[ApiServices](
    "rekognition", validation_error="InvalidParameterException", rights=rights, extra=OWN
)
