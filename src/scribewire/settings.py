"""Every setting once: name, type, default, bounds, unit, meaning. Environment, TOML, help and docs derive from here."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from scribewire.errors import BadSettings

PREFIX = "SCRIBEWIRE_"
# Read by the client side of the command line; they are not settings of the service.
CLIENT_VARIABLES = frozenset({"SCRIBEWIRE_URL", "SCRIBEWIRE_KEY"})

Seconds = Annotated[float, annotated_types.Gt(0), annotated_types.Lt(86_400 * 7)]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Group):
    """The port and what stands before it."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    public_url: str = Field(
        "",
        pattern=r"^(|wss?://[^\s]+)$",
        description="WebSocket base URL that clients are told, such as wss://realtime.example.org; empty derives it from "
        "the request.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="Addresses or networks whose X-Forwarded-* headers are believed."
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins that browsers may call the REST API from; * for any."
    )
    grace_s: Seconds = Field(20.0, description="Seconds that live sessions get to finish when the service stops.")
    log_format: Literal["text", "json"] = Field("text", description="How log lines are written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line written."
    )


class StoreSettings(_Group):
    """Where keys and reports are kept."""

    url: str = Field(
        "",
        description="SQLAlchemy URL, sqlite+aiosqlite or postgresql+asyncpg; empty is a SQLite file in the data folder.",
    )
    reports_keep_days: int = Field(30, ge=0, le=3650, description="Days that session reports are kept; 0 keeps none.")


class AutoscalingSettings(_Group):
    """How many workers, and when."""

    enabled: bool = Field(True, description="Scale workers with demand; off keeps a fixed number running.")
    min_workers: int = Field(
        0, ge=0, le=1000, description="Fewest workers; off, autoscaling keeps this many (at least 1)."
    )
    max_workers: int = Field(0, ge=0, le=1000, description="Most workers; 0 is one for each core of this machine.")
    target_utilisation: float = Field(
        0.8, gt=0, le=1, description="Share of the slots in use above which another worker is wanted."
    )
    cooldown_s: Seconds = Field(
        60.0, description="Seconds that fewer workers must have sufficed before one is stopped."
    )
    idle_s: Seconds = Field(
        300.0, description="Seconds without a session or an initialize before all workers are stopped."
    )
    start_wait_s: Seconds = Field(120.0, description="Longest wait in seconds for the first worker to become ready.")


class ScalerSettings(_Group):
    """Who starts and stops workers."""

    kind: Literal["local", "static"] = Field(
        "local", description="local starts child processes; static uses the workers listed in addresses."
    )
    addresses: tuple[str, ...] = Field(
        (), description="Addresses of workers that are run by somebody else: unix:<path> or tcp:<host>:<port>."
    )


class SessionSettings(_Group):
    """Bounds of one session."""

    start_wait_s: Seconds = Field(15.0, description="Seconds after the connect within which start must arrive.")
    idle_s: Seconds = Field(600.0, description="Seconds without a message after which a session is finished.")
    slot_wait_s: Seconds = Field(10.0, description="Longest wait in seconds for a free slot while workers are ready.")
    replace_wait_s: Seconds = Field(30.0, description="Longest wait in seconds for another worker when one is lost.")
    kept_s: float = Field(
        120.0, ge=30, le=3600, description="Seconds of audio not yet finalised that a session keeps for replay."
    )
    backlog_s: float = Field(
        10.0, ge=2, le=60, description="Seconds of undecoded audio past which a faster client is held back."
    )
    shape: Literal["", "v1", "v2"] = Field("", description="Message shape for every path; empty follows the path.")


class LimitSettings(_Group):
    """What one client may take."""

    sessions: int = Field(1000, ge=1, le=100_000, description="Most live sessions of this gateway.")
    sessions_per_key: int = Field(
        0, ge=0, le=100_000, description="Most live sessions of a key that sets none; 0 is no limit."
    )
    calls_per_minute_per_key: int = Field(
        600, ge=1, le=1_000_000, description="REST calls a minute that one key may make."
    )
    calls_per_minute_per_address: int = Field(
        1200, ge=1, le=1_000_000, description="REST calls and refused upgrades a minute that one address may make."
    )


class WorkerSettings(_Group):
    """What a worker may take of its machine."""

    cores: float = Field(
        0.0, ge=0, le=1024, description="Cores that a worker decodes on; 0 is 1 for a local worker, else its CPU quota."
    )
    slots: int = Field(0, ge=0, le=100_000, description="Live streams a worker takes; 0 measures it at start.")
    secret: str = Field("", repr=False, description="Shared secret that a worker asks for on TCP.")


class GateSettings(_Group):
    """The speech gate: what counts as speech, and where an utterance ends."""

    detector: Literal["silero", "energy", "none"] = Field(
        "silero", description="silero is a neural detector; energy a level threshold; none passes everything."
    )
    threshold: float = Field(
        0.7, gt=0.2, lt=1, description="Speech probability that opens the gate (0.15 less closes it)."
    )
    preroll_ms: int = Field(250, ge=0, le=2000, description="Milliseconds decoded before the gate opened.")
    hangover_ms: int = Field(500, ge=100, le=5000, description="Milliseconds of silence that end an utterance.")
    max_segment_s: float = Field(20.0, ge=2, le=60, description="Seconds after which a long utterance is cut.")


class LanguageSettings(_Group):
    """Which engine serves a language, as `<engine>:<model>`."""

    fast: str = Field("", description="Engine and model for type=fast.")
    quality: str = Field("", description="Engine and model for type=quality.")


class EnginesSettings(_Group):
    """Languages and the engines that serve them."""

    default_language: str = Field("en", description="Language of a session that names none.")
    languages: dict[str, LanguageSettings] = Field(
        {"en": LanguageSettings(fast="pocketsphinx:fast", quality="pocketsphinx:quality")},
        description="Engines by language tag, each with fast and quality.",
    )


def default_data_dir() -> Path:
    """Give the data folder of this user (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "scribewire"


class Settings(BaseSettings):
    """All settings. Sources, the first wins: arguments, environment, TOML file, defaults."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    data_dir: Path = Field(
        default_factory=default_data_dir, description="Folder of the store, the first key and models."
    )
    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    autoscaling: AutoscalingSettings = AutoscalingSettings()
    scaler: ScalerSettings = ScalerSettings()
    session: SessionSettings = SessionSettings()
    limits: LimitSettings = LimitSettings()
    worker: WorkerSettings = WorkerSettings()
    gate: GateSettings = GateSettings()
    engines: EnginesSettings = EnginesSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave only arguments and environment; the TOML file is merged under them by `load`."""
        return (init_settings, env_settings)


def load(config: Path | None = None, **arguments: Any) -> Settings:
    """Read the settings from arguments, environment and an optional TOML file.

    Raises BadSettings, naming each setting that is unknown, of the wrong type or out of bounds.
    """
    raise NotImplementedError
