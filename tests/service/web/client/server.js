/** Start a real server on a free port of this machine, in its own process. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";

const DEADLINE_MS = 30_000;

/** @returns {Promise<number>} a free port */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  await once(server, "close");
  return port;
}

/**
 * Serve the models of the repository.
 *
 * @param {number} port
 * @param {string[]} options more options of `inkstream serve`
 * @returns {Promise<{ url: string, signal: (name: NodeJS.Signals) => void,
 *   stop: (signal?: NodeJS.Signals) => Promise<void> }>} resolves when the server is ready
 */
export async function serve(port, ...options) {
  const [command = "", ...args] = (process.env["INKSTREAM"] ?? "inkstream").split(" ");
  const serveArgs = ["serve", "--port", String(port), "--log-level", "error"];
  const server = spawn(command, [...args, ...serveArgs, ...options], { stdio: "inherit" });
  const exited = once(server, "exit");
  const url = `http://127.0.0.1:${port}`;
  for (const deadline = Date.now() + DEADLINE_MS; ; ) {
    const ready = await fetch(`${url}/readyz`).catch(() => undefined);
    if (ready?.ok) break;
    if (server.exitCode !== null || Date.now() > deadline) throw new Error("the server did not start");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    signal: (name) => void server.kill(name),
    async stop(signal = "SIGTERM") {
      server.kill(signal);
      await exited;
    },
  };
}

/**
 * Forward connections to a server, and break them.
 *
 * @param {string} url of the server
 * @param {() => number} nBytes return after how many bytes of the server the next connection breaks
 * @returns {Promise<{ url: string, nBroken: () => number, stop: () => void }>}
 */
export async function breaking(url, nBytes) {
  let nBroken = 0;
  const proxy = createServer((client) => {
    const server = connect(Number(new URL(url).port), "127.0.0.1");
    const end = () => [client, server].forEach((socket) => socket.destroy());
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
    let left = nBytes();
    client.pipe(server);
    server.on("data", (/** @type {Buffer} */ data) => {
      client.write(data.subarray(0, left));
      left -= data.length;
      if (left > 0 || client.writableEnded) return;
      nBroken += 1;
      client.end();
      server.destroy();
    });
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (proxy.address());
  return { url: `http://127.0.0.1:${port}`, nBroken: () => nBroken, stop: () => void proxy.close() };
}
