"""A worker process: one thread, and gone when its parent is."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

PARENT_CHECK_S = 2.0


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and for BLAS, as many as before afterwards.

    A window's score is then the same to the last digit wherever it is made.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def start_worker(parent: int) -> None:
    """Give a worker one thread, and end it when its parent is gone."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    # Ctrl-C reaches every process of a terminal; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
