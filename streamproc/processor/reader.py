"""From media events to the frames worth analysing.

Decodes on a thread, a few packets at a time, and samples by media time; jumps to live when it is
hopelessly late. Knows nothing of faces or records, and leaves to others how many frames are
analysed (pace.py, governor.py) and what need not be decoded (shedding.py).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import TypeAlias

from streamproc.clock import Clock
from streamproc.decode.decoder import BREAK, Picture, VideoDecoder
from streamproc.decode.picture_size import PIXELS_MAX
from streamproc.decode.sampling import Sampler
from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentFailed,
    FragmentStarted,
    Frame,
    MediaEvent,
    Packet,
)
from streamproc.model.position import StartAt, StartPosition
from streamproc.processor.batching import Batching
from streamproc.processor.blindness import BlindnessWatch
from streamproc.processor.checkpoint import CheckpointTracker
from streamproc.processor.governor import Governor
from streamproc.processor.inbox import Inbox
from streamproc.processor.pace import Pace
from streamproc.processor.ports import MediaSource, Report
from streamproc.processor.scopes import abandoned_when
from streamproc.processor.shedding import Shedding
from streamproc.processor.silence import SilenceWatch
from streamproc.processor.view import Counters

log = logging.getLogger(__name__)

SILENCE_S = 1.0
"""No media for this long behind a whole fragment: the decoder gives out what it still holds,
or the last frames of a stream that pauses would wait for the next one."""

GAP_TOLD_S = 60.0
"""How long a gap stays in the StatusMessage."""

_WHOLE_KEPT = 64
"""How many fragments that came whole are remembered, to know them when they come again."""

Put: TypeAlias = Callable[[Frame], Awaitable[None]]
Settled: TypeAlias = Callable[[], Awaitable[None]]
"""Returns once all that was put has been analysed."""

_FragmentKey: TypeAlias = tuple[str, float | None, int]


class FrameReader:
    """Reads one processor's source; what it samples goes to put, in presentation order."""

    def __init__(
        self,
        put: Put,
        settled: Settled,
        pace: Pace,
        governor: Governor,
        owner: str,
        tracker: CheckpointTracker,
        counters: Counters,
        threads: Executor,
        clock: Clock,
        report: Report,
        silence: SilenceWatch,
        blindness: BlindnessWatch,
        sampled_at: float | None = None,
        *,
        pixels_max: int = PIXELS_MAX,
    ) -> None:
        """owner: what the governor knows this processor by. sampled_at: media time of the frame
        that was sampled last, where this is a resume."""
        self._put = put
        self._settled = settled
        self._pace = pace
        self._governor = governor
        self._owner = owner
        self._tracker = tracker
        self._counters = counters
        self._threads = threads
        self._clock = clock
        self._report = report
        self._silence = silence
        self._blindness = blindness
        self._opened: _FragmentKey = ("", None, 0)
        self._whole: deque[_FragmentKey] = deque(maxlen=_WHOLE_KEPT)
        self._passing_over = False  # the fragment was delivered whole before
        self._gap_at: float | None = None  # by the clock: when video was skipped last
        self._live_from = 0.0  # what came in before this is backlog; 0 where there is none
        # From here on only touched by one decoding step at a time, on whichever thread.
        self._sampler = Sampler(pace.fps, sampled_at)
        self._decoder = VideoDecoder(pixels_max=pixels_max)
        self._undecoded: deque[MediaEvent | None] = deque()  # None empties the decoder
        self._pictures: deque[Picture] = deque()  # not yet looked at
        self._reached = ("", 0.0)  # fragment number and offset of the newest picture
        self._repeating = False  # the fragment was cut and is delivered once more
        # These look at the sampler, and only while no step is under way.
        self._batching = Batching(self._sampler)
        self._shedding = Shedding(
            self._sampler,
            self._decoder.opens,
            lambda: self._decoder.holds_pictures,
            lambda: pace.is_reduced,
            counters,
        )
        counters.fps = pace.fps

    async def run(self, source: MediaSource, position: StartPosition) -> None:
        """Read until the source ends, which a live one never does."""
        self._live_from = 0.0 if position is StartAt.NOW else self._clock.now()
        watching = asyncio.create_task(self._silence.run())
        try:
            while not await self._read(source, position):
                self._jump()
                position, self._live_from = StartAt.NOW, 0.0
        finally:
            watching.cancel()
            self._governor.left(self._owner)

    async def _read(self, source: MediaSource, position: StartPosition) -> bool:
        """Returns True at the end of the source, False when only live is worth going on."""
        async with Inbox(source, position, self._has_come) as inbox:
            is_between = False  # behind a whole fragment, with nothing of the next
            while not self._pace.is_lost:
                if is_between:
                    async with abandoned_when(self._clock.sleep(SILENCE_S)) as silence:
                        events = await self._next(inbox)
                    if silence.expired():
                        self._live_from = 0.0  # whatever the clocks say, we have caught up
                        await self._empty()
                        events = await self._next(inbox)
                else:
                    events = await self._next(inbox)
                if not events:
                    await self._empty()
                    return True
                is_between = isinstance(events[-1], FragmentEnded) and events[-1].complete
                await self._decode([event for event in events if not self._came_before(event)])
        return False

    async def _next(self, inbox: Inbox) -> Sequence[MediaEvent]:
        began = self._clock.monotonic()
        self._silence.listening()
        try:
            events = await inbox.get()
        finally:
            self._pace.waited(self._clock.monotonic() - began)
        self._silence.heard()
        return events

    def _has_come(self, event: MediaEvent) -> bool:
        """Whether to go on now, while _next() waits for more."""
        self._silence.heard()
        self._silence.listening()
        return self._batching.is_due(event)

    def _came_before(self, event: MediaEvent) -> bool:
        """Whether this belongs to a fragment that was delivered whole already. A service may
        repeat some where it goes on after a break; they have their records."""
        if isinstance(event, FragmentStarted):
            self._opened = _key(event.fragment)
            self._passing_over = event.fragment.number != "" and self._opened in self._whole
        elif isinstance(event, FragmentEnded) and event.complete and not self._passing_over:
            self._whole.append(self._opened)
        return self._passing_over and not isinstance(event, FragmentFailed)

    async def _decode(self, events: Sequence[MediaEvent]) -> None:
        """Follow these events, and sample what they bring out."""
        self._keep_rate()
        for event in events:
            self._blindness.follow(event)
            if not isinstance(event, Packet) or event.keyframe:
                await self._sample()  # what is told here is behind all that came before
            if isinstance(event, Packet):
                self._take(event)
                continue
            following = self._shedding.follow(event)
            match event:
                case FragmentStarted(fragment):
                    self._tracker.started(fragment.number)
                    self._repeating = fragment.number != "" and fragment.number == self._reached[0]
                case FragmentFailed():
                    self._counters.fragments_failed_total += 1
                    log.warning("fragment %s not delivered: %s", event.number, event.error_code)
                case FragmentEnded(complete=True):
                    self._tracker.completed(event.number)
            self._undecoded.extend(following)
        await self._sample()
        self._blindness.came(self._clock.monotonic(), self._pace.fps)

    def _take(self, packet: Packet) -> None:
        shedding = self._shedding
        was_late, all_before = shedding.is_late, not shedding.keyframes_only
        decoded = shedding.take(packet, self._behind_s)
        self._undecoded.extend(decoded)
        if shedding.is_late and not was_late:
            self._undecoded.append(BREAK)
            self._skipped()
        elif shedding.keyframes_only and (decoded or all_before):
            self._undecoded.append(BREAK)  # the next packet it gets may be seconds away

    def _behind_s(self, media_s: float) -> float:
        """How late a packet is, where it may be passed over for that."""
        return self._pace.behind_s_at(self._clock.monotonic(), media_s) if self._may_skip else 0.0

    async def _empty(self) -> None:
        """Sample what the decoder still holds."""
        self._undecoded.append(None)
        await self._sample()
        self._tracker.drained()

    async def _sample(self) -> None:
        """Sample what the events that are not decoded yet bring out."""
        while self._undecoded or self._pictures:
            frame = await self._on_thread(self._next_sampled)
            if frame is not None:
                # Told before its record can leave: the checkpoint must not lag behind what was
                # sent.
                self._tracker.decoded(frame.fragment.number)
                self._tracker.sampled(frame.fragment.number, frame.timestamp)
                self._keep_pace(frame)
                await self._put(frame)
                if self._may_skip:
                    # What waits as a picture is late and cannot be passed over any more.
                    await self._settled()
        self._tracker.decoded(self._reached[0])
        self._counters.frames_decoded_total = self._decoder.frames_total
        self._counters.frames_corrupt_total = self._decoder.corrupt_total
        self._counters.packets_undecodable_total = self._decoder.undecodable_total

    async def _on_thread(self, step: Callable[[], Frame | None]) -> Frame | None:
        return await asyncio.get_running_loop().run_in_executor(self._threads, step)

    def _next_sampled(self) -> Frame | None:
        """The next frame that is sampled, with what comes behind it left for another step."""
        while True:
            while self._pictures:
                picture = self._pictures.popleft()
                self._shedding.came_out(picture.timestamp)
                number, offset_s = picture.fragment.number, picture.offset_s
                if self._repeating and number == self._reached[0] and offset_s <= self._reached[1]:
                    continue  # sampled or passed over when it came for the first time
                self._reached = (number, offset_s)
                if self._sampler.wants(picture.timestamp):
                    return Frame(picture.fragment, offset_s, picture.timestamp, picture.image())
            if not self._undecoded:
                return None
            event = self._undecoded.popleft()
            self._pictures.extend(
                self._decoder.flush() if event is None else self._decoder.feed(event)
            )

    def _keep_pace(self, frame: Frame) -> None:
        self._counters.frames_sampled_total += 1
        self._blindness.sampled()
        now, server_timestamp = self._clock.monotonic(), frame.fragment.server_timestamp
        is_backlog = False
        if server_timestamp is not None:
            came_in = server_timestamp + frame.offset_s
            self._counters.lag_s = max(0.0, self._clock.now() - came_in)
            is_backlog = came_in < self._live_from
            if not is_backlog:
                self._live_from = 0.0  # for good, though the machine's clock be set back
        # By media time, not by when it came in: a recording pushed at once is no load.
        self._pace.observe(now, frame.timestamp, is_backlog=is_backlog)
        if self._is_live:
            self._governor.told(self._owner, self._pace.behind_s, now)
        self._keep_rate()
        if self._gap_at is not None and now - self._gap_at > GAP_TOLD_S:
            self._gap_at = None
        self._report(self._describe_pace())

    @property
    def _is_live(self) -> bool:
        return self._live_from == 0.0

    @property
    def _may_skip(self) -> bool:
        """Live video, once the rate is reduced: whoever allows no lower rate wants every frame,
        however late."""
        return self._is_live and self._pace.is_reduced

    def _keep_rate(self) -> None:
        """Follow the rate of everybody. Only while no decoding step is under way."""
        if self._is_live:
            self._pace.fps_allowed = self._governor.fps
        self._sampler.fps = self._counters.fps = self._pace.fps

    def _jump(self) -> None:
        self._counters.gaps_total += 1
        self._counters.gap_s_total += self._pace.behind_s
        log.warning("fallen %.1f s behind, jumped to live", self._pace.behind_s)
        self._pace.jumped()
        self._skipped()

    def _skipped(self) -> None:
        self._gap_at = self._clock.monotonic()
        self._report(self._describe_pace())

    def _describe_pace(self) -> str:
        sentences = []
        if self._gap_at is not None:
            sentences.append(
                "Video was skipped: analysis had fallen behind, and goes on with live video."
            )
        if self._pace.is_reduced:
            sentences.append(
                f"The machine cannot keep up: {self._pace.fps:.1f} frames a second are analysed."
            )
        return " ".join(sentences)


def _key(fragment: Fragment) -> _FragmentKey:
    # Numbers alone do not tell: a stream that is deleted and made anew may count from the start.
    return fragment.number, fragment.server_timestamp, fragment.timecode_ns
