/** What the client keeps of its line, with messages as a server sends them. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { LineLog } from "../../../../service/web/client/line_log.js";

/** @import { Ready, ServerMessage } from "../../../../service/web/client/protocol.d.ts" */

const H = 16; // pixels of a column
const MAX_BYTES = 100 * H;

/** Return a log that has begun its first connection. */
function begun(maxBytes = MAX_BYTES) {
  const log = new LineLog(maxBytes);
  resume(log);
  return log;
}

/** Connect, and return what the client sends first. @param {LineLog} log */
function resume(log, digest = "1") {
  const ready = /** @type {Ready} */ ({ type: "ready", column_height: H, model: { digest } });
  return JSON.parse(log.resume(ready));
}

/** Send messages. @param {LineLog} log @param {(string | Uint8Array<ArrayBuffer>)[]} all */
function send(log, ...all) {
  for (const data of all) {
    const { type, id } = typeof data === "string" ? JSON.parse(data) : { type: "columns", id: null };
    log.add({ type, id, data, resolve: () => {}, reject: () => {} });
  }
  return taken(log);
}

/** Return all that is sent now. @param {LineLog} log */
function taken(log) {
  const all = [];
  for (let data; (data = log.take()) !== undefined; ) all.push(data);
  return all;
}

/** @param {LineLog} log @param {object[]} messages */
function receive(log, ...messages) {
  for (const message of messages) log.receive(/** @type {ServerMessage} */ (message));
}

/** @param {string} type @param {number} id */
function request(type, id, fields = {}) {
  return JSON.stringify({ type, id, ...fields });
}

/** @param {number} number */
function column(number) {
  return new Uint8Array(H).fill(number);
}

describe("what a connection begins with", () => {
  test("is that nothing was heard yet, and that snapshots are wanted", () => {
    const expected = { heard: 0, digest: "1", options: { snapshot_columns: 512 }, snapshot: null };
    assert.deepEqual(resume(new LineLog(MAX_BYTES)), { type: "resume", id: "resume", ...expected });
    assert.deepEqual(resume(new LineLog(0)).options, {});
  });

  test("has the newest number, and the model that gave it", () => {
    const log = begun();
    receive(log, { type: "result", seq: 3 }, { type: "pong", id: 1 }, { type: "error", fatal: true });
    assert.deepEqual([resume(log).heard, resume(log, "2").digest, resume(log, "2").digest], [3, "1", "1"]);
    receive(log, { type: "resumed", messages: 0 }, { type: "revised", seq: 0 });
    assert.deepEqual([resume(log).heard, resume(log).digest], [0, "2"]);
  });

  test("has the options at the line's beginning", () => {
    const log = begun();
    send(log, request("configure", 1, { top_k: 1 }));
    receive(log, { type: "configured", id: 1, seq: 1, top_k: 1, snapshot_columns: 64 });
    assert.deepEqual(resume(log).options, { snapshot_columns: 512 });
    taken(log);
    send(log, request("reset", 2));
    receive(log, { type: "reset_done", id: 2, seq: 2 });
    const { options, heard } = resume(log);
    assert.deepEqual([options, heard], [{ top_k: 1, snapshot_columns: 64 }, 0]);
  });
});

describe("messages", () => {
  test("of the whole line are sent again, without pings", () => {
    const log = begun();
    const messages = [request("ink", 1), column(0)];
    assert.deepEqual(send(log, request("ink", 1), request("ping", 2), column(0)).length, 3);
    resume(log);
    assert.deepEqual(taken(log), messages);
  });

  test("that a snapshot covers are sent again only if it is refused", () => {
    const log = begun();
    send(log, column(0), column(1), column(2));
    receive(log, { type: "snapshot", messages: 2, blob: "blob" });
    assert.equal(resume(log).snapshot, "blob");
    assert.deepEqual(send(log, column(3)), []);
    receive(log, { type: "resumed", messages: 2 });
    assert.deepEqual(taken(log), [column(2), column(3)]);
    resume(log);
    receive(log, { type: "resumed", messages: 0 });
    assert.deepEqual(taken(log), [column(0), column(1), column(2), column(3)]);
    assert.equal(resume(log).snapshot, null);
  });

  test("of a line that was reset are dropped", () => {
    const log = begun();
    send(log, column(0), request("reset", 1), column(1));
    receive(log, { type: "snapshot", messages: 1, blob: "blob" }, { type: "reset_done", id: 1, seq: 2 });
    assert.equal(resume(log).snapshot, null);
    assert.deepEqual(taken(log), [column(1)]);
  });

  test("of a line that has ended are dropped, and the rest of the last one begins the next line", () => {
    const log = begun();
    const pixels = Uint8Array.from({ length: 10 * H }, (_, i) => i);
    send(log, column(0), pixels, column(1));
    receive(log, { type: "line_end", seq: 12, messages: 2, rest_columns: 3 });
    assert.equal(resume(log).heard, 0);
    assert.deepEqual(taken(log), [pixels.slice(7 * H), column(1)]);
    receive(log, { type: "line_end", seq: 4, messages: 2, rest_columns: 0 });
    assert.deepEqual(send(log, column(2)), [column(2)]);
    resume(log);
    assert.deepEqual(taken(log), [column(2)]);
  });

  test("of more bytes than are kept are forgotten, and the line goes on from a snapshot only", () => {
    const log = begun(2 * H);
    send(log, column(0), column(1));
    assert.equal(log.canResume, true);
    send(log, column(2), column(3));
    assert.equal(log.canResume, false);
    receive(log, { type: "snapshot", messages: 3, blob: "blob" });
    assert.equal(log.canResume, true);
    resume(log);
    receive(log, { type: "resumed", messages: 3 });
    assert.deepEqual(taken(log), [column(3)]);
    resume(log);
    receive(log, { type: "resumed", messages: 0 });
    assert.equal(log.canResume, false);
  });

  test("of the next line can be resumed even if some of this line were forgotten", () => {
    const log = begun(2 * H);
    send(log, column(0), column(1), column(2), request("reset", 1), column(3), column(4));
    receive(log, { type: "reset_done", id: 1, seq: 4 });
    assert.equal(log.canResume, true);
    resume(log);
    assert.deepEqual(taken(log), [column(3), column(4)]);
    send(log, column(5));
    assert.equal(log.canResume, false);
    receive(log, { type: "line_end", seq: 4, messages: 2, rest_columns: 0 });
    assert.equal(log.canResume, true);
    resume(log);
    assert.deepEqual(taken(log), [column(5)]);
  });

  test("are not kept for a program that does not reconnect", () => {
    const log = begun(0);
    send(log, column(0));
    assert.equal(log.canResume, false);
  });
});
