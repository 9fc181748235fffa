"""The repair stages on sounds one can hum: in time, in place, in proportion, and nothing where nothing is wrong."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from wavechain import Audio, Chain
from wavechain.errors import MissingDependencyError, ParameterError, SpecMismatchError, UnreadableError
from wavechain.models import find_model
from wavechain.stream import Spec
from wavechain.testing import music, noise, streamed, tone
from wavechain_gan_repair import door
from wavechain_gan_repair.columns import Columns, Overlap
from wavechain_gan_repair.ear import Chances, Ear
from wavechain_gan_repair.engine import Repairing, together
from wavechain_gan_repair.faults import FAULTS
from wavechain_gan_repair.network_session import HOPS, hint_for
from wavechain_gan_repair.repair import Declick, Declip, Dehum, Denoise, ExtendBandwidth, Repair, RepairDropouts

pytest.importorskip("onnxruntime")

RATE = 44_100


def noisy(sample_rate: int = RATE, channels: int = 2, seconds: float = 3.0) -> Audio:
    """A chord under loud noise: nobody would call it clean."""
    sound = music(sample_rate=sample_rate, channels=channels, seconds=seconds).waveform
    hiss = noise(sample_rate=sample_rate, channels=channels, seconds=seconds).waveform
    mixed = sound + hiss * (np.sqrt(np.mean(sound**2)) / np.sqrt(np.mean(hiss**2)))
    return Audio.of(mixed / np.abs(mixed).max() / 2, sample_rate)


@pytest.mark.parametrize("sample_rate", [44_100, 48_000, 16_000, 96_000])
def test_streamed_is_whole_at_every_rate(sample_rate):
    before = noisy(sample_rate)
    whole = Denoise()(before).waveform
    assert whole.shape == before.waveform.shape
    for sizes in ([1000], [1, 7, 50_000, 333]):
        np.testing.assert_array_equal(streamed(Denoise(), before, sizes).waveform, whole)


def clicked(sample_rate: int = RATE) -> Audio:
    """A chord with clicks under a little noise: something for the classical stages, something for the network."""
    sound = noisy(sample_rate, seconds=6.0).waveform.copy()
    sound[:, np.random.default_rng(1).choice(sound.shape[1], 40, replace=False)] = 0.95
    return Audio.of(sound, sample_rate)


@pytest.mark.parametrize("sample_rate", [44_100, 16_000])
def test_streamed_is_whole_where_the_network_is_told_what_was_mended(sample_rate):
    pytest.importorskip("wavechain_restoration")
    before = clicked(sample_rate)
    whole = Repair()(before).waveform
    assert np.abs(whole - before.waveform).max() > 0.1
    for sizes in ([1000], [1, 7, 50_000, 333]):
        np.testing.assert_array_equal(streamed(Repair(), before, sizes).waveform, whole)


@pytest.mark.parametrize("sample_rate", [44_100, 96_000])
def test_the_network_is_told_where_something_was_mended(monkeypatch, sample_rate):
    pytest.importorskip("wavechain_restoration")
    network = Silencing(-9)
    monkeypatch.setattr("wavechain_gan_repair.repair.open_session", lambda *_: network)
    sound = tone(440, sample_rate=sample_rate, channels=1, seconds=4.0).waveform.copy()
    clean = Audio.of(sound.copy(), sample_rate)
    sound[:, 2 * sample_rate :: sample_rate // 20] = 0.95
    for told, clip in ((False, clean), (True, Audio.of(sound, sample_rate))):
        network.mended.clear()
        Repair()(clip)
        columns = np.abs(np.concatenate([each[:, :, :HOPS] for each in network.mended], axis=2)).max(axis=(0, 1, 3))
        seconds = np.arange(columns.size) * 512 / RATE
        assert columns[seconds < 1.9].max() < 1e-3
        assert (columns[(seconds > 2.1) & (seconds < 3.9)].max() > 0.1) == told


def test_amount_zero_is_a_wire_to_the_last_bit():
    before = noisy()
    np.testing.assert_array_equal(Denoise(amount=0)(before).waveform, before.waveform)


def test_half_the_amount_is_half_the_change():
    before = noisy()
    full, half = (Denoise(amount=amount)(before).waveform - before.waveform for amount in (1.0, 0.5))
    np.testing.assert_allclose(half, full / 2, atol=1e-6)
    assert np.abs(full).max() > 1e-3


def test_what_is_removed_and_what_is_left_add_up_to_what_was():
    before = noisy()
    left, removed = Denoise()(before).waveform, Denoise(output="removed")(before).waveform
    np.testing.assert_allclose(left + removed, before.waveform, atol=1e-6)


@pytest.mark.parametrize("sample_rate", [44_100, 32_000])
def test_preserved_bands_are_left_alone(sample_rate):
    before = noisy(sample_rate, channels=1)
    stage = Denoise(preserve_below_hz=1_000, preserve_above_hz=8_000, output="removed")
    power = np.abs(np.fft.rfft(stage(before).waveform[0] * np.hanning(before.frames))) ** 2
    hertz = np.fft.rfftfreq(before.frames, 1 / sample_rate)
    inside = power[(hertz > 1_100) & (hertz < 7_900)].mean()
    assert inside > 0
    assert power[(hertz < 900) | (hertz > 8_100)].mean() < inside / 1e5


def test_two_equal_channels_stay_equal_and_a_panned_one_stays_panned():
    mono = noisy(channels=1).waveform[0]
    same = Denoise()(Audio.of(np.stack([mono, mono]), RATE)).waveform
    np.testing.assert_array_equal(same[0], same[1])
    panned = Denoise()(Audio.of(np.stack([mono, mono / 4]), RATE)).waveform
    ratio = np.sqrt(np.mean(panned[0] ** 2) / np.mean(panned[1] ** 2))
    assert ratio == pytest.approx(4, rel=0.1)


def test_silence_stays_silent_and_nothing_gives_nothing():
    for stage in (Repair(), Denoise(), ExtendBandwidth(), RepairDropouts(), Declip(), Dehum()):
        silent = stage(Audio.of(np.zeros((2, 30_000), np.float32), RATE)).waveform
        assert not silent.any()
        assert stage(Audio.of(np.zeros((2, 0), np.float32), RATE)).waveform.shape == (2, 0)


def test_both_runtimes_agree():
    pytest.importorskip("torch")
    before = noisy()
    graph, network = (Denoise(backend=backend)(before).waveform for backend in ("onnx", "torch"))
    np.testing.assert_allclose(graph, network, atol=1e-4)


def test_columns_and_overlap_undo_each_other():
    spec = Spec.audio(RATE, 2)
    sound = noisy(seconds=1.7).waveform
    columns, overlap = Columns(spec, 2048, 512, 16, 3), Overlap(2, 2048, 512, 16)
    stretches = [*columns.push(sound), *columns.rest()]
    assert {stretch.shape for stretch in stretches} == {(2, 2, 19, 1024)}
    again = np.concatenate([*(overlap.add(stretch[:, :, :16]) for stretch in stretches), overlap.rest()], axis=1)
    # The last bin (Nyquist) is left out: noise at full scale has 1/1025 of its power there.
    assert np.abs(again[:, : sound.shape[1]] - sound).max() < 0.02
    low = tone(440, sample_rate=RATE, seconds=1, channels=2).waveform
    columns, overlap = Columns(spec, 2048, 512, 16, 3), Overlap(2, 2048, 512, 16)
    stretches = [*columns.push(low), *columns.rest()]
    again = np.concatenate([*(overlap.add(stretch[:, :, :16]) for stretch in stretches), overlap.rest()], axis=1)
    np.testing.assert_allclose(again[:, 2048 : low.shape[1]], low[:, 2048:], atol=1e-5)


def test_one_channel_is_given_back_as_it_is():
    before, after = (np.random.default_rng(seed).standard_normal((1, 2, 5, 8)).astype(np.float32) for seed in (0, 1))
    assert together(before, after) is after


@pytest.fixture
def broken(tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(find_model("repairnet").path, folder)
    return folder


def configured(folder, **changes):
    """A broken model: *changes* written over its config."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    return folder


def refusal(folder, **settings) -> str:
    with pytest.raises(UnreadableError) as caught:
        Denoise(model=str(folder), **settings)(noisy(seconds=0.1))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_truncated_weights_are_refused(broken):
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert f"{weights}: is truncated" in refusal(broken)


def test_a_damaged_graph_is_refused(broken):
    (broken / "repairnet.onnx").write_bytes(b"not a graph")
    assert "cannot be read as an ONNX graph" in refusal(broken)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": "xxl"}, "setting size: Input should be 'xs', 's' or 'm'"),
        ({"hop_length": "many"}, "setting hop_length: Input should be a valid integer"),
        ({"colour": 1}, "setting colour: Extra inputs are not permitted"),
        ({"size": "m"}, "takes state of [2, 'lines', 32], by config.json it would be [4, 49, 64]"),
        ({"lookahead": 5}, "takes spectra of ['channels', 2, 67, 1024], by config.json it would be [1, 2, 69, 1024]"),
    ],
)
def test_settings_that_are_not_those_of_the_graph_are_refused(broken, settings, said):
    configured(broken, settings=find_model("repairnet").settings | settings)
    assert said in refusal(broken, backend="onnx")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sample_rate": 1}, "config.json: sample_rate = 1 is not between 8000 and 96000"),
        ({"sample_rate": 44_100_000}, "config.json: sample_rate = 44100000 is not between 8000 and 96000"),
        ({"samplerate": 16_000}, "config.json: 'samplerate' means nothing to repairnet"),
    ],
)
def test_a_config_that_repairnet_cannot_have_is_refused(broken, changes, said):
    assert said in refusal(configured(broken, **changes))


def test_a_graph_of_other_weights_is_refused(broken):
    assert np.array_equal(Denoise(model=str(broken))(noisy()).waveform, Denoise()(noisy()).waveform)
    weights = broken / "model.safetensors"
    data = np.frombuffer(weights.read_bytes(), np.uint8).copy()
    data[8 + int.from_bytes(data[:8].tobytes(), "little") :] ^= 1
    weights.write_bytes(data.tobytes())
    assert "repairnet.onnx: was not made of the model.safetensors beside it" in refusal(broken)


def test_a_graph_that_hears_nothing_of_what_was_mended_is_refused(broken):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(broken / "repairnet.onnx")
    graph.graph.input[1].name = "others"
    for node in graph.graph.node:
        node.input[:] = ["others" if name == "mended" else name for name in node.input]
    onnx.save(graph, broken / "repairnet.onnx")
    assert "takes mended of [], by config.json it would be [1, 2, 67, 1024]" in refusal(broken)


@pytest.mark.parametrize(("graph", "extra"), [(True, "repair"), (False, "train")])
def test_a_runtime_that_is_lacking_is_named(broken, monkeypatch, graph, extra):
    monkeypatch.setattr("wavechain_gan_repair.network_session.is_installed", lambda package: False)
    if not graph:
        (broken / "repairnet.onnx").unlink()
    with pytest.raises(MissingDependencyError) as caught:
        Denoise(model=str(broken))(noisy(seconds=0.1))
    assert f"pip install 'wavechain[{extra}]'" in str(caught.value)


def test_settings_that_are_left_out_are_those_of_the_family(broken):
    sound = noisy(seconds=0.1)
    assert np.array_equal(
        Denoise(model=str(configured(broken, settings={})))(sound).waveform, Denoise()(sound).waveform
    )


def test_a_config_that_names_code_is_refused(broken):
    assert "a config never names code" in refusal(configured(broken, part="os:system"))


def test_a_model_of_another_network_is_refused(broken):
    configured(broken, part="wavegan")
    with pytest.raises(SpecMismatchError, match="holds a wavegan, not a repairnet"):
        Denoise(model=str(broken))(noisy(seconds=0.1))


def test_a_model_of_a_lower_rate_leaves_what_lies_above_it(broken):
    configured(broken, sample_rate=16_000)
    removed = Denoise(model=str(broken), output="removed")(noisy(channels=1)).waveform[0]
    power = np.abs(np.fft.rfft(removed * np.hanning(removed.size))) ** 2
    hertz = np.fft.rfftfreq(removed.size, 1 / RATE)
    assert power[hertz > 8_100].mean() < power[hertz < 7_500].mean() / 1e4


def test_a_config_of_another_format_is_refused(broken):
    assert "its format is 'theirs/3'" in refusal(configured(broken, format="theirs/3"))


def test_weights_of_another_network_are_refused_by_torch(broken):
    pytest.importorskip("torch")
    configured(broken, settings={"size": "m"})
    assert "in repairnet" in refusal(broken, backend="torch")


class Silencing:
    """A network that would take everything away, or all but that share of it, and thinks so much of it."""

    def __init__(self, opinion: float, left: float = 0.0) -> None:
        self.opinion, self.left = opinion, np.float32(left)
        self.mended = []

    def __call__(self, spectra, mended, hint):
        assert mended.shape == spectra.shape
        self.mended.append(mended)
        hops = spectra.shape[2] - 3
        logits = np.full((len(spectra), hops, len(FAULTS) + 1), -9, np.float32)
        logits[..., -1] = self.opinion
        return self.left * spectra[:, :, :hops], logits


def repairing_with(session, *, doubting: bool, beside: bool = False):
    return Repairing(
        Spec.audio(RATE, 2),
        session,
        hint_for((), 2),
        n_fft=2048,
        hop_length=512,
        lookahead=3,
        amount=1.0,
        bins=slice(0, 1024),
        doubting=doubting,
        beside=beside,
        highs="never",
    )


def run(processor, waveform):
    return np.concatenate([processor.process(waveform), processor.flush()], axis=1)


@pytest.fixture
def judged(monkeypatch):
    """Sets what ear and door say of all sound."""

    def set_to(voice: float, *shares: float):
        asked = iter(shares)
        last = shares[-1]
        monkeypatch.setattr(Ear, "chances", lambda *_: Chances(voice, 0.0))
        monkeypatch.setattr(door, "share", lambda *_: next(asked, last))

    return set_to


def after(opinion: float, *, doubting: bool):
    before = noisy().waveform
    repairing = repairing_with(Silencing(opinion), doubting=doubting)
    return before, run(repairing, before), repairing.report


def test_a_repair_that_the_network_thinks_little_of_is_not_made():
    before, left, report = after(-9, doubting=True)
    np.testing.assert_array_equal(left, before)
    assert report["left_alone"]


@pytest.mark.parametrize(
    ("voice", "much", "belief", "share"),
    [
        *[(1.0, False, 0.65, 0.75), (1.0, False, 0.75, 1.0), (1.0, True, 0.65, 0.25), (1.0, True, 0.85, 1.0)],
        *[(0.0, False, 0.65, 0.25), (0.0, False, 0.75, 0.75), (0.0, True, 0.65, 0.25), (0.0, True, 0.85, 1.0)],
        *[(0.5, False, 0.65, 0.5), (0.5, False, 0.85, 1.0)],
    ],
)
def test_in_music_and_after_much_was_mended_the_network_must_be_surer(judged, voice, much, belief, share):
    judged(voice, 1.0)
    before = noisy().waveform
    repairing = repairing_with(Silencing(np.log(belief / (1 - belief))), doubting=True, beside=True)
    left = run(repairing, np.concatenate([before, (0.1 if much else 0.01) * before]))
    assert np.abs(left - before).max() / np.abs(before).max() == pytest.approx(share, abs=0.05)
    assert repairing.report["voice"] == voice


@pytest.mark.parametrize(("voice", "share"), [(0.0, 0.25), (0.5, 0.625), (1.0, 1.0)])
def test_in_music_the_door_says_how_much_is_taken(judged, voice, share):
    judged(voice, 0.25)
    before = noisy().waveform
    left = run(repairing_with(Silencing(9), doubting=True), before)
    np.testing.assert_allclose(left, (1 - share) * before, atol=5e-3)


def test_the_door_moves_without_a_step(judged):
    judged(0.0, 0.0, 1.0)
    before = noisy(seconds=6.0).waveform
    left = np.abs(run(repairing_with(Silencing(9), doubting=True), before)).max(axis=0) / np.abs(before).max(axis=0)
    starts, ends = door.EVERY * HOPS * 512, (door.EVERY + 1) * HOPS * 512
    shares = [np.median(left[at : at + 256]) for at in range(starts - 4096, ends + 4096, 256)]
    assert shares[0] == pytest.approx(1, abs=0.05)
    assert shares[-1] == pytest.approx(0, abs=0.05)
    assert np.diff(shares).min() > -0.1


@pytest.mark.parametrize("mended", [0.0, 0.1])
def test_the_door_is_told_what_was_mended(monkeypatch, mended):
    asked = []
    monkeypatch.setattr(door, "share", lambda around, place: asked.append((around, place)) or 1.0)
    before = noisy().waveform
    run(repairing_with(Silencing(9), doubting=True, beside=True), np.concatenate([before, mended * before]))
    around, _ = asked[0]
    sound, told = (sum(float(getattr(facts, of).sum()) for facts in around) for of in ("sound", "mended"))
    assert told == pytest.approx(mended**2 * sound, rel=0.01)
    around, place = asked[-1]  # and nothing of what comes after the end
    assert sum(facts.mended.size for facts in around[: place + 1]) <= 3 * RATE // 512 + 1


def test_a_start_is_judged_by_what_comes_after_it():
    """The network has heard little then, and what it thinks of a start need not last."""

    class Settling(Silencing):
        def __call__(self, spectra, mended, hint):
            silence, logits = super().__call__(spectra, mended, hint)
            logits[..., -1] = np.where(len(self.mended) == 1, 1.5, -9)
            return silence, logits

    before = noisy(seconds=6.0).waveform
    np.testing.assert_array_equal(run(repairing_with(Settling(0.0), doubting=True), before), before)


@pytest.mark.parametrize(("size_db", "share"), [(-24, 1.0), (-26.25, 0.75), (-28.75, 0.25), (-31, 0.0)])
def test_what_would_hardly_change_the_sound_is_left_alone_unless_asked_for(judged, size_db, share):
    judged(1.0, 1.0)
    before = noisy().waveform
    size = 10 ** (size_db / 20)
    for doubting in (True, False):
        left = run(repairing_with(Silencing(9.0, 1 - size), doubting=doubting), before)
        expected = size * (share if doubting else 1.0)
        assert np.abs(left - before).max() / np.abs(before).max() == pytest.approx(expected, abs=0.03 * size)


def test_highs_alone_leave_what_is_there_as_it_was():
    hissing = noisy()
    after = ExtendBandwidth()(hissing).waveform
    change = np.square(after - hissing.waveform).sum() / np.square(hissing.waveform).sum()
    assert 10 * np.log10(change + 1e-12) < -30


def test_a_range_with_nothing_in_it_is_refused():
    with pytest.raises(ParameterError, match="nothing is left to repair"):
        Repair(preserve_below_hz=5_000, preserve_above_hz=100)


def test_a_folder_called_like_a_model_does_not_hide_it(tmp_path, monkeypatch):
    (tmp_path / "repairnet").mkdir()
    shipped = find_model("repairnet").path
    monkeypatch.chdir(tmp_path)
    assert find_model("repairnet").path == shipped
    shutil.copytree(shipped, tmp_path / "mine")
    assert find_model("mine").path.resolve() == tmp_path / "mine"


def test_a_repair_that_it_thinks_much_of_is(judged):
    judged(1.0, 1.0)
    before, left, _ = after(9, doubting=True)
    assert np.abs(left).max() < 0.05 * np.abs(before).max()


class Listening:
    """A network that thinks much of its repair where there is sound, and little of it after the end."""

    def __call__(self, spectra, mended, hint):
        sounding = np.any(spectra[:, :, :64], axis=(1, 3))
        logits = np.where(sounding[..., None], 9.0, -9.0) * np.ones(9, np.float32)
        return np.zeros_like(spectra[:, :, :64]), logits.astype(np.float32)


def test_what_comes_after_the_end_of_a_short_sound_is_not_asked(judged):
    judged(1.0, 1.0)
    before = noisy().waveform[:, : int(1.1 * RATE)]
    repairing = repairing_with(Listening(), doubting=True)
    left = run(repairing, before)
    assert np.abs(left).max() < 0.05 * np.abs(before).max()
    assert min(repairing.report["faults"].values()) > 0.99


def test_of_a_sound_shorter_than_a_second_the_network_is_not_believed():
    """A clap is noise, and belongs so. Who says that there is noise gets it taken away."""
    before = noisy().waveform[:, : int(0.9 * RATE)]
    np.testing.assert_array_equal(run(repairing_with(Silencing(9), doubting=True), before), before)
    assert np.abs(run(repairing_with(Silencing(9), doubting=False), before)).max() < 0.05 * np.abs(before).max()


def test_a_repair_tells_of_what_the_classical_stages_did():
    random = np.random.default_rng(0)
    clean = np.sin(np.arange(RATE) * 0.05)[None].astype(np.float32) * 0.3
    clicked = clean.copy()
    clicked[0, random.integers(2_000, RATE - 2_000, 6)] += 0.4
    for stage in (Repair, Declick):
        for waveform in (clean, clicked):
            processor = stage().open(Spec.audio(RATE, 1))
            after = run(processor, waveform)
            changed = not np.array_equal(after, waveform)
            assert changed == (waveform is clicked)
            assert ("left_alone" in processor.report) != changed
            assert ("mended_db" in processor.report) == changed


def test_clicks_are_looked_for_twice():
    """Where they are dense, one hides another."""
    random = np.random.default_rng(0)
    clicked = music(sample_rate=RATE, channels=1, seconds=2).waveform.copy()
    at = random.integers(2_000, clicked.shape[1] - 2_000, 400)
    clicked[0, at] += random.choice([-0.5, 0.5], at.size).astype(np.float32)
    damaged = Audio.of(clicked, RATE)
    once, twice = (Chain.of(f"ar-declick:passes={passes}")(damaged).waveform for passes in (1, 2))
    assert not np.array_equal(once, twice)
    np.testing.assert_array_equal(Declick()(damaged).waveform, twice)


def test_the_warning_of_a_classical_stage_is_a_warning_of_the_repair():
    flat = np.clip(3 * np.sin(np.arange(RATE) * 0.05) ** 3, -0.9, 0.9)[None].astype(np.float32)
    processor = Declip().open(Spec.audio(RATE, 1))
    run(processor, flat)
    assert "lower the gain" in processor.report["warning"]


def test_who_names_the_fault_does_not_ask_for_its_opinion():
    before, left, _ = after(-9, doubting=False)
    assert np.abs(left).max() < 0.05 * np.abs(before).max()
