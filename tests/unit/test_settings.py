"""Settings: variable over file over default; every wrong key is named."""

import re
from pathlib import Path

import pytest

from weft.model.errors import Invalid
from weft.settings import FILE_NAME, Settings, load_settings

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in Settings.model_fields:
        monkeypatch.delenv(f"WEFT_{key.upper()}", raising=False)


def load(home: Path, text: str) -> Settings:
    (home / FILE_NAME).write_text(text)
    return load_settings(home)


def test_nothing_need_be_set(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert (settings.accel, settings.boot_timeout, settings.heartbeat_timeout) == ("auto", 60.0, None)


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEFT_DRAIN", "2")
    settings = load(tmp_path, "drain = 1\nboot_timeout = 5\n")
    assert (settings.drain, settings.boot_timeout, settings.stop_timeout) == (2.0, 5.0, 10.0)


def test_variables_of_other_meaning_are_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_HOME", "/somewhere")
    monkeypatch.setenv("WEFT_TEST_HOME", "/elsewhere")
    load_settings(tmp_path)


def test_every_wrong_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        load(tmp_path, 'accel = "xen"\nboot_timeout = 0\ncolour = "blue"\n')
    message = str(caught.value)
    assert str(tmp_path / FILE_NAME) in message
    for key in ("accel", "boot_timeout", "colour"):
        assert f"{key}: " in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["drain", "drain = ", "[drain", 'accel = "tcg" # \x00'])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Invalid, match=re.escape(str(tmp_path / FILE_NAME))):
        load(tmp_path, text)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    load_settings(tmp_path)  # a folder of that name is no file
    (tmp_path / FILE_NAME).rmdir()
    (tmp_path / FILE_NAME).write_bytes(b"accel = \xff\n")
    with pytest.raises(Invalid, match=FILE_NAME):
        load_settings(tmp_path)


def test_every_setting_says_what_it_is_for_and_stands_in_the_reference() -> None:
    page = (REPOSITORY / "docs" / "reference" / "settings.md").read_text()
    for key, field in Settings.model_fields.items():
        assert field.description, key
        assert f"`{key}`" in page and f"`WEFT_{key.upper()}`" in page, key
