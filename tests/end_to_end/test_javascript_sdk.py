"""Amazon's JavaScript SDK against a live daemon: the very lines that the migration page shows."""

import re
from collections.abc import Callable
from typing import Any

from tests.conftest import ROOT, DaemonFactory
from tests.peers.javascript import packages, run_script

PAGE = ROOT / "docs" / "coming-from-rekognition.md"


def shown() -> str:
    block = re.search(
        r"<!-- javascript -->\n```js\n(.*?)```\n<!-- /javascript -->", PAGE.read_text(), re.DOTALL
    )
    assert block, f"{PAGE.name} shows no JavaScript"
    return block[1]


def test_it_creates_and_starts_a_processor(
    start_daemon: DaemonFactory, wait_until: Callable[..., Any]
) -> None:
    packages()
    daemon = start_daemon()
    printed = run_script(
        shown(), AWS_ENDPOINT_URL=daemon.url, AWS_ACCESS_KEY_ID="any", AWS_SECRET_ACCESS_KEY="any"
    )
    assert printed.strip() in {"STARTING", "RUNNING"}
    rekognition = daemon.client("rekognition")

    def status() -> str:
        return str(rekognition.describe_stream_processor(Name="door")["Status"])

    wait_until(lambda: status() == "RUNNING", 60.0, status)


def test_its_signatures_are_verified(
    start_daemon: DaemonFactory, run_cli: Callable[..., Any], wait_until: Callable[..., Any],
    tmp_path: Any,
) -> None:  # fmt: skip
    packages()
    made = run_cli(
        "keys", "create", "browser", "--policy", "admin", "--data-dir", str(tmp_path / "data")
    )
    assert made.returncode == 0, made.stderr
    key = dict(re.findall(r"(AWS_ACCESS_KEY_ID|AWS_SECRET_ACCESS_KEY)=(\S+)", made.stdout))
    daemon = start_daemon("--set", "auth.required=true")
    printed = run_script(shown(), AWS_ENDPOINT_URL=daemon.url, **key)
    assert printed.strip() in {"STARTING", "RUNNING"}
    forged = "const refused = await rekognition.listCollections({}).catch((error) => error);\n"
    head = shown().split("const kinesis", 1)[0]
    answer = run_script(
        head + forged + "console.log(refused.name);", AWS_ENDPOINT_URL=daemon.url,
        **key | {"AWS_SECRET_ACCESS_KEY": "x" * 40},
    )  # fmt: skip
    assert answer.strip() == "InvalidSignatureException"
