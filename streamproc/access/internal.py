"""Who the daemon is when it calls its own services: processors, jobs and cameras reach embedded
streams as callers like any other.

Without a key, as these calls are on no wire where one could be read or forged. Its policies open
only what processors need, and what cameras need, so that a mistake of theirs deletes nothing and
sees no face.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from streamproc.access.policy import Policy, parse_policy
from streamproc.model.caller import Right

_OF_PROCESSORS: Final = (
    "kinesisvideo:GetDataEndpoint",
    "kinesisvideo:GetMedia",
    "kinesis:DescribeStreamSummary",
    "kinesis:PutRecords",
)
_OF_CAMERAS: Final = (
    "kinesisvideo:CreateStream",
    "kinesisvideo:DescribeStream",
    "kinesisvideo:PutMedia",
    "kinesis:CreateStream",
    "kinesis:DescribeStreamSummary",
)


@dataclass(frozen=True, slots=True)
class InternalCaller:
    """Implements Caller. Valid for as long as the process lives."""

    arn: str
    policy: Policy
    is_valid: bool = True

    def refusal(self, right: Right) -> str:
        return self.policy.refusal(self.arn, right)


def internal_caller(account_id: str) -> InternalCaller:
    """The daemon as a caller for its processors: arn:aws:iam::account:role/streamproc."""
    return _caller(account_id, "streamproc", _OF_PROCESSORS)


def camera_caller(account_id: str) -> InternalCaller:
    """The same for the cameras that it reads: role/streamproc-cameras."""
    return _caller(account_id, "streamproc-cameras", _OF_CAMERAS)


def _caller(account_id: str, role: str, actions: Sequence[str]) -> InternalCaller:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    policy = parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statement}))
    return InternalCaller(f"arn:aws:iam::{account_id}:role/{role}", policy)
