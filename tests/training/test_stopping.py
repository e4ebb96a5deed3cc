"""Signals that ask a training to stop: noted while it can be saved, raised otherwise."""

import os
import signal
import threading

import pytest

from kit.training.stopping import Stop


def ask(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


@pytest.fixture
def handlers():
    """SIGTERM raises KeyboardInterrupt, as in the command line."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_is_noted_and_the_second_raised(handlers, number, capfd):
    stop = Stop()
    with pytest.raises(KeyboardInterrupt), stop.heard():
        stop.is_saving_near = True
        ask(number)
        assert stop.is_asked
        ask(number)
    assert capfd.readouterr().err.count("stopping as soon as the run is saved") == 1
    with pytest.raises(KeyboardInterrupt):
        stop.raise_if_asked()
    assert signal.getsignal(number) is signal.default_int_handler


def test_where_nothing_can_be_saved_it_is_raised(handlers):
    stop = Stop()
    with pytest.raises(KeyboardInterrupt), stop.heard():
        ask()
    stop.raise_if_asked()


def test_other_handlers_and_threads_are_left_alone(handlers):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with Stop().heard():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN

    def elsewhere():
        with Stop().heard():
            found.append(signal.getsignal(signal.SIGINT))

    found = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
