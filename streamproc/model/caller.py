"""Who calls, and what a request needs to be allowed. Knows no keys, policies or HTTP."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that a request needs to be allowed, in IAM's words."""

    action: str  # rekognition:DeleteFaces
    resource: str  # an ARN, or * where the operation has no resource
    told: str = ""  # what a refusal names in its place, where the ARN itself tells too much


class Caller(Protocol):
    """Who a request comes from, once that is certain."""

    @property
    def arn(self) -> str:
        """arn:aws:iam::account:user/name, for messages and for the audit log."""
        ...

    def refusal(self, right: Right) -> str:
        """Why the caller may not do this, in AWS's words; "" if they may."""
        ...

    @property
    def is_valid(self) -> bool:
        """False from the moment on that the key is revoked or has expired. Streams that the
        caller opened end then."""
        ...


@dataclass(frozen=True, slots=True)
class Anyone:
    """The caller where signatures are not verified: may do everything."""

    arn: str = "anonymous"
    is_valid: bool = True

    def refusal(self, right: Right) -> str:  # noqa: ARG002
        return ""


ANYONE = Anyone()
