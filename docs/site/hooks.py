"""What the site has beyond docs/: pages of the repository, and the table of operations.

mkdocs calls these (config/mkdocs.yml names this file). Knows how links between pages change when
the repository becomes one folder of pages; knows nothing of what they say.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", "collections/README.md", "benchmarks/README.md")
"""Pages that lie outside docs/, by the name that they have in the site."""

SHOWN = re.compile(r"\]\((?:\.\./)*((?:config|streamproc|tests|docs)/[^)#\s]+|LICENSE)(#[^)]*)?\)")
_COMMENT = re.compile(r"^<!-- /?[\w-]+ -->\n", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what docs/ does not hold, and the files that pages link to."""
    for name in PAGES:
        files.append(File.generated(config, name, content=(ROOT / name).read_text()))
    files.append(File.generated(config, "operations.md", content=operations_page()))
    for name in sorted(_linked()):
        if files.get_file_from_path(name) is None:
            files.append(File.generated(config, name, content=(ROOT / name).read_bytes()))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Links of the repository's tree, as links of the site's."""
    at = page.file.src_uri
    depth = at.count("/")
    is_of_docs = at not in PAGES

    def site_link(match: re.Match[str]) -> str:
        name, anchor = match[1].removeprefix("docs/"), match[2] or ""
        return f"]({'../' * depth}{name}{anchor})"

    text = SHOWN.sub(site_link, _COMMENT.sub("", markdown))
    if is_of_docs:  # docs/ itself is the site's root
        for name in PAGES:
            text = text.replace(f"](../{name}", f"]({name}")
    return text


def operations_page() -> str:
    """Every operation that the gateway has a handler for, read from the services themselves."""
    from streamproc.api import rekognition
    from streamproc.api.own_model import OWN
    from streamproc.local import kinesis_data, kinesis_video

    served = (
        ("Amazon Rekognition", [rekognition]),
        ("Amazon Kinesis Video Streams", [kinesis_video.control, kinesis_video.media,
                                          kinesis_video.archived]),
        ("Amazon Kinesis Data Streams", [kinesis_data.service]),
    )  # fmt: skip
    lines = [
        "# Operations",
        "",
        "Made from what the gateway serves, when this page was built. Every operation is signed, "
        "validated and refused as its service's model in botocore says.",
    ]
    for title, services in served:
        lines += ["", f"## {title}", "", "| operation | must have | may have |", "|---|---|---|"]
        for service in services:
            for name in sorted(service.operations):
                model = service.model.operation_model(name)
                shape = model.input_shape
                required = list(shape.required_members) if shape else []
                optional = [m for m in (shape.members if shape else ()) if m not in required]
                own = " (our own)" if name in OWN["operations"] else ""
                lines.append(
                    f"| {name}{own} | {', '.join(required) or '–'} | {', '.join(optional) or '–'} |"
                )
    return "\n".join(lines) + "\n"


def _linked() -> set[str]:
    """Files of the repository, pages excepted, that some page links to."""
    pages = [ROOT / name for name in PAGES] + sorted((ROOT / "docs").glob("*.md"))
    named = {match[1] for page in pages for match in SHOWN.finditer(page.read_text())}
    kept = {name for name in named if not name.startswith("docs/")}
    return {name for name in kept if (ROOT / name).is_file()}
