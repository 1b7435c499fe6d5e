"""Everything that an operator can set, read once into one frozen object.

Flags win over the environment (`INKSTREAM_PORT=9000`), the environment over a TOML file
(`port = 9000`), the file over the defaults below. An unknown name is an error in all three, so that
a misspelt setting is never ignored. This is the only module that reads the environment.
"""

import difflib
import ipaddress
import json
import os
import re
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
from inkstream.service.protocol.server_messages import Limits, Seconds

PREFIX: Final = "INKSTREAM_"
LAST_S: Final = 2.0  # from the end of the drain until the process is ended by force
TOKEN_CHARACTERS: Final = frozenset(  # of a subprotocol, RFC 9110, 5.6.2
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
MASK: Final = "***"
SECRETS: Final = ("api_keys", "resume_keys")  # settings that are never shown
_HOST: Final = re.compile(r"([a-z0-9._-]*[a-z0-9_-]|\[[0-9a-f:.]+\])\.?(?::\d*)?")


def _split_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


ALL: Final = "*"  # of `languages`
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_commas)]


class ServerSettings(BaseSettings):
    """The settings that clients do not see."""

    model_config = SettingsConfigDict(use_attribute_docstrings=True)

    config: Path | None = None
    """TOML file to read settings from."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    root_path: str = Field("", pattern=r"^(/[\w.~-]+)*$")
    """Path below which a proxy shows this server; the proxy takes it off."""
    models: Names = ("digits", "lines")
    """Models to serve, by name, path or NAME=PATH; the first is the default."""
    weights: Path | None = None
    """Folder in which models are looked up first."""
    languages: Names = (ALL,)
    """Languages that lines may be read in, by name, code or path; * for all shipped ones."""
    threads: int = Field(1, ge=1, le=64)
    """Threads that one run of a net may use."""
    workers: int = Field(1, ge=1, le=64)
    """Processes that serve. Each has the limits of sessions and connections for itself."""

    api_keys: Secrets = ()
    """Keys, one of which each client must send; without keys all clients are allowed."""
    resume_keys: Secrets = ()
    """Keys that seal what clients resume with: the first seals, all open; without, a random one."""
    token_lifetime_s: Seconds = 300.0
    """For how long a token of POST /v1/tokens is good."""
    metrics_need_key: bool = False
    """Require a key at /metrics too."""
    hosts: Names = ()
    """Names of the server beside localhost, such as ink.example or *.ink.example; * for any."""
    origins: Names = ()
    """Web origins that are allowed beside the server's own, or * for all."""
    trusted_proxies: Names = ()
    """Addresses or networks whose X-Forwarded-For is believed."""

    log_format: Literal["terminal", "json"] = "terminal"
    """Format of the log: terminal, for people, or json, for machines."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged: debug, info, warning or error."""

    max_batch: int = Field(64, ge=1, le=4096)
    """Sessions that share one run of the net."""
    max_run_columns: int = Field(512, ge=1, le=65_536)
    """Columns in one run of the net, of all its sessions together."""

    spare_connections_per_client: int = Field(128, ge=1, le=65_536)
    """Connections of one client address (/64 for IPv6) beyond max_sessions_per_client."""

    page_workers: int = Field(2, ge=1, le=64)
    """Processes that read pages and large bodies; they start when they are needed."""
    page_worker_cpu_s: int = Field(10, ge=1)
    """Processor time in seconds that one of them may take for a body; beyond it comes 413."""
    page_worker_memory_bytes: int = Field(768 * 1024 * 1024, ge=256 * 1024 * 1024)
    """Memory that one of them may allocate; beyond it comes 413."""
    max_document_pages: int = Field(500, ge=1)
    """Pages of one PDF, or images of one TIFF; beyond it comes 413."""
    max_document_s: Seconds = 600.0
    """Time for one of these; each page that is left then is answered by an error."""

    ping_interval_s: Seconds = 20.0
    """Time between WebSocket pings."""
    ping_timeout_s: Seconds = 20.0
    """Longest wait for a pong."""
    headers_timeout_s: Seconds = 10.0
    """Time for a request's headers to arrive."""
    body_timeout_s: Seconds = 30.0
    """Time for a request's body; after four fifths of it 408 is answered."""
    stall_timeout_s: Seconds = 30.0
    """Time after which a client that does not take what is sent to it is cut off."""
    drain_timeout_s: Seconds = 5.0
    """Time that sessions have to end when the server is stopped."""


class Settings(Limits, ServerSettings):
    """All settings of the service; `load` reads them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """Read all sources; `flags` are the names and values given on the command line.

        Raises `ConfigError` with one line that names each faulty setting, what came and what is
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
        cls, settings_cls: type[BaseSettings], *_: Any, **sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return flags, environment, and the TOML file that one of these two names."""
        flags, environment = sources["init_settings"], sources["env_settings"]
        path = flags().get("config") or environment().get("config")
        names = cls.model_fields.keys() - {"config"}  # a file names no other
        values = _read_toml(Path(path), names) if path else {}
        return flags, environment, InitSettingsSource(settings_cls, values)

    @field_validator("*", mode="before")
    @classmethod
    def _check_truth(cls, value: object, info: ValidationInfo) -> object:
        """Refuse true and false for other types: Python takes True for 1."""
        if (
            isinstance(value, bool)
            and cls.model_fields[str(info.field_name)].annotation is not bool
        ):
            raise ValueError("true and false are not allowed")
        return value

    @field_validator(*SECRETS)
    @classmethod
    def _check_keys(
        cls, keys: tuple[SecretStr, ...], info: ValidationInfo
    ) -> tuple[SecretStr, ...]:
        for number, key in enumerate(keys, 1):
            text = key.get_secret_value()
            if text == MASK:
                fault = "was masked when it was printed: write the key itself"
            elif info.field_name == "resume_keys" and len(text) < 32:  # 32 random bytes have more
                command = "`openssl rand -base64 32` makes one"
                fault = f"has {len(text)} characters, expected at least 32: {command}"
            elif info.field_name == "api_keys" and not (text and {*text} <= TOKEN_CHARACTERS):
                fault = "has other characters than letters, digits and !#$%&'*+-.^_`|~"
            else:
                continue
            raise ValueError(f"key {number} {fault}")
        return keys

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ipaddress.ip_network(proxy)
        return proxies

    @field_validator("models", "languages")
    @classmethod
    def _check_names(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        are_models = info.field_name == "models"
        if len(set(names)) != len(names) or (are_models and not names):
            wanted = "at least one model, each" if are_models else "each language model"
            raise ValueError(f"expected {wanted} once")
        return names

    @field_validator("hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            name = host.removeprefix("*.")
            if host != "*" and host_name(name) != name.lower():
                raise ValueError(
                    f"{host!r} is no name such as ink.example.org or *.example.org,"
                    " no address such as 192.0.2.1 or [2001:db8::1], nor *"
                )
        return tuple(host.lower() for host in hosts)

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
        """The limits, which clients see in `ready`."""
        return Limits(**{name: getattr(self, name) for name in Limits.model_fields})

    @property
    def max_connections_per_client(self) -> int:
        """The connections that one client address may have, with a session or without."""
        return self.max_sessions_per_client + self.spare_connections_per_client

    @property
    def max_connections(self) -> int:
        """All connections: enough for all sessions, and for one more client that has none."""
        return self.max_sessions + self.max_connections_per_client

    @property
    def stop_within_s(self) -> float:
        """The time after which a server that was told to stop is ended, whatever it does."""
        return self.drain_timeout_s + LAST_S

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Names by which clients may address the server beside those of loopback; * is any."""
        return self.hosts or (() if self.on_loopback else ("*",))

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    def export(self) -> str:
        """Return all settings as JSON, with their keys, for `load` in another process of ours."""
        values = self.model_dump(exclude={"config"})  # its file has been read
        return json.dumps(values, default=_plain)

    def render(self) -> str:
        """Return the settings as a TOML file, each with its description; keys are masked."""
        lines = []
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name in SECRETS:
                value = (MASK,) * len(value)
            text = json.dumps(value, ensure_ascii=False, default=str)
            lines.append(f"# {field.description}")
            lines.append(f"# {name} =" if value is None or name == "config" else f"{name} = {text}")
        return "\n".join(lines) + "\n"


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def environment_without_settings() -> dict[str, str]:
    """Return the environment for another program, which is to see no setting, and so no key."""
    return {name: text for name, text in os.environ.items() if not name.upper().startswith(PREFIX)}


def host_name(host: str) -> str | None:
    """Return the name or address in a Host header, without its port; None if there is none.

    An address of IPv6 keeps its brackets (RFC 9110, 7.2). Names are in lower case, without the dot
    that may end them.
    """
    match = _HOST.fullmatch(host.lower())
    return match[1] if match else None


def is_loopback(host: str) -> bool:
    """Return whether a name or an address always means this machine (RFC 6761, 6.3)."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


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
        close = difflib.get_close_matches(name, names, n=1)
        shown = [prefix + name.upper() if prefix else name for name in (name, *close)]
        hint = f"; did you mean {shown[1]}?" if close else ""
        raise ConfigError(f"unknown setting {shown[0]} in {source}{hint}")


def _explain(error: ValidationError) -> str:
    parts = []
    for fault in error.errors(include_url=False, include_context=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        message = fault["msg"].removeprefix("Value error, ")
        shown = "" if name in ("", *SECRETS) else f" is {fault['input']!r}"
        parts.append(f"{name}{shown}: {message}" if name else message)
    return "; ".join(parts)
