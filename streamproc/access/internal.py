"""The key of the daemon's own calls: processors and jobs reach the embedded streams as clients.

Made anew at each start, known to nobody else, on no disk; and it opens only what those calls
need, so that even whoever read it from memory could delete nothing and see no face.
"""

import json
from typing import Final

from streamproc.access.keyring import InternalKey

_POLICY: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": [
                "kinesisvideo:Get*",
                "kinesisvideo:Describe*",
                "kinesisvideo:List*",
                "kinesis:Put*",
                "kinesis:Describe*",
            ],
            "Resource": "*",
        },
    }
)


def internal_key(access_key_id: str, secret: str, account_id: str) -> InternalKey:
    """The daemon as a caller: arn:aws:iam::account:role/streamproc."""
    return InternalKey(access_key_id, secret, f"arn:aws:iam::{account_id}:role/streamproc", _POLICY)
