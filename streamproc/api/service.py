"""What every Rekognition operation stands on: the service and the parts it may use.

The modules beside this one register their operations here. Knows nothing of HTTP.
"""

from dataclasses import dataclass

from streamproc.api.own_model import OWN
from streamproc.api.pictures import PictureSource
from streamproc.api.tag_store import TagStore
from streamproc.collection.service import CollectionService
from streamproc.config import Config
from streamproc.gateway.dispatch import Service
from streamproc.jobs.runner import JobRunner
from streamproc.objects.store import ObjectStore
from streamproc.processor.ports import Analyser
from streamproc.processor.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class ApiServices:
    """What the daemon hands to every handler."""

    supervisor: Supervisor
    collections: CollectionService
    scheduler: Analyser
    tags: TagStore
    images: PictureSource
    objects: ObjectStore
    jobs: JobRunner
    config: Config


rekognition = Service[ApiServices](
    "rekognition", validation_error="InvalidParameterException", extra=OWN
)
