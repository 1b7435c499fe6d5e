/**
 * Streams columns to the model `lines`, prints every line of writing, and goes on by itself after a broken connection.
 * Written from docs/protocol.md alone; it needs nothing but the WebSocket of Node 22:
 *
 *     curl -s -H content-type:image/png --data-binary @examples/hello.png '127.0.0.1:8000/v1/columns?model=lines' |
 *       node examples/resume.js
 */

const [, , url = "ws://127.0.0.1:8000/v1/stream?model=lines"] = process.argv;
// All that another connection needs to go on with the line:
const line = { messages: [], heard: 0, digest: undefined, options: {} };
let options = {}; // in force now
let socket, ready, retryMs;

function connect(onReady) {
  const opening = new WebSocket(url);
  opening.onmessage = ({ data }) => receive(JSON.parse(data), opening, onReady);
  opening.onclose = opening.onerror = ({ code }) => {
    opening.onclose = opening.onerror = socket = undefined;
    if (code >= 4400 && code !== 4408 && code !== 4440) process.exit(1); // another one would be closed too
    retryMs = Math.min(2 * retryMs, 5000) || 50;
    setTimeout(connect, retryMs * Math.random(), onReady);
  };
}

function send(message) {
  line.messages.push(message);
  socket?.send(message);
}

function receive(message, opening, onReady) {
  const { type, seq } = message;
  if (seq !== undefined) [line.heard, line.digest] = [seq, ready.model.digest];
  if (type === "ready") {
    [socket, ready] = [opening, message];
    const { heard, digest = ready.model.digest } = line;
    socket.send(JSON.stringify({ type: "resume", heard, digest, options: line.options }));
    line.messages.forEach((data) => socket.send(data));
    onReady();
  } else if (type === "resumed") retryMs = 0;
  else if (type === "goaway") opening.close(1000);
  else if (type === "error") console.error(message.message);
  else if (type === "configured") options = message; // fields that are no options are ignored
  else if (type === "line_end") {
    console.log(message.text);
    const last = line.messages.splice(0, message.messages).at(-1); // its end begins the next line
    if (message.rest_columns > 0) line.messages.unshift(last.subarray(-message.rest_columns * ready.column_height));
    [line.heard, line.options] = [0, options];
  } else if (type === "done") {
    console.log(message.text);
    process.exit();
  }
}

await new Promise(connect);
send(JSON.stringify({ type: "configure", line_end_columns: 40, results: "none" }));
const pixels = Buffer.concat(await process.stdin.toArray());
const size = 16 * ready.column_height; // sixteen columns a message
for (let start = 0; start < pixels.length; start += size) send(pixels.subarray(start, start + size));
send(JSON.stringify({ type: "end" }));
