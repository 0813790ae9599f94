"""The configuration: one model per table, one commented file, errors that name the key."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url
from pydantic import BaseModel, RootModel

from streamproc.config import Config, load_config, parse_assignment
from streamproc.errors import ConfigError
from streamproc.settings import is_endpoint_url

FILE = Path(__file__).resolve().parent.parent / "config" / "streamproc.toml"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("STREAMPROC_")]:
        monkeypatch.delenv(name)


def tables() -> dict[str, type[BaseModel]]:
    found = {}
    for name, field in Config.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseModel)
        found[name] = field.annotation
    return found


def uncommented() -> dict[str, dict[str, Any]]:
    """The file with every `#key = value` switched on."""
    return tomllib.loads(re.sub(r"^#(\w+ = )", r"\1", FILE.read_text(), flags=re.MULTILINE))


def test_the_file_lists_every_key_at_its_default() -> None:
    written = uncommented()
    assert list(written) == list(tables())
    for table, model in tables().items():
        if issubclass(model, RootModel):
            continue  # its keys are the user's
        assert list(written[table]) == list(model.model_fields), f"[{table}]"
        # Paths with ~ expand on both sides alike.
        assert model.model_validate(written[table]) == model.model_validate(
            {name: field.default for name, field in model.model_fields.items()}
        )


def test_the_file_explains_every_key_in_the_model_s_words() -> None:
    lines = FILE.read_text().splitlines()
    for table, model in tables().items():
        if issubclass(model, RootModel):
            continue
        for key, field in model.model_fields.items():
            at = next(i for i, line in enumerate(lines) if line.startswith(f"#{key} = "))
            assert field.description, f"{table}.{key} has no description"
        assert any(f"# {field.description}" in lines for field in model.model_fields.values()), at


def test_the_file_as_it_stands_changes_nothing() -> None:
    assert load_config(FILE).model_dump() == load_config().model_dump()


def test_precedence_is_override_then_environment_then_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "streamproc.toml"
    file.write_text('[engine]\npack = "file"\n[server]\nport = 1\n[processors]\nanalysis_fps = 2\n')
    monkeypatch.setenv("STREAMPROC_ENGINE__PACK", "environment")
    monkeypatch.setenv("STREAMPROC_SERVER__PORT", "2")
    config = load_config(file, {"server": {"port": 3}})
    assert config.server.port == 3
    assert config.engine.pack == "environment"
    assert config.processors.analysis_fps == 2.0
    assert config.server.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"server": {"port": 70000}}, "server.port = 70000"),
        ({"server": {"account_id": "\u0660" * 12}}, "server.account_id = '\u0660"),
        ({"engine": {"packs": "x"}}, "engine.packs is not known"),
        ({"engines": {}}, "engines is not known"),
        ({"engine": {"name": "magic"}}, "engine.name = 'magic'"),
        ({"engine": {"detection_sizes": [100]}}, "100 is not a multiple of 32"),
        ({"engine": {"providers": ["A", "B", "A"]}}, "A is named twice"),
        ({"faces": {"face_match_threshold": 101}}, "faces.face_match_threshold = 101"),
        ({"endpoints": {"kinesis": "ftp://x"}}, "endpoints.kinesis = 'ftp://x'"),
        ({"endpoints": {"s3": "http://"}}, "endpoints.s3 = 'http://'"),
        ({"endpoints": {"s3": "http://a_b:1"}}, "endpoints.s3 = 'http://a_b:1'"),
        ({"server": {"public_url": "example.org"}}, "server.public_url = 'example.org'"),
    ],
)
def test_a_wrong_key_is_named_with_its_value(
    overrides: dict[str, dict[str, Any]], told: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_config(None, overrides)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("http://127.0.0.1:4600", True),
        ("https://kinesis.eu-west-1.amazonaws.com", True),
        ("http://localhost/path", True),
        ("http://[::1]:80", True),
        ("http://host.", True),
        ("http://", False),
        ("//host", False),
        ("over there", False),
        ("http://two words", False),
        ("http://host:port", False),
        ("http://host:70000", False),
        ("http://under_score", False),
        ("http://-host", False),
        ("http://[::1", False),
        ("ftp://host", False),
    ],
)
def test_an_endpoint_is_an_http_url_of_a_legal_host(text: str, is_one: bool) -> None:
    assert is_endpoint_url(text) is is_one
    if is_one:  # and so the client says too
        assert is_valid_endpoint_url(text) or is_valid_ipv6_endpoint_url(text)


def test_a_missing_file_and_bad_toml_are_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    for content in (b"[server\n", b'[server]\nhost = "\xff"\n'):
        broken.write_bytes(content)
        with pytest.raises(ConfigError, match="is not TOML"):
            load_config(broken)


def test_a_file_that_may_not_be_read_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"streamproc\.toml cannot be read: Permission denied"):
        load_config(FILE)


@pytest.mark.parametrize(
    ("name", "value"), [("STREAMPROC_ENGINE", "dlib"), ("STREAMPROC_ENGINE__PROVIDERS", "CPU")]
)
def test_a_variable_that_should_hold_json_and_does_not_is_told_in_words(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r'"engine".*STREAMPROC_ENGINE__.* JSON'):
        load_config()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("engine.pack=buffalo_l", ("engine", "pack", "buffalo_l")),
        ("server.port = 80", ("server", "port", 80)),
        ("processors.analysis_fps=2.5", ("processors", "analysis_fps", 2.5)),
        ('engine.providers=["A", "B"]', ("engine", "providers", ["A", "B"])),
        (
            "endpoints.kinesis=http://127.0.0.1:5000",
            ("endpoints", "kinesis", "http://127.0.0.1:5000"),
        ),
    ],
)
def test_an_assignment_is_toml_or_a_bare_word(text: str, expected: tuple[str, str, Any]) -> None:
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["engine", "engine.pack", "=x", "pack=x", ".pack=x"])
def test_an_assignment_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape("expected table.key=value")):
        parse_assignment(text)


@pytest.mark.parametrize("account_id", ["000000000001", "123456789012"])
def test_an_account_id_needs_no_quotes(account_id: str) -> None:
    table, key, value = parse_assignment(f"server.account_id={account_id}")
    assert load_config(None, {table: {key: value}}).server.account_id == account_id


def test_a_bucket_is_a_folder_by_name(tmp_path: Path) -> None:
    file = tmp_path / "streamproc.toml"
    file.write_text('[buckets]\nclips = "~/clips"\n')
    assert load_config(file).buckets.root == {"clips": Path("~/clips").expanduser()}
    assert load_config(None, {"buckets": {"clips": "/srv"}}).buckets.root == {"clips": Path("/srv")}
    with pytest.raises(ConfigError, match=r'"no such\.\./name" is no bucket name'):
        load_config(None, {"buckets": {"no such../name": "/srv"}})
