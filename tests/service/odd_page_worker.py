"""A page worker that does what a test tells it: `python -m tests.service.odd_page_worker`."""

import os
import time

from inkstream.service.page_workers.worker import serve


def obey(order: bytes, body: bytes) -> bytes:
    match order:
        case b"echo":
            return body
        case b"number":
            return str(os.getpid()).encode()
        case b"environment":
            return "\n".join(os.environ).encode()
        case b"compute":
            while True:
                pass
        case b"wait":
            time.sleep(1000)
        case b"exit":
            os._exit(3)
        case b"answer much":
            return bytes(int(body))
        case b"allocate":
            try:
                bytearray(int(body))
            except MemoryError:
                return b"refused"
    return b""


if __name__ == "__main__":
    serve(obey)
