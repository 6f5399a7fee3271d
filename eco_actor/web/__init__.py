"""The HTTP edge: the only package that knows aiohttp's server.

problems    errors as RFC 9457 answers
requests    what clients send, checked
scans       /scan/classify, snapshot, result
streams     /scan/{task_id}/stream
operations  /healthz, /readyz, /actors
pages       / and /static/
server      the actor that owns the listening socket
"""
