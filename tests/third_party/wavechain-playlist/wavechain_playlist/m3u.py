"""M3U playlists: one file a line; what begins with # is a remark, or says more about the list.

#EXTM3U
#PLAYLIST:Side A
#EXTINF:213,Someone - First
one.flac
two.flac
"""

from __future__ import annotations

from pathlib import Path

from wavechain import Loader, Source
from wavechain.errors import DamagedError, EmptyAudioError, UnreadableError
from wavechain_playlist.joining import Joined, Part
from wavechain_playlist.lists import MAX_FILES, member, read_lines

SUFFIXES = (".m3u", ".m3u8")


class M3uLoader(Loader):
    """Reads an M3U playlist: the files it lists, one after the other, without gaps."""

    def open(self, path: Path) -> Source:
        if path.suffix.lower() not in SUFFIXES:  # any text might be a list of files: the name must say so
            raise UnreadableError(f"{path}: is not called {' or '.join(SUFFIXES)}.", hint="rename it.")
        parts, title = [], ""
        for number, line in enumerate(map(str.strip, read_lines(path)), 1):
            place = f"{path}:{number}"
            if line.startswith("#EXT-X-"):
                raise DamagedError(f"{place}: a list of the pieces of a stream (HLS).", hint="download it first.")
            if line.startswith("#PLAYLIST:"):
                title = line.partition(":")[2].strip()
            elif line and not line.startswith("#"):
                parts.append(Part(member(path, line, place), place))
        if not parts:
            raise EmptyAudioError(f"{path}: lists no files.", hint="one file a line.")
        if len(parts) > MAX_FILES:
            raise DamagedError(f"{path}: lists {len(parts)} files.", hint=f"at most {MAX_FILES}.")
        return Joined(parts, "M3U", {"title": (title,)} if title else {})
