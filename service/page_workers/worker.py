"""The inside of a page worker: read a request, answer it, and so on, within limits.

`pool.py` starts such processes.
"""

import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

from inkstream.service.observe import memory


def serve(answer: Callable[[bytes, bytes], bytes]) -> None:
    """Answer requests of two byte strings until the server has closed the socket.

    The arguments of the process are the bytes of memory that it may allocate (RLIMIT_DATA), the
    seconds of processor time that a request may take (RLIMIT_CPU: the kernel ends the process by
    SIGXCPU, even where the server was killed), and the descriptor of the socket.
    """
    memory_bytes, cpu_s, descriptor = map(int, sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to this process too
    os.nice(10)  # the event loop goes first
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with Connection(descriptor) as connection:
        while True:
            try:
                request = connection.recv_bytes(), connection.recv_bytes()
            except EOFError:
                return
            used = resource.getrusage(resource.RUSAGE_SELF)
            until_s = math.ceil(used.ru_utime + used.ru_stime) + cpu_s
            resource.setrlimit(resource.RLIMIT_CPU, (until_s, resource.RLIM_INFINITY))
            connection.send_bytes(answer(*request))
            del request  # else it stays in memory beside the next one
            memory.give_back()
