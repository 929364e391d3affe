"""From the decision who signs in (plain data) to azure-identity's object. Never a bare DefaultAzureCredential."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

from imagewright.core.credential import (
    AzureCli,
    ClientCertificate,
    ClientSecret,
    Credential,
    Federated,
    ManagedIdentity,
    PipelinesConnection,
    WorkloadIdentity,
)
from imagewright.core.errors import AuthenticationError
from imagewright.core.secret import Secret
from imagewright.platforms.azure.clouds import Cloud

logging.getLogger("azure").addHandler(logging.NullHandler())  # what goes wrong is in our errors

CLI_SECONDS = 60
"""`az` is slow to start on runners; azure-identity gives it ten seconds by default."""


def from_environment(environment: Mapping[str, str] = os.environ) -> Credential:
    """What a command line without a sign-in of its own has: its environment, else whoever is logged in to `az`."""
    if (connection := _of_azure_pipelines(environment)) is not None:
        return connection
    client, tenant = environment.get("AZURE_CLIENT_ID", ""), environment.get("AZURE_TENANT_ID", "")
    if not (client and tenant):
        return AzureCli()
    if file := environment.get("AZURE_FEDERATED_TOKEN_FILE"):
        return WorkloadIdentity(client, tenant, file)
    if secret := environment.get("AZURE_CLIENT_SECRET"):
        return ClientSecret(client, tenant, Secret("AZURE_CLIENT_SECRET", secret))
    if file := environment.get("AZURE_CLIENT_CERTIFICATE_PATH"):
        try:
            pem = Path(file).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise AuthenticationError(
                f"AZURE_CLIENT_CERTIFICATE_PATH: {file} could not be read", hint="check the path and its rights"
            ) from error
        return ClientCertificate(client, tenant, Secret("certificate", pem))
    return AzureCli()


def _of_azure_pipelines(environment: Mapping[str, str]) -> PipelinesConnection | None:
    """Inside AzureCLI@2 and AzurePowerShell@5 the service connection is there, if the job's token was mapped."""
    if not environment.get("SYSTEM_OIDCREQUESTURI"):
        return None
    client, tenant, connection = (
        environment.get(f"AZURESUBSCRIPTION_{name}", "")
        for name in ("CLIENT_ID", "TENANT_ID", "SERVICE_CONNECTION_ID")
    )
    token = environment.get("SYSTEM_ACCESSTOKEN", "")
    if not (client and tenant and connection and token):
        return None
    return PipelinesConnection(client, tenant, connection, Secret("SYSTEM_ACCESSTOKEN", token))


def credential(decision: Credential, cloud: Cloud, verify: str | bool = True) -> Any:
    """The vendor's credential. `verify` is a PEM file of authorities, or True for the system's."""
    import azure.identity as identity

    shared: dict[str, Any] = {"authority": cloud.authority, "connection_verify": verify}
    if not cloud.is_public:
        shared["disable_instance_discovery"] = True
    match decision:
        case Federated(client, tenant, assertion):
            return identity.ClientAssertionCredential(tenant, client, assertion, **shared)
        case PipelinesConnection(client, tenant, connection, token):
            return identity.AzurePipelinesCredential(
                tenant_id=tenant,
                client_id=client,
                service_connection_id=connection,
                system_access_token=token.reveal(),
                **shared,
            )
        case ClientSecret(client, tenant, secret):
            return identity.ClientSecretCredential(tenant, client, secret.reveal(), **shared)
        case ClientCertificate(client, tenant, certificate):
            return identity.CertificateCredential(
                tenant, client, certificate_data=certificate.reveal().encode(), **shared
            )
        case WorkloadIdentity(client, tenant, file):
            return identity.WorkloadIdentityCredential(
                tenant_id=tenant, client_id=client, token_file_path=file, **shared
            )
        case ManagedIdentity(client):
            return identity.ManagedIdentityCredential(client_id=client or None)
        case AzureCli():
            return identity.AzureCliCredential(process_timeout=CLI_SECONDS)
        case _:
            assert_never(decision)
