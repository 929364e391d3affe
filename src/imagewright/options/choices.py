"""What an option may be, where nobody but an entry point has to know."""

from __future__ import annotations

from enum import StrEnum


class EventFormat(StrEnum):
    TEXT = "text"
    JSONL = "jsonl"


class ReportFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class PlanFormat(StrEnum):
    """`matrix` is for the fan-out of a runner: one leg for each image template of the files."""

    TEXT = "text"
    JSON = "json"
    MATRIX = "matrix"


class Color(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class When(StrEnum):
    ALWAYS = "always"
    SOURCE_CHANGED = "source-changed"


class OnFailure(StrEnum):
    CLEANUP = "cleanup"
    KEEP = "keep"


class Auth(StrEnum):
    AUTO = "auto"
    SERVICE_CONNECTION = "service-connection"
    OIDC = "oidc"
    AZURE_CLI = "azure-cli"
    WORKLOAD_IDENTITY = "workload-identity"
    ENVIRONMENT = "environment"
    MANAGED_IDENTITY = "managed-identity"


class ArtifactsFrom(StrEnum):
    BUILD = "build"
    PIPELINE = "pipeline"
    RELEASE = "release"
