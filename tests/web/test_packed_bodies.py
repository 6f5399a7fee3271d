"""Bodies that were packed are refused as they are: nothing is unpacked for anybody."""

import gzip

import pytest

from tests.web.client import Client

BOMB = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize("path", ["/scan/classify", "/login"])
async def test_a_packed_body_is_refused(plain: Client, path: str) -> None:
    """415, and a few KB stay a few KB."""
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = await plain.post(path, data=BOMB, headers=headers)
    assert answer.status == 415
    assert answer.json()["code"] == "unsupported_encoding"
