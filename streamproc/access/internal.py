"""Who the daemon is when it calls its own services: processors and jobs reach embedded streams
as callers like any other.

Without a key, as these calls are on no wire where one could be read or forged. Its policy opens
only what processors need, so that a mistake of theirs deletes nothing and sees no face.
"""

import json
from dataclasses import dataclass
from typing import Final

from streamproc.access.policy import Policy, parse_policy
from streamproc.model.caller import Right

_POLICY: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": [
                "kinesisvideo:GetDataEndpoint",
                "kinesisvideo:GetMedia",
                "kinesis:DescribeStreamSummary",
                "kinesis:PutRecords",
            ],
            "Resource": "*",
        },
    }
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
    """The daemon as a caller: arn:aws:iam::account:role/streamproc."""
    return InternalCaller(f"arn:aws:iam::{account_id}:role/streamproc", parse_policy(_POLICY))
