"""The TLS certificate: read from files in PEM, checked, and read again when they change.

A new file that is broken changes nothing: the certificate in use stays, and the log says why.
Knows no sockets; a handshake asks context() for what is current.
"""

import logging
import os
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from streamproc.errors import ConfigError
from streamproc.settings import TlsConfig

log = logging.getLogger(__name__)

_WARN_BEFORE: Final = timedelta(days=14)
_Stamp: TypeAlias = tuple[tuple[int, int, int], ...]


class Certificate:
    """Of [tls]. Raises ConfigError, naming the file and the remedy, if it cannot be used."""

    def __init__(self, config: TlsConfig) -> None:
        self._certificate = Path(config.certificate_file)
        self._key = Path(config.private_key_file or config.certificate_file)
        self._stamp = self._look()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """What the next handshake uses. Two stat calls, unless a file has changed."""
        try:
            stamp = self._look()
        except ConfigError as error:
            stamp = ()
            reason = str(error)
        else:
            reason = ""
        if stamp != self._stamp:
            self._stamp = stamp  # the same files are not tried twice
            try:
                if reason:
                    raise ConfigError(reason)
                self._context = self._load()
                log.info("the certificate was read again from %s", self._certificate)
            except ConfigError as error:
                log.error("the certificate in use stays: %s", error)
        return self._context

    def _look(self) -> _Stamp:
        """What changes when a file is replaced, written to, or another link is put in place."""
        return tuple(
            (status.st_ino, status.st_mtime_ns, status.st_size)
            for status in (_status(self._certificate), _status(self._key))
        )

    def _load(self) -> ssl.SSLContext:
        if _status(self._key).st_mode & stat.S_IRWXO:
            raise ConfigError(
                f"{self._key} holds the private key and every user may read it; "
                f"chmod o-rwx {self._key}"
            )
        _check_dates(self._certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._certificate, self._key, password=_refuse_passphrase)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                problem = f"the private key in {self._key} is not that of {self._certificate}"
            else:
                problem = f"{self._key} holds no private key in PEM ({_words(error)})"
            raise ConfigError(f"{problem}; see [tls]") from None
        except OSError as error:
            raise _unreadable(self._key, error) from None
        return context


def _check_dates(file: Path) -> None:
    """Raises ConfigError unless the first certificate of a file is valid today."""
    from cryptography import x509  # late: half of the daemons have no certificate

    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except OSError as error:
        raise _unreadable(file, error) from None
    except ValueError as error:
        raise ConfigError(f"{file} holds no certificate in PEM ({error}); see [tls]") from None
    now = datetime.now(UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > ends:
        raise ConfigError(f"the certificate in {file} expired on {ends:%Y-%m-%d}; renew it")
    if now < begins:
        raise ConfigError(
            f"the certificate in {file} begins on {begins:%Y-%m-%d %H:%M} UTC; "
            "is the clock of this machine right?"
        )
    if ends - now < _WARN_BEFORE:
        log.warning("the certificate in %s expires on %s; renew it", file, f"{ends:%Y-%m-%d}")


def _status(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except OSError as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{file} cannot be read ({error.strerror or error}); see [tls]")


def _refuse_passphrase() -> bytes:
    # Without this OpenSSL would ask on a terminal that nobody sits at.
    raise ConfigError("the private key has a passphrase; give one without, such as openssl pkey")


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
