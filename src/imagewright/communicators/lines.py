"""Bytes of a guest's output, in whatever pieces they come, to lines of text."""

from __future__ import annotations

from collections.abc import Iterator

LONGEST = 1 << 20
"""Bytes: a longer line is handed on in pieces, so that a guest cannot fill our memory. Whoever shows lines cuts them
much shorter, after secrets were taken out; here, where nobody knows them, one may be cut in two."""


class Lines:
    """Decodes UTF-8 with replacement, ends lines at LF, CR LF or a lone CR (a progress bar), and bounds them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The lines that `chunk` completes, without their ends."""
        held, data = b"", self._rest + chunk
        if data.endswith(b"\r"):
            data, held = data[:-1], b"\r"
        *complete, rest = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in complete:
            yield from _pieces(line)
        while len(rest) > LONGEST:
            piece, rest = _cut(rest)
            yield piece.decode("utf-8", "replace")
        self._rest = rest + held

    def end(self) -> Iterator[str]:
        """What is left when the stream has ended."""
        rest, self._rest = self._rest.rstrip(b"\r"), b""
        if rest:
            yield from _pieces(rest)


def _pieces(line: bytes) -> Iterator[str]:
    while len(line) > LONGEST:
        piece, line = _cut(line)
        yield piece.decode("utf-8", "replace")
    yield line.decode("utf-8", "replace")


def _cut(line: bytes) -> tuple[bytes, bytes]:
    """A piece and what is left, between two words where there are any: half a secret is not masked."""
    end = line.rfind(b" ", LONGEST // 2, LONGEST) + 1 or LONGEST
    return line[:end], line[end:]
