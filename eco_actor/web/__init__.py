"""The HTTP edge: the only package that knows aiohttp's server.

server          the actor that owns the listening sockets; listening makes them
door            where connections come in; head, plain: streams that are plainly asked for
opening         what it takes to open a stream
handover        taking a connection over from aiohttp
protocol        aiohttp's own few errors, as problems
problems        errors as RFC 9457 answers; files: files whose errors are problems
trust           who may call at all: Host, Origin, CORS
operator        who may kill and publish: login and guard; operator_token: the file it is in
requests        what clients send, checked; bodies: small JSON bodies
classify        /scan/classify; rate: how often one address may
scans           snapshot, result, cancel, categories
streams         /scan/{task_id}/stream, /stream, /ws
polls           /scan/{task_id}/events, /channels/{channel}/events
channels        publishing; accepted: its answer; idempotency: the same answer again
operations      /healthz, /readyz, /actors
metrics         /metrics; figures: what is in it
drain           /drain: the streams are told to go
inspection      /actors/inspect, trace, suspend, resume: one actor, for the operator
observer        /observer
pages           / and /static/
site            /site
api_document    /openapi.json; openapi: how it is made; openapi_…: tables of operations;
                schemas, schemas_…: the types of answers
"""
