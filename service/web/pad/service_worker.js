/**
 * Keeps the page's own files, and answers with them while the server does not: the page opens without it. Where
 * the server answers, its files are used, so that those of two versions are never mixed.
 */

const CACHE = "inkstream page";
const worker = /** @type {any} */ (self); // the types of service workers exclude those of pages
const OWN = /^(?:|web\/(?:pad|client)\/.+)$/u; // paths below the scope that are kept

/** @param {string} url @returns {boolean} whether it is one of the page's own files */
function isOwn(url) {
  const scope = worker.registration.scope;
  return url.startsWith(scope) && OWN.test(url.slice(scope.length).split(/[?#]/u)[0] ?? "");
}

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));

// The page has loaded these before the worker was there.
worker.addEventListener("message", (/** @type {any} */ event) => {
  const urls = /** @type {string[]} */ (event.data).filter(isOwn);
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(urls)));
});

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  if (request.method === "GET" && isOwn(request.url)) event.respondWith(answer(request));
});

/** @param {Request} request @returns {Promise<Response>} */
async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept === undefined) throw error;
    return kept;
  }
}
