"""Settings: who wins, what is refused and how, and that they survive the way into another process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribewire.errors import BadSettings
from scribewire.settings import PREFIX, Settings, load, table


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def write_toml(folder: Path, text: str) -> Path:
    file = folder / "scribewire.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(config: Path | None = None, **arguments: Any) -> str:
    with pytest.raises(BadSettings) as caught:
        load(config, **arguments)
    return str(caught.value)


def test_defaults_need_nothing() -> None:
    assert load().server.port == 8000


def test_an_argument_beats_the_environment_and_that_the_file_and_that_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_toml(tmp_path, '[server]\nhost = "0.0.0.0"\nport = 1\ngrace_s = 3\n')
    monkeypatch.setenv("SCRIBEWIRE_SERVER__PORT", "2")
    monkeypatch.setenv("SCRIBEWIRE_SERVER__GRACE_S", "4")
    server = load(config, server={"grace_s": 5, "port": None}).server
    assert (server.host, server.port, server.grace_s, server.log_level) == ("0.0.0.0", 2, 5, "info")


def test_a_list_in_the_environment_is_commas_or_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBEWIRE_SERVER__CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("SCRIBEWIRE_SERVER__TRUSTED_PROXIES", '["10.0.0.0/8"]')
    server = load().server
    assert server.cors_origins == ("https://a.example", "https://b.example")
    assert server.trusted_proxies == ("10.0.0.0/8",)


def test_a_language_in_the_environment_can_be_set_by_its_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBEWIRE_ENGINES__LANGUAGES__DE__FAST", "scripted:tones")
    assert load().engines.languages["de"].fast == "scripted:tones"


@pytest.mark.parametrize(
    ("name", "tag"),
    [("EN__FAST", "en"), ("PT_BR__FAST", "pt-br"), ("LANGUAGES__De__FAST", "de"), ("AUTO__FAST", "auto")],
)
def test_a_language_may_be_named_without_its_group_and_one_alone_is_the_default(
    monkeypatch: pytest.MonkeyPatch, name: str, tag: str
) -> None:
    monkeypatch.setenv(f"SCRIBEWIRE_ENGINES__{name}", "vosk:small")
    engines = load().engines
    assert list(engines.languages) == [engines.default_language] == [tag]
    assert engines.languages[tag].fast == "vosk:small"


def test_of_several_languages_the_default_must_be_one(tmp_path: Path) -> None:
    config = write_toml(tmp_path, '[engines.de]\nfast = "vosk:de"\n[engines."fr-CA"]\nfast = "vosk:fr"\n')
    assert "default_language must be one of de, fr-ca" in refusal(config)
    config = write_toml(tmp_path, '[engines]\ndefault_language = "de"\n' + config.read_text(encoding="utf-8"))
    assert load(config).engines.default_language == "de"


def test_the_clients_variables_are_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBEWIRE_URL", "http://127.0.0.1:8000")
    monkeypatch.setenv("SCRIBEWIRE_KEY", "secret")
    load()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SCRIBEWIRE_SERVR__PORT", "did you mean SCRIBEWIRE_SERVER__PORT?"),
        ("SCRIBEWIRE_NONSENSE", "SCRIBEWIRE_NONSENSE is not a setting of this service."),
        ("SCRIBEWIRE_SERVER__PROT", "server.prot (from SCRIBEWIRE_SERVER__PROT) is not a setting"),
    ],
)
def test_an_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, hint: str) -> None:
    monkeypatch.setenv(name, "1")
    assert hint in refusal()


def test_every_problem_has_a_sentence_with_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_toml(tmp_path, "[gate]\nthreshold = 3\n[sever]\nport = 1\n")
    monkeypatch.setenv("SCRIBEWIRE_LIMITS__SESSIONS", "many")
    text = refusal(config, server={"port": 70_000})
    assert sorted(line.split(" is not")[0] for line in text.splitlines()) == [
        f"gate.threshold (from {config})",
        "limits.sessions (from SCRIBEWIRE_LIMITS__SESSIONS)",
        "server.port (from the command line)",
        f"sever (from {config})",
    ]


def test_a_refusal_never_shows_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBEWIRE_WORKER__SECRET__X", "hunter2")
    monkeypatch.setenv("SCRIBEWIRE_LIMITS__SESSIONS", "hunter2")
    assert "hunter2" not in refusal()


@pytest.mark.parametrize("text", ["[server\nport = 1", "port = = 1"])
def test_a_file_that_is_not_toml_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    assert "is not valid TOML" in refusal(write_toml(tmp_path, text))


def test_a_missing_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    assert "cannot be read: No such file or directory." in refusal(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"autoscaling": {"min_workers": 3, "max_workers": 2}}, "min_workers must not exceed max_workers"),
        ({"session": {"kept_s": 30}, "gate": {"max_segment_s": 60}}, "session.kept_s must exceed gate.max_segment_s"),
        ({"server": {"public_url": "https://a.example"}}, "server.public_url (from the command line) is not valid"),
        ({"engines": {"languages": "{"}}, "must be valid JSON"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(**arguments)


texts = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=20)


@given(
    port=st.integers(0, 65_535),
    grace_s=st.floats(0.1, 600_000),
    origins=st.lists(texts, max_size=3),
    enabled=st.booleans(),
    secret=texts,
    fast=texts,
)
def test_the_environment_of_settings_gives_the_same_settings_in_another_process(
    port: int, grace_s: float, origins: list[str], enabled: bool, secret: str, fast: str
) -> None:
    settings = Settings(
        data_dir=Path("/srv/scribewire"),
        server={"port": port, "grace_s": grace_s, "cors_origins": origins},
        autoscaling={"enabled": enabled},
        worker={"secret": secret},
        engines={"languages": {"de": {"fast": fast}}},
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.environment().items():
            patch.setenv(name, value)
        assert load() == settings


def test_defaults_need_no_variables() -> None:
    assert Settings().environment() == {}


def test_secrets_are_not_shown_by_repr() -> None:
    shown = repr(Settings(worker={"secret": "hunter2"}, store={"url": "postgresql+asyncpg://u:hunter2@h/d"}))
    assert "hunter2" not in shown


def test_every_setting_has_one_whole_sentence_and_a_unit_where_its_name_has_one() -> None:
    for row in table():
        assert row.sentence.endswith("."), row.name
        assert row.unit or not row.name.endswith(("_s", "_ms", "_days")), row.name
