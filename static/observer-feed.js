/** The stream of snapshots: kept open while somebody looks, opened again when it is lost. */

/** @typedef {"connecting"|"live"|"silent"|"busy"|"lost"|"away"} Link */

const URL = "stream?channel=system:actors&overflow=latest";
const SILENT_MS = 4000;
const HIDDEN_MS = 5000;
const FIRST_MS = 1000;
const MOST_MS = 15000;

export class Feed {
  /** @param {(snapshot: any) => void} onSnapshot @param {(link: Link) => void} onLink */
  constructor(onSnapshot, onLink) {
    this.onSnapshot = onSnapshot;
    this.onLink = onLink;
    /** @type {EventSource|null} */ this.source = null;
    this.again = FIRST_MS;
    this.timer = 0;
    this.silence = 0;
    this.busy = false;
    document.addEventListener("visibilitychange", () => this.look());
    window.addEventListener("online", () => this.source?.readyState !== EventSource.OPEN && this.open());
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", (event) => event.persisted && this.open());
  }

  /** Nobody looks at a hidden page: the server need not look at its actors for it. */
  look() {
    clearTimeout(this.timer);
    if (!document.hidden) {
      if (!this.source) this.open();
      return;
    }
    this.timer = window.setTimeout(() => {
      this.close();
      this.onLink("away");
    }, HIDDEN_MS);
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.source?.close();
    this.source = null;
  }

  open() {
    this.close();
    const source = (this.source = new EventSource(URL));
    source.addEventListener("message", (event) => this.take(event));
    source.addEventListener("eco.bye", (event) => (this.busy = JSON.parse(event.data).code === "busy"));
    source.addEventListener("error", () => this.lose(source));
  }

  /** @param {MessageEvent<string>} event */
  take(event) {
    this.again = FIRST_MS;
    this.busy = false;
    clearTimeout(this.silence);
    this.silence = window.setTimeout(() => this.onLink("silent"), SILENT_MS);
    this.onLink("live");
    this.onSnapshot(JSON.parse(event.data).data);
  }

  /** The browser tries again by itself, unless the answer was none that it understands.
   * @param {EventSource} source */
  lose(source) {
    if (source !== this.source) return;
    clearTimeout(this.silence);
    this.onLink(this.busy ? "busy" : "lost");
    if (source.readyState !== EventSource.CLOSED) return;
    this.close();
    this.timer = window.setTimeout(() => this.open(), this.again);
    this.again = Math.min(this.again * 2, MOST_MS);
  }
}
