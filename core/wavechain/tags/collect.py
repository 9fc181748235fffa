"""`Tags`: what a reader found, under common names and within limits."""

from __future__ import annotations

from typing import Final

from wavechain.audio import Picture

MAX_PICTURE_BYTES: Final = 16 << 20
_MAX_PICTURES_BYTES = 32 << 20
_MAX_TEXT = 4 << 20
_MAX_VALUES = 1000
_MAX_NAME = 100

_SAME = {
    "album artist": "albumartist",
    "album_artist": "albumartist",
    "totaltracks": "tracktotal",
    "trackcount": "tracktotal",
    "track": "tracknumber",
    "totaldiscs": "disctotal",
    "disccount": "disctotal",
    "disc": "discnumber",
    "year": "date",
    "tempo": "bpm",
    "unsyncedlyrics": "lyrics",
    "unsynced lyrics": "lyrics",
    "encoded-by": "encodedby",
    "encoded_by": "encodedby",
}
_TOTALS = {"tracknumber": "tracktotal", "discnumber": "disctotal"}
# Facts about the file that was read, wrong for any other.
_TECHNICAL = (
    *("encoder", "encoder_options", "encodersettings", "encoding", "itunpgap", "itunsmpb"),
    *("major_brand", "minor_version", "compatible_brands", "waveformatextensible_channel_mask"),
    *("coverart", "coverartmime", "metadata_block_picture"),
)
_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)


def is_stale_loudness(name: str) -> bool:
    """Whether a tag holds a loudness or a gain that was measured on the sound as it was."""
    return name.startswith(("replaygain_", "r128_", "mp3gain_")) or name == "itunnorm"


def image_type(data: bytes, said: str = "") -> str:
    """The MIME type of a picture, by its first bytes, else as its tag says."""
    for signature, mime in _SIGNATURES:
        if data.startswith(signature):
            return mime
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return said if said.startswith("image/") else "image/"


class Tags:
    """Collects values and pictures; what goes beyond the limits, or says nothing, is left out."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self._values: dict[str, list[str]] = {}
        self._count = self._text = self._picture_bytes = 0

    def add(self, name: str, value: str) -> None:
        """One value of the tag *name*, under whatever name the format has for it."""
        name = name.strip().lower()
        name = _SAME.get(name, name)
        value = value.replace("\0", "").strip()
        if not (name and value) or len(name) > _MAX_NAME or not name.isprintable() or name in _TECHNICAL:
            return
        number, slash, total = value.partition("/")
        if slash and name in _TOTALS:  # "3/12"
            self.add(_TOTALS[name], total)
            value = number.strip()
        values = self._values.setdefault(name, [])
        if not value or value in values:
            return
        self._count += 1
        self._text += len(value)
        if self._count <= _MAX_VALUES and self._text <= _MAX_TEXT:
            values.append(value)

    def add_picture(self, data: bytes, mime: str, kind: int = 3, description: str = "") -> None:
        self._picture_bytes += len(data)
        if data and len(data) <= MAX_PICTURE_BYTES and self._picture_bytes <= _MAX_PICTURES_BYTES:
            kind = kind if 0 <= kind <= 20 else 0
            self.pictures.append(Picture(bytes(data), image_type(data, mime), kind, description[:1000]))

    def tags(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(values) for name, values in self._values.items() if values}
