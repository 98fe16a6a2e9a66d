"""What the program's own code raises on a thread that serves others too."""

import threading


def as_fault(error: BaseException) -> Exception:
    """Give what is to be logged of an error; raises SystemExit again where it ends the program: on the main thread.

    On any other it would end that thread alone, without a word, and all that the thread serves would stand still.
    """
    if isinstance(error, Exception):
        return error
    if threading.current_thread() is threading.main_thread():  # as is the thread that forked, in the child
        raise error
    fault = RuntimeError("sys.exit() ends a program on its main thread only: let that one know, by a threading.Event")
    fault.__cause__ = error
    return fault
