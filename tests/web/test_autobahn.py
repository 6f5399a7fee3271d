"""The Autobahn cases: RFC 6455 to the letter, over a real socket.

Left out are 12 and 13, compression, which is not offered, as the answer to the handshake says.
"""

import asyncio

import uvloop
from kosoku import FailureError, run_fuzzingclient

from tests.web.echo import echoing

COMPRESSION = ["12.*", "13.*"]
CASES = 301
AT_ONCE = 8  # some do nothing but wait


def test_no_case_of_autobahn_fails() -> None:
    """Every one that does not need compression was run, and none was failed."""

    async def main() -> int:
        async with echoing() as port:
            address = f"ws://127.0.0.1:{port}"
            try:
                results = await run_fuzzingclient(address, None, COMPRESSION, AT_ONCE)
            except FailureError as error:
                told = [
                    f"{each.case_id}: {each.result}, {each.result_close}" for each in error.results
                ]
                raise AssertionError("\n".join(told)) from error
            return len(results)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == CASES
