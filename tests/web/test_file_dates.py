"""Dates in conditional requests for files: what is none counts as if it was not there."""

import pytest

from tests.web.client import Client

HEADERS = ["If-Modified-Since", "If-Unmodified-Since", "If-Range"]
NO_DATES = [
    "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
    "Sun, 99 Nov 1994 99:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 +99999999999999999999",
    "0", "-1", "x", "\xff", "Fri, 31 Dec 9999 23:59:59 -2359",
]  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("date", NO_DATES)
@pytest.mark.parametrize("path", ["/", "/static/app.js"])
async def test_what_is_no_date_is_not_looked_at(
    plain: Client, path: str, name: str, date: str
) -> None:
    """The file, whole or in part, or 304 for a far future; never a fault."""
    headers = {name: date, "Range": "bytes=0-1"} if name == "If-Range" else {name: date}
    answer = await plain.get(path, headers=headers)
    assert answer.status in (200, 206, 304), answer.body


async def test_a_date_of_after_the_change_says_that_the_file_is_known(plain: Client) -> None:
    """304 for it, and the file for one of before."""
    late, early = "Fri, 31 Dec 2100 23:59:59 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"
    for date, status in ((late, 304), (early, 200)):
        answer = await plain.get("/static/app.js", headers={"If-Modified-Since": date})
        assert answer.status == status
