"""Scan-to-answer server for recycling kiosks: one asyncio process of supervised actors.

runtime   actors, mailboxes, supervision            knows nothing of what is below
eventlog  a durable, ordered log and its watchers   knows the runtime
scan      from a picture to "which bin, and how"    knows both, not the next
delivery  from the log to a client                  knows both, not the one before
web       the HTTP edge                             knows them all
app, config, cli                                    put it together
"""
