"""Being told to stop: the signal counts, even where its exception is lost."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from wavechain import Chain, RunOptions, interrupts
from wavechain.batch import run_batch
from wavechain.naming import Job
from wavechain.testing import music


@pytest.fixture(autouse=True)
def listens_to_interrupts():
    """A shell starts what it runs in the background deaf to SIGINT, and tests inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_whose_exception_is_swallowed_ends_the_run_at_the_next_block(tmp_path, signum):
    def swallow(done: int, total: int | None) -> None:
        blocks.append(done)
        with contextlib.suppress(KeyboardInterrupt):  # as a module made by Cython does while it is imported
            os.kill(os.getpid(), signum)

    blocks: list[int] = []
    (tmp_path / "out").mkdir()
    source = music(seconds=10).write(tmp_path / "in.wav")
    job = Job(source, tmp_path / "out/in.wav")
    with pytest.raises(KeyboardInterrupt), interrupts.heard():
        list(run_batch(Chain(()), [job], RunOptions(progress=swallow)))
    assert len(blocks) == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_a_signal_is_forgotten_once_it_was_heard():
    with pytest.raises(KeyboardInterrupt), interrupts.heard():
        os.kill(os.getpid(), signal.SIGTERM)
    interrupts.heed()


def test_handlers_are_put_back_and_a_deaf_process_stays_deaf():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.heard():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is interrupts.stop
        assert signal.getsignal(signal.SIGTERM) is not interrupts.stop
    finally:
        signal.signal(signal.SIGINT, before)
