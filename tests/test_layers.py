"""Imports point downward. The picture in docs/architecture.md is this table."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "streamproc"

LAYERS: tuple[frozenset[str], ...] = (
    frozenset(
        {"model", "errors", "config", "settings", "clock", "aio", "aws", "db", "disk", "health"}
    ),
    frozenset({"mkv"}),
    frozenset(
        {
            "kvs",
            "decode",
            "engines",
            "collection",
            "sink",
            "gateway",
            "objects",
            "access",
            "audit",
            "events",
        }
    ),
    frozenset({"processor", "jobs", "cameras"}),
    frozenset({"api", "local", "web", "metrics"}),
    frozenset(
        {
            "cli",
            "daemon",
            "world",
            "job_world",
            "audited",
            "backup",
            "data_folder",
            "logs",
            "listening",
            "loading",
            "certificate",
            "watchdog",
            "watching",
            "self_checks",
            "camera_world",
            "event_world",
            "console",
            "heap",
            "__main__",
        }
    ),
)
# Within layers 2, 3 and 4 siblings do not know each other.
STRANGERS = (2, 3, 4)


def layer_of(part: str) -> int:
    for number, parts in enumerate(LAYERS):
        if part in parts:
            return number
    raise AssertionError(f"streamproc/{part} stands in no layer; add it to LAYERS and to docs/")


def imports_of(path: Path) -> set[str]:
    """Every module of ours that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from streamproc.local import kinesis_data` imports a module too.
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith("streamproc.")}


def parts() -> set[str]:
    """The modules and packages that stand directly in streamproc/."""
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return (modules | packages) - {"__init__"}


def test_every_part_stands_in_a_layer() -> None:
    assert parts() == set().union(*LAYERS)


@pytest.mark.parametrize(
    "file", [str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py"))]
)
def test_imports_point_downward(file: str) -> None:
    own = Path(file).parts[0].removesuffix(".py")
    for module in imports_of(PACKAGE / file):
        other = module.split(".")[1]
        if own in {other, "__init__"} or other not in parts():
            continue
        assert layer_of(other) <= layer_of(own), f"{file} looks up to {module}"
        if layer_of(own) == layer_of(other):
            assert layer_of(own) not in STRANGERS, f"{file} knows its sibling {module}"


def test_config_and_collections_hold_no_python() -> None:
    for folder in ("config", "collections"):
        assert not list((ROOT / folder).rglob("*.py")), f"{folder}/ is data, not a package"
