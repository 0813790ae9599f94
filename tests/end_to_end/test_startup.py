"""What a person sees when the daemon cannot start, and how it ends when told to."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]


def one_line(result: Any) -> str:
    """A refusal is exit code 1 and one line; never a traceback."""
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    return str(lines[0])


def test_a_second_daemon_on_one_data_folder_is_refused(start_daemon: Any, run_cli: Cli) -> None:
    daemon = start_daemon()
    told = one_line(run_cli("serve", "--port", "0", "--data-dir", str(daemon.data_dir)))
    assert f"process {daemon.process.pid}" in told
    assert "--data-dir" in told


def test_a_port_in_use_is_told_with_the_remedy(tmp_path: Path, run_cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = one_line(run_cli("serve", "--port", port, "--data-dir", str(tmp_path / "data")))
    assert port in told
    assert "--port" in told


def test_a_pack_that_is_not_installed_is_told_with_the_command(
    tmp_path: Path, run_cli: Cli
) -> None:
    told = one_line(
        run_cli(
            "serve", "--port", "0", "--data-dir", str(tmp_path / "data"),
            "--set", f"engine.models_dir={tmp_path}", "--pack", "buffalo_l",
        )
    )  # fmt: skip
    assert "streamproc models install buffalo_l" in told


def test_a_pack_with_a_file_missing_is_told_with_the_remedy(tmp_path: Path, run_cli: Cli) -> None:
    pack = tmp_path / "models" / "buffalo_sc"
    pack.mkdir(parents=True)
    told = one_line(
        run_cli("serve", "--port", "0", "--data-dir", str(tmp_path / "data"),
                "--set", f"engine.models_dir={tmp_path}", "--pack", "buffalo_sc")
    )  # fmt: skip
    assert f"{pack / 'det_500m.onnx'} is missing" in told
    assert "streamproc models install buffalo_sc --accept-license --force" in told


def test_a_network_that_is_cut_short_is_told_by_file(
    tmp_path: Path, testdata: Path, run_cli: Cli
) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    for file in (testdata / "models" / "mbf_arcface").glob("*.onnx"):
        (pack / file.name).write_bytes(file.read_bytes())
    victim = pack / "mbf_arcface_y1.onnx"
    victim.write_bytes(victim.read_bytes()[:100_000])
    told = one_line(
        run_cli("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--pack", str(pack))
    )
    assert f"{victim} is damaged" in told
    assert "--pack" in told


def test_a_setting_out_of_range_is_told_by_key(run_cli: Cli, tmp_path: Path) -> None:
    told = one_line(
        run_cli("serve", "--data-dir", str(tmp_path), "--set", "faces.face_match_threshold=101")
    )
    assert "faces.face_match_threshold = 101" in told


def test_a_damaged_database_is_told_by_name(tmp_path: Path, run_cli: Cli) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "collections.db").write_bytes(b"this is no database" * 1000)
    told = one_line(run_cli("serve", "--engine", "dlib", "--port", "0", "--data-dir", str(folder)))
    assert "collections.db" in told
    assert "backup" in told


def test_a_wrong_key_is_told_by_name(tmp_path: Path, run_cli: Cli) -> None:
    told = one_line(run_cli("serve", "--set", "engine.pak=x", "--data-dir", str(tmp_path)))
    assert "engine.pak" in told


def test_sigterm_ends_it_cleanly_with_a_processor_running(rig: Any) -> None:
    video, data = rig.streams()
    rig.create(video, data)
    rig.start()
    rig.daemon.process.send_signal(signal.SIGTERM)
    assert rig.daemon.process.wait(15) == 0
    assert "Traceback" not in rig.daemon.log
