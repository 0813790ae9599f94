"""The table of targets: what was measured is held against its bound, and nothing is made up."""

from typing import Any

import pytest

from benchmarks.curves import charts, in_words
from benchmarks.targets import BEGIN, COMMANDS, END, PAGE, ROOT, Row, as_markdown, rows, with_table

CLIP: dict[str, Any] = {
    "plain": {"cpu_s": 8.0, "video_s": 10.0},
    "plain on 1 thread": {"cpu_s": 3.2, "video_s": 10.0},
    "limit": {"decoding_s": 0.3, "networks_s": 1.2, "video_s": 10.0},
    "ours": {
        "cpu_s": 2.0,
        "cpu_s_per_camera_s": 0.2,
        "fell_behind": "",
        "parts_s": {"decoding": 0.4, "the models": 1.1, "scaling and colour": 0.1,
                    "around the models": 0.1, "parsing": 0.05},
    },
}  # fmt: skip
POINT: dict[str, Any] = {
    "cpu_s_per_camera_s": 0.1, "delay_p50_ms": 30.0, "delay_p99_ms": 90.0, "rate_spread": 0.02,
    "rates": [5.0, 4.9], "resident_mb": 400.0, "fell_behind": "",
}  # fmt: skip
STREET: dict[str, Any] = {
    "limit_s_per_camera_s": 0.08,
    "points": [
        POINT | {"cameras": 1},
        POINT | {"cameras": 24, "cpu_s_per_camera_s": 0.13, "delay_p99_ms": 1200.0},
    ],
    "half_loaded": POINT | {"cameras": 10},
}


def row(results: dict[str, Any], name: str) -> Row:
    [found] = [row for row in rows(results) if row.name.startswith(name)]
    return found


def test_without_figures_every_target_says_how_to_get_them() -> None:
    found = list(rows({}))
    assert {row.verdict for row in found} == {"not measured"}
    assert {row.source for row in found} == set(COMMANDS)


def test_cost_is_held_against_the_plain_loop_of_the_same_run() -> None:
    found = row({"pipeline": {"one": CLIP}}, "1 CPU per camera, of the plain loop's: one")
    assert found.measured == pytest.approx(0.25)
    assert found.verdict == "met"
    assert found.peer == "0.800; 0.320 on 1 thread"
    assert found.limit == "0.150"


def test_overhead_is_what_is_neither_decoding_nor_scaling_nor_models() -> None:
    found = row(
        {"pipeline": {"one": CLIP}}, "2 neither decoding, scaling nor models: one camera, one"
    )
    assert found.measured == pytest.approx(0.15)
    assert found.verdict == "no: +50%"
    assert "boxes, tracks, quality: 5.0% more" in found.name


def test_delay_is_that_of_the_half_loaded_machine_and_of_24_cameras() -> None:
    results = {"scale": {"street": STREET}}
    assert row(results, "3 delay p99, half loaded, 10 street cameras").verdict == "met"
    assert row(results, "3 delay p99, 24 cameras").verdict == "no: +20%"
    assert row(results, "3 farthest").verdict == "met"


def test_flat_is_the_dearest_camera_above_the_cheapest() -> None:
    found = row({"scale": {"street": STREET}}, "6 cost per camera")
    assert found.measured == pytest.approx(0.3)
    assert found.verdict == "no: +100%"


def test_a_cost_is_void_where_the_work_was_not_done() -> None:
    late = CLIP | {"ours": CLIP["ours"] | {"fell_behind": "half of the records over 6.0 s late"}}
    found = row({"pipeline": {"one": late}}, "1 CPU per camera, of the plain loop's: one")
    assert found.verdict == "void: half of the records over 6.0 s late"


def test_flat_says_which_points_it_leaves_out_because_they_did_less() -> None:
    less = POINT | {"cpu_s_per_camera_s": 0.04, "fell_behind": "1.00 of 5 frames/s analysed"}
    points = [POINT | {"cameras": 8}, POINT | {"cameras": 9}, less | {"cameras": 24}]
    found = row({"scale": {"street": STREET | {"points": points}}}, "6 cost per camera")
    assert found.verdict == "met"
    assert found.name.endswith("(not counted, less was analysed: 24)")
    few = STREET | {"points": points[1:]}
    found = row({"scale": {"street": few}}, "6 cost per camera")
    assert found.verdict == "void: fewer than two points kept their rate"


def test_without_a_half_loaded_point_its_delay_is_not_measured() -> None:
    found = row({"scale": {"street": STREET | {"half_loaded": None}}}, "3 delay p50, half")
    assert found.verdict == "not measured"


def test_as_many_wrong_names_as_the_plain_loop_are_too_many() -> None:
    scene = {"right": 90, "unnamed": 10, "wrong": 2}
    results = {
        "recognition": {"labelled": {"plain loop": {"cut": scene}, "live view": {"cut": scene}}}
    }
    assert row(results, "1 faces named rightly").verdict == "met"
    assert row(results, "1 faces named wrongly").verdict == "no: +100%"


def test_who_is_named_wrongly_is_not_named_rightly_and_every_wrong_name_counts() -> None:
    plain = {"right": 90, "unnamed": 10, "wrong": 9}
    ours = {"right": 90, "unnamed": 5, "wrong": 5, "wrong: stranger": 2, "wrong: nobody": 1}
    results = {
        "recognition": {"labelled": {"plain loop": {"cut": plain}, "live view": {"cut": ours}}}
    }
    assert row(results, "1 faces named rightly").measured == pytest.approx(0.90)
    assert row(results, "1 faces named rightly").bound == pytest.approx(90 / 109)
    assert row(results, "1 faces named wrongly").measured == 8


def test_the_table_as_markdown_names_every_command() -> None:
    text = as_markdown(list(rows({"pipeline": {"one": CLIP}, "scale": {"street": STREET}})))
    assert all(f"`{command}`" in text for command in COMMANDS.values())
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_the_page_keeps_what_is_around_its_table() -> None:
    page = f"# Speed\n\n{BEGIN}\n| old |\n{END}\n\nMore.\n"
    assert with_table(page, "| new |\n") == f"# Speed\n\n{BEGIN}\n| new |\n{END}\n\nMore.\n"


def test_the_page_of_this_house_has_room_for_the_table() -> None:
    assert "| new |" in with_table((ROOT / PAGE).read_text(), "| new |\n")


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="nowhere to put the table"):
        with_table("# Speed\n", "| new |\n")


def test_curves_are_drawn_of_what_there_is_and_told_in_words() -> None:
    drawn = list(charts({"street": STREET}, []))
    assert len(drawn) == 4
    assert "Cost of each camera: street 0.1 at 1, 0.13 at 24 cameras." in in_words(drawn)
    assert list(charts({}, [])) == []
