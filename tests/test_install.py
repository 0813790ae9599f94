"""What is needed to install it: the container files, the site, the wheel."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from streamproc.api import rekognition
from tests.peers.javascript import packages

ROOT = Path(__file__).resolve().parent.parent
DOCKER = ROOT / "config" / "docker"


def test_the_dockerfile_is_clean() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, DOCKER / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_compose_file_is_clean() -> None:
    folder = packages()
    done = subprocess.run(
        ["node", "node_modules/.bin/dclint", str(DOCKER / "compose.yaml")],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert " error " not in done.stdout, done.stdout
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_compose_file_mounts_is_there() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert (DOCKER / services["streamproc"]["build"]["context"]).resolve() == ROOT
    mounted = [
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", ())
        if volume.startswith(".")
    ]
    assert mounted
    for name in mounted:
        assert (DOCKER / name).exists(), f"compose.yaml mounts {name}"


def test_the_image_is_made_of_what_is_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DOCKER / "Dockerfile").read_text(), re.M)
    allowed = (DOCKER / "Dockerfile.dockerignore").read_text()
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), f"Dockerfile copies {name}"
        assert f"!{Path(name)}\n" in allowed, f"Dockerfile.dockerignore leaves {name} out"


def test_the_wheel_holds_the_page_and_every_revision(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--wheel-dir", str(tmp_path), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    [wheel] = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = [path for path in (ROOT / "streamproc").rglob("*") if path.is_file()]
    wanted = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert wanted <= packed, wanted - packed


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file",
         str(ROOT / "config" / "mkdocs.yml"), "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_has_every_page(site: Path) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / page.with_suffix(".html").name).is_file(), page.name


def test_the_site_s_table_of_operations_is_what_is_served(site: Path) -> None:
    text = (site / "operations.html").read_text()
    for operation in rekognition.operations:
        assert f"<td>{operation}" in text


def test_links_of_the_site_lead_somewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue  # its links begin at the root of a host
        for target in re.findall(r'href="(?!https?:)([^"#?]+)', page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
