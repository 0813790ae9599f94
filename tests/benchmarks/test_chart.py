"""The picture can be read: by eyes, by machines, and by who cannot see it."""

from xml.etree import ElementTree

import pytest

from benchmarks.chart import Chart, Series, draw, steps, words

NAME = "{http://www.w3.org/2000/svg}"
CURVE = Series("p99 < 1 s", [(1, 20.0), (4, 30.0), (24, 900.0)])


def drawn(*charts: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(draw("Cost", "What it costs & why.", charts))


def test_it_is_svg_with_a_title_and_a_description() -> None:
    root = drawn(Chart("Delay", "cameras", "ms", [CURVE]))
    assert root.attrib["role"] == "img"
    title, description = root.find(f"{NAME}title"), root.find(f"{NAME}desc")
    assert title is not None
    assert description is not None
    assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
    assert description.text == "What it costs & why."


def test_it_has_a_ground_of_its_own_and_follows_the_readers_scheme() -> None:
    root = drawn(Chart("Delay", "cameras", "ms", [CURVE]))
    style = root.findtext(f"{NAME}style") or ""
    assert "prefers-color-scheme: dark" in style
    ground = root.find(f"{NAME}rect")
    assert ground is not None
    assert ground.attrib["class"] == "ground"


def test_its_title_is_there_to_be_seen() -> None:
    root = drawn(Chart("Delay", "cameras", "ms", [CURVE]))
    assert "Cost" in {text.text for text in root.iter(f"{NAME}text")}


def test_curves_are_told_apart_without_colours() -> None:
    several = [Series(name, [(1, 1.0)]) for name in ("one", "two", "three", "four")]
    root = drawn(Chart("Delay", "cameras", "ms", several))
    shapes = set()
    for mark in root.iter():
        if mark.attrib.get("class", "").startswith("mark"):
            corners = mark.attrib.get("points", "").split()
            flat = len({corner.partition(",")[2] for corner in corners})  # heights of corners
            shapes.add((mark.tag, len(corners), flat))
    assert len(shapes) == len(several)


@pytest.mark.parametrize("log", [False, True])
def test_every_point_lies_within_its_chart(log: bool) -> None:
    chart = Chart("Delay", "cameras", "ms", [CURVE], bound=(1000.0, "1 s"), log_x=log, log_y=log)
    root = drawn(chart)
    points = [circle for circle in root.iter(f"{NAME}circle") if circle.attrib["r"] == "3"]
    assert len(points) == len(CURVE.points)
    for point in points:
        assert 58 <= float(point.attrib["cx"]) <= 362
        assert 62 <= float(point.attrib["cy"]) <= 220


def test_more_is_higher_and_later_is_further_right() -> None:
    root = drawn(Chart("Delay", "cameras", "ms", [CURVE]))
    points = [circle for circle in root.iter(f"{NAME}circle") if circle.attrib["r"] == "3"]
    across = [float(point.attrib["cx"]) for point in points]
    down = [float(point.attrib["cy"]) for point in points]
    assert across == sorted(across)
    assert down == sorted(down, reverse=True)


def test_words_of_series_and_axes_are_there_as_they_are() -> None:
    root = drawn(Chart("Delay", "cameras", "ms", [CURVE], bound=(1000.0, "1 s & no more")))
    texts = {"".join(text.itertext()) for text in root.iter(f"{NAME}text")}
    assert {"Delay, ms", "cameras", "p99 < 1 s", "1 s & no more"} <= texts


def test_one_point_is_a_chart() -> None:
    assert drawn(Chart("Delay", "cameras", "ms", [Series("p50", [(1, 0.0)])])) is not None


def test_a_chart_without_a_point_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="Delay: no point"):
        draw("Cost", "", [Chart("Delay", "cameras", "ms", [])])


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (0.0, 0.33, False, [0.0, 0.1, 0.2, 0.3, 0.4]),
        (0.0, 1000.0, False, [0.0, 250.0, 500.0, 750.0, 1000.0]),
        (0.0, 0.0, False, [0.0, 0.25]),
        (20.0, 900.0, True, [10.0, 100.0, 1000.0]),
        (10.0, 10.0, True, [10.0, 100.0]),
    ],
)
def test_marks_are_round_and_reach_both_ends(
    low: float, high: float, log: bool, expected: list[float]
) -> None:
    assert steps(low, high, log) == pytest.approx(expected)


def test_large_numbers_are_said_shortly() -> None:
    assert [words(value) for value in (0.25, 10.0, 250_000.0, 1e6)] == [
        "0.25",
        "10",
        "250 k",
        "1 M",
    ]
