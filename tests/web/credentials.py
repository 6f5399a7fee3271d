"""What an operator shows, and a call that tells whether it is taken."""

from tests.web.checks import check_problem
from tests.web.client import Client

SECRET = "correct-horse-battery-staple"
NOBODY = {"path": "/eco/nobody"}
OPENED = (404, "unknown_actor")
CLOSED = (401, "operator_only")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def tried(client: Client, headers: dict[str, str]) -> tuple[int, str]:
    """What becomes of a call for the operator alone, which does no harm."""
    answer = await client.post("/actors/kill", json=NOBODY, headers=headers)
    problem = check_problem(answer, answer.status)
    if answer.status == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    told = (await client.get("/operator", headers=headers)).json()
    assert told == {"operator": answer.status == 404}
    return answer.status, problem["code"]
