"""Settings: three sources, one object; misspelt names are refused, and keys are not shown."""

import json
from pathlib import Path

import pytest

from inkstream.model.errors import ConfigError
from inkstream.service.settings import MASK, Settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of the machine that runs the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"INKSTREAM_{name.upper()}", raising=False)


def toml(folder: Path, text: str) -> Path:
    path = folder / "inkstream.toml"
    path.write_text(text)
    return path


# Sources


def test_without_any_source_the_defaults_hold() -> None:
    settings = Settings.load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.models == ("digits", "lines")


def test_flags_win_over_the_environment_and_it_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toml(tmp_path, "port = 1\nmax_batch = 2\nmax_sessions = 3\n")
    monkeypatch.setenv("INKSTREAM_PORT", "4")
    monkeypatch.setenv("INKSTREAM_MAX_BATCH", "5")
    settings = Settings.load(config=path, port="6")
    assert (settings.port, settings.max_batch, settings.max_sessions) == (6, 5, 3)
    monkeypatch.setenv("INKSTREAM_CONFIG", str(path))
    assert Settings.load().max_sessions == 3


def test_lists_are_written_with_commas_and_in_a_file_as_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKSTREAM_API_KEYS", "one, two,")
    path = toml(tmp_path, 'models = ["digits", "letters"]\n')
    settings = Settings.load(config=path, origins="https://a.example,https://b.example:8443")
    assert [key.get_secret_value() for key in settings.api_keys] == ["one", "two"]
    assert settings.origins == ("https://a.example", "https://b.example:8443")
    assert settings.models == ("digits", "letters")


# Refused settings


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("prot = 8000", r"unknown setting prot in .*did you mean port\?"),
        ('config = "/etc/other.toml"', "unknown setting config in "),  # a file names no other
        ("port: 8000", r"inkstream\.toml is not TOML: .*line 1"),
        ('api_keys = ["one", ""]', "key 2 has other characters than"),
        *(
            (f"{name} = true", f"{name} is True: true and false are not allowed")
            for name in ("port", "idle_timeout_s", "models", "host")
        ),
    ],
)
def test_what_is_refused_in_the_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Settings.load(config=toml(tmp_path, text))


def test_other_unknown_names_are_refused_with_a_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="unknown setting colour in flags"):
        Settings.load(colour="red")
    with pytest.raises(ConfigError, match=r"cannot read settings file .*none\.toml: No such file"):
        Settings.load(config=tmp_path / "none.toml")
    monkeypatch.setenv("INKSTREAM_MAX_SESSION", "5")
    text = "unknown setting INKSTREAM_MAX_SESSION in environment; did you mean"
    with pytest.raises(ConfigError, match=rf"{text} INKSTREAM_MAX_SESSIONS\?"):
        Settings.load()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("port", "65536", "port is '65536': Input should be less than or equal to 65535"),
        ("port", "eighty", "port is 'eighty': Input should be a valid integer"),
        ("max_batch", "0", "max_batch is '0': Input should be greater than or equal to 1"),
        ("idle_timeout_s", "-1", "idle_timeout_s is '-1': Input should be greater than 0"),
        ("idle_timeout_s", "inf", "idle_timeout_s is 'inf': Input should be a finite number"),
        ("log_format", "xml", "log_format is 'xml': Input should be 'terminal' or 'json'"),
        ("trusted_proxies", "proxy", "'proxy' does not appear to be an IPv4 or IPv6 network"),
        ("origins", "example.org", "'example.org' is no origin such as https://example.org"),
        ("hosts", "http://ink.example", "'http://ink.example' is no name such as ink.example.org"),
        ("hosts", "ink.example:8000", "'ink.example:8000' is no name such as"),
        ("hosts", "ink.*", "'ink.*' is no name such as"),
        ("hosts", "*ink.example", "'*ink.example' is no name such as"),
        ("hosts", "10.0.0.0/8", "'10.0.0.0/8' is no name such as"),
        ("root_path", "ink", "String should match pattern"),
        ("root_path", "/ink/", "String should match pattern"),
        ("origins", "https://example.org/", "is no origin such as https://example.org"),
        ("origins", "https://example.org/pad", "is no origin such as https://example.org"),
        ("origins", "https://", "is no origin such as https://example.org"),
        ("models", "", "expected at least one model, each once"),
        ("models", "digits,digits", "expected at least one model, each once"),
        ("max_waiting_columns", "1", "max_message_columns is 2048, allowed: up to"),
    ],
)
def test_the_error_of_a_value_out_of_range_names_what_is_allowed(
    name: str, value: str, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.load(**{name: value})
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faults_are_named_in_one_error() -> None:
    with pytest.raises(ConfigError, match=r"port is .*; max_batch is "):
        Settings.load(port="x", max_batch="y")


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().port = 1


# Keys

RESUME_KEY = "0123456789abcdefghijklmnopqrstuv"  # 32 characters
KEYS = {"api_keys": "hush-hush", "resume_keys": RESUME_KEY}


@pytest.mark.parametrize(
    ("name", "key", "reason"),
    [
        *(
            ("api_keys", key, "key 2 has other characters than")
            for key in ("with space", "sl/ash", "umläut")
        ),
        ("resume_keys", RESUME_KEY[1:], "key 2 has 31 characters, expected at least 32"),
        *((name, MASK, "key 2 was masked when it was printed") for name in KEYS),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_and_no_key_repeated(
    name: str, key: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        Settings.load(**{name: f"{KEYS[name]},{key}"})
    text = str(caught.value).replace("expected at least 32", "")
    assert KEYS[name] not in text
    assert key == MASK or key not in text


def test_printed_settings_hold_all_and_mask_keys() -> None:
    settings = Settings.load(**KEYS, port=9000, weights="/srv/weights")
    assert [key.get_secret_value() for key in settings.resume_keys] == [RESUME_KEY]
    text = settings.render()
    for line in ("port = 9000", 'weights = "/srv/weights"', *(f'{n} = ["{MASK}"]' for n in KEYS)):
        assert f"{line}\n" in text
    assert not [key for key in KEYS.values() if key in text]


def test_printed_settings_are_a_file_with_the_same_settings(tmp_path: Path) -> None:
    settings = Settings.load(
        origins="https://a.example",
        max_session_s=60,
        metrics_need_key=True,
        weights='/srv/\N{LOWER LEFT FOUNTAIN PEN} \\"ü"',
    )
    again = Settings.load(config=toml(tmp_path, settings.render()))
    assert again.model_dump(exclude={"config"}) == settings.model_dump(exclude={"config"})


def test_exported_settings_are_the_same_in_another_process(tmp_path: Path) -> None:
    path = toml(tmp_path, 'host = "::1"\n')
    settings = Settings.load(config=path, api_keys="hush-hush,two", weights="/srv/weights")
    path.unlink()
    again = Settings.load(**json.loads(settings.export()))
    assert again == settings.model_copy(update={"config": None})
    assert [key.get_secret_value() for key in again.api_keys] == ["hush-hush", "two"]


# Limits


def test_limits_carry_the_settings_of_their_names() -> None:
    settings = Settings.load(max_rewind_columns=77, idle_timeout_s=1.5)
    assert (settings.limits.max_rewind_columns, settings.limits.idle_timeout_s) == (77, 1.5)
    limits = Settings.load().limits
    assert limits.max_sessions >= limits.max_sessions_per_client >= 300


def test_only_loopback_addresses_are_out_of_reach() -> None:
    for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost", "ink.localhost"):
        assert Settings.load(host=host).on_loopback
    for host in ("0.0.0.0", "::", "example.org"):
        assert not Settings.load(host=host).on_loopback
