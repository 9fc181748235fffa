"""The promises of a stage, by name: what each says, and what to do when it is broken.

The names are stable: they stand in reports, in `exceptions` and in the documentation.
"""

from __future__ import annotations

from collections.abc import Sequence

# name: (what is promised, what to do about it)
PROMISES: dict[str, tuple[str, str]] = {
    # -- settings, of every stage
    "parameters-documented": (
        "the class says what it does, and every parameter what it does and in which unit",
        'cutoff_hz: float = param(80.0, unit="Hz", help="One sentence, with a full stop."); units live in names: '
        "_hz, _db, _seconds, _ms.",
    ),
    "settings-frozen": (
        "settings never change once made, and unknown ones are refused",
        'leave `frozen=True` and `extra="forbid"` of Stage.model_config as they are.',
    ),
    "pickles": (
        "a pickled copy equals its original: stages travel to worker processes",
        "keep plain values in the fields and make everything else in open().",
    ),
    "registered-name": (
        "the class calls itself by the name it is registered under",
        "name the class like the stage (HighShelf for high-shelf), or override stage_name().",
    ),
    "toml-round-trip": (
        "written to a chain file and read back, the stage is the same",
        "use field types that plain data can hold: numbers, text, lists, Literal, Path.",
    ),
    # -- what comes out of process() and flush()
    "runs": (
        "music is processed, without an exception",
        "read the last line of code that is named above; `wavechain --debug` shows how it got there.",
    ),
    "float32-blocks": (
        "blocks are float32 arrays with time as the last axis in memory too",
        "np.ascontiguousarray(block, np.float32) before returning; float64 creeps in through np.float64 factors.",
    ),
    "declared-shape": (
        "blocks have the shape that the processor's spec announces: no channel comes or goes in silence",
        "give the processor the spec of what comes out: spec.with_channels(2), and return blocks of that shape.",
    ),
    "length-law": (
        "as many steps come out as spec.length and tail announce, whatever the block sizes",
        "return what is still inside from flush(), also the last incomplete block; declare spec.with_length(...) "
        "where the length changes, None where only the end can tell.",
    ),
    "out-spec": (
        "out_spec(), which plans are made with, announces what then comes out",
        "leave out_spec() to StreamStage, or compute both from one function.",
    ),
    "finite-output": (
        "legal input gives finite output",
        "guard divisions, logarithms and roots: np.maximum(x, 1e-12); check that feedback stays below 1.",
    ),
    # -- sound
    "streamed-is-whole": (
        "however the input is cut into blocks, the output is the same",
        "keep in the processor what the next block depends on (filter state, phase, counters); where a method rounds "
        "differently when it is cut differently, use FixedBlocks; where it cannot be exact, declare `tolerance`.",
    ),
    "short-signals": (
        "signals of 1, 2 or 3 steps go through",
        "do not assume that a block, or the whole signal, is longer than a window.",
    ),
    "unknown-length": (
        "a stream whose length is not known beforehand gives the same output",
        "treat spec.length = None as unknown; a stage that needs the length measures it first (MeasuredEffect).",
    ),
    "latency-by-impulse": (
        "what happens in the input at one instant happens in the output at that instant",
        "set self.latency to the steps by which the output is late, neither more nor less; declare an exception "
        "for a stage whose purpose is to move sound in time.",
    ),
    "tail-rings-out": (
        "what rings on after the end of the input is not cut off",
        "set self.tail to the steps for which it rings (math.inf: until it is silent).",
    ),
    "tail-ends": (
        "silence has no tail: nothing rings on for ever",
        "let the tail depend on what is still inside: a stage that rings without input never ends.",
    ),
    "leaves-no-trace": (
        "a stream is not touched by the stream before it, nor by one beside it",
        "keep state in the processor that open() makes; none on the class, in the module, or in a shared default.",
    ),
    "silence-stays-silent": (
        "silence in, silence out",
        "remove the offset or noise that is added; where sound out of nothing is the purpose, declare an exception.",
    ),
    "nan-is-not-hidden": (
        "NaN in the input is not passed off as sound",
        "remove np.nan_to_num and the like: the core names the stage or file that NaN comes from.",
    ),
    "channel-counts": (
        "1 to 8 channels are processed, or refused with SpecMismatchError",
        'treat the first axis as "any number of channels"; raise SpecMismatchError in open() for what cannot be.',
    ),
    "sample-rates": (
        "any sample rate is processed, or refused when the stream is opened",
        "compute from spec.sample_rate in open(), never from a constant; raise SpecMismatchError for what cannot be.",
    ),
    "sounds-alike-at-any-rate": (
        "the same sound at another sample rate gives the same result, in seconds and in Hz",
        "replace every constant in frames by seconds * spec.sample_rate.",
    ),
    "input-untouched": (
        "the input is not written to: another branch of the chain reads the same memory",
        "block = block * factor, not block *= factor; copy before working in place.",
    ),
    "same-every-time": (
        "the same input gives the same output: chance comes from a seed",
        "add `seed: int | None = param(None, ...)`: the core fills it in; np.random.default_rng(self.seed) in open().",
    ),
    "same-in-a-spawned-process": (
        "a worker process makes the same output",
        "let nothing depend on what this process did before; put the class into a module that can be imported.",
    ),
    "same-in-two-threads": (
        "two threads at once make the same output",
        "share no buffers between processors: no scratch arrays or caches in the module that are written to.",
    ),
    "bounded-memory": (
        "memory does not grow with the length of the stream",
        "hand out what is finished from process() and drop it; a method that needs everything is a WholeEffect.",
    ),
    # -- transforms and models
    "features-described": (
        "features say which transform made them, of which audio, at which exact rate",
        "Spec(kind, spec.rate / hop_length, shape, hops, recipe=self, source=spec), the rate a Fraction.",
    ),
    "inverse-comes-back": (
        "the inverse gives back what went in, at the same instant, as far as inverse_kind says",
        "check the centring of windows and what flush() adds; declare inverse_kind = "
        '"approximate" where it cannot be exact.',
    ),
    "mismatch-refused": (
        "features of another kind or shape are refused when the stream is opened, before any sound",
        "compare spec.kind, spec.shape and spec.rate with what is expected; raise SpecMismatchError in open() and "
        "inverse(), not in process().",
    ),
    "inverse-bounded-memory": (
        "the memory of the inverse does not grow with the length of the stream",
        "hand out what no later column reaches, and drop it.",
    ),
    "inverse-streamed-is-whole": (
        "however the features are cut into blocks, the inverse gives the same",
        "keep what overlaps into the next block in the processor.",
    ),
    "capabilities-true": (
        "the model can do what its capabilities say",
        'choose among "sample", "process", "encode", "decode", and write the methods for those named.',
    ),
    "process-keeps-time": (
        "what a model processes is as long as it was, and what happens in it happens at the same instant",
        "declare the delay of the network as latency; feed it context, and cut its output to what was asked for.",
    ),
    "samples-from-the-seed": (
        "sample() depends on its seed alone, and gives the seconds that were asked for",
        "draw every random number from one generator made from the seed.",
    ),
    # -- loaders
    "samples-are-true": (
        "what is in the file is what is read, at the same place",
        "check scaling (32768, not 32767), channel order, and the delay and padding of the codec.",
    ),
    "read-in-any-size": (
        "read(n) gives n frames, fewer only at the end, none after it; together always the same",
        "keep what the decoder gave too much until the next read().",
    ),
    "length-is-true": (
        "spec.length is the number of frames that can be read, or None",
        "do not trust the header: None where the length is not certain.",
    ),
    "truncation-refused": (
        "a file that was cut off is refused, not passed off as a shorter one",
        "compare what the header announces with what is there; raise DamagedError.",
    ),
    "garbage-refused": (
        "what is missing or no audio is refused with one of wavechain's own errors, which names the file",
        'catch the decoder\'s errors: raise UnreadableError(f"{path}: ...", hint="...") from None.',
    ),
    "tags-in-form": (
        "media.tags maps lower-case names to tuples of texts",
        '{"title": ("...",), "artist": ("...",)}',
    ),
    "files-closed": (
        "close() closes every file",
        "close in Source.close(), and also when open() fails half-way.",
    ),
    "suffix-registered": (
        "the stage is registered for the suffix of its files",
        'register.stage(..., extensions=(".ext",)).',
    ),
    # -- writers
    "written-comes-back": (
        "what was written is what is read back, at the same place",
        "check scaling, channel order (frames, channels) of integer samples, and the delay of the codec.",
    ),
    "every-frame-written": (
        "as many frames are in the file as were written, whatever the block sizes",
        "write in close() what is still in a buffer.",
    ),
    "written-in-any-size": (
        "the file is the same, however the samples were cut into blocks",
        "feed the encoder frames of its own size; keep the rest until the next write().",
    ),
    "unwritable-refused": (
        "a place that cannot be written to is refused with UnwritableError or OSError",
        "let OSError pass, and raise UnwritableError for errors of the encoder.",
    ),
    # -- recipes and degradations
    "settings-round-trip": (
        "written as plain data and read back, the settings are the same",
        "use field types that plain data can hold; let no validator change what it has changed before.",
    ),
    "clips-can-be-cut": (
        "sample_rate is a whole number of Hz, and a clip of crop_seconds has at least one frame",
        "return int and float, computed from the settings alone.",
    ),
    "networks-from-the-seed": (
        "networks() gives torch modules by name, and draws their weights from torch's generator alone",
        "leave the weights to torch.nn.init or torch.randn; no generator of its own, no NumPy.",
    ),
    "turns-name-networks": (
        "every step has a turn, turns move networks that there are, and every network is moved in some turn",
        'Turn("judge", ("judge",)) with names out of networks(); make no network that nobody trains.',
    ),
    "phases-ascend": (
        "the first phase begins at step 0, and the others one after another before the last step is done",
        "Phase(0, ...) first; compute the others from *steps*.",
    ),
    "batch-in-form": (
        "prepare() gives NumPy arrays with the batch first, of finite float32 or of whole numbers",
        "np.stack(...).astype(np.float32); float64 creeps in through NumPy's generators.",
    ),
    "chance-from-the-generators": (
        "the same generators give the same arrays, others give others: a resumed run hears what an unbroken one would",
        "draw every random number from the generator that is handed in; seed no other with a part of it.",
    ),
    "loss-is-finite": (
        "loss() gives finite scalars by name, at least one of them with a name that does not begin with _",
        "return torch tensors, averaged: .mean(); guard divisions, logarithms and roots.",
    ),
    "loss-moves-its-networks": (
        "the loss of a turn has a finite gradient, not 0 everywhere, in each network of that turn",
        "look for .detach(), no_grad() and .item() between network and loss; name in the turn what it trains.",
    ),
    "loss-repeats": (
        "the same batch, weights and torch generator give the same loss",
        "keep no state on the recipe; let chance inside loss() be torch's.",
    ),
    "figures-are-finite": (
        "evaluate() gives finite numbers by name",
        "float(...) each of them; leave out a figure that the batch does not allow.",
    ),
    "preview-is-sound": (
        "preview() gives finite float32 blocks (channels, frames) by name",
        "sound[0].cpu().numpy(): the first item of the batch, with its channels.",
    ),
    "worsened-keeps-shape": (
        "at 8 to 96 kHz, mono and stereo, and however short the clip, both sounds are float32 and of its shape",
        "cut or pad at the end to what came in; .astype(np.float32).",
    ),
    "wanted-as-declared": (
        "what is wanted is the clip itself, or the class says changes_wanted = True",
        "return worsened, waveform; where not all is to be undone, changes_wanted: ClassVar[bool] = True.",
    ),
    # -- plugins
    "registers": (
        "the entry module has one hook, which registers without error",
        "@hookimpl def wavechain_register(register): register.stage(...).",
    ),
    "entry-module-light": (
        "importing the entry module and registering load no heavy package",
        "keep stages in other modules and name them in target=; import nothing but wavechain.hookspecs.",
    ),
    "registers-without-dependencies": (
        "the plugin registers, and is listed as unavailable, where the packages it requires are missing",
        "import them in the module of the stage, and name them in requires=(...).",
    ),
    "stages-load": (
        "every registered stage can be imported, and is what it was registered as",
        "correct target= or kind=.",
    ),
    "summaries": (
        "every stage and preset has a summary of 10 to 90 characters",
        "say what it does to the sound, in one line.",
    ),
    "presets-load": (
        "every preset is a chain",
        "open it with `wavechain presets show NAME`.",
    ),
    "schema": (
        "every stage has a JSON Schema: editors complete and check chain files with it",
        "use field types that plain data can hold.",
    ),
}


class BrokenPromise(AssertionError):  # noqa: N818 - what happened, not what it is called
    """A promise that a stage did not keep, as a colleague would report it.

    promise  its name in `PROMISES`
    facts    what was found: the smallest input that shows it, where, both values
    """

    def __init__(self, promise: str, facts: str | Sequence[str], *, who: str = "", advice: str = "") -> None:
        says, usual = PROMISES[promise]
        self.promise = promise
        self.facts = (facts,) if isinstance(facts, str) else tuple(facts)
        self.who = who
        self.advice = advice or usual
        self.says = says
        super().__init__(promise, facts)

    def __str__(self) -> str:
        lines = [f"{self.who or 'the stage'} breaks the promise {self.promise}: {self.says}."]
        lines += [f"  {fact}" for fact in self.facts]
        return "\n".join([*lines, f"  Try: {self.advice}"])


class NotApplicable(Exception):  # noqa: N818 - not an error
    """A check that does not concern this stage, and why."""
