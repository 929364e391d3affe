"""Which credential signs in to Azure, as plain data: an entry point decides, an adapter makes the vendor's object.

Federated           a new assertion for each token, from whoever calls `assertion` (GitHub's OIDC)
PipelinesConnection a service connection with workload identity federation; a new assertion for each token
ClientSecret        a service principal with its secret
ClientCertificate   a service principal with its certificate
WorkloadIdentity    a token file that the cluster renews (AKS, ARC)
ManagedIdentity     the identity of the machine; only if somebody asks for it
AzureCli            whoever is logged in to `az`
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from imagewright.core.secret import Secret


@dataclass(frozen=True, slots=True)
class Federated:
    """`assertion` fetches a new one; it lives five minutes and is asked for whenever a token is needed."""

    client_id: str
    tenant_id: str
    assertion: Callable[[], str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PipelinesConnection:
    """`access_token` is the job's own. The request's address is in SYSTEM_OIDCREQUESTURI."""

    client_id: str
    tenant_id: str
    service_connection_id: str
    access_token: Secret


@dataclass(frozen=True, slots=True)
class ClientSecret:
    client_id: str
    tenant_id: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """`certificate` is the PEM itself, with its key."""

    client_id: str
    tenant_id: str
    certificate: Secret


@dataclass(frozen=True, slots=True)
class WorkloadIdentity:
    client_id: str
    tenant_id: str
    token_file: str


@dataclass(frozen=True, slots=True)
class ManagedIdentity:
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class AzureCli:
    pass


Credential = (
    Federated | PipelinesConnection | ClientSecret | ClientCertificate | WorkloadIdentity | ManagedIdentity | AzureCli
)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A credential, the cloud it is good for (`AzureCloud`, ...) and the subscription that came with it, or `""`.

    `seconds` is how long it gives tokens, where that is known to have an end.
    """

    credential: Credential
    cloud: str = "AzureCloud"
    subscription: str = ""
    seconds: float | None = None
