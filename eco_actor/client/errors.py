"""What can go wrong, by type: refused, failed, or not to be reached."""


class EcoError(Exception):
    """All that this package raises by itself; `code` is stable, `detail` for the developer."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Problem(EcoError):
    """The server refused what was asked for; asking again would be of no use.

    `status` is that of HTTP, also where a WebSocket was told so, or 1008 of one that was closed.
    """

    def __init__(self, status: int, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.status = status

    def __str__(self) -> str:
        return f"{self.status} {super().__str__()}"


class ScanFailed(EcoError):
    """There is no answer: the scan has failed, or was cancelled (code `cancelled`)."""

    def __init__(self, task_id: str, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.task_id = task_id


class Unreachable(EcoError):
    """It was tried again and again, in vain, for as long as the bounds say.

    `code` and `detail` are of the last try; `status`, too, if it was answered: 503 and `busy`, say.
    """

    def __init__(self, code: str, detail: str = "", status: int | None = None) -> None:
        super().__init__(code, detail)
        self.status = status
