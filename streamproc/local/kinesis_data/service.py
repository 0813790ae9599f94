"""The Kinesis Data service behind the gateway; the operations register themselves here."""

from typing import Any

from streamproc.gateway.dispatch import Service
from streamproc.gateway.errors import DryRunOperation
from streamproc.local.kinesis_data.rights import rights
from streamproc.local.kinesis_data.streams import DataStreams

service = Service[DataStreams]("kinesis", validation_error="ValidationException", rights=rights)


def refuse_dry_run(request: dict[str, Any]) -> None:
    """DryRun answers with an error where all is well, so that nothing is done by mistake."""
    if request.get("DryRun"):
        raise DryRunOperation("The request would have succeeded, but DryRun is set.")
