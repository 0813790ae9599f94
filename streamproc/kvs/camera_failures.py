"""What went wrong with a camera, in a person's words, with what to do about it.

Knows what FFmpeg's errors mean, and asks the network once more where they say too little. No
message holds a password. Knows nothing of when it is tried again.
"""

import errno
import socket
import ssl

import av

from streamproc.errors import PermanentFailure, TransientFailure
from streamproc.kvs.camera_url import SourceKind, SourceUrl

_ASK_TIMEOUT_S = 3.0


class CameraRefused(PermanentFailure):
    """Somebody has to change something: the URL, the password, the camera's codec."""

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass  # a camera (or relay) that starts anew may answer so for a while


class CameraUnreachable(TransientFailure):
    """The camera is off, or the way to it is cut; it may come back by itself."""


def in_words(
    error: Exception, source: SourceUrl, timeout_s: float, waited_s: float = 0.0
) -> CameraRefused | CameraUnreachable:
    """What an error of PyAV while opening or reading means, after waited_s seconds of it. May
    ask the network for some seconds, so it belongs on a thread."""
    if isinstance(error, CameraRefused | CameraUnreachable):
        return error
    match error:
        case av.HTTPUnauthorizedError():
            if "@" in source.shown:
                return CameraRefused(
                    f"{source} refuses the login (401); check user name and password"
                )
            return CameraRefused(
                f"{source} wants a login (401); write it into the URL: "
                f"{source.shown.replace('://', '://user:password@', 1)}"
            )
        case av.HTTPForbiddenError():
            return CameraRefused(f"{source} denies access (403); check the user's rights on it")
        case av.HTTPNotFoundError():
            return CameraRefused(
                f"{source} has nothing at this path (404); look the path up in the camera's manual",
                may_pass=True,
            )
        case av.HTTPError() | av.HTTPClientError():
            return CameraUnreachable(f"{source} answers: {_said(error, source)}")
        case av.InvalidDataError() if source.kind is SourceKind.RTSP:
            # So FFmpeg calls an answer that does not come, or breaks off, as well as a wrong one.
            if waited_s >= timeout_s:
                return CameraUnreachable(f"{source} sends nothing for {timeout_s:g} s")
            return CameraUnreachable(
                f"{source} breaks off, or does not speak RTSP: is it busy, and the port right?"
            )
        case av.InvalidDataError() | av.DemuxerNotFoundError():
            return CameraRefused(
                f"{source} answers, but with nothing that is video; check port and path",
                may_pass=True,
            )
        case av.ExitError() | TimeoutError():
            return CameraUnreachable(f"{source} sends nothing for {timeout_s:g} s")
        case av.EOFError():
            return CameraUnreachable(f"{source} ended the stream")
        case ConnectionRefusedError():
            return CameraUnreachable(
                f"nothing answers at {_place(source)}: is the camera on, and the port right?"
            )
        case ConnectionError():
            return CameraUnreachable(f"{source} broke the connection")
        case PermissionError() if source.kind is SourceKind.WEBCAM:
            return CameraRefused(f"{source} may not be read; add your user to the group video")
    return _asked_again(source) or CameraUnreachable(f"{source}: {_said(error, source)}")


def _asked_again(source: SourceUrl) -> CameraRefused | CameraUnreachable | None:
    """FFmpeg has one error for an unknown host, no route and a wrong certificate."""
    if not source.host:
        return None
    try:
        with socket.create_connection((source.host, source.port), _ASK_TIMEOUT_S) as connection:
            if source.is_encrypted:
                with ssl.create_default_context().wrap_socket(
                    connection, server_hostname=source.host
                ):
                    pass
    except socket.gaierror:
        return CameraUnreachable(f"the host {source.host} is not known; check the name in {source}")
    except ssl.SSLCertVerificationError as error:
        return CameraRefused(
            f"{source} shows a certificate that cannot be trusted ({error.verify_message}); "
            "name its authority in SSL_CERT_FILE, or turn the verification off"
        )
    except ssl.SSLError:
        return CameraRefused(f"{source} does not speak TLS; try it without the s in the scheme")
    except ConnectionRefusedError:
        return CameraUnreachable(
            f"nothing answers at {_place(source)}: is the camera on, and the port right?"
        )
    except OSError as error:
        if error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
            return CameraUnreachable(f"there is no way to {_place(source)}: {error.strerror}")
        return CameraUnreachable(f"nothing answers at {_place(source)}: is the camera on?")
    return None


def _place(source: SourceUrl) -> str:
    return f"{source.host}:{source.port}"


def _said(error: Exception, source: SourceUrl) -> str:
    return source.scrubbed(getattr(error, "strerror", "") or str(error) or type(error).__name__)
