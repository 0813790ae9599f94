"""Computing a head only where a face is changes no number, and what is not SCRFD is left alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from streamproc.engines import insightface_models
from streamproc.engines.base import Sighting
from streamproc.engines.load import load_engine
from streamproc.engines.scrfd_heads import Head, split_heads
from streamproc.settings import EngineConfig
from tests.engines.toy_scrfd import STRIDES, toy_scrfd


def outputs_of(model: onnx.ModelProto, picture: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, {"input": picture}))


def test_every_cell_has_the_score_edges_and_points_that_the_whole_network_gives_it() -> None:
    picture = np.random.default_rng(2).normal(0, 1, (1, 3, 96, 160)).astype(np.float32)
    model = toy_scrfd()
    whole = outputs_of(model, picture)
    heads = split_heads(model, len(STRIDES))
    assert heads is not None
    split = outputs_of(model, picture)
    for level, (head, stride) in enumerate(zip(heads, STRIDES, strict=True)):
        height, width = 96 // stride, 160 // stride
        rows, columns = np.divmod(np.arange(height * width), width)
        edges, points = head.at(split[3 + level][0], rows, columns)
        logits = head.logits(split[level][0]).transpose(1, 2, 0).reshape(-1, 1)
        assert 1 / (1 + np.exp(-logits)) == pytest.approx(whole[level], abs=1e-5)
        assert edges.reshape(-1, 4) == pytest.approx(whole[3 + level], abs=1e-5)
        assert points.reshape(-1, 10) == pytest.approx(whole[6 + level], abs=1e-5)


@pytest.mark.parametrize("score_min", [0.0, 0.9, 1.0])
def test_what_scores_enough_is_found_row_by_row(score_min: float) -> None:
    picture = np.random.default_rng(2).normal(0, 3, (1, 3, 96, 160)).astype(np.float32)
    model = toy_scrfd()
    whole = outputs_of(model, picture)
    heads = split_heads(model, len(STRIDES))
    assert heads is not None
    split = outputs_of(model, picture)
    for level, (head, stride) in enumerate(zip(heads, STRIDES, strict=True)):
        (enough,) = np.nonzero(whole[level].reshape(-1) >= score_min)
        hits = head.hits(split[level][0], split[3 + level][0], score_min)
        if hits is None:
            assert not len(enough)
            continue
        rows, columns = np.divmod(enough // 2, 160 // stride)
        assert (hits.rows.tolist(), hits.columns.tolist()) == (rows.tolist(), columns.tolist())
        assert hits.scores == pytest.approx(whole[level].reshape(-1)[enough], abs=1e-5)
        assert hits.edges == pytest.approx(whole[3 + level][enough], abs=1e-4)
        assert hits.points == pytest.approx(whole[6 + level][enough], abs=1e-4)


def test_what_was_taken_out_is_no_longer_in_the_graph() -> None:
    model = toy_scrfd()
    before = {node.output[0] for node in model.graph.node}
    split_heads(model, len(STRIDES))
    gone = before - {node.output[0] for node in model.graph.node}
    assert {"score_16_c", "score_8", "box_8_c", "kps_32_c"} <= gone
    left = [tensor.name for tensor in model.graph.initializer]
    assert all(name.startswith("features") or name.endswith("/shares/weights") for name in left)


@pytest.mark.parametrize(
    "other",
    [toy_scrfd(kernel=1), toy_scrfd(share_features=False)],
    ids=["other convolutions", "points from features of their own"],
)
def test_heads_of_another_kind_are_left_as_they_are(other: onnx.ModelProto) -> None:
    before = other.SerializeToString()
    assert split_heads(other, len(STRIDES)) is None
    assert other.SerializeToString() == before


def test_scores_that_are_not_squashed_are_left_as_they_are() -> None:
    model = toy_scrfd()
    for node in model.graph.node:
        if node.op_type == "Sigmoid":
            node.op_type = "Identity"
    before = model.SerializeToString()
    assert split_heads(model, len(STRIDES)) is None
    assert model.SerializeToString() == before


def test_a_detector_without_landmarks_is_left_as_it_is() -> None:
    model = toy_scrfd()
    del model.graph.output[6:]
    assert split_heads(model, len(STRIDES)) is None


def found_in_patches(pack: Path) -> list[Sighting]:
    onnx.save(toy_scrfd(), pack / "detector.onnx")
    config = EngineConfig(pack=str(pack), detection_sizes=[320], detection_confidence_min=99)
    patches = np.random.default_rng(6).integers(0, 256, (10, 20, 3), np.uint8)
    image = patches.repeat(16, axis=0).repeat(16, axis=1)
    return load_engine(config).find(image)


def test_a_faster_form_that_differs_is_not_used(
    toy_pack: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def spoilt(model: onnx.ModelProto, strides: int) -> list[Head] | None:
        heads = split_heads(model, strides)
        assert heads is not None
        return [replace(head, weights=head.weights * np.float32(1.5)) for head in heads]

    honest = found_in_patches(toy_pack)
    assert not caplog.records
    monkeypatch.setattr(insightface_models, "split_heads", spoilt)
    with_a_warning = found_in_patches(toy_pack)
    assert "detector.onnx runs as published" in caplog.text
    assert len(with_a_warning) == len(honest) > 0
    for one, other in zip(with_a_warning, honest, strict=True):
        assert one.box == pytest.approx(other.box, abs=0.01)
