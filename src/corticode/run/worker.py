"""A worker process: one thread, and gone when its parent is."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

import torch
from threadpoolctl import threadpool_limits

from corticode.errors import CorticodeError, MachineError, RunError

NO_MEMORY = "this machine's memory does not hold it; close other programs or give fewer --workers"
NO_DEVICE = (
    "the GPU's memory does not hold it, or the GPU failed; let nothing else use it, give fewer "
    "--workers, or --device cpu"
)
# Words by which errors of torch are known that have no class of their own.
OF_DEVICE, OF_ALLOCATOR = ("CUDA", "CUBLAS", "CUDNN", "cuDNN"), "can't allocate memory"
MOST_SHOWN = 200


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


@contextmanager
def worker_pool(n_workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes; they end at once where the block ends in an exception, Ctrl-C too.

    Raises
    ------
    RunError
        This system lets no process start others.
    """
    others = set(multiprocessing.active_children())
    try:
        pool = ProcessPoolExecutor(
            n_workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=start_worker,
        )
    except (OSError, ImportError, NotImplementedError) as error:
        # Where /dev/shm is missing or may not be written, there are no semaphores.
        raise RunError(
            f"this system lets no process start others ({error}; on Linux most often as /dev/shm "
            "is missing or full); run the same command with --workers 1, which needs none"
        ) from error
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    else:
        pool.shutdown()


@contextmanager
def machine_errors() -> Iterator[None]:
    """Turn what Python and torch raise for want of memory or of a file into a `MachineError`."""
    try:
        yield
    except CorticodeError:
        raise
    except MemoryError as error:
        raise MachineError(f"{NO_MEMORY} ({error})") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise MachineError(f"{where}{error.strerror or error}") from error
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        if isinstance(error, torch.OutOfMemoryError) or any(word in reason for word in OF_DEVICE):
            raise MachineError(f"{NO_DEVICE} ({reason[:MOST_SHOWN]})") from error
        if OF_ALLOCATOR in reason:
            raise MachineError(f"{NO_MEMORY} ({reason[:MOST_SHOWN]})") from error
        raise


def start_worker() -> None:
    """Give a worker one thread, and end it when its parent is gone."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    # Ctrl-C reaches every process of a terminal; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
