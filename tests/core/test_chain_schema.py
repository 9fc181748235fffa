"""The schema of chain files and the loader are of one mind, and a fault is shown where it is."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from wavechain import Chain, WavechainError
from wavechain.output import OutputOptions
from wavechain.params import parameters
from wavechain.registry import registry, reset
from wavechain.schema import chain_schema

HOUSE = Path(__file__).parents[2]
SCHEMA = chain_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
READ = {"toml": tomllib.loads, "json": json.loads, "yaml": yaml.safe_load}


def documented() -> dict[str, dict]:
    """Every chain that stands on a page."""
    chains = {}
    for page in [HOUSE / "README.md", *sorted((HOUSE / "docs").rglob("*.md"))]:
        for found in re.finditer(r"^```(toml|json|yaml)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S):
            data = READ[found[1]](found[2])
            if "stage" in data:
                chains[f"{page.name}:{found.start()}"] = data
    return chains


def faults(chain: dict) -> list[tuple[str, str]]:
    """Where and what, one line for each."""
    return [
        (".".join(map(str, error.absolute_path)), str(error.validator))
        for error in sorted(VALIDATOR.iter_errors(chain), key=str)
    ]


def loads(chain: dict) -> bool:
    try:
        Chain.from_dict(chain)
    except WavechainError:
        return False
    return True


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)
    json.dumps(SCHEMA, allow_nan=False)


@pytest.mark.parametrize("preset", [preset.full_name for preset in registry().presets()])
def test_every_preset_is_valid(preset):
    assert faults(tomllib.loads(registry().preset(preset).read())) == []


def test_the_demo_is_valid():
    assert faults(tomllib.loads((HOUSE / "cli/wavechain_cli/demo/demo.toml").read_text(encoding="utf-8"))) == []


def test_a_documented_chain_is_valid_where_it_loads():
    # The pages also show one that does not load, and the tremolo, which is not installed.
    verdicts = {place: (faults(chain), loads(chain)) for place, chain in documented().items()}
    assert len(verdicts) > 12
    assert {place: found for place, (found, loaded) in verdicts.items() if bool(found) is loaded} == {}


def test_what_a_chain_writes_down_is_valid():
    text = "bands:crossovers_hz=[200],bands=[[],['mix:wet=0.3,stages=[polarity]']]"
    assert faults(Chain.of(text, "transforms.stft", "inverse").to_dict()) == []


WRONG = {
    "an unknown stage": ({"stage": [{"use": "gain"}, {"use": "gian"}]}, ("stage.1.use", "enum")),
    "an unknown stage as text": ({"stage": ["gian:gain_db=3"]}, ("stage.0", "pattern")),
    "no stage at all": ({"stage": [{"gain_db": 3}]}, ("stage.0", "required")),
    "an unknown key": ({"stage": [{"use": "gain", "gian_db": 3}]}, ("stage.0", "additionalProperties")),
    "a value above the range": ({"stage": [{"use": "gain", "gain_db": 61}]}, ("stage.0.gain_db", "maximum")),
    "a value below the range": ({"stage": [{"use": "gain", "gain_db": -121}]}, ("stage.0.gain_db", "minimum")),
    "a wrong type": ({"stage": [{"use": "gain", "gain_db": "loud"}]}, ("stage.0.gain_db", "type")),
    "a fraction of a whole number": ({"stage": [{"use": "highpass", "order": 2.5}]}, ("stage.0.order", "type")),
    "no choice": ({"stage": [{"use": "fade", "curve": "wavy"}]}, ("stage.0.curve", "enum")),
    "a parameter left out": ({"stage": [{"use": "convolution"}]}, ("stage.0", "required")),
    "a loader, which no chain can run": ({"stage": [{"use": "read-soundfile"}]}, ("stage.0.use", "enum")),
    "an unknown stage in mix": (
        {"stage": [{"use": "mix", "stages": [{"use": "gian"}]}]},
        ("stage.0.stages.0.use", "enum"),
    ),
    "a range in a branch": (
        {"stage": [{"use": "parallel", "branches": [{}, {"stages": [{"use": "gain", "gain_db": 99}]}]}]},
        ("stage.0.branches.1.stages.0.gain_db", "maximum"),
    ),
    "a weight": (
        {"stage": [{"use": "parallel", "branches": [{"weight": 101}]}]},
        ("stage.0.branches.0.weight", "maximum"),
    ),
    "an unknown key of a branch": (
        {"stage": [{"use": "parallel", "branches": [{"wieght": 1}]}]},
        ("stage.0.branches.0", "additionalProperties"),
    ),
    "three levels down": (
        {"stage": [{"use": "mid-side", "side": ["gain", {"use": "mix", "stages": [{"use": "highpass", "order": 0}]}]}]},
        ("stage.0.side.1.stages.0.order", "minimum"),
    ),
    "an unknown key of the chain": ({"stages": []}, ("", "additionalProperties")),
    "an unknown output option": ({"output": {"colour": "red"}}, ("output", "additionalProperties")),
    "an output option out of range": ({"output": {"quality": 11}}, ("output.quality", "maximum")),
    "a bit depth as a number": ({"output": {"bit_depth": 24}}, ("output.bit_depth", "type")),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_fault_is_one_fault_and_shown_where_it_is(wrong):
    chain, fault = WRONG[wrong]
    assert fault in faults(chain)
    assert {place for place, _ in faults(chain)} == {fault[0]}
    if "no chain can run" not in wrong:
        assert not loads(chain)


@pytest.mark.parametrize(
    "chain",
    [
        {},
        {"stage": ["highpass:cutoff_hz=80", " gain "]},
        {"stage": [{"use": "essentials.highpass"}, {"use": "core.mix", "stages": "gain:gain_db=3"}]},
        {"stage": [{"use": "parallel", "branches": ["gain", ["gain", {"use": "polarity"}], {}]}]},
        {"stage": [{"use": "trim", "end_seconds": None}], "output": {"bit_depth": None}},
        {"$schema": "./chain.schema.json", "stage": [{"use": "highpass", "cutoff_hz": 80}]},
    ],
    ids=["nothing", "text", "full names", "branches of all shapes", "null is unset", "where the schema lies"],
)
def test_every_way_to_write_a_chain_that_loads_is_valid(chain):
    assert loads(chain)
    assert faults(chain) == []


def test_the_editor_can_say_what_each_name_and_each_parameter_means():
    use = SCHEMA["$defs"]["stage"]["properties"]["use"]
    assert len(use["enum"]) == len(use["enumDescriptions"]) == len(use["x-taplo"]["docs"]["enumValues"]) > 90
    assert use["enumDescriptions"][use["enum"].index("gain")] == "Louder or quieter."
    cutoff = SCHEMA["$defs"]["essentials.highpass"]["properties"]["cutoff_hz"]
    assert re.search(r"1 to \d+ Hz\)$", cutoff["description"])
    assert cutoff["default"] == 80
    for spec in registry().stages():
        for parameter in parameters(registry().load(spec)) if spec.full_name in SCHEMA["$defs"] else []:
            shown = SCHEMA["$defs"][spec.full_name]["properties"][parameter.name]
            assert shown["description"].startswith(parameter.help)


def test_a_name_that_two_plugins_share_must_be_written_in_full():
    names = SCHEMA["$defs"]["stage"]["properties"]["use"]["enum"]
    assert "pedalboard.gain" in names
    assert SCHEMA["$defs"]["pedalboard.gain"]["properties"]["use"]["enum"] == ["pedalboard.gain"]


def test_what_is_not_installed_is_not_in_it(monkeypatch):
    monkeypatch.setenv("WAVECHAIN_BLOCK", "pedalboard")
    reset()
    try:
        names = chain_schema()["$defs"]["stage"]["properties"]["use"]["enum"]
    finally:
        monkeypatch.undo()
        reset()
    assert "gain" in names
    assert not [name for name in names if name.startswith("pedalboard") or name == "reverb"]


# Stages of which each parameter stands by itself; where several must agree, only the loader can tell.
ALONE = ["gain", "highpass", "peak", "compressor", "loudness", "delay", "phaser", "de-esser", "dc-removal", "polarity"]
VALUES = st.one_of(
    st.integers(-200, 100_000),
    st.floats(-200, 100_000, allow_nan=False),
    st.booleans(),
    st.sampled_from(["mean", "highpass", "limit", "reduce", "loud", ""]),
    st.lists(st.integers(-1, 70), max_size=3),
    st.none(),
)


@st.composite
def stages(draw: st.DrawFn) -> dict:
    name = draw(st.sampled_from(ALONE))
    parameter = draw(st.sampled_from(parameters(registry().load(name))))
    return {"use": name, parameter.name: draw(VALUES)}


def is_lenient(value: object) -> bool:
    """The loader takes true for 1 and 1 for true, as the command line needs it; the schema does not."""
    return isinstance(value, bool) or value in (0, 1)


@given(stages())
def test_the_schema_and_the_loader_agree_on_each_parameter(stage):
    chain = {"stage": [stage]}
    if not faults(chain):
        assert loads(chain)
    elif not any(is_lenient(value) for value in stage.values()):
        assert not loads(chain)


@given(st.sampled_from(list(OutputOptions.model_fields)), VALUES)
def test_they_agree_on_each_output_option(option, value):
    chain = {"output": {option: value}}
    if not faults(chain):
        assert loads(chain)
    elif not is_lenient(value):
        assert not loads(chain)
