"""An RTSP server that plays one clip in a loop. Run by Debian's own Python, which has GStreamer.

    /usr/bin/python3 gst_rtsp.py PACKETS CAPS PAY PORT PATH USER PASSWORD PROTOCOLS [CERT]

PACKETS holds the clip as tests/peers/rtsp_server.py writes it. Says "ready PORT" on its standard
output, and ends when its standard input does.
"""

import pathlib
import struct
import sys
import threading
import time
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

HEAD = struct.Struct(">qI")  # presentation time in ns, bytes


def read_packets(path: str) -> list[tuple[int, bytes]]:
    """(presentation time in ns, payload) in decode order; the last entry only says the end."""
    packets = []
    with pathlib.Path(path).open("rb") as file:
        while head := file.read(HEAD.size):
            pts_ns, size = HEAD.unpack(head)
            packets.append((pts_ns, file.read(size)))
    return packets


class Player:
    """Pushes the clip into an appsrc at its own pace, again and again."""

    def __init__(self, packets: list[tuple[int, bytes]]) -> None:
        *self._packets, (self._length_ns, _) = packets

    def configure(self, _factory: Any, media: Any) -> None:
        source = media.get_element().get_child_by_name("source")
        threading.Thread(target=self._play, args=[source], daemon=True).start()

    def _play(self, source: Any) -> None:
        began = time.monotonic()
        turn = 0
        while True:
            shown_ns = 0
            for pts_ns, payload in self._packets:
                shown_ns = max(shown_ns, pts_ns)
                due_s = (turn * self._length_ns + shown_ns) / 1e9
                time.sleep(max(0.0, began + due_s - time.monotonic()))
                buffer = Gst.Buffer.new_wrapped(payload)
                buffer.pts = turn * self._length_ns + pts_ns
                if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                    return
            turn += 1


def serve(
    packets: str, caps: str, pay: str, port: str, path: str,
    user: str, password: str, protocols: str, certificate: str = "",
) -> None:  # fmt: skip
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(f"( appsrc name=source is-live=true format=time caps={caps} ! {pay} )")
    factory.set_shared(True)
    factory.set_protocols(
        GstRtsp.RTSPLowerTrans.TCP if protocols == "tcp" else GstRtsp.RTSPLowerTrans.UDP
    )
    player = Player(read_packets(packets))
    factory.connect("media-configure", player.configure)
    if user or certificate:
        auth = GstRtspServer.RTSPAuth.new()
        if certificate:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(certificate))
        token = GstRtspServer.RTSPToken.new()
        token.set_string("media.factory.role", "viewer")
        if user:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        else:
            auth.set_default_token(token)
        server.set_auth(auth)
        role = Gst.Structure.new_from_string(
            "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
        )
        factory.add_role_from_structure(role)
    server.get_mount_points().add_factory(path, factory)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    print(f"ready {server.get_bound_port()}", flush=True)
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()


if __name__ == "__main__":
    serve(*sys.argv[1:])
