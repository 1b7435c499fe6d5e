"""Read lines and lose nothing when a connection breaks, with websockets and json only.

    python examples/resume.py "ws://127.0.0.1:8000/v1/stream?model=lines" < columns

Standard input has the pixels of columns, one column after another; the texts of lines are printed.
"""

import json
import sys
import time

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

OPTIONS = {"results": "none", "line_end_columns": 24}


def read_lines(url, columns):
    """Yield the text of each line in a file of columns."""
    line = [json.dumps({"type": "configure"} | OPTIONS)]  # its messages
    options = newest_options = {}  # at its beginning, and now
    heard, digest = 0, ""  # number of the newest answer, and which model gave it
    while True:
        try:
            with connect(url, subprotocols=["inkstream.v1"], close_timeout=1) as socket:
                ready = json.loads(socket.recv())
                model, height = ready["model"]["digest"], ready["column_height"]
                resume = {"type": "resume", "heard": heard, "digest": digest, "options": options}
                socket.send(json.dumps(resume))
                n_sent = 0
                while True:
                    if n_sent == len(line):
                        line.append(columns.read(64 * height) or '{"type":"end"}')
                    socket.send(line[n_sent])
                    socket.send('{"type":"ping"}')  # its answer comes after those to the message
                    n_sent += 1
                    while (answer := json.loads(socket.recv()))["type"] != "pong":
                        heard = answer.get("seq", heard)
                        match answer["type"]:
                            case "configured":
                                newest_options = {k: answer[k] for k in OPTIONS}
                            case "revised" if heard == 0:  # another model reads the whole line
                                digest = model
                            case "line_end":
                                yield answer["text"]
                                n_bytes = answer["rest_columns"] * height
                                line = [line[n_sent - 1][-n_bytes:]] if n_bytes else []
                                n_sent, heard, options = len(line), 0, newest_options
                            case "done":
                                yield answer["text"]
                                return
                            case "error" if answer["index"] is not None:
                                sys.exit(answer["message"])
        except (OSError, WebSocketException):
            time.sleep(0.1)


if __name__ == "__main__":
    for text in read_lines(sys.argv[1], sys.stdin.buffer):
        print(text)
