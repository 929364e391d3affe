"""Every error that Imagewright raises on purpose, each with its exit code.

    ImagewrightError                  1   something inside went wrong
    ├── TemplateError                 2   the template is wrong; carries every Diagnostic at once
    ├── OptionsError                  2   the options are wrong, or contradict each other
    ├── CustomizationError            3   a customizer failed
    ├── ValidationError               4   a validator failed
    ├── DistributionError             5   a target could not be written
    ├── PlatformError                 6   the machine, the cloud or the network refused
    │   ├── AuthenticationError           a credential that is refused, or not enough rights
    │   │   └── NoCredentialError         there is nothing to sign in with
    │   ├── QuotaError                    no quota or no capacity left
    │   ├── MachineLostError                  the cloud took the machine back (spot)
    │   ├── GuestError                    what the guest did: a cut connection, a refused file; fails its step
    │   └── FetchError                    a URL could not be read, or its content was not the expected one
    ├── BuildTimeoutError             7   `buildTimeoutInMinutes` has passed
    ├── LeftBehindError               9   something that was created could not be deleted
    └── CancelledError              130   a signal asked us to stop

A message says what happened and where; a hint says what to do. Neither ends in a period.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from imagewright.core.origin import Origin
from imagewright.core.secret import Mask


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about a file of the user's. `code` is stable: scripts may depend on it."""

    severity: Severity
    code: str
    message: str
    origin: Origin
    hint: str = ""


class ImagewrightError(Exception):
    """The root of the tree: an error with a hint and, where there is one, a place in the template.

    `output` holds the guest's last lines, when it was the guest that failed.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", origin: Origin | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.origin = origin
        self.output: tuple[str, ...] = ()


class TemplateError(ImagewrightError):
    """`mask` takes out of the user's files what must not be shown of them."""

    exit_code = 2

    def __init__(self, diagnostics: Sequence[Diagnostic], mask: Mask | None = None) -> None:
        errors = [found for found in diagnostics if found.severity is Severity.ERROR]
        first = errors[0] if errors else diagnostics[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{first.message}{more}", hint=first.hint, origin=first.origin)
        self.diagnostics = tuple(diagnostics)
        self.mask = mask or Mask()


class OptionsError(ImagewrightError):
    exit_code = 2


class CustomizationError(ImagewrightError):
    exit_code = 3


class ValidationError(ImagewrightError):
    exit_code = 4


class DistributionError(ImagewrightError):
    exit_code = 5


class PlatformError(ImagewrightError):
    exit_code = 6


class AuthenticationError(PlatformError):
    pass


class NoCredentialError(AuthenticationError):
    pass


class QuotaError(PlatformError):
    pass


class MachineLostError(PlatformError):
    """The cloud took the machine back (spot); another one may take its place."""


class GuestError(PlatformError):
    pass


class FetchError(PlatformError):
    pass


class BuildTimeoutError(ImagewrightError):
    exit_code = 7


class LeftBehindError(ImagewrightError):
    exit_code = 9


class CancelledError(ImagewrightError):
    exit_code = 130
