// The seeds' own snippet with npm's eventsource: what onmessage sees, a line of JSON each.
// node eventsource.mjs URL

import { EventSource } from "eventsource";

const tell = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);
const source = new EventSource(process.argv[2]);
source.onmessage = ({ data, lastEventId }) => tell({ cursor: lastEventId, data: JSON.parse(data) });
source.onerror = ({ code }) => {
  if (source.readyState === EventSource.CLOSED) tell({ end: code });
  else tell({ end: "cut" });
};
