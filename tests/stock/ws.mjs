// A subscription with npm's ws: what the server sends, a line of JSON each.
// node ws.mjs URL CHANNEL [AFTER]

import WebSocket from "ws";

const [url, channel, after = null] = process.argv.slice(2);
const tell = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);
const socket = new WebSocket(url, "eco.v1.json");
let id = 0;
socket.on("open", () => socket.send(JSON.stringify({ op: "subscribe", id: ++id, channel, after })));
socket.on("message", (text) => tell(JSON.parse(text)));
socket.on("error", () => {}); // a close follows
socket.on("close", (code) => tell({ op: "closed", code }));
