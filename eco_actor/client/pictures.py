"""What kind of picture some bytes are. Pure."""


def media_type(picture: bytes) -> str:
    """The media type that a picture's first bytes show. ValueError for what the API does not take.

    Whether the rest can be decoded is for the server to say.
    """
    if picture.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "image/webp"
    raise ValueError("image: the bytes are no JPEG, PNG or WebP picture")
