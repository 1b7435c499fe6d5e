"""A user's program with every public name; `test_library.py` has type checkers read it."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import inkstream
from inkstream import InkPiece, Letter, Page, Recognition, Recognizer, Result, State, Stream, Word

REFUSALS: tuple[type[inkstream.ServiceError], ...] = (
    inkstream.ClientFullError, inkstream.ForwardedError, inkstream.HostError, inkstream.IdleError,
    inkstream.ModelUnknownError, inkstream.OriginError, inkstream.OverLimitError,
    inkstream.PathUnknownError, inkstream.ServerFullError, inkstream.SessionExpiredError,
    inkstream.StoppingError, inkstream.UnauthorizedError, inkstream.NoConnectionError,
    inkstream.StreamEndedError,
)  # fmt: skip
FAULTS: tuple[type[inkstream.InputError], ...] = (
    inkstream.CallError, inkstream.ColumnsError, inkstream.InkError, inkstream.InkSizeError,
    inkstream.JsonError,
    inkstream.MessageError, inkstream.NotResumableError, inkstream.TypeUnknownError,
    inkstream.UnreadableError, inkstream.ValueRefusedError, inkstream.ImageSizeError,
    inkstream.BlankImageError,
)  # fmt: skip


def read(model: Recognizer, image: Path, ink: Path) -> list[Recognition]:
    with image.open("rb") as file:
        answers = [model.recognize(image), model.recognize(str(image)), model.recognize(file)]
    content = image.read_bytes()
    answers += [model.recognize(content), model.recognize(bytearray(content))]
    answers += [model.recognize(Image.open(image)), model.recognize(np.zeros((40, 90)) + 255)]
    piece: InkPiece = inkstream.ink_pieces(ink)[0]
    answers += [model.recognize(ink), model.recognize(piece)]
    answers += [model.read_ink(piece.strokes, piece.height), model.recognize([[(0, 9.5), (4, 2)]])]
    answers += [model.recognize([np.zeros((5, 2)), [[1, 2, 0.5]], {"points": [(3, 1)]}])]
    return answers


def pages_of(model: Recognizer, scan: Path) -> list[str]:
    page: Page = model.read_page(scan.read_bytes())
    texts = [f"{line.text} {line.confidence:.2f} {line.box} {line.block}" for line in page.lines]
    texts += [
        page.to_hocr(scan.name),
        page.to_alto(),
        page.to_page_xml(),
        json.dumps(page.to_dict()),
    ]
    return texts + [page.text for page in model.read_document(scan) if page.confidence > 0.1]


def words_of(model: Recognizer, image: Path, kept: Path) -> list[Word]:
    stream: Stream = model.stream(inkstream.line_columns(image, model.column_height))
    results: list[Result] = list(stream)
    stream.state.save(kept)
    state: State = State.load(kept)
    events = [event for result in results for event in result.events]
    events += model.stream(inkstream.digit_columns(image, 32), state).flush()
    letters: list[Letter] = [event for event in events if isinstance(event, Letter)]
    print(json.dumps([letter.to_dict() for letter in letters if letter.is_uncertain]))
    return [event for event in events if isinstance(event, Word)]


async def follow(url: str, columns: bytes) -> str | None:
    async with inkstream.connect(url, model="lines") as stream:
        line: inkstream.AsyncStream = stream
        async for result in line.send(columns):
            print(result.column, result.text)
        return (await line.end()).text


if __name__ == "__main__":
    try:
        for answer in read(inkstream.load("lines"), Path(sys.argv[1]), Path(sys.argv[2])):
            print(answer.text, answer.confidence, answer.curve.shape, answer.hint)
        digits: inkstream.SyncStream
        with inkstream.connect_sync(sys.argv[3]) as digits:
            print(digits.ready.model.name, asyncio.run(follow(sys.argv[3], b"")))
    except REFUSALS + FAULTS as error:
        print(error.code, inkstream.__version__)
    except (inkstream.ImageError, inkstream.DataError, inkstream.CheckpointError) as error:
        sys.exit(str(error))
    except (inkstream.ConfigError, inkstream.InputError, inkstream.InkstreamError) as error:
        sys.exit(f"{error.code}: {error}")
