"""What the dashboard and the alert rules ask for, taken out of their files."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
DASHBOARD = ROOT / "config" / "grafana" / "streamproc.json"
RULES = ROOT / "config" / "prometheus-rules.yml"
SCRAPE = ROOT / "config" / "prometheus.yml"

_STRING = re.compile(r'"[^"]*"')
_RANGE = re.compile(r"\[[^\]]*\]")
_WORD = re.compile(r"(?<![\w.])[a-zA-Z_:][a-zA-Z0-9_:]*")
_SELECTED = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}")
_GROUPED = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_KEYWORDS = {"by", "on", "without", "ignoring", "group_left", "group_right", "and", "or", "unless",
             "bool", "offset"}  # fmt: skip


@dataclass(frozen=True)
class Query:
    """expr is as it is written, with Grafana's variables."""

    where: str
    expr: str

    @property
    def series(self) -> set[str]:
        """Names of what is asked for: every word that is neither a function nor a label."""
        bare = _GROUPED.sub(" ", _RANGE.sub(" ", _STRING.sub(" ", self.expr)))
        bare = re.sub(r"\{[^}]*\}", " ", bare)
        functions = set(re.findall(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*\(", bare))
        return set(_WORD.findall(bare)) - functions - _KEYWORDS

    @property
    def labels(self) -> set[str]:
        """Every label that is compared or grouped by."""
        compared = {
            label
            for _, selector in _SELECTED.findall(self.expr)
            for label in re.findall(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)", _STRING.sub('""', selector))
        }
        grouped = {
            label for group in _GROUPED.findall(_STRING.sub(" ", self.expr))
            for label in _WORD.findall(group)
        }  # fmt: skip
        return compared | grouped

    @property
    def plain(self) -> str:
        """For Prometheus: Grafana's variables filled in, everything chosen."""
        filled = self.expr.replace("$__rate_interval", "1m")
        return re.sub(r"\$(instance|region|processor)\b", ".*", filled)


def board() -> dict[str, Any]:
    return dict(json.loads(DASHBOARD.read_text()))


def panels() -> list[dict[str, Any]]:
    return [panel for panel in board()["panels"] if panel["type"] != "row"]


def panel_queries() -> list[Query]:
    return [
        Query(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]
    ]


def variable_queries() -> list[tuple[str, str, str]]:
    """(variable, series with its selector, label) of each label_values()."""
    found = []
    for variable in board()["templating"]["list"]:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
            assert match is not None, variable["definition"]
            assert variable["query"]["query"] == variable["definition"]
            found.append((variable["name"], match[1], match[2]))
    return found


def rule_queries() -> Iterator[Query]:
    """Of each alert. A plain reading of our own file; promtool reads it as Prometheus does."""
    for block in RULES.read_text().split("- alert: ")[1:]:
        name, _, rest = block.partition("\n")
        expr = re.split(r"\n\s+(?:for|labels):", rest.partition("expr:")[2])[0]
        yield Query(name, " ".join(expr.replace(">-", " ").split()))
