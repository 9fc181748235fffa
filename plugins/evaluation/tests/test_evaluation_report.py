"""Where a report may go: it takes the place of an earlier report, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wavechain import Audio
from wavechain.errors import OutputExistsError, UnwritableError, UsageError
from wavechain.registry import registry
from wavechain.testing import music
from wavechain_evaluation.report import report_folder
from wavechain_evaluation.work import sound_name

RATE = 22_050


@pytest.fixture
def clean(tmp_path):
    (tmp_path / "clean").mkdir()
    Audio(music(sample_rate=RATE, seconds=1).waveform[:1], RATE).write(tmp_path / "clean" / "music a.wav")
    return tmp_path / "clean"


def measured(clean, output, **more):
    asked = {"clean": clean, "output": output, "degradations": "clip", "metrics": "si-sdr", "cpu": False}
    return registry().load_part("bench", "restoration")(**asked | {"overwrite": True} | more).run()


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_report_takes_the_place_of_an_earlier_one_and_of_an_empty_folder(clean, tmp_path):
    (tmp_path / "report").mkdir()
    measured(clean, tmp_path / "report")
    before = files(tmp_path)
    found = measured(clean, tmp_path / "report", seed=1)
    assert files(tmp_path) == before
    assert json.loads((tmp_path / "report" / "results.json").read_text()) == found


@pytest.mark.parametrize("name", ["thesis.txt", "audio/notes.txt", "audio/my.flac", "clips/take.flac"])
@pytest.mark.parametrize("reported", [True, False])
def test_a_folder_with_files_of_somebody_elses_is_refused(clean, tmp_path, name, reported):
    if reported:
        measured(clean, tmp_path / "report")
    mine = tmp_path / "report" / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("years of work")
    with pytest.raises(OutputExistsError, match=f"{name}: is not of a report"):
        measured(clean, tmp_path / "report")
    assert mine.read_text() == "years of work"


def test_figures_of_another_program_and_a_file_in_the_way_are_refused(clean, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.json").write_text('{"version": 1}')
    (tmp_path / "file").write_text("mine")
    for name in ("other", "file"):
        with pytest.raises(OutputExistsError, match="is not of a report"):
            measured(clean, tmp_path / name)
    assert files(tmp_path) == {"clean/music a.wav", "other/results.json", "file"}


@pytest.mark.parametrize("what", ["clean", "noise", "pairs", "cache"])
def test_a_folder_that_holds_what_is_measured_is_refused_also_behind_a_link(clean, tmp_path, what):
    (tmp_path / "held" / "inside").mkdir(parents=True)
    Audio.read(clean / "music a.wav").write(tmp_path / "held" / "inside" / "music a.wav")
    (tmp_path / "link").symlink_to(tmp_path / "held")
    for name in ("held", "held/inside", "link"):
        with pytest.raises(UsageError, match="would be replaced by the report"):
            measured(**{"clean": clean, "output": tmp_path / name, what: tmp_path / "held" / "inside"})
    assert (tmp_path / "held" / "inside" / "music a.wav").is_file()


def test_what_appears_while_it_is_measured_is_not_lost_and_nothing_is_left_behind(tmp_path):
    def measure():
        with report_folder(tmp_path / "report", True, []):
            (tmp_path / "report").mkdir()
            (tmp_path / "report" / "thesis.txt").write_text("years of work")

    with pytest.raises(OutputExistsError):
        measure()
    assert files(tmp_path) == {"report/thesis.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_the_earlier_report_has_its_name_again_when_the_new_one_cannot_get_it(clean, tmp_path, monkeypatch):
    measured(clean, tmp_path / "report")
    before, rename = files(tmp_path), Path.rename

    def refused(self, target):
        if self.suffix == ".part":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(UnwritableError, match="permission denied"):
        measured(clean, tmp_path / "report", seed=1)
    assert files(tmp_path) == before
    assert json.loads((tmp_path / "report" / "results.json").read_text())["seed"] == 0


def test_no_two_sounds_share_a_file():
    names = ["a b", "a-b", "a/b", "a--b", "-a-b", "", "/", "."]
    assert len({sound_name(name, "x") for name in names}) == len(names)
    assert len({sound_name("x", name) for name in names}) == len(names)
    assert all(sound_name(name, name).count("/") == 1 for name in names)
    assert sound_name("music_1.wav", "wanted") == "music_1.wav/wanted.flac"


def test_no_row_is_called_as_what_is_wanted(clean, tmp_path):
    with pytest.raises(UsageError, match="'wanted'"):
        measured(clean, tmp_path / "report", chains=("wanted=gain",))
