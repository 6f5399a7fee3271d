/**
 * The page while its server does not answer: a service worker that keeps the shell, and nothing else.
 *
 * It looks after the page and the files that make it up. Scans, streams and whatever else the server says never pass
 * through here: without respondWith the browser asks by itself, as if there were no worker.
 *
 * The page comes from the network first. Its files are of the version that the page said it is: from our copy of that
 * version, or from the server as long as it sends that version, else not at all. Which page is of which version is
 * written down, so the next worker knows it, and so do we when the browser had ended us in between. Copies are whole, and
 * the one before ours stays until the next comes, for pages that are still of it.
 *
 * A page that was there before any worker is taken for one of the version of the first worker: pages register us when
 * they have all their files.
 *
 * The server serves this file as sw.js, right at its mount, with a line before it that says what there is to keep:
 * const SHELL = { version, files }, with addresses relative to the mount.
 */

const PATIENCE_MS = 4000; // a server that takes longer than this is as good as stopped, where there is a copy
const PAGES = 100; // whose version is remembered

const MOUNT = new URL("./", location.href).href;
const FILES = new Set(SHELL.files.map((file) => new URL(file, MOUNT).href));
const OURS = `eco-shell ${MOUNT} `; // other mounts of this origin have caches, too
const CACHE = OURS + SHELL.version;
const NOTES = `eco-pages ${MOUNT}`; // the version of each page

/** @param {string} client */
const noteOf = (client) => `${MOUNT}?client=${client}`;

/** @param {string} client @param {string} version */
async function remember(client, version) {
  const notes = await caches.open(NOTES);
  await notes.put(noteOf(client), new Response(version));
  const all = await notes.keys(); // the oldest first
  await Promise.all(all.slice(0, -PAGES).map((note) => notes.delete(note)));
}

/** @param {string} client @returns {Promise<string|undefined>} */
const noted = async (client) => (await caches.match(noteOf(client), { cacheName: NOTES }))?.text();

/** @param {Response} answer */
const versionOf = (answer) => answer.headers.get("Eco-Shell") ?? "";

/** @param {Cache} cache @param {string} address */
async function keep(cache, address) {
  const answer = await fetch(address, { cache: "no-cache" });
  if (!answer.ok || versionOf(answer) !== SHELL.version) throw new Error(`${address} is not of version ${SHELL.version}`);
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

/** All but ours and the one before. */
async function dropOthers() {
  const others = (await caches.keys()).filter((name) => name.startsWith(OURS) && name !== CACHE);
  await Promise.all(others.slice(0, -1).map((name) => caches.delete(name)));
}

/** Pages that were here before us, and of which nothing is known. */
async function adopt() {
  for (const { id } of await self.clients.matchAll({ includeUncontrolled: true, type: "window" })) {
    if ((await noted(id)) === undefined) await remember(id, SHELL.version);
  }
}

/** @param {string} address @param {string} [version] @returns {Promise<Response|undefined>} the copy of that version */
const kept = (address, version = SHELL.version) => caches.match(address, { cacheName: OURS + version, ignoreVary: true });

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
  await remember(resultingClientId, copied ? SHELL.version : versionOf(answer)).catch(() => {}); // a full disk
  return answer;
}

/** @param {FetchEvent} event @param {string} address */
async function file({ request, clientId }, address) {
  const version = (await noted(clientId)) ?? SHELL.version;
  const copy = await kept(address, version);
  if (copy) return copy;
  const answer = await fetch(request);
  return versionOf(answer) === version ? answer : Response.error();
}

// A new version takes over at once: a kiosk's page is never closed, and would keep the old one for good.
self.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(Promise.all([dropOthers(), adopt()]).then(() => self.clients.claim())));

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
