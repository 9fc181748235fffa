"""Chains as values: composed in Python, written as text, read from files; mistakes are named."""

from __future__ import annotations

import contextlib
import json
import pickle
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavechain import Bands, Branch, Chain, MidSide, Mix, OutputOptions, Parallel
from wavechain.chain import parse_stage, stage_from
from wavechain.errors import ChainFileError, ParameterError, UnknownStageError, WavechainError
from wavechain.testing import tone

GAIN = stage_from({"use": "gain", "gain_db": -3})
TRIM = parse_stage("trim:start_seconds=0.25")


def nested() -> Chain:
    return Chain(
        [
            GAIN,
            Mix([TRIM, GAIN], wet=0.25),
            Parallel([Branch([GAIN], 0.5), Branch(weight=-1.0)]),
            Bands([[GAIN], []], crossovers_hz=[500.0]),
            MidSide(side=[GAIN]),
        ],
        name="nested",
        description="one of each",
        output=OutputOptions(format="flac", bit_depth="24"),
    )


def test_stages_compose_with_a_bar():
    chain = GAIN | TRIM | Mix([GAIN])
    assert [stage.stage_name() for stage in chain.stages] == ["gain", "trim", "mix"]
    assert (chain | chain).stages == chain.stages * 2


def test_a_chain_runs_on_a_signal_in_memory():
    before = tone(440)
    assert (GAIN | GAIN)(before).waveform == pytest.approx(before.waveform * 10 ** (-6 / 20), abs=1e-6)


@pytest.mark.parametrize("suffix", [".toml", ".json", ".yaml"])
def test_a_chain_survives_its_file(tmp_path, suffix):
    import yaml

    text = {
        ".toml": nested().to_toml(),
        ".json": json.dumps(nested().to_dict()),
        ".yaml": yaml.safe_dump(nested().to_dict()),
    }[suffix]
    file = tmp_path / f"chain{suffix}"
    file.write_text(text)
    assert Chain.load(file) == nested()


def test_a_chain_survives_pickling():
    assert pickle.loads(pickle.dumps(nested())) == nested()


def test_the_file_says_only_what_differs_from_the_defaults():
    assert tomllib.loads(Chain([TRIM]).to_toml()) == {"stage": [{"use": "trim", "start_seconds": 0.25}]}


@given(st.floats(-100, 60, allow_nan=False), st.sampled_from(["gain", "essentials.gain"]))
def test_text_and_table_mean_the_same(gain_db, name):
    assert parse_stage(f"{name}:gain_db={gain_db!r}") == stage_from({"use": name, "gain_db": gain_db})


def test_text_can_hold_lists_and_quoted_commas():
    assert parse_stage("bands:crossovers_hz=[200,2000],bands=[gain:gain_db=1,gain,gain]").crossovers_hz == (200, 2000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gain:gain=3", "gain has no parameter 'gain'. Try: gain_db."),
        ("gain:gain_db=300", "gain: gain_db = 300 is out of range. Try: -120 to 60 dB."),
        ("gain:gain_db=loud", "gain: gain_db = 'loud' is not a number. Try: wavechain stages describe gain."),
        ("gain:gain_db", "'gain:gain_db': 'gain_db' is not key=value. Try: wavechain stages describe gain."),
        ("gain:gain_db=1,gain_db=2", "'gain:gain_db=1,gain_db=2': gain_db is given twice. Try: one value."),
        ("gain:gain_db=nan", "gain: gain_db = nan is not a number. Try: wavechain stages describe gain."),
        ("mix:wet=0.5", "mix needs stages. Try: mix:stages=VALUE."),
    ],
)
def test_a_wrong_parameter_is_one_line_with_the_way_out(text, message):
    with pytest.raises(ParameterError) as caught:
        parse_stage(text)
    assert str(caught.value) == message


def test_an_unknown_stage_suggests_the_nearest():
    with pytest.raises(UnknownStageError, match=r"'gian'.*'gain'"):
        parse_stage("gian")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            '[[stage]]\nuse = "gain"\n\n[[stage]]\nuse = "gain"\ngain = 3\n',
            ParameterError,
            "chain.toml:6: stage 2: gain has no",
        ),
        ('[[stage]]\nuse = "gain"\ngain_db = 99\n', ParameterError, "chain.toml:3: stage 1: gain: gain_db = 99 is out"),
        ('[[stage]]\nuse = "gian"\n', UnknownStageError, "chain.toml:2: "),
        ('[[stages]]\nuse = "gain"\n', ChainFileError, "chain.toml:1: a chain has no key 'stages'. Try: stage."),
        ("[[stage]]\ngain_db = 3\n", ChainFileError, "a stage does not say which one it is"),
        ("[[stage]\n", ChainFileError, "line 1"),
        (
            '[output]\nformat = "flac"\nbitdepth = "24"\n',
            ParameterError,
            "chain.toml:3: output has no parameter 'bitdepth'",
        ),
        ('use = "os.system"\n', ChainFileError, "a chain has no key 'use'"),
        ("stage = 3\n", ChainFileError, "stage must be a list"),
    ],
)
def test_a_wrong_chain_file_is_one_line_with_its_number(tmp_path, text, error, message):
    file = tmp_path / "chain.toml"
    file.write_text(text)
    with pytest.raises(error) as caught:
        Chain.load(file)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_binary_chain_files_are_named(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("missing.toml", "binary.toml"):
        with pytest.raises(ChainFileError, match=name):
            Chain.load(tmp_path / name)


@given(st.text(max_size=60))
def test_no_text_upsets_the_stage_parser(text):
    with contextlib.suppress(WavechainError):
        parse_stage(text)
