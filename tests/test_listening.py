"""What must hold before the daemon listens, the certificate, and what others are told."""

import logging
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from streamproc.certificate import Certificate
from streamproc.config import Config, load_config
from streamproc.errors import ConfigError, StreamprocError
from streamproc.listening import addresses_of, is_loopback, open_door, refusal
from streamproc.settings import TlsConfig


def config(**tables: dict[str, Any]) -> Config:
    return load_config(None, {"server": {"port": 0}} | tables)


# --- who may listen where --------------------------------------------------------------------

SECURE = {"auth": {"required": True}, "tls": {"certificate_file": "cert.pem"}}
BEYOND = ["192.0.2.7"]


@pytest.mark.parametrize(
    ("tables", "keys", "words"),
    [
        ({}, 0, "set auth.required = true, or listen on 127.0.0.1"),
        ({"tls": SECURE["tls"]}, 1, "set auth.required = true, or listen on 127.0.0.1"),
        (SECURE, 0, "make one with: streamproc keys create"),
        ({"auth": SECURE["auth"]}, 1, "set tls.certificate_file, or server.plain_http_beyond"),
    ],
)
def test_beyond_loopback_every_lock_is_asked_for_with_its_remedy(
    tables: dict[str, Any], keys: int, words: str
) -> None:
    told = refusal(config(**tables), BEYOND, keys)
    assert words in told
    assert "server.host" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    "tables",
    [SECURE, {"auth": SECURE["auth"], "server": {"plain_http_beyond_loopback": True}}],
)
def test_with_keys_and_tls_or_a_word_that_there_is_a_proxy_it_may(tables: dict[str, Any]) -> None:
    assert refusal(config(**tables), BEYOND, usable_keys=1) == ""


@pytest.mark.parametrize("tables", [{}, SECURE, {"auth": SECURE["auth"]}])
def test_on_loopback_nothing_is_asked_for(tables: dict[str, Any]) -> None:
    assert refusal(config(**tables), ["127.0.0.1", "::1"], usable_keys=0) == ""


@pytest.mark.parametrize(
    ("addresses", "is_it"),
    [
        (["127.0.0.1"], True),
        (["127.255.0.9"], True),
        (["::1"], True),
        (["127.0.0.1", "::1"], True),
        (["127.0.0.1", "192.0.2.7"], False),
        (["0.0.0.0"], False),
        (["::"], False),
        (["10.0.0.1"], False),
        (["fe80::1%eth0"], False),
        (["::ffff:127.0.0.1"], False),
        ([], False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(addresses: list[str], is_it: bool) -> None:
    assert is_loopback(addresses) is is_it


@pytest.mark.parametrize(
    ("host", "first"),
    [("127.0.0.1", "127.0.0.1"), ("", "0.0.0.0"), ("0.0.0.0", "0.0.0.0"), ("::", "::")],
)
def test_a_host_is_its_address(host: str, first: str) -> None:
    assert addresses_of(host)[0] == first


def test_a_name_is_all_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that leads elsewhere too is no loopback, whatever comes first."""

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    found = addresses_of("localhost")
    assert found == ["127.0.0.1", "192.0.2.7", "::1"]
    assert not is_loopback(found)


def test_a_host_that_is_none_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(StreamprocError, match=r"server\.host nowhere .* --host"):
        addresses_of("nowhere")


def test_a_daemon_that_may_not_listen_binds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_server", lambda *_, **__: pytest.fail("it listened"))
    with (
        pytest.raises(ConfigError, match=r"auth\.required"),
        open_door(config(server={"host": "0.0.0.0", "port": 0}), usable_keys=0),
    ):
        pass


# --- the door and its URL --------------------------------------------------------------------


def test_the_door_is_as_it_was_set_and_closed_behind(
    certificate: tuple[Path, Path],
) -> None:
    tls = {"certificate_file": str(certificate[0]), "private_key_file": str(certificate[1])}
    with open_door(config(tls=tls), usable_keys=0) as door:
        assert door.url == f"https://127.0.0.1:{door.listener.getsockname()[1]}"
        assert door.certificate is not None
    assert door.listener.fileno() == -1


def test_clients_are_told_the_public_url_if_there_is_one() -> None:
    with open_door(config(server={"port": 0, "public_url": "https://cams.example/"}), 0) as door:
        assert door.url == "https://cams.example"


def everywhere(**server: Any) -> Config:
    return config(
        server={"host": "0.0.0.0", "port": 0, "plain_http_beyond_loopback": True, **server},
        auth={"required": True},
    )


@pytest.fixture
def bound_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.0.0.0 in word only: tests open nothing to the network."""
    real = socket.create_server

    class Everywhere(socket.socket):
        def getsockname(self) -> Any:
            return ("0.0.0.0", super().getsockname()[1])

    def create(address: tuple[str, int], **options: Any) -> socket.socket:
        made = real(("127.0.0.1", address[1]), **options)
        return Everywhere(fileno=made.detach()) if address[0] == "0.0.0.0" else made

    monkeypatch.setattr(socket, "create_server", create)


def test_listening_everywhere_the_machine_s_name_is_told_and_said(
    bound_to_loopback: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "camera-box")
    with open_door(everywhere(), usable_keys=1) as door:
        assert door.url == f"http://camera-box:{door.listener.getsockname()[1]}"
    assert "set server.public_url" in caplog.text


def test_a_machine_s_name_that_no_client_accepts_is_told_with_the_remedy(
    bound_to_loopback: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "camera_box")
    with pytest.raises(ConfigError, match=r"set server\.public_url"), open_door(everywhere(), 1):
        pass


def test_without_a_key_loopback_only_warns(caplog: pytest.LogCaptureFixture) -> None:
    with open_door(config(auth={"required": True}), usable_keys=0):
        assert "streamproc keys create" in caplog.text


def test_more_connections_than_files_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import resource

    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 2048))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    with open_door(config(server={"port": 0, "connections_max": 5000}), 0):
        assert asked == [(2048, 2048)]
        assert "LimitNOFILE" in caplog.text
    caplog.clear()
    with open_door(config(server={"port": 0, "connections_max": 100}), 0):
        assert asked[1] == (1124, 2048)
        assert caplog.text == ""


# --- certificates ----------------------------------------------------------------------------


def write(folder: Path, issued: trustme.LeafCert, name: str = "site") -> tuple[Path, Path]:
    files = folder / f"{name}.pem", folder / f"{name}.key"
    issued.cert_chain_pems[0].write_to_path(files[0])
    issued.private_key_pem.write_to_path(files[1])
    files[1].chmod(0o600)
    return files


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(tmp_path: Path, authority: trustme.CA) -> tuple[Path, Path]:
    return write(tmp_path, authority.issue_cert("127.0.0.1"))


def load(certificate: Path, key: Path | str = "") -> Certificate:
    return Certificate(TlsConfig(certificate_file=str(certificate), private_key_file=str(key)))


def subject(context: ssl.SSLContext, authority: trustme.CA) -> Any:
    """The serial number that a client is shown, over a pair of pipes."""
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    trusting.check_hostname = False
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(there, back, server_side=True)
    client = trusting.wrap_bio(back, there)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = client.getpeercert()
    assert shown
    return shown["serialNumber"]


def test_a_certificate_and_its_key_may_share_a_file(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(certificate[0].read_bytes() + certificate[1].read_bytes())
    both.chmod(0o640)  # a group of those that serve is usual
    context = load(both).context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_files_that_cannot_be_used_are_told_in_one_line(
    certificate: tuple[Path, Path], tmp_path: Path, authority: trustme.CA
) -> None:
    site, key = certificate
    _, other_key = write(tmp_path, authority.issue_cert("127.0.0.1"), "other")
    garbage = tmp_path / "garbage"
    garbage.write_text("no PEM at all")
    garbage.chmod(0o600)
    for files, words in {
        (tmp_path / "none", key): r"none cannot be read \(No such file or directory\)",
        (site, tmp_path / "none"): r"none cannot be read \(No such file or directory\)",
        (tmp_path, key): r"cannot be read \(Is a directory\)",
        (site, other_key): r"other\.key is not that of .*site\.pem",
        (garbage, key): r"garbage holds no certificate in PEM",
        (site, garbage): r"garbage holds no private key in PEM",
        (key, key): r"site\.key holds no certificate in PEM",
    }.items():
        with pytest.raises(ConfigError, match=words) as told:
            load(*files)
        assert "\n" not in str(told.value)


def test_a_key_that_everybody_may_read_is_refused_with_the_command(
    certificate: tuple[Path, Path],
) -> None:
    certificate[1].chmod(0o644)
    with pytest.raises(ConfigError, match=r"chmod o-rwx .*site\.key"):
        load(*certificate)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_that_we_may_not_read_is_told(certificate: tuple[Path, Path]) -> None:
    certificate[1].chmod(0)
    with pytest.raises(ConfigError, match=r"site\.key cannot be read"):
        load(*certificate)


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(
    certificate: tuple[Path, Path],
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(certificate[1].read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"sesame"),
    )
    certificate[1].write_bytes(locked)
    with pytest.raises(ConfigError, match="passphrase"):
        load(*certificate)


@pytest.mark.parametrize(
    ("begins_in_days", "ends_in_days", "words"),
    [(-9, -2, "expired on"), (2, 9, "begins on .* clock")],
)
def test_a_certificate_out_of_its_time_is_refused(
    tmp_path: Path, authority: trustme.CA, begins_in_days: int, ends_in_days: int, words: str
) -> None:
    now = datetime.now(UTC)
    issued = authority.issue_cert(
        "127.0.0.1",
        not_before=now + timedelta(days=begins_in_days),
        not_after=now + timedelta(days=ends_in_days),
    )
    with pytest.raises(ConfigError, match=words):
        load(*write(tmp_path, issued))


def test_a_certificate_that_soon_expires_is_warned_of(
    tmp_path: Path, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    issued = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=3))
    load(*write(tmp_path, issued))
    assert "renew it" in caplog.text


def test_a_new_certificate_is_used_from_the_next_handshake_on(
    certificate: tuple[Path, Path], tmp_path: Path, authority: trustme.CA
) -> None:
    loaded = load(*certificate)
    before = loaded.context()
    assert loaded.context() is before
    for new, old in zip(
        write(tmp_path, authority.issue_cert("127.0.0.1"), "new"), certificate, strict=True
    ):
        new.replace(old)
    after = loaded.context()
    assert subject(before, authority) != subject(after, authority)


def test_a_broken_certificate_keeps_the_old_one_and_is_told_once(
    certificate: tuple[Path, Path],
    tmp_path: Path,
    authority: trustme.CA,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loaded = load(*certificate)
    before = loaded.context()
    whole = certificate[0].read_bytes()
    certificate[0].write_bytes(whole[:100])
    assert loaded.context() is loaded.context() is before
    certificate[0].unlink()
    assert loaded.context() is loaded.context() is before
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage().split(":")[0] for record in told] == [
        "the certificate in use stays"
    ] * 2
    certificate[0].write_bytes(whole)
    assert loaded.context() is not before
