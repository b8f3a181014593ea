"""All settings together: read from environment and TOML, checked, and shown as a table for help and docs."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from scribewire.errors import BadSettings
from scribewire.places import default_data_dir
from scribewire.setting_groups import (
    AutoscalingSettings,
    EnginesSettings,
    FetchSettings,
    GateSettings,
    KubernetesSettings,
    LanguageSettings,
    LimitSettings,
    ScalerSettings,
    ServerSettings,
    SessionSettings,
    StoreSettings,
    WorkerSettings,
)

__all__ = [
    "NOT_SETTINGS",
    "PREFIX",
    "AutoscalingSettings",
    "EnginesSettings",
    "FetchSettings",
    "GateSettings",
    "KubernetesSettings",
    "LanguageSettings",
    "LimitSettings",
    "ScalerSettings",
    "ServerSettings",
    "SessionSettings",
    "SettingRow",
    "Settings",
    "StoreSettings",
    "WorkerSettings",
    "load",
    "table",
]

PREFIX = "SCRIBEWIRE_"
# Read by the client side of the command line and by the tests; they are not settings of the service.
NOT_SETTINGS = frozenset({"SCRIBEWIRE_URL", "SCRIBEWIRE_KEY", "SCRIBEWIRE_CLIPS"})


class Settings(BaseSettings):
    """All settings, as given by keyword; `load` adds the environment and the TOML file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", enable_decoding=False, extra="forbid", frozen=True
    )

    data_dir: Path = Field(
        default_factory=default_data_dir,
        examples=["~/.local/share/scribewire"],
        description="Folder of the store, the first key and models; XDG_DATA_HOME moves its default.",
    )
    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    autoscaling: AutoscalingSettings = AutoscalingSettings()
    scaler: ScalerSettings = ScalerSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    session: SessionSettings = SessionSettings()
    limits: LimitSettings = LimitSettings()
    fetch: FetchSettings = FetchSettings()
    worker: WorkerSettings = WorkerSettings()
    gate: GateSettings = GateSettings()
    engines: EnginesSettings = EnginesSettings()

    @property
    def models_dir(self) -> Path:
        """Give the folder of the models that were pulled."""
        return self.data_dir / "models"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave only the keywords, so that what is built in a program or a test depends on nothing else."""
        return (init_settings,)

    @model_validator(mode="after")
    def _check_kept(self) -> Settings:
        # A session that may keep less than one segment could never be settled, and would wait for itself.
        if self.session.kept_s <= self.gate.max_segment_s + self.session.backlog_s:
            raise ValueError("session.kept_s must exceed gate.max_segment_s and session.backlog_s together")
        return self

    def environment(self) -> dict[str, str]:
        """Give the variables that make another process load these same settings.

        They stand for all that is not default: the process must inherit no other variable of ours.
        """
        return {
            _variable(path): _spell(value)
            for path, field in _leaves(Settings)
            if (value := _at(self, path)) != field.get_default(call_default_factory=True)
        }


def load(config: Path | None = None, **arguments: Any) -> Settings:
    """Read the settings; of arguments, environment, TOML file and defaults the first that has one wins.

    An argument that is None counts as not given, also inside a group's dict.
    Raises BadSettings with one sentence for each setting that is unknown, of the wrong type or out of bounds.
    """
    file = _read_toml(config) if config else {}
    environment = EnvSettingsSource(Settings)()
    given = _without_none(arguments)
    problems = _unknown_variables()
    try:
        settings = Settings(**_merge(_merge(file, environment), given))
    except ValidationError as error:
        sources = ((given, "the command line"), (environment, None), (file, str(config)))
        problems += [
            _problem(tuple(map(str, row["loc"])), row["type"], row["msg"], sources)
            for row in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise BadSettings("\n".join(problems)) from error
    if problems:
        raise BadSettings("\n".join(problems))
    return settings


# --- reading ---------------------------------------------------------------------------------------------------------

_Path = tuple[str, ...]
_Source = tuple[Mapping[str, Any], str | None]


def _read_toml(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"{config} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{config} is not valid TOML: {error}.") from error


def _without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in given.items()
        if value is not None
    }


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merge(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _unknown_variables() -> list[str]:
    """Find the variables that reach no group at all; those inside a group fail its validation."""
    return [
        f"{name} is not a setting of this service{_hint(name, map(_variable, _paths()))}."
        for name in sorted(os.environ)
        if name.upper().startswith(PREFIX)
        and name.upper() not in NOT_SETTINGS
        and name.upper().removeprefix(PREFIX).split("__")[0].lower() not in Settings.model_fields
    ]


def _problem(path: _Path, kind: str, message: str, sources: tuple[_Source, ...]) -> str:
    """Say what is wrong with one setting, and where it came from; never its value, which may be a secret."""
    name = ".".join(path) or "The settings"
    source = _source(path, sources)
    where = f" (from {source})" if source else ""
    if kind == "extra_forbidden":
        return f"{name}{where} is not a setting{_hint(name, map('.'.join, _paths()))}."
    text = message.removeprefix("Value error, ")
    return f"{name}{where} is not valid: {text[0].lower()}{text[1:]}."


def _source(path: _Path, sources: tuple[_Source, ...]) -> str:
    for depth in range(len(path), 0, -1):
        for values, source in sources:
            if _holds(values, path[:depth]):
                return source or _variable(path[:depth])
    return ""


def _holds(values: Any, path: _Path) -> bool:
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return False
        values = values[key]
    return True


def _hint(name: str, known: Iterator[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    return f" (did you mean {close[0]}?)" if close else ""


# --- the table -------------------------------------------------------------------------------------------------------

_UNITS = {"_ms": "ms", "_s": "s", "_days": "days"}


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as help and docs show it; every member is text."""

    name: str
    variable: str
    type: str
    default: str
    bounds: str
    unit: str
    sentence: str


def table() -> list[SettingRow]:
    """Give a row for every setting, in the order of the groups."""
    return [
        SettingRow(
            name=".".join(path),
            variable=_variable(path),
            type=_type_name(field),
            default=str((field.examples or [_spell(field.get_default())])[0]),
            bounds=_bounds(field),
            unit=next((unit for suffix, unit in _UNITS.items() if path[-1].endswith(suffix)), ""),
            sentence=field.description or "",
        )
        for path, field in _leaves(Settings)
    ]


def _leaves(group: type[BaseModel], above: _Path = ()) -> Iterator[tuple[_Path, FieldInfo]]:
    for name, field in group.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, (*above, name))
        else:
            yield (*above, name), field


def _paths() -> Iterator[_Path]:
    return (path for path, _ in _leaves(Settings))


def _at(settings: object, path: _Path) -> Any:
    for name in path:
        settings = getattr(settings, name)
    return settings


def _variable(path: _Path) -> str:
    return PREFIX + "__".join(path).upper()


def _spell(value: Any) -> str:
    """Write a value as a variable holds it."""
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, dict):
        value = {tag: language.model_dump() for tag, language in value.items()}
    return json.dumps(value)


def _type_name(field: FieldInfo) -> str:
    origin = get_origin(field.annotation)
    if origin is Literal:
        return " | ".join(str(choice) or "(empty)" for choice in get_args(field.annotation))
    names: dict[Any, str] = {
        bool: "true | false",
        int: "integer",
        float: "number",
        str: "text",
        Path: "path",
        tuple: "list",
        dict: "table",
    }
    return names[origin or field.annotation]


def _bounds(field: FieldInfo) -> str:
    signs = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
    return ", ".join(
        f"{signs[type(bound)][0]} {getattr(bound, signs[type(bound)][1]):,}"
        for bound in field.metadata
        if type(bound) in signs
    )
