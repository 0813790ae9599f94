"""What README.md says is so."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from streamproc.api import rekognition
from streamproc.api.own_model import OWN
from streamproc.gateway.dispatch import Service
from streamproc.local import kinesis_data, kinesis_video

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
SERVED: dict[str, list[Service[Any]]] = {
    "Rekognition": [rekognition],
    "Kinesis Video": [kinesis_video.control, kinesis_video.media, kinesis_video.archived],
    "Kinesis Data": [kinesis_data.service],
}


def test_the_table_of_operations_is_what_the_gateway_serves() -> None:
    for name, services in SERVED.items():
        row = re.search(rf"^\| {name} \| (.*) \|$", README, re.MULTILINE)
        assert row, f"README.md has no row for {name}"
        served = {operation for service in services for operation in service.operations}
        served -= OWN["operations"].keys()
        assert row.group(1).split(", ") == sorted(served)


def test_the_operations_of_our_own_are_told() -> None:
    row = re.search(r"^\| of our own, for the command line \| (.*) \|$", README, re.MULTILINE)
    assert row
    assert row.group(1).split(", ") == sorted(OWN["operations"])


def test_every_link_leads_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("*/*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_make_target_it_names_exists() -> None:
    assert shutil.which("make")
    for target in set(re.findall(r"^make (\w+)", README, re.MULTILINE)):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
