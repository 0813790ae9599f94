"""One decision per person, from all their frames."""

from collections.abc import Sequence

from streamproc.jobs.face_tracks import FaceTracker
from streamproc.jobs.identify import Candidate, identify
from streamproc.model.face import Embedding, Face
from tests.jobs.people_in_clips import cosine, face, looks, similarity

A, B = looks(a=1), looks(b=1)


def nearly(part: float) -> Embedding:
    """At this cosine to A, and nearer to none of the others."""
    return looks(a=part, p=float((1 - part**2) ** 0.5))


async def names(
    frames: Sequence[Sequence[Face]], enrolled: dict[str, Embedding], threshold: float = 80.0
) -> list[list[str]]:
    """The ids found for each person, in the order of their appearance."""

    async def search(embedding: Embedding, threshold: float) -> list[Candidate[str]]:
        found = [
            Candidate(id, similarity(float(embedding @ other)), id)
            for id, other in enrolled.items()
        ]
        best = sorted(found, key=lambda one: -one.similarity)
        return [one for one in best if one.similarity >= threshold]

    tracker = FaceTracker.calibrated(cosine)
    for index, faces in enumerate(frames):
        tracker.add(200 * index, faces)
    found = await identify(tracker.finish(), search, threshold)
    return [[candidate.id for candidate in candidates] for candidates in found]


async def test_noise_of_single_frames_cancels() -> None:
    """No frame alone reaches the threshold, what they have in common does."""
    person = looks(a=0.36, b=0.93)
    frames = []
    for letter in "cdefghijkl":
        picture = 0.8 * person + 0.6 * looks(**{letter: 1.0})
        assert similarity(float(A @ picture)) < 80.0
        frames.append([face(0.3, picture)])
    assert await names(frames, {"a": A}) == [["a"]]


async def test_a_lone_accident_names_nobody() -> None:
    frames = [[face(0.3, B)]] * 9 + [[face(0.3, looks(b=0.45, a=0.9))]] + [[face(0.3, B)]] * 9
    assert await names(frames, {"a": A}) == [[]]


async def test_a_look_that_two_frames_share_decides() -> None:
    """Somebody enrolled in profile is found, though mostly seen from the front."""
    turned = [[face(0.3, looks(a=0.9, b=0.42), yaw=40.0)]] * 2
    frames = [[face(0.3, B)]] * 30 + turned + [[face(0.3, B)]] * 30
    assert await names(frames, {"a": A}, threshold=95.0) == [["a"]]


async def test_somebody_seen_once_and_clearly_is_named() -> None:
    assert await names([[face(0.3, nearly(0.45))]], {"a": A}) == [["a"]]


async def test_bad_pictures_must_be_much_alike() -> None:
    def bad(embedding: Embedding) -> list[Face]:
        return [face(0.3, embedding, yaw=75.0, sharpness=5.0)]

    assert await names([bad(nearly(0.45))] * 3, {"a": A}) == [[]]
    assert await names([bad(nearly(0.6))] * 3, {"a": A}) == [["a"]]


async def test_of_two_at_once_the_better_match_keeps_the_name() -> None:
    both = [face(0.1, nearly(0.45)), face(0.7, nearly(0.9))]
    assert await names([both] * 3, {"a": A, "other": looks(p=1)}) == [["other"], ["a"]]


async def test_of_two_one_after_the_other_both_may_have_it() -> None:
    one, other = [face(0.1, looks(a=0.45, b=0.9))], [face(0.7, looks(a=0.9, c=0.42))]
    assert await names([one] * 3 + [[]] * 12 + [other] * 3, {"a": A}) == [["a"], ["a"]]


async def test_without_embeddings_nobody_is_named() -> None:
    assert await names([[face(0.1, None)]] * 3, {"a": A}) == [[]]
