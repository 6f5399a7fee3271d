"""The HTTP edge: the only package that knows aiohttp's server.

problems        errors as RFC 9457 answers
trust           who may call at all: Host, Origin, CORS
operator        who may kill and publish: login and guard; operator_token: the file it is in
requests        what clients send, checked; bodies: small JSON bodies
scans           /scan/classify, snapshot, result
streams         /scan/{task_id}/stream, /stream
operations      /healthz, /readyz, /actors
inspection      /actors/inspect, trace, suspend, resume: one actor, for the operator
observer        /observer
pages           / and /static/
server          the actor that owns the listening socket
"""
