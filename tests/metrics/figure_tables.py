"""Every figure as tables, for docs/numbers.md; run as a module, it puts them there."""

from pathlib import Path

from streamproc.metrics.exposition import PARTS
from streamproc.metrics.figure import Figure

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "numbers.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"

_UNITS = {
    "_per_second": "per second", "_timestamp_seconds": "seconds since the epoch",
    "_seconds_total": "seconds", "_seconds": "seconds", "_bytes_total": "bytes", "_bytes": "bytes",
    "_ratio": "0 to 1",
}  # fmt: skip


def tables() -> str:
    return "\n".join(
        "\n".join([f"### {part}", "", "| name | kind | labels | unit | meaning |",
                   "|---|---|---|---|---|", *map(_row, figures), ""])
        for part, figures in PARTS.items()
    )  # fmt: skip


def _row(figure: Figure) -> str:
    unit = next((told for end, told in _UNITS.items() if figure.name.endswith(end)), "")
    labels = ", ".join(f"`{label}`" for label in figure.labels)
    return f"| `{figure.name}` | {figure.kind} | {labels} | {unit} | {figure.meaning} |"


def main() -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{tables()}\n{END}{after}")


if __name__ == "__main__":
    main()
