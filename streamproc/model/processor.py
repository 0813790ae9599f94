"""What a stream processor is asked to do. Its states are in processor/state.py."""

from dataclasses import dataclass
from typing import TypeAlias

from streamproc.model.arn import Arn

ProcessorKey: TypeAlias = tuple[str, str]
"""(region, name): names are unique per region, as at AWS."""


@dataclass(frozen=True, slots=True)
class ProcessorSpec:
    """Everything CreateStreamProcessor said, once, for ever: a processor is not editable."""

    region: str
    name: str
    video_stream_arn: str
    data_stream_arn: str
    collection_id: str
    face_match_threshold: float  # 0 to 100
    role_arn: str
    regions_of_interest: str = "[]"  # JSON as given; echoed by Describe
    notification_topic_arn: str = ""
    kms_key_id: str = ""
    data_sharing_opt_in: bool = False

    @property
    def key(self) -> ProcessorKey:
        return (self.region, self.name)

    @property
    def video_stream(self) -> Arn:
        return Arn.parse(self.video_stream_arn)

    @property
    def data_stream(self) -> Arn:
        return Arn.parse(self.data_stream_arn)
