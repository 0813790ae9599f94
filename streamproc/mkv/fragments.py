"""Split a GetMedia byte stream, or a producer's own recording, into fragments and packets.

Sans-I/O: bytes enter through feed(), events come out. Knows Matroska documents and the
AWS_KINESISVIDEO tags that the service writes into them; knows nothing of HTTP or of codecs.

When is a fragment complete? Its consumer will never ask for it again, so:

- the service's closing tags say so, at once, without waiting for the next document;
- without them, a Cluster that reached its stated size, or that another element of the same
  document follows, is whole, whatever happened to the rest;
- a Cluster of unknown size that only the next document ends is whole, unless documents of this
  input had closing tags before: then their absence means that the service gave it up
  (GetMediaForFragmentList writes none at all, GetMedia writes them always);
- a Cluster that only the end of the input ends is not.

An element whose size is damaged, or whose end is missing, would swallow the documents behind it
for as long as its size says. The service begins each with the same twelve bytes, and an element
that holds these is broken at once.
"""

import re
from typing import Final

from streamproc.errors import MkvError
from streamproc.mkv.ebml import Id, read_uint, shown
from streamproc.mkv.incremental import Incremental
from streamproc.mkv.matroska import (
    TIMECODE_SCALE_NS_DEFAULT,
    check_document,
    read_block_group,
    read_tags,
    read_timecode_scale,
    read_tracks,
    unlace,
)
from streamproc.mkv.reader import (
    ELEMENT_BYTES_MAX,
    ELEMENT_DEPTH_MAX,
    Block,
    Closed,
    ElementReader,
    Opened,
    Skipped,
    Token,
    Value,
)
from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentFailed,
    FragmentStarted,
    MediaEvent,
    Packet,
    Track,
)

# A Segment of unknown size: what the service writes over every producer's own. That a picture
# holds these 96 bits by chance is less likely than any other error here.
_SEGMENT_HEAD: Final = bytes.fromhex("18538067 01FFFFFFFFFFFFFF")
_HEAD_BYTES_BEFORE: Final = len(_SEGMENT_HEAD) - 1  # of one that the next piece completes
_PREFIX: Final = "AWS_KINESISVIDEO_"
# The tags that the service writes, by what follows the prefix. The archive's documentation has
# longer names for some; recorded answers have the short ones.
_SERVICE_TAGS: Final = {
    "FRAGMENT_NUMBER": "number",
    "SERVER_TIMESTAMP": "server_timestamp",
    "SERVER_SIDE_TIMESTAMP": "server_timestamp",
    "PRODUCER_TIMESTAMP": "producer_timestamp",
    "PRODUCER_SIDE_TIMESTAMP": "producer_timestamp",
    "MILLIS_BEHIND_NOW": "millis_behind_now",
    "CONTINUATION_TOKEN": "continuation_token",
    "ERROR_ID": "error_id",
    "ERROR_CODE": "error_code",
    "EXCEPTION_ERROR_CODE": "error_code",
    "EXCEPTION_MESSAGE": "error_message",
}
_ERROR_DIGITS_MAX: Final = 18  # the service's have 4
_ERROR_CODE_MAX: Final = 256
# Seconds of 11 digits reach beyond the year 5000, and are still a date to Python. The producer's
# clock may be anything, the service's is not.
_FORMS: Final = {
    "number": re.compile(r"[0-9]{1,128}"),
    "server_timestamp": re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?"),
    "producer_timestamp": re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?"),
    "millis_behind_now": re.compile(r"-?[0-9]{1,18}"),
    "continuation_token": re.compile(r"[\x20-\x7e]{1,128}"),  # GetMedia's StartSelector
}


class FragmentParser(Incremental[MediaEvent]):
    """Turns bytes into MediaEvents: FragmentStarted once the Cluster's timecode is known, a
    Packet per block as it completes, FragmentEnded for every FragmentStarted.

    In a document without the service's tags every Cluster is a fragment of number "". The
    producer's tags before a document's first Cluster belong to all its fragments, later ones to
    the fragment that they follow.

    feed() and close() raise MkvError at broken structure, at a service tag whose value has not
    the documented form, at an element above element_bytes_max bytes, at so many bytes of tags of
    one fragment, and at tags inside tags beyond element_depth_max. The fragment that is open
    then ends incomplete first.
    """

    def __init__(
        self,
        *,
        element_bytes_max: int = ELEMENT_BYTES_MAX,
        element_depth_max: int = ELEMENT_DEPTH_MAX,
    ) -> None:
        super().__init__(ElementReader(payloads=True, element_bytes_max=element_bytes_max))
        self._element_bytes_max = element_bytes_max
        self._element_depth_max = element_depth_max
        self._closing_tags_seen = False
        self._fed_bytes = 0
        self._last_bytes = b""  # as many as may begin a Segment's head
        self._heads: list[int] = []  # positions of those in what is not understood yet
        self._understood = 0  # position behind the last token
        self._open_document()

    def _open_document(self) -> None:
        self._scale_ns = TIMECODE_SCALE_NS_DEFAULT
        self._tracks: tuple[Track, ...] = ()
        self._document_tags: tuple[tuple[str, str], ...] | None = None  # None before a Cluster
        self._open_gap()

    def _open_gap(self) -> None:
        """Between fragments: what comes now belongs to the next one."""
        self._fragment: Fragment | None = None
        self._whole = False  # the open fragment's Cluster is over and nothing of it is missing
        self._service: dict[str, str] = {}
        self._tags: list[tuple[str, str]] = []
        self._tags_bytes = 0

    def _take(self, data: bytes, events: list[MediaEvent]) -> None:
        self._find_heads(data)
        for token in self._reader.feed(data):
            if self._heads:
                self._check_swallowed(token)
            if isinstance(token, Opened):
                self._understood = token.body_at
            elif not isinstance(token, Closed):
                self._understood = token.end
            if self._heads:
                self._heads = [head for head in self._heads if head >= self._understood]
            if isinstance(token, Block):
                self._on_block(token, events)
            elif not isinstance(token, Skipped):
                self._on_structure(token, events)
        if self._heads and self._reader.pending is not None:
            self._check_swallowed(self._reader.pending)

    def _find_heads(self, data: bytes) -> None:
        seam = self._last_bytes + data[:_HEAD_BYTES_BEFORE]
        for searched, origin in (
            (seam, self._fed_bytes - len(self._last_bytes)),
            (data, self._fed_bytes),
        ):
            at = searched.find(_SEGMENT_HEAD)
            while at >= 0:
                if origin + at >= self._understood:
                    self._heads.append(origin + at)
                at = searched.find(_SEGMENT_HEAD, at + 1)
        self._fed_bytes += len(data)
        last = data if len(data) >= _HEAD_BYTES_BEFORE else seam
        self._last_bytes = last[-_HEAD_BYTES_BEFORE:]

    def _check_swallowed(self, token: Token) -> None:
        if isinstance(token, Opened | Closed):
            return
        if self._heads[0] + len(_SEGMENT_HEAD) <= token.end:
            raise MkvError(
                f"An element that claims to end at byte {token.end} holds the next document's "
                f"Segment, at byte {self._heads[0]}: its size is damaged, or its end is missing"
            )

    def _end(self, events: list[MediaEvent]) -> None:
        self._end_fragment(events, complete=self._whole)

    def _broken(self, events: list[MediaEvent]) -> None:
        self._end_fragment(events, complete=False)

    def _on_structure(self, token: Token, events: list[MediaEvent]) -> None:
        match token:
            case Opened(id=Id.SEGMENT):
                self._open_document()
            case Opened(id=Id.CLUSTER):
                self._end_fragment(events, complete=self._whole)
            case Closed(id=Id.CLUSTER):
                given_up = token.ended_by in (Id.EBML, Id.SEGMENT) and self._closing_tags_seen
                self._whole = not given_up
            case Closed(id=Id.SEGMENT):
                self._end_fragment(events, complete=self._whole)
            case Value(id=Id.EBML):
                check_document(token)
            case Value(id=Id.INFO):
                self._scale_ns = read_timecode_scale(token)
            case Value(id=Id.TRACKS):
                self._tracks = read_tracks(token)
            case Value(id=Id.TAGS):
                self._on_tags(token, events)
            case Value(id=Id.TIMECODE):
                self._start_fragment(token, events)
            case Value(id=Id.BLOCK_GROUP):
                if block := read_block_group(token):
                    self._on_block(block, events)

    def _on_block(self, block: Block, events: list[MediaEvent]) -> None:
        if self._fragment is None:
            raise MkvError(f"The block at byte {block.position} precedes its Cluster's Timecode")
        offset_ns = block.timecode * self._scale_ns
        # Packets of one lace share the only time that Matroska gives them.
        payloads = unlace(block) if block.lacing else (block.body,)
        for payload in payloads:
            events.append(Packet(block.track, offset_ns, block.keyframe, payload))

    def _start_fragment(self, timecode: Value, events: list[MediaEvent]) -> None:
        if self._fragment is not None:
            raise MkvError(f"A second Timecode in one Cluster at byte {timecode.body_at}: damaged")
        if self._document_tags is None:
            self._document_tags, self._tags = tuple(self._tags), []
        self._fragment = Fragment(
            number=self._service.get("number", ""),
            server_timestamp=_seconds(self._service.get("server_timestamp")),
            producer_timestamp=_seconds(self._service.get("producer_timestamp")),
            timecode_ns=read_uint(timecode.body, timecode.body_at) * self._scale_ns,
            tracks=self._tracks,
            tags=(*self._document_tags, *self._tags),
        )
        self._tags = []
        events.append(FragmentStarted(self._fragment))

    def _on_tags(self, tags: Value, events: list[MediaEvent]) -> None:
        own: list[tuple[str, str]] = []
        service: dict[str, str] = {}
        self._tags_bytes += len(tags.body)
        if self._tags_bytes > self._element_bytes_max:
            raise MkvError(
                f"The Tags at byte {tags.body_at} make {self._tags_bytes} bytes of tags of one "
                f"fragment, above element_bytes_max {self._element_bytes_max}"
            )
        for name, value in read_tags(tags, element_depth_max=self._element_depth_max):
            key = _SERVICE_TAGS.get(name.removeprefix(_PREFIX)) if _PREFIX in name else None
            if key is None:
                own.append((name, value))
            else:
                _check_form(name, key, value, tags.body_at)
                service[key] = value

        failed = "server_timestamp" not in service and any(
            key.startswith("error") for key in service
        )
        closing = "millis_behind_now" in service or "continuation_token" in service
        if failed:
            self._end_fragment(events, complete=False)
            events.append(_failure(service))
        elif closing:
            self._closing_tags_seen = True
            self._tags += own
            self._end_fragment(events, complete=True, service=service)
        else:
            if "number" in service:  # a merged document goes on with its next fragment
                self._end_fragment(events, complete=self._whole)
            self._service |= service
            self._tags += own

    def _end_fragment(
        self,
        events: list[MediaEvent],
        *,
        complete: bool,
        service: dict[str, str] | None = None,
    ) -> None:
        if self._fragment is None:
            return
        millis = (service or {}).get("millis_behind_now")
        events.append(
            FragmentEnded(
                number=self._fragment.number,
                complete=complete,
                millis_behind_now=None if millis is None else int(millis),
                continuation_token=(service or {}).get("continuation_token"),
                tags=tuple(self._tags),
            )
        )
        self._open_gap()


def _check_form(name: str, key: str, value: str, position: int) -> None:
    form = _FORMS.get(key)
    if form is not None and not form.fullmatch(value):
        raise MkvError(
            f"{name} is {shown(value)} in the Tags at byte {position}: the stream is damaged"
        )


def _seconds(text: str | None) -> float | None:
    return None if text is None else round(float(text), 3)


def _failure(service: dict[str, str]) -> FragmentFailed:
    error_id = service.get("error_id", "")
    is_number = error_id.isascii() and error_id.isdigit() and len(error_id) <= _ERROR_DIGITS_MAX
    return FragmentFailed(
        number=service.get("number", ""),
        error_id=int(error_id) if is_number else None,
        error_code=service.get("error_code", service.get("error_message", ""))[:_ERROR_CODE_MAX],
    )
