/** What the client keeps of its line, with messages as a server sends them. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { LineLog } from "../../../../service/web/client/line_log.js";

/** @import { ServerMessage } from "../../../../service/web/client/protocol.d.ts" */

const H = 16; // pixels of a column

/** @param {number} id @param {string} char @param {number} column @returns {ServerMessage} */
function letter(id, char = "a", column = 0, confidence = 0.9) {
  return { type: "letter", id, char, start: 0, end: 1, column, confidence, strokes: null, alternatives: [] };
}

/** @param {number} column @returns {ServerMessage} */
function result(column, epoch = 0, text = "") {
  return { type: "result", epoch, column, probabilities: {}, letter_end: 0, text };
}

/** @param {number} messages @returns {ServerMessage} */
function snapshot(messages) {
  return { type: "snapshot", epoch: 0, column: 1, messages, letters: 0, words: 0, blob: `${messages}`, lifetime_s: 60 };
}

/** @param {number | null} id @param {number} epoch @param {number} column @returns {ServerMessage} */
function rewound(id, epoch, column, letters = 0) {
  return { type: "rewound", id, epoch, column, letters, words: 0, text: "" };
}

/** @param {number} number */
function column(number) {
  return new Uint8Array(H).fill(number);
}

/** @param {LineLog} log @param {string} type @param {number} id */
function ask(log, type, id, fields = {}) {
  const data = JSON.stringify({ type, id, ...fields });
  log.add(data, type, id);
  return data;
}

/** Return what the log passes on to the program. @param {LineLog} log @param {ServerMessage[]} messages */
function passedOn(log, ...messages) {
  return messages.flatMap((message) => log.receive(structuredClone(message)));
}

/** Resume over another connection; return what the client asked. @param {LineLog} log */
function resume(log, letters = 0) {
  log.beginAgain();
  const asked = JSON.parse(log.resume());
  assert.deepEqual(passedOn(log, { type: "resumed", id: "resume", epoch: 0, column: 0, letters, words: 0 }), []);
  return asked;
}

describe("messages", () => {
  test("that a snapshot covers are not sent again", () => {
    const log = new LineLog(H);
    log.options(); // the first message of the connection
    for (let number = 0; number < 4; number += 1) log.add(column(number), "columns", null);
    const heard = [result(0), result(1), result(2)];
    assert.deepEqual(passedOn(log, result(0), result(1), snapshot(3), result(2)), heard);
    const { blob, columns } = resume(log);
    assert.deepEqual([blob, columns], ["3", 3]);
    assert.deepEqual([...log.newer()], [column(2), column(3)]);
    passedOn(log, snapshot(2)); // `resume` and one of the two
    resume(log);
    assert.deepEqual([...log.newer()], [column(3)]);
  });

  test("are all sent again if the snapshot lacks the options that were sent first", () => {
    const log = new LineLog(H);
    log.options();
    log.add(column(0), "columns", null);
    passedOn(log, snapshot(0));
    assert.equal(log.hasSnapshot, false);
    assert.equal(resume(log).blob, null);
    assert.deepEqual([...log.newer()], [column(0)]);
  });

  test("of the whole line are sent without a snapshot, with the options at its beginning", () => {
    const log = new LineLog(H);
    ask(log, "reset", 1);
    log.add(column(1), "columns", null);
    const later = ask(log, "configure", 2, { top_k: 1 });
    passedOn(log, { type: "reset_done", id: 1, epoch: 1 });
    assert.equal(resume(log).blob, null);
    assert.equal(JSON.parse(log.options()).top_k, undefined);
    assert.deepEqual([...log.newer()], [column(1), later]);
  });

  test("that were refused or answered by a pong are not sent again", () => {
    const log = new LineLog(H);
    ask(log, "ping", 1);
    ask(log, "ink", 2);
    log.add(column(0), "columns", null);
    const stays = ask(log, "ping", 3);
    const error = { type: /** @type {const} */ ("error"), code: "bad_ink", message: "", fatal: false };
    passedOn(log, { type: "pong", id: 1 }, { ...error, index: 1, ref: 2 }, { ...error, index: 2, ref: null });
    resume(log);
    assert.deepEqual([...log.newer()], [stays]);
  });

  test("in which a line ends keep the rest", () => {
    const log = new LineLog(H);
    const pixels = Uint8Array.from({ length: 10 * H }, (_, i) => i);
    log.add(pixels.slice(0, 6 * H), "columns", null);
    ask(log, "rewind", 1, { column: 4 });
    passedOn(log, rewound(1, 1, 4));
    log.add(pixels, "columns", null);
    passedOn(log, snapshot(2), { type: "flushed", id: null, epoch: 1, columns: 7, text: "" });
    assert.equal(resume(log).blob, null);
    assert.deepEqual([...log.newer()], [pixels.slice(3 * H)]);
  });

  test("of more than 8 MiB are forgotten, and the line goes on from a snapshot only", () => {
    const log = new LineLog(H);
    const much = new Uint8Array(3 << 20);
    for (let number = 0; number < 3; number += 1) log.add(much, "columns", null);
    assert.equal(log.canResume, false);
    passedOn(log, snapshot(2));
    assert.deepEqual([log.isWhole, log.canResume], [false, true]);
    assert.equal([...log.newer()].length, 1);
  });
});

describe("what was heard", () => {
  test("is not passed on again, and epochs go on", () => {
    const log = new LineLog(H);
    ask(log, "reset", 1);
    passedOn(log, { type: "reset_done", id: 1, epoch: 4 });
    passedOn(log, letter(0), result(0, 4));
    ask(log, "rewind", 3, { column: 0 });
    resume(log);
    assert.deepEqual(passedOn(log, letter(0), result(0)), []);
    assert.deepEqual(passedOn(log, rewound(3, 1, 0), result(0, 1)), [rewound(3, 5, 0), result(0, 5)]);
  });

  test("includes results that were merged away", () => {
    const log = new LineLog(H);
    passedOn(log, result(3), letter(0, "a", 9));
    resume(log);
    assert.deepEqual(passedOn(log, result(4), result(8), letter(0, "a", 9), result(9)), [result(9)]);
  });

  test("and comes out differently is told as revisions are", () => {
    const log = new LineLog(H);
    passedOn(log, letter(0, "l"), letter(1, "a"), letter(2, "p"), result(9, 0, "lap"));
    resume(log);
    assert.deepEqual(passedOn(log, letter(0, "l", 0, 0.899), letter(1, "o"), result(9, 0, "lo")), []);
    const back = { ...rewound(null, 0, 10, 2), text: "lo" };
    assert.deepEqual(passedOn(log, result(10, 0, "lo")), [back, letter(1, "o"), result(10, 0, "lo")]);
  });

  test("and is replaced after a rewind that was heard needs no other rewind", () => {
    const log = new LineLog(H);
    const back = rewound(null, 1, 3, 1);
    const heard = [letter(0, "l", 5), result(6), back, result(3, 1), result(4, 1)];
    passedOn(log, ...heard);
    resume(log);
    assert.deepEqual(passedOn(log, ...heard), []);
    const news = [letter(0, "t", 5), result(5, 1)];
    assert.deepEqual(passedOn(log, ...news), news);
  });

  test("is told once all is answered, if it was decided and not heard", () => {
    const log = new LineLog(H);
    passedOn(log, letter(0), snapshot(1));
    resume(log, 1);
    assert.deepEqual(passedOn(log, letter(1)), []);
    assert.deepEqual(log.catchUp(), [letter(1)]);
    assert.deepEqual(log.catchUp(), []);
  });

  test("is summed up at the end", () => {
    const log = new LineLog(H);
    ask(log, "reset", 1);
    passedOn(log, result(4), letter(0), { type: "reset_done", id: 1, epoch: 1 }, result(2, 1), rewound(null, 2, 0));
    resume(log);
    const done = { type: /** @type {const} */ ("done"), id: null, columns: 7, letters: 2, words: 1, text: "", seconds: 1 };
    assert.deepEqual(passedOn(log, done), [{ ...done, columns: 12, letters: 3 }]);
  });
});
