"""From the log to a client: what it is told, at its own pace, however it is connected.

gap, rule        what a client misses; what it chose to happen when it is slow
frames           events and control messages as SSE bytes or WebSocket messages, pure
ws_frames        WebSocket frames, out and in, and ws_handshake, pure
directory        which channels there are, and where a client begins on each
subscription     a place on one channel, and the mailbox of a client that lags
cohort           fan-out to connections that are in step
outlet           the transport's side of a connection: what the kernel takes, and what it does not
merge            several subscriptions in the order of their positions, pure
connection       the actor that tells one client; sse and websocket are its kinds
commands         what a client may say over a WebSocket, pure
publisher        events from outside, on their way into the log
poll             what a long poll is told, pure
liveness         heartbeats and deadlines of all connections
admission        who may come in, and when the others are to come back, pure
streams          all that are open
live, observer   channels without a log, and what is published on the one there is
traffic          counters
"""
