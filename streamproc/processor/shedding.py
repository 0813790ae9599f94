"""Which packets are not decoded, because nobody would look at their pictures or they are late.

Passed over is

- everything between keyframes, where the rate is reduced and these alone come as often: at one
  frame a second and a keyframe a second decoding then costs a thirtieth. How often they come is
  measured in media time, the longest distance of the last few counts, and one that does not open
  decoding by itself is none. Begins and ends at a keyframe. Where the distance of keyframes grows
  meanwhile, one frame is missed. A keyframe that gives no picture (it is damaged, or only part of
  one) is not to be relied on: all is decoded until the next few have given theirs. At the full
  rate it would not be sure that a restart samples the frames that the run before would have;
- what is late, up to a keyframe that is not, or less so: where the caller says that live video is
  later than LATE_S, and as far as a newer keyframe must be here by now or within LATE_S, so that
  no long wait for one begins. Counted as a gap;
- neither of these any more where no keyframe has come for twice as long as ever between two: then
  it is left to the decoder where to begin, and what is known of distances is forgotten;
- the end of what leans on a keyframe, behind the last picture that is analysed: of 30 frames from
  a keyframe to the next, at five analysed a second, the last five. It waits until it is known
  what comes next, and is decoded after all where that is no keyframe. Only where pictures come in
  order and the decoder gives each out at once: else one that is analysed might be among those
  that it holds.

Pure. Knows packets and pictures by their times; knows nothing of decoders, and of the reasons for
lateness.
"""

from collections import deque
from collections.abc import Callable

from streamproc.decode.sampling import KEYFRAME_SLACK, Sampler
from streamproc.model.media import FragmentEnded, FragmentStarted, MediaEvent, Packet
from streamproc.processor.video_times import VideoTimes
from streamproc.processor.view import Counters

LATE_S = 0.4
"""Live video that is later than this under load is passed over, up to a newer keyframe."""

_PAUSE_S = 5.0
"""Media time without a packet, from which on it is a pause: no distance between keyframes, and no
video that was passed over."""

_DISTANCES_KEPT = 4
"""Encoders that place keyframes as they like are decoded whole after each long distance."""

SPARE_MAX = 30
"""Events that wait undecoded: a second at 30 frames a second, and some 50 ms of decoding at
1280x720 where they are needed after all."""


class Shedding:
    """Follows the events of a stream, beside the sampler of its pictures.

    opens says of a packet that is marked as a keyframe whether decoding can begin with it; holds,
    whether the decoder keeps pictures back, as it does where they are out of order; is_reduced,
    whether fewer frames are analysed than was asked for.
    """

    def __init__(
        self,
        sampler: Sampler,
        opens: Callable[[Packet], bool],
        holds: Callable[[], bool],
        is_reduced: Callable[[], bool],
        counters: Counters,
    ) -> None:
        self._sampler = sampler
        self._opens = opens
        self._holds = holds
        self._is_reduced = is_reduced
        self._counters = counters
        self._times = VideoTimes()
        self._at_s: float | None = None  # media time of the newest packet
        self._keyframe_s: float | None = None  # media time of the newest
        self._distances_s: deque[float] = deque(maxlen=_DISTANCES_KEPT)
        self._without_s = 0.0  # media time since the newest keyframe came, steps back left out
        self._owed_s: float | None = None  # media time of a keyframe whose picture is to come out
        self._unproven = 0  # keyframes that are to give a picture before these are relied on alone
        self._late_s: float | None = None  # media time passed over so far, while it is late
        self._spare: list[MediaEvent] = []  # wait for what comes next
        self._is_in_order = True  # no B-frames

    @property
    def keyframes_only(self) -> bool:
        """Whether what comes before the next keyframe is passed over."""
        return self._sampler.keyframes_only

    @property
    def is_late(self) -> bool:
        """Whether what comes is passed over because it is late."""
        return self._late_s is not None

    def came_out(self, at_s: float) -> None:
        """A picture of this media time came out of the decoder, in presentation order."""
        if self._owed_s is None:
            return
        if at_s == self._owed_s:
            self._owed_s = None
            self._unproven = max(0, self._unproven - 1)
        elif at_s > self._owed_s:
            self._missed()

    def follow(self, event: MediaEvent) -> list[MediaEvent]:
        """What is to be decoded now that this has come, which is no packet. Each event is told
        once, in order, here or to take()."""
        self._times.of(event)
        match event:
            case FragmentEnded(complete=True):
                return []  # the codec goes on
            case FragmentStarted() if self._spare:
                return self._spared(event)
        return [*self._without_spare(), event]

    def take(self, packet: Packet, behind_s: Callable[[float], float]) -> list[MediaEvent]:
        """What is to be decoded now that this packet has come. behind_s tells how late a packet
        of this media time is, 0.0 where nothing may be passed over for that."""
        at_s = self._times.of(packet)
        if at_s is None:
            return []  # sound, or a second camera: nobody decodes it
        frame_s, self._at_s = at_s - (at_s if self._at_s is None else self._at_s), at_s
        if abs(frame_s) >= _PAUSE_S:
            frame_s, self._keyframe_s = 0.0, None
        elif frame_s < 0:
            self._is_in_order = False
        if self._late_s is not None:
            self._late_s += frame_s
        is_keyframe = packet.keyframe and self._opens(packet)
        self._without_s += max(0.0, frame_s)
        if is_keyframe:
            self._note_keyframe(at_s)
        elif self._is_without():
            self._forget_keyframes()
        if self._is_late(at_s, behind_s(at_s), is_keyframe=is_keyframe) or (
            self.keyframes_only and not (is_keyframe and self._sampler.is_new(at_s))
        ):
            self._counters.packets_passed_over_total += 1
            return self._without_spare()
        if is_keyframe:
            self._owed_s = at_s
            return [*self._without_spare(), packet]
        if self._is_spare(at_s, frame_s):
            return self._spared(packet)
        needed, self._spare = [*self._spare, packet], []
        return needed

    def _is_spare(self, at_s: float, frame_s: float) -> bool:
        """Whether nobody waits for this picture, nor for the next, ahead of which it had better be
        decoded."""
        next_s = at_s + max(0.0, frame_s)
        return self._is_in_order and not (
            self._holds()
            or self._sampler.is_new(at_s)
            or (self._sampler.is_new(next_s) and not self._brings_keyframe(next_s, frame_s))
        )

    def _spared(self, event: MediaEvent) -> list[MediaEvent]:
        """What is to be decoded now that this waits as well: nothing, unless too much waits."""
        self._spare.append(event)
        if len(self._spare) < SPARE_MAX:
            return []
        needed, self._spare = self._spare, []
        return needed

    def _brings_keyframe(self, at_s: float, frame_s: float) -> bool:
        """Whether a keyframe is to be expected at this media time, give or take half a frame."""
        if self._keyframe_s is None or not self._distances_s:
            return False
        return at_s >= self._keyframe_s + self._distances_s[-1] - frame_s / 2

    def _without_spare(self) -> list[MediaEvent]:
        """What waited, less its packets, which nobody needs any more."""
        kept: list[MediaEvent] = [event for event in self._spare if not isinstance(event, Packet)]
        self._counters.packets_passed_over_total += len(self._spare) - len(kept)
        self._spare = []
        return kept

    def _missed(self) -> None:
        """The keyframe that was decoded last has given no picture."""
        self._owed_s = None
        self._unproven = _DISTANCES_KEPT

    def _is_without(self) -> bool:
        """Whether it is in vain to wait for a keyframe, where that is what we do."""
        is_waiting = self.is_late or self.keyframes_only
        return is_waiting and self._without_s > 2 * max(self._distances_s, default=0.0)

    def _forget_keyframes(self) -> None:
        self._sampler.keyframes_only = False
        self._keyframe_s = None
        self._distances_s.clear()
        self._end_gap()

    def _note_keyframe(self, at_s: float) -> None:
        if self._owed_s is not None and not self._holds():
            self._missed()
        self._without_s = 0.0
        if self._keyframe_s is not None and at_s > self._keyframe_s:
            self._distances_s.append(at_s - self._keyframe_s)
        self._keyframe_s = at_s
        self._sampler.keyframes_only = (
            self._is_reduced()
            and self._unproven == 0
            and len(self._distances_s) > 0
            and max(self._distances_s) * self._sampler.fps * KEYFRAME_SLACK <= 1.0
        )

    def _is_late(self, at_s: float, behind_s: float, *, is_keyframe: bool) -> bool:
        if not is_keyframe and (self.is_late or self.keyframes_only):
            return self.is_late  # it is decided at keyframes
        is_late = behind_s > LATE_S and self._next_keyframe_s() <= at_s + behind_s + LATE_S
        if is_late and self._late_s is None:
            self._late_s = 0.0
            self._counters.gaps_total += 1
        elif not is_late:
            self._end_gap()
        return is_late

    def _end_gap(self) -> None:
        if self._late_s is not None:
            self._counters.gap_s_total += self._late_s
            self._late_s = None

    def _next_keyframe_s(self) -> float:
        """The media time by which another keyframe is to be expected."""
        if self._keyframe_s is None or not self._distances_s:
            return float("inf")
        return self._keyframe_s + max(self._distances_s)
