"""Bytes of a guest's output, in whatever pieces they come, to lines of text."""

from __future__ import annotations

from collections.abc import Iterator

LONGEST = 1 << 20
"""Bytes: a longer line is handed on in pieces, so that a guest cannot fill our memory. Whoever shows lines cuts them
much shorter, after secrets were taken out; here, where nobody knows them, one may be cut in two."""


class Lines:
    """Decodes UTF-8 with replacement, ends lines at LF, CR LF or a lone CR (a progress bar), and bounds them."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._held = b""
        self.size = 0
        """Bytes that are kept until their line ends."""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The lines that `chunk` completes, without their ends."""
        data, self._held = self._held + chunk, b""
        if data.endswith(b"\r"):
            data, self._held = data[:-1], b"\r"
        first, *others = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._keep(first)
        for line in others:
            yield from _pieces(self._taken())
            self._keep(line)
        if self.size > LONGEST:
            *pieces, rest = _cut(self._taken())
            self._keep(rest)
            yield from (piece.decode("utf-8", "replace") for piece in pieces)

    def end(self) -> Iterator[str]:
        """What is left when the stream has ended."""
        self._held = b""
        if rest := self._taken():
            yield from _pieces(rest)

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self.size += len(part)

    def _taken(self) -> bytes:
        line = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return line


def _pieces(line: bytes) -> Iterator[str]:
    return (piece.decode("utf-8", "replace") for piece in _cut(line))


def _cut(line: bytes) -> Iterator[bytes]:
    """Pieces, cut between two words where there are any: half a secret is not masked."""
    while len(line) > LONGEST:
        end = line.rfind(b" ", LONGEST // 2, LONGEST) + 1 or LONGEST
        yield line[:end]
        line = line[end:]
    yield line
