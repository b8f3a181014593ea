"""What the settings choose: which engines there must be, each checked without loading it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scribewire.engines import table
from scribewire.engines.base import Engine
from scribewire.errors import BadSettings, EngineMissing, ScribewireError
from scribewire.settings import Settings

# The language of a session whose engine is to find out which one is spoken.
AUTO: Final = "auto"


def create(choice: str, settings: Settings) -> Engine:
    """Build the engine of a choice as the settings want it, not yet loaded.

    Raises what `table.create` and the engine raise: EngineMissing or BadSettings.
    """
    return table.create(choice, models_dir=settings.models_dir, device=settings.engines.device)


def name_choices(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Give every choice with its language and where the settings name it, the default language's first."""
    engines = settings.engines
    for tag in sorted(engines.languages, key=lambda tag: tag != engines.default_language):
        chosen = engines.languages[tag]
        for field in type(chosen).model_fields:
            if choice := getattr(chosen, field):
                yield choice, tag, f"engines.{tag}.{field}"


def create_all(settings: Settings) -> dict[str, Engine | ScribewireError]:
    """Build what the languages name, each choice once, the default first: an engine not yet loaded, or why not."""
    return {choice: _try(choice, settings) for choice, _, _ in name_choices(settings)}


def check(settings: Settings) -> None:
    """Find out whether all that is chosen is there and fits, without loading it.

    Raises EngineMissing or BadSettings with one sentence for each choice that is not: what names it, and what mends it.
    """
    problems = []
    created = create_all(settings)
    missing = False
    for choice, tag, where in name_choices(settings):
        engine = created[choice]
        if isinstance(engine, ScribewireError):
            missing = missing or isinstance(engine, EngineMissing)
            problems.append(f"{where} is {choice}: {engine}")
        elif not _speaks(engine, tag):
            problems.append(f"{where} is {choice}, which does not know that language: {_known(engine)}.")
    if problems:
        raise (EngineMissing if missing else BadSettings)("\n".join(problems))


def _try(choice: str, settings: Settings) -> Engine | ScribewireError:
    try:
        return create(choice, settings)
    except ScribewireError as error:
        return error


def _speaks(engine: Engine, tag: str) -> bool:
    traits = engine.traits
    if tag == AUTO:
        return traits.detects_language
    return not traits.languages or tag in traits.languages or tag.partition("-")[0] in traits.languages


def _known(engine: Engine) -> str:
    languages = engine.traits.languages
    return f"it knows {', '.join(languages)}" if languages else "it does not find out by itself"
