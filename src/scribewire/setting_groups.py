"""Every setting once: name, type, default, bounds, unit, meaning, in groups that settings.py puts together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _split(value: object) -> object:
    """Let a variable hold a list as `a,b` or as JSON."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _parse_json(value)
    return [item.strip() for item in value.split(",") if item.strip()]


def _parse_json(value: object) -> object:
    """Let a variable hold a table as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError("must be valid JSON") from error


def _normal_tag(tag: str) -> str:
    """Spell a language tag as it is looked up; a variable cannot hold its hyphen."""
    return tag.lower().replace("_", "-")


def _check_websocket_url(value: str) -> str:
    if value and not value.startswith(("ws://", "wss://")):
        raise ValueError("must begin with ws:// or wss://")
    return value.rstrip("/")


Seconds = Annotated[float, Field(gt=0, lt=86_400 * 7)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_split)]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Group):
    """The port and what stands before it."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    public_url: Annotated[str, AfterValidator(_check_websocket_url)] = Field(
        "", description="WebSocket base URL that clients are told, as wss://host; empty derives it from the request."
    )
    trusted_proxies: Texts = Field(
        ("127.0.0.1", "::1"), description="Addresses or networks whose X-Forwarded-* headers are believed."
    )
    cors_origins: Texts = Field((), description="Origins that browsers may call the REST API from; * for any.")
    grace_s: Seconds = Field(20.0, description="Seconds that live sessions get to finish when the service stops.")
    stop_notice_s: float = Field(
        0.0, ge=0, le=86_400, description="Seconds before that in which live sessions go on, and are told of the end."
    )
    log_format: Literal["text", "json"] = Field("text", description="How log lines are written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line written."
    )


class StoreSettings(_Group):
    """Where keys and reports are kept."""

    url: str = Field(
        "",
        repr=False,
        description="SQLAlchemy URL, sqlite+aiosqlite or postgresql+asyncpg; empty is a SQLite file in the data "
        "folder.",
    )
    reports_keep_days: int = Field(30, ge=0, le=3650, description="Days that session reports are kept; 0 keeps none.")


class AutoscalingSettings(_Group):
    """How many workers, and when."""

    enabled: bool = Field(default=True, description="Scale workers with demand; off keeps a fixed number running.")
    min_workers: int = Field(
        0, ge=0, le=1000, description="Fewest workers; off, autoscaling keeps this many (at least 1)."
    )
    max_workers: int = Field(0, ge=0, le=1000, description="Most workers; 0 is one for each core of this machine.")
    target_utilisation: float = Field(
        0.8, gt=0, le=1, description="Share of the slots in use above which another worker is wanted."
    )
    spare_slots: int = Field(0, ge=0, le=100_000, description="Free slots that are kept besides, if that is more.")
    cooldown_s: Seconds = Field(
        60.0, description="Seconds that fewer workers must have sufficed before the others are stopped."
    )
    idle_s: Seconds = Field(
        300.0, description="Seconds without a session or an initialize before all workers are stopped."
    )
    wake_on_start: bool = Field(default=False, description="Let a session's start do what an initialize does.")
    start_wait_s: Seconds = Field(120.0, description="Longest wait in seconds for the first worker to become ready.")

    @model_validator(mode="after")
    def _check_order(self) -> AutoscalingSettings:
        if 0 < self.max_workers < self.min_workers:
            raise ValueError("min_workers must not exceed max_workers")
        return self


class ScalerSettings(_Group):
    """Who starts and stops workers."""

    kind: Literal["local", "static", "kubernetes"] = Field(
        "local",
        description="local starts child processes; static uses the workers listed in addresses; kubernetes scales a "
        "Deployment.",
    )
    addresses: Texts = Field(
        (), description="Addresses of workers that are run by somebody else: unix:<path> or tcp:<host>:<port>."
    )


class KubernetesSettings(_Group):
    """The Deployment whose pods are the workers."""

    deployment: str = Field("scribewire-worker", description="Name of the Deployment.")
    namespace: str = Field("", description="Its namespace; empty is that of the service account or the kubeconfig.")
    selector: str = Field(
        "app.kubernetes.io/name=scribewire,app.kubernetes.io/component=worker",
        description="Labels by which its pods are found.",
    )
    port: int = Field(7000, ge=1, le=65_535, description="TCP port that the workers listen on.")
    kubeconfig: str = Field("", description="File with cluster and credentials; empty is the pod's service account.")


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
    partials: Literal["all", "stable"] = Field(
        "all", description="all shows every word as it is heard; stable only words that are expected to stay."
    )
    shape: Literal["", "v1", "v2"] = Field("", description="Message shape for every path; empty follows the path.")


class LimitSettings(_Group):
    """What one client may take."""

    sessions: int = Field(1000, ge=1, le=100_000, description="Most live sessions of this gateway.")
    viewers: int = Field(2000, ge=1, le=100_000, description="Most readers of shared sessions at this gateway.")
    sessions_per_key: int = Field(
        0, ge=0, le=100_000, description="Most live sessions of a key that sets none; 0 is no limit."
    )
    calls_per_minute_per_key: int = Field(
        600, ge=1, le=1_000_000, description="REST calls a minute that one key may make."
    )
    calls_per_minute_per_address: int = Field(
        1200, ge=1, le=1_000_000, description="REST calls and refused upgrades a minute that one address may make."
    )


class FetchSettings(_Group):
    """Fetching a session's audio from the URL that a client gives."""

    enabled: bool = Field(default=False, description="Serve the path that fetches.")
    schemes: Annotated[tuple[Literal["https", "http"], ...], BeforeValidator(_split)] = Field(
        ("https",), description="Schemes that may be fetched: https, http."
    )
    hosts: Texts = Field(
        (), description="Hosts that may be fetched from: names, *.suffix, addresses; * is every public one."
    )
    ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65_535)], ...], BeforeValidator(_split)] = Field(
        (80, 443), description="Ports that may be called."
    )
    private: bool = Field(
        default=False, description="Let hosts lead to private networks and to this machine; link-local stays barred."
    )
    load_wait_s: Seconds = Field(10.0, description="Longest wait in seconds for the first audio of a source.")
    stall_s: Seconds = Field(30.0, description="Longest wait in seconds for any more of it.")
    max_s: Seconds = Field(
        4 * 3600.0, description="Longest that one source is fetched, in seconds of audio and of time."
    )
    max_bytes: int = Field(
        4_000_000_000, ge=1024, le=1_000_000_000_000, description="Most bytes that one session fetches."
    )


class WorkerSettings(_Group):
    """What a worker may take of its machine."""

    cores: float = Field(
        0.0, ge=0, le=1024, description="Cores that a worker decodes on; 0 is 1 for a local worker, else its CPU quota."
    )
    slots: int = Field(0, ge=0, le=100_000, description="Live streams a worker takes; 0 measures it at start.")
    secret: str = Field("", repr=False, description="Shared secret that a worker asks for on TCP.")
    certificate: str = Field("", description="PEM file of the certificate that a worker shows on TCP; empty is no TLS.")
    certificate_key: str = Field("", description="PEM file of its key; empty looks in the certificate's file.")
    authority: str = Field("", description="PEM file by which gateways know workers' certificates; empty is no TLS.")


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
    second_pass: str = Field(
        "", description="Engine and model that decodes each final of the others once more; empty is none."
    )


class EnginesSettings(_Group):
    """Languages and the engines that serve them."""

    default_language: str = Field("en", description="Language of a session that names none.")
    device: Literal["cpu", "cuda"] = Field("cpu", description="What engines compute on, those that know both.")
    load: Literal["start", "first_use"] = Field(
        "start", description="When a worker loads all but the first engine: after its start, or when one is asked for."
    )
    second_pass_wait_s: Seconds = Field(
        1.0, description="Longest that a final waits for its second pass; then it goes out as it is."
    )
    mirror_url: str = Field(
        "", pattern="^(https?://.+)?$", description="Base URL in place of scheme and host of the models' sources."
    )
    languages: Annotated[dict[str, LanguageSettings], BeforeValidator(_parse_json)] = Field(
        {"en": LanguageSettings(fast="pocketsphinx:fast", quality="pocketsphinx:quality")},
        description="Engines by language tag, each with fast and quality; engines.en.fast is short for "
        "engines.languages.en.fast. To name any replaces the default.",
    )

    def second_passes(self) -> Iterator[tuple[str, str]]:
        """Give each choice whose finals are decoded once more, and the choice that does so."""
        for chosen in self.languages.values():
            for first in (chosen.fast, chosen.quality):
                if first and chosen.second_pass not in ("", first):
                    yield first, chosen.second_pass

    @model_validator(mode="before")
    @classmethod
    def _gather_languages(cls, given: object) -> object:
        """Take a table that is no setting of this group for a language, so that `engines.de.fast` may be written."""
        if not isinstance(given, Mapping):
            return given
        tables = {
            key: value for key, value in given.items() if key not in cls.model_fields and isinstance(value, Mapping)
        }
        rest = {key: value for key, value in given.items() if key not in tables}
        languages = _parse_json(rest.get("languages", {}))
        if not isinstance(languages, Mapping):
            return given
        named = {_normal_tag(tag): chosen for tag, chosen in {**languages, **tables}.items()}
        if not named:
            return rest
        # One language needs no word about which is the default.
        only = {"default_language": next(iter(named))} if len(named) == 1 else {}
        return {**only, **rest, "languages": named}

    @model_validator(mode="after")
    def _check_default(self) -> EnginesSettings:
        if self.default_language not in self.languages:
            raise ValueError(f"default_language must be one of {', '.join(sorted(self.languages))}")
        return self
