/** A window asks others about a document several times, one request soon after another. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";

import { Windows } from "../../../../service/web/pad/windows.js";

const Channel = BroadcastChannel;
/** @type {BroadcastChannel[]} */
const channels = []; // which keep the program from its end
globalThis.BroadcastChannel = class extends Channel {
  /** @param {string} name */
  constructor(name) {
    super(name);
    channels.push(this);
  }
};

test("a request whose time is over ends no later one", async (t) => {
  t.after(() => channels.forEach((channel) => channel.close()));
  const other = new BroadcastChannel("inkstream /");
  /** @type {string[]} */
  const asked = [];
  other.onmessage = async (/** @type {any} */ { data: { kind, id } }) => {
    asked.push(kind);
    await wait(asked.length === 1 ? 0 : 100); // the second answer comes after the time of the first request
    other.postMessage({ kind: kind === "take" ? "gone" : "has", id });
  };
  const fail = () => assert.fail("this window has no document");
  const windows = new Windows("/", { has: () => false, onTake: fail, onLateAnswer: fail, onConflict: fail });
  assert.equal(await windows.isElsewhere("a"), true);
  await wait(100);
  await windows.take("a");
  assert.deepEqual(asked, ["ask", "ask", "take"]);
});
