"""Everything that an operator can choose, read once into one frozen object.

Flags win over the environment (`INKSTREAM_PORT=9000`), the environment over a TOML file
(`port = 9000`), the file over the defaults below. A name that no setting has is an error in all
three, so that a typo never passes for a choice. This is the only module that reads the environment.
"""

import dataclasses
import difflib
import ipaddress
import json
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from inkstream.model.errors import ConfigError
from inkstream.service.protocol.server_messages import Limits

PREFIX: Final = "INKSTREAM_"
TOKEN_CHARACTERS: Final = frozenset(  # RFC 9110, 5.6.2: what a subprotocol may be made of
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
MASK: Final = "***"


def _split_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_commas)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """The service's settings; `load` is the way to one."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    config: Path | None = Field(None, description="TOML file to read settings from")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    root_path: str = Field(
        "",
        pattern=r"^(/[\w.~-]+)*$",
        description="path below which a proxy shows this server; the proxy takes it off",
    )
    models: Names = Field(
        ("digits", "lines"),
        description="models to serve, by name or path; the first is the default",
    )
    weights: Path | None = Field(None, description="folder in which nets are looked up first")
    languages: Names = Field(
        ("english",), description="language models that lines may be read with, by name or path"
    )
    threads: int = Field(1, ge=1, le=64, description="threads that one run of a net may use")

    api_keys: Secrets = Field((), description="keys that clients must show; none: all may come")
    metrics_need_key: bool = Field(False, description="ask for a key at /metrics too")
    origins: Names = Field(
        (), description="web origins let in beside the server's own, or * for all"
    )
    trusted_proxies: Names = Field(
        (), description="addresses or networks whose X-Forwarded-For is believed"
    )

    log_format: Literal["terminal", "json"] = Field(
        "terminal", description="terminal, for people, or json, for machines"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged: debug, info, warning or error"
    )

    max_batch: int = Field(24, ge=1, le=4096, description="sessions that share one run")
    max_run_columns: int = Field(
        512, ge=1, le=65_536, description="columns in one run, of all its sessions together"
    )

    max_frame_bytes: int = Field(256 * 1024, ge=1024, description="bytes of one WebSocket message")
    max_message_columns: Count = Field(2048, description="columns in one message")
    max_waiting_columns: Count = Field(
        4096, description="columns waiting in a session; beyond it the server reads no more"
    )
    max_line_columns: Count = Field(100_000, description="columns of one line")
    max_rewind_columns: Count = Field(512, description="columns that a rewind may go back")
    max_control_per_s: Count = Field(100, description="control messages a second, in the long run")
    max_hint_characters: Count = Field(
        4096, description="characters of words, context and pattern in one message"
    )
    max_message_points: Count = Field(8192, description="points of the pen in one message")
    ink_margin_columns: int = Field(
        8, ge=0, le=256, description="how far the pen must be beyond a column for this to be read"
    )
    max_ink_strokes: Count = Field(1024, description="strokes that a rewind may still reach")
    max_ink_points: Count = Field(65_536, description="points of these strokes together")
    max_bad_messages: Count = Field(16, description="bad messages in a row until a session closes")
    max_sessions: Count = Field(1024, description="sessions in all")
    max_sessions_per_client: Count = Field(512, description="sessions of one client address")
    idle_timeout_s: Seconds = Field(300.0, description="longest silence of a client")
    max_session_s: Seconds = Field(6 * 3600.0, description="longest session")
    max_body_bytes: Count = Field(16 * 1024 * 1024, description="bytes of one REST body")
    max_image_pixels: Count = Field(16_000_000, description="pixels of one image, by its header")

    ping_interval_s: Seconds = Field(20.0, description="time between WebSocket pings")
    ping_timeout_s: Seconds = Field(20.0, description="longest wait for a pong")
    headers_timeout_s: Seconds = Field(10.0, description="time for a request's headers to arrive")
    body_timeout_s: Seconds = Field(
        30.0, description="time for a request's body; after four fifths of it 408 is answered"
    )
    stall_timeout_s: Seconds = Field(
        30.0, description="time for which a client may take none of what is sent to it"
    )
    drain_timeout_s: Seconds = Field(
        5.0, description="time that sessions get to end once the server is told to stop"
    )

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """Read all sources; `flags` are the names and values given on the command line.

        Raises `ConfigError` in one line that names each faulty setting, what came and what is
        allowed. Keys never appear in it.
        """
        names = cls.model_fields
        given = [name[len(PREFIX) :] for name in os.environ if name.upper().startswith(PREFIX)]
        _refuse_unknown((name.lower() for name in given), names, "environment", PREFIX)
        _refuse_unknown(flags, names, "flags")
        try:
            return cls(**flags)
        except ValidationError as error:
            raise ConfigError(_explain(error)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, and the TOML file that one of these two names."""
        path = init_settings().get("config") or env_settings().get("config")
        names = cls.model_fields.keys() - {"config"}  # a file names no other
        values = _read_toml(Path(path), names) if path else {}
        return init_settings, env_settings, InitSettingsSource(settings_cls, values)

    @field_validator("*", mode="before")
    @classmethod
    def _check_truth(cls, value: object, info: ValidationInfo) -> object:
        """Python takes true for 1."""
        if (
            isinstance(value, bool)
            and cls.model_fields[str(info.field_name)].annotation is not bool
        ):
            raise ValueError("expected no truth value")
        return value

    @field_validator("api_keys")
    @classmethod
    def _check_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for number, key in enumerate(keys, 1):
            text = key.get_secret_value()
            if text == MASK:
                raise ValueError(f"key {number} was masked when it was printed: put the key there")
            if not text or not TOKEN_CHARACTERS.issuperset(text):
                raise ValueError(f"key {number} is not of letters, digits and !#$%&'*+-.^_`|~")
        return keys

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ipaddress.ip_network(proxy)
        return proxies

    @field_validator("models")
    @classmethod
    def _check_models(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        if not models or len(set(models)) != len(models):
            raise ValueError("expected at least one model, each once")
        return models

    @field_validator("languages")
    @classmethod
    def _check_languages(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(languages)) != len(languages):
            raise ValueError("expected each language model once")
        return languages

    @field_validator("origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            scheme, separator, host = origin.partition("://")
            if origin != "*" and not (scheme and separator and host and "/" not in host):
                raise ValueError(f"{origin!r} is no origin such as https://example.org, nor *")
        return tuple(origin.lower() for origin in origins)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.max_message_columns > self.max_waiting_columns:
            raise ValueError(
                f"max_message_columns is {self.max_message_columns}, allowed: up to"
                f" max_waiting_columns, {self.max_waiting_columns}"
            )
        return self

    @property
    def limits(self) -> Limits:
        """The part that the protocol announces."""
        names = [field.name for field in dataclasses.fields(Limits)]
        return Limits(**{name: getattr(self, name) for name in names})

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def render(self) -> str:
        """The settings as a TOML file, each with its meaning; keys are masked."""
        lines = []
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name == "api_keys":
                value = (MASK,) * len(value)
            text = json.dumps(value, ensure_ascii=False, default=str)
            lines.append(f"# {field.description}")
            lines.append(f"# {name} =" if value is None or name == "config" else f"{name} = {text}")
        return "\n".join(lines) + "\n"


def _read_toml(path: Path, names: Iterable[str]) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read settings file {path}: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise ConfigError(f"settings file {path} is not TOML: {error}") from None
    _refuse_unknown(values, names, str(path))
    return values


def _refuse_unknown(
    given: Iterable[str], names: Iterable[str], source: str, prefix: str = ""
) -> None:
    names = list(names)
    for name in sorted(set(given) - set(names)):
        shown = prefix + name.upper() if prefix else name
        close = difflib.get_close_matches(name, names, n=1)
        hint = (
            f"; did you mean {prefix + close[0].upper() if prefix else close[0]}?" if close else ""
        )
        raise ConfigError(f"unknown setting {shown} in {source}{hint}")


def _explain(error: ValidationError) -> str:
    parts = []
    for fault in error.errors(include_url=False, include_context=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        message = fault["msg"].removeprefix("Value error, ")
        shown = "" if name in ("", "api_keys") else f" is {fault['input']!r}"
        parts.append(f"{name}{shown}: {message}" if name else message)
    return "; ".join(parts)
