"""Which labels a job was asked to list: Settings.GeneralLabels of StartLabelDetection.

Rekognition documents four lists and that they may be combined. What it leaves open is decided
here: a label passes if it is on either inclusion list, or both are empty; and exclusion wins.
Each label is judged by its own name and categories, not by those of its parents or children.
Capital letters do not matter.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from streamproc.jobs.analyses.taxonomy import LabelEntry


class LabelFilter:
    """Built from the member as the request has it; an absent or empty list filters nothing."""

    def __init__(self, general_labels: Mapping[str, Any]) -> None:
        self._labels = _names(general_labels.get("LabelInclusionFilters"))
        self._categories = _names(general_labels.get("LabelCategoryInclusionFilters"))
        self._not_labels = _names(general_labels.get("LabelExclusionFilters"))
        self._not_categories = _names(general_labels.get("LabelCategoryExclusionFilters"))

    def admits(self, label: LabelEntry) -> bool:
        name, categories = label.name.casefold(), _names(label.categories)
        if name in self._not_labels or categories & self._not_categories:
            return False
        if not self._labels and not self._categories:
            return True
        return name in self._labels or bool(categories & self._categories)


def _names(names: Iterable[str] | None) -> set[str]:
    return {name.casefold() for name in names or ()}
