"""Amazon resource names, in and out. Knows their grammar, not whether they exist."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Arn:
    """arn:partition:service:region:account:resource"""

    service: str
    region: str
    account: str
    resource: str
    partition: str = "aws"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError if the text is no ARN."""
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not parts[5]:
            raise ValueError(
                f"{text!r} is not an ARN (arn:partition:service:region:account:resource)"
            )
        _, partition, service, region, account, resource = parts
        return cls(service, region, account, resource, partition)

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @property
    def name(self) -> str:
        """The resource's own name: stream/NAME/1551924009774 and streamprocessor/NAME give NAME."""
        kind, _, rest = self.resource.partition("/")
        return rest.split("/", 1)[0] if rest else kind


def stream_processor_arn(region: str, account: str, name: str) -> str:
    return str(Arn("rekognition", region, account, f"streamprocessor/{name}"))


def collection_arn(region: str, account: str, collection_id: str) -> str:
    return str(Arn("rekognition", region, account, f"collection/{collection_id}"))


def data_stream_arn(region: str, account: str, name: str) -> str:
    return str(Arn("kinesis", region, account, f"stream/{name}"))


def video_stream_arn(region: str, account: str, name: str, created_ms: int) -> str:
    return str(Arn("kinesisvideo", region, account, f"stream/{name}/{created_ms}"))
