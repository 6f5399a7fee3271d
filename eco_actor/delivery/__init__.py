"""From the log to a client: what it is told, at its own pace, however it is connected.

frames        events and control messages as SSE bytes, pure
subscription  a place in the log and a bounded mailbox, under the rule that the client chose
live          channels without a log, for what is only worth something now
observer      the actor that publishes the tree on system:actors while somebody watches
connection    the actor that drains a subscription into a transport
"""
