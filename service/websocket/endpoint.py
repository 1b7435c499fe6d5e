"""The ASGI application behind all WebSockets: check the client, then serve its stream."""

import secrets
from contextlib import ExitStack
from typing import Final
from urllib.parse import parse_qs

from inkstream.model.errors import InkstreamError
from inkstream.service.http_errors import error_response
from inkstream.service.logs import get_logger
from inkstream.service.protocol.errors import MEANINGS, PathUnknownError, SessionUnknownError
from inkstream.service.protocol.server_messages import PATH, PROTOCOL, Error, encode
from inkstream.service.service import RunningModel, Service
from inkstream.service.websocket.stream import AsgiEvent, Receive, SendEvent, Stream

REQUEST_ID_BYTES: Final = 8

log = get_logger()


class StreamEndpoint:
    """Serve a stream to each client that is allowed; answer the others with the reason."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: AsgiEvent, receive: Receive, send: SendEvent) -> None:
        await receive()  # websocket.connect
        with ExitStack() as stack:
            try:
                model = self._choose_model(scope)
                stream = Stream(model, self._service, receive, send)
                client = scope["client"][0] if scope["client"] else "unknown"
                session_id = stack.enter_context(
                    self._service.sessions.admit(client, stream.say_goodbye)
                )
            except InkstreamError as error:
                await self._refuse(scope, send, error)
                return
            await stream.run(session_id, scope, client)

    def _choose_model(self, scope: AsgiEvent) -> RunningModel:
        """Return the model that is asked for; raise an `InkstreamError` if access is refused."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path != PATH:
            raise PathUnknownError(f"no WebSocket is at {path[:100]}, expected {PATH}")
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        access = self._service.access
        access.check_origin(headers.get(b"origin"), headers.get(b"host"))
        access.check_key(headers.get(b"authorization"), scope["subprotocols"])
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if "session" in query:
            raise SessionUnknownError("this server does not offer to resume sessions")
        return self._service.model(query["model"][-1] if "model" in query else None)

    async def _refuse(self, scope: AsgiEvent, send: SendEvent, error: InkstreamError) -> None:
        """Refuse by an error message where our subprotocol is offered, else by HTTP as REST does.

        A browser's script sees messages and closing codes, but no HTTP status.
        """
        request_id = secrets.token_hex(REQUEST_ID_BYTES)
        self._service.metrics.refused(error.code)
        log.info("session refused", request=request_id, code=error.code, reason=str(error))
        meaning = MEANINGS[error.code]
        if PROTOCOL in scope["subprotocols"]:
            message = Error(code=error.code, message=str(error), fatal=True)
            close = {"code": meaning.closing, "reason": error.code}
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            await send({"type": "websocket.send", "text": encode(message)})
            await send({"type": "websocket.close", **close})
        else:
            response = error_response(meaning.http, error.code, str(error), request_id)
            head = {"status": response.status_code, "headers": response.raw_headers}
            await send({"type": "websocket.http.response.start", **head})
            await send({"type": "websocket.http.response.body", "body": response.body})
