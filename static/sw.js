/**
 * The page while its server does not answer: a service worker that keeps the shell, and nothing else.
 *
 * It looks after the page and the files that make it up. Scans, streams and whatever else the server says never pass
 * through here: without respondWith the browser asks by itself, as if there were no worker.
 *
 * The network comes first. A kept copy is of one version as a whole, and so is a page whose version we keep: what the
 * server says of another version, because it changed meanwhile, gives way to our copy.
 *
 * What is not kept cannot be held to that. A page of another version gets its files from the server, as without a
 * worker. A page of which we know nothing (it was there before us, or the browser had ended us since) is taken for one
 * of the version we keep. So it is wrong for one that still loads while we take over from an older worker, and for one
 * of another version that asks for a file after a pause; pages ask for all their scripts when they load.
 *
 * The server serves this file as sw.js, right at its mount, with a line before it that says what there is to keep:
 * const SHELL = { version, files }, with addresses relative to the mount.
 */

/** @typedef {"kept"|"same"|"other"} Source of a page: our copy; the server, whose files are those we keep, or are not */

const PATIENCE_MS = 4000; // a server that takes longer than this is as good as stopped, where there is a copy
const PAGES = 100; // whose source is remembered

const MOUNT = new URL("./", location.href).href;
const FILES = new Set(SHELL.files.map((file) => new URL(file, MOUNT).href));
const OURS = `eco-shell ${MOUNT} `; // other mounts of this origin have caches, too
const CACHE = OURS + SHELL.version;

/** @type {Map<string, Source>} by client; empty when the browser had ended this worker in between */
const pages = new Map();

/** @param {string} client @param {Source} source */
function remember(client, source) {
  pages.set(client, source);
  if (pages.size > PAGES) pages.delete(pages.keys().next().value);
}

/** @param {Response} answer */
const isOurVersion = (answer) => answer.headers.get("Eco-Shell") === SHELL.version;

/** @param {Cache} cache @param {string} address */
async function keep(cache, address) {
  const answer = await fetch(address, { cache: "no-cache" });
  if (!answer.ok || !isOurVersion(answer)) throw new Error(`${address} is not of version ${SHELL.version}`);
  await cache.put(address, answer);
}

/** Keep all of the shell, or nothing: the browser tries again at the next load. */
async function keepAll() {
  const cache = await caches.open(CACHE);
  const done = await Promise.allSettled([MOUNT, ...FILES].map((address) => keep(cache, address)));
  const failed = done.find(({ status }) => status === "rejected");
  if (!failed) return;
  await caches.delete(CACHE);
  throw failed.reason;
}

async function dropOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(OURS) && name !== CACHE).map((name) => caches.delete(name)));
}

/** @param {string} address @returns {Promise<Response|undefined>} our copy */
const kept = async (address) => (await caches.open(CACHE)).match(address, { ignoreVary: true });

/** @param {Response} answer a proxy says 5xx for a server that is gone */
const isAnswer = (answer) => answer.status < 500;

/**
 * @param {Request} request
 * @param {string} address what it is kept as
 * @returns {Promise<{answer: Response, copied: boolean}>} the server's answer, or the copy where the server is silent
 */
async function ask(request, address) {
  const copy = await kept(address);
  if (!copy) return { answer: await fetch(request), copied: false };
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
  const answer = await Promise.race([fetch(request), late]).catch(() => undefined);
  return answer && isAnswer(answer) ? { answer, copied: false } : { answer: copy, copied: true };
}

/** @param {FetchEvent} event */
async function page({ request, resultingClientId }) {
  const { answer, copied } = await ask(request, MOUNT);
  remember(resultingClientId, copied ? "kept" : isOurVersion(answer) ? "same" : "other");
  return answer;
}

/** @param {FetchEvent} event @param {string} address */
async function file({ request, clientId }, address) {
  const source = pages.get(clientId);
  if (source === "other") return fetch(request);
  if (source === "kept") return (await kept(address)) ?? fetch(request);
  const { answer } = await ask(request, address);
  return isOurVersion(answer) ? answer : ((await kept(address)) ?? answer);
}

// A new version takes over at once: a kiosk's page is never closed, and would keep the old one for good.
self.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(dropOthers().then(() => self.clients.claim())));

self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  const address = origin + pathname;
  if (method !== "GET") return;
  if (mode === "navigate") {
    if (address === MOUNT) event.respondWith(page(event));
  } else if (FILES.has(address)) {
    event.respondWith(file(event, address));
  }
});
