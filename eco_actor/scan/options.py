"""What a client may say about a scan besides the picture; kept with the scan as it was said."""

from dataclasses import dataclass, field
from typing import Any, Self

import msgpack


@dataclass(frozen=True, slots=True)
class Options:
    """Checked before it gets here: the names exist in the rules.

    `category` is the user's own choice, which vision does not question; `tags` are conditions, a
    set in the order of the alphabet; `after_scan` is the task whose "unsure" the category answers;
    `revises` is the task whose thing is asked about again: it was counted for it, and a thing is
    rewarded once.
    """

    lang: str = "ko"
    category: str | None = None
    tags: tuple[str, ...] = ()
    user_input: str | None = field(default=None, repr=False)
    after_scan: str | None = None
    revises: str | None = None

    @property
    def before(self) -> str | None:
        """An earlier scan of the same thing."""
        return self.revises or self.after_scan

    def pack(self) -> bytes:
        fields = {name: getattr(self, name) for name in self.__slots__}
        packed: bytes = msgpack.packb(fields)
        return packed

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """What `pack` made, now or before: what was not known then is as none."""
        fields: dict[str, Any] = msgpack.unpackb(packed)
        fields["tags"] = tuple(fields["tags"])
        return cls(**fields)
