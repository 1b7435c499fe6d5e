"""A page worker whose page reading fails: `python -m tests.service.rest.failing_page_worker`."""

from typing import Any, Final
from unittest import mock

from inkstream.service.page_workers.worker import serve
from inkstream.service.rest.work import work

SECRET: Final = "internal secret"


def fail(*_: Any) -> Any:
    raise RuntimeError(SECRET)


if __name__ == "__main__":
    with mock.patch("inkstream.service.rest.inputs.find_page", fail):
        serve(work)
