/** The stream of snapshots: kept open while somebody looks; eco.js opens it again when it is lost. */

import { connect } from "./eco.js";

/** @typedef {"connecting"|"live"|"silent"|"busy"|"lost"|"away"} Link */

const SILENT_MS = 4000;
const HIDDEN_MS = 5000;
const MOST_MS = 15000;

export class Feed {
  /** @param {(snapshot: any) => void} onSnapshot @param {(link: Link) => void} onLink */
  constructor(onSnapshot, onLink) {
    this.onSnapshot = onSnapshot;
    this.onLink = onLink;
    /** @type {import("./eco.js").Connection|null} */ this.stream = null;
    this.timer = 0;
    this.silence = 0;
    document.addEventListener("visibilitychange", () => this.look());
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", (event) => event.persisted && this.open());
  }

  /** Nobody looks at a hidden page: the server need not look at its actors for it. */
  look() {
    clearTimeout(this.timer);
    if (!document.hidden) {
      if (!this.stream) this.open();
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
    this.stream?.close();
    this.stream = null;
  }

  open() {
    this.close();
    const stream = (this.stream = connect({
      transport: "sse", // nothing is sent, and the server may be behind a proxy that knows no WebSocket
      channels: ["system:actors"],
      overflow: "latest",
      mostMs: MOST_MS,
      onEvent: ({ data }) => this.take(data),
      onState: (state, { end }) => state === "waiting" && this.lose(end),
    }));
    void stream.ended.then((end) => stream === this.stream && this.refused(end));
  }

  /** @param {any} snapshot */
  take(snapshot) {
    clearTimeout(this.silence);
    this.silence = window.setTimeout(() => this.onLink("silent"), SILENT_MS);
    this.onLink("live");
    this.onSnapshot(snapshot);
  }

  /** @param {import("./eco.js").End} [end] */
  lose(end) {
    clearTimeout(this.silence);
    this.onLink(end?.code === "busy" ? "busy" : "lost");
  }

  /** Somebody may look for hours: even what is refused now is asked for again. @param {import("./eco.js").End} end */
  refused(end) {
    this.lose(end);
    this.close();
    this.timer = window.setTimeout(() => this.open(), MOST_MS);
  }
}
