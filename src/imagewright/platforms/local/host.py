"""What this machine itself refuses: a full disk, a QEMU that does not start. Neither the guest nor a checkpoint is to
blame then."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from imagewright.core.errors import PlatformError

FREE_SPACE = "free some space on this machine, `imagewright cache prune`, or choose another place with `--home`"


class HostError(PlatformError):
    """This machine is at fault: what it refused once it will refuse again."""


@contextmanager
def on_host(doing: str) -> Iterator[None]:
    """What fails in the block is this machine's fault; of an OSError the message says `doing`, the file, why."""
    try:
        yield
    except HostError:
        raise
    except PlatformError as error:
        raise HostError(error.message, hint=error.hint, origin=error.origin) from error
    except OSError as error:
        raise refused(doing, error) from error


def refused(doing: str, error: OSError) -> HostError:
    """The same of an OSError alone, for what may fail in other ways too."""
    where = f"{error.filename}: " if error.filename else ""
    hint = FREE_SPACE if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return HostError(f"{doing}: {where}{error.strerror or error}", hint=hint)
