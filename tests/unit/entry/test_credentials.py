from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.identity import AzurePipelinesCredential, ClientAssertionCredential
from manual_clock import ManualClock
from token_services import Services, token_services

from imagewright.core.credential import (
    AzureCli,
    ClientCertificate,
    ClientSecret,
    Federated,
    ManagedIdentity,
    PipelinesConnection,
    SignIn,
    WorkloadIdentity,
)
from imagewright.core.errors import AuthenticationError
from imagewright.core.secret import Secret
from imagewright.entry.credentials import Chooser
from imagewright.entry.oidc import ATTEMPTS, GitHubOidc
from imagewright.options.pipeline import Auth

CONNECTION = "11111111-2222-3333-4444-555555555555"
SCOPE = "https://management.azure.com/.default"
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1/github?api-version=2.0",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
}
FEDERATED = {
    "TF_BUILD": "True",
    "SYSTEM_OIDCREQUESTURI": "http://127.0.0.1/azuredevops",
    "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN": "job-token",
    f"ENDPOINT_AUTH_SCHEME_{CONNECTION}": "WorkloadIdentityFederation",
    f"ENDPOINT_AUTH_PARAMETER_{CONNECTION}_SERVICEPRINCIPALID": "client",
    f"ENDPOINT_AUTH_PARAMETER_{CONNECTION}_TENANTID": "tenant",
    f"ENDPOINT_DATA_{CONNECTION}_SUBSCRIPTIONID": "sub-1",
    f"ENDPOINT_DATA_{CONNECTION}_ENVIRONMENT": "AzureUSGovernment",
}


class Masked:
    def __init__(self) -> None:
        self.values: list[str] = []

    def __call__(self, value: str) -> None:
        self.values.append(value)


def choose(environment: dict[str, str], mask: Masked | None = None, **more: object) -> SignIn:
    return Chooser(environment, ManualClock(), mask or Masked(), **more).choose()  # type: ignore[arg-type]


def refusal(environment: dict[str, str], **more: object) -> AuthenticationError:
    with pytest.raises(AuthenticationError) as caught:
        choose(environment, **more)
    return caught.value


def az(directory: Path) -> dict[str, str]:
    """An `az` that somebody is logged in to."""
    tool = directory / "bin" / "az"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    (directory / "azureProfile.json").write_text(
        json.dumps(
            {"subscriptions": [{"id": "s-1"}, {"id": "s-2", "isDefault": True, "environmentName": "AzureCloud"}]}
        ),
        encoding="utf-8-sig",
    )
    return {"PATH": str(tool.parent), "AZURE_CONFIG_DIR": str(directory)}


# --- which credential where ---


def test_a_federated_service_connection() -> None:
    mask = Masked()
    found = choose(FEDERATED, mask, connection=CONNECTION)
    token = Secret("job token", "job-token")
    assert found == SignIn(PipelinesConnection("client", "tenant", CONNECTION, token), "AzureUSGovernment", "sub-1")
    assert mask.values == ["job-token"]


def test_a_service_connection_with_a_secret_or_a_certificate() -> None:
    base = {
        f"ENDPOINT_AUTH_SCHEME_{CONNECTION}": "ServicePrincipal",
        f"ENDPOINT_AUTH_PARAMETER_{CONNECTION}_SERVICEPRINCIPALID": "client",
        f"ENDPOINT_AUTH_PARAMETER_{CONNECTION}_TENANTID": "tenant",
    }
    mask = Masked()
    key = {f"ENDPOINT_AUTH_PARAMETER_{CONNECTION}_SERVICEPRINCIPALKEY": "k3y"}
    found = choose({**base, **key}, mask, connection=CONNECTION).credential
    assert found == ClientSecret("client", "tenant", Secret("serviceprincipalkey", "k3y"))
    assert mask.values == ["k3y"]
    certificate = {
        f"ENDPOINT_AUTH_PARAMETER_{CONNECTION}_AUTHENTICATIONTYPE": "spnCertificate",
        f"ENDPOINT_AUTH_PARAMETER_{CONNECTION}_SERVICEPRINCIPALCERTIFICATE": "-----BEGIN",
    }
    assert isinstance(choose({**base, **certificate}, connection=CONNECTION).credential, ClientCertificate)
    assert "brings no serviceprincipalkey" in refusal(base, connection=CONNECTION).message


def test_a_service_connection_of_a_managed_identity() -> None:
    environment = {
        f"ENDPOINT_AUTH_{CONNECTION}": json.dumps(
            {"scheme": "ManagedServiceIdentity", "parameters": {"tenantid": "t"}}
        ),
        f"ENDPOINT_DATA_{CONNECTION}_MSICLIENTID": "msi",
    }
    assert choose(environment, connection=CONNECTION).credential == ManagedIdentity("msi")


def test_a_service_connection_that_is_not_there() -> None:
    error = refusal({"TF_BUILD": "True"}, connection=CONNECTION)
    assert CONNECTION in error.message
    assert "Azure Resource Manager" in error.hint


def test_no_service_connection_at_all() -> None:
    error = refusal({"TF_BUILD": "True", "HOME": "/nowhere"})
    assert error.message == "there is nothing to sign in to Azure with"
    assert "azureSubscription" in error.hint


def test_inside_the_azure_cli_task() -> None:
    environment = {
        "AZURESUBSCRIPTION_CLIENT_ID": "c",
        "AZURESUBSCRIPTION_TENANT_ID": "t",
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": CONNECTION,
        "SYSTEM_ACCESSTOKEN": "job",
    }
    found = choose(environment).credential
    assert found == PipelinesConnection("c", "t", CONNECTION, Secret("job token", "job"))


def test_github_with_a_federated_credential() -> None:
    found = choose(GITHUB, client_id="client", tenant_id="tenant").credential
    assert isinstance(found, Federated)
    assert (found.client_id, found.tenant_id) == ("client", "tenant")
    assert "request-token" not in repr(found)


def test_github_without_the_permission_says_which() -> None:
    error = refusal({"GITHUB_ACTIONS": "true"}, client_id="client", tenant_id="tenant")
    assert "id-token: write" in error.hint
    assert refusal(GITHUB, client_id="client").message == "`client-id` and `tenant-id` belong together"


def test_github_after_azure_login(tmp_path: Path) -> None:
    found = choose({"GITHUB_ACTIONS": "true", **az(tmp_path)})
    assert found == SignIn(AzureCli(), "AzureCloud", "s-2")


def test_an_az_that_nobody_is_logged_in_to_does_not_count(tmp_path: Path) -> None:
    environment = {"GITHUB_ACTIONS": "true", **az(tmp_path)}
    (tmp_path / "azureProfile.json").write_text('{"subscriptions": []}')
    assert "nothing to sign in" in refusal(environment).message


def test_pods_and_secrets(tmp_path: Path) -> None:
    ids = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t"}
    assert choose({**ids, "AZURE_FEDERATED_TOKEN_FILE": "/token"}).credential == WorkloadIdentity("c", "t", "/token")
    secret = choose({**ids, "AZURE_CLIENT_SECRET": "s3"}).credential
    assert secret == ClientSecret("c", "t", Secret("AZURE_CLIENT_SECRET", "s3"))
    pem = tmp_path / "c.pem"
    pem.write_text("PEM")
    found = choose({**ids, "AZURE_CLIENT_CERTIFICATE_PATH": str(pem)}).credential
    assert found == ClientCertificate("c", "t", Secret("certificate", "PEM"))


def test_the_machines_own_identity_is_never_taken_unasked() -> None:
    assert choose({}, auth=Auth.MANAGED_IDENTITY, client_id="x").credential == ManagedIdentity("x")
    msi = {"IDENTITY_ENDPOINT": "http://169.254.169.254", "IDENTITY_HEADER": "x", "HOME": "/nowhere"}
    assert "nothing to sign in" in refusal(msi).message


@pytest.mark.parametrize("auth", [each for each in Auth if each not in (Auth.AUTO, Auth.MANAGED_IDENTITY)])
def test_an_explicit_way_that_is_not_there_says_what_it_needs(auth: Auth) -> None:
    error = refusal({"HOME": "/nowhere"}, auth=auth)
    assert error.hint or auth is Auth.OIDC


def test_an_explicit_way_is_stronger(tmp_path: Path) -> None:
    environment = {**GITHUB, **az(tmp_path)}
    found = choose(environment, auth=Auth.AZURE_CLI, client_id="c", tenant_id="t", cloud="AzureChinaCloud")
    assert found == SignIn(AzureCli(), "AzureChinaCloud", "s-2")


# --- token services, through the real azure-identity ---


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with token_services(tmp_path) as running:
        yield running


def oidc(services: Services, mask: Masked, clock: ManualClock | None = None, token: str = "") -> GitHubOidc:
    secret = Secret("t", token or services.github_token)
    return GitHubOidc(f"{services.http}/github?api-version=2.0", secret, clock or ManualClock(), mask)


def test_github_gives_a_new_assertion_each_time_and_it_is_masked(services: Services) -> None:
    mask = Masked()
    fetch = oidc(services, mask)
    assert [fetch(), fetch()] == services.issued
    assert mask.values == services.issued
    assert len(set(services.issued)) == 2


def test_a_hiccup_of_github_is_waited_out(services: Services) -> None:
    services.fail = [500, 503, 429]
    clock = ManualClock()
    assert oidc(services, Masked(), clock)() == services.issued[0]
    assert clock.passed > 0


def test_a_lasting_refusal_of_github_is_told_with_the_permission(services: Services) -> None:
    services.fail = [500] * ATTEMPTS
    with pytest.raises(AuthenticationError) as caught:
        oidc(services, Masked())()
    assert "it answers 500" in caught.value.message
    with pytest.raises(AuthenticationError, match="it answers 401") as caught:
        oidc(services, Masked(), token="other")()
    assert "id-token: write" in caught.value.hint


def test_a_build_of_hours_on_github_signs_in_again_and_again(services: Services) -> None:
    """The assertion lives five minutes; each new access token needs a new one."""
    with ClientAssertionCredential(
        "tenant",
        "client",
        oidc(services, Masked()),
        authority=services.https,
        disable_instance_discovery=True,
        connection_verify=str(services.authority_file),
    ) as credential:
        for hour in range(4):
            services.now = hour * 3600.0
            assert credential.get_token(SCOPE).token == f"access-{hour + 1}-client"
    assert services.refused == []
    assert len(set(services.redeemed)) == 4


def test_a_build_of_hours_on_azure_pipelines_signs_in_again_and_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**FEDERATED, "SYSTEM_OIDCREQUESTURI": f"{services.http}/azuredevops"}
    monkeypatch.setenv("SYSTEM_OIDCREQUESTURI", environment["SYSTEM_OIDCREQUESTURI"])
    found = choose(environment, connection=CONNECTION).credential
    assert isinstance(found, PipelinesConnection)
    with AzurePipelinesCredential(
        tenant_id=found.tenant_id,
        client_id=found.client_id,
        service_connection_id=found.service_connection_id,
        system_access_token=found.access_token.reveal(),
        authority=services.https,
        disable_instance_discovery=True,
        connection_verify=str(services.authority_file),
    ) as credential:
        for hour in range(4):
            services.now = hour * 3600.0
            assert credential.get_token(SCOPE).token == f"access-{hour + 1}-client"
    assert services.refused == []
    assert "SYSTEM_ACCESSTOKEN" not in os.environ
