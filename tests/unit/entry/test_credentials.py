from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from manual_clock import ManualClock
from token_services import Services, token_services

from imagewright.core.credential import (
    AzureCli,
    ClientCertificate,
    ClientSecret,
    Credential,
    Federated,
    ManagedIdentity,
    PipelinesConnection,
    SignIn,
    WorkloadIdentity,
)
from imagewright.core.errors import AuthenticationError
from imagewright.core.secret import Secret
from imagewright.entry.credentials import LOGIN_SECONDS, Chooser
from imagewright.entry.oidc import ATTEMPTS, GitHubOidc
from imagewright.options.choices import Auth
from imagewright.platforms.azure.clouds import Cloud
from imagewright.platforms.azure.credential import credential

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


def az(directory: Path, client_id: str = "", entry: dict[str, str] | None = None) -> dict[str, str]:
    """An `az` that somebody is logged in to: a person, or the service principal of `entry`."""
    tool = directory / "bin" / "az"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    user = (
        {"name": client_id, "type": "servicePrincipal"} if client_id else {"name": "me@example.org", "type": "user"}
    )
    mine = {"id": "s-2", "isDefault": True, "environmentName": "AzureCloud", "tenantId": "tenant", "user": user}
    (directory / "azureProfile.json").write_text(
        json.dumps({"subscriptions": [{"id": "s-1"}, mine]}), encoding="utf-8-sig"
    )
    if entry is not None:
        (directory / "service_principal_entries.json").write_text(json.dumps([{"client_id": "other"}, entry]))
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
    assert error.message == "there is nothing to sign in to Azure with: the service connection is missing"
    assert "azureSubscription" in error.hint


def test_on_azure_pipelines_whoever_is_logged_in_to_az_does_not_count_unasked(tmp_path: Path) -> None:
    environment = {"TF_BUILD": "True", **az(tmp_path)}
    assert "the service connection is missing" in refusal(environment).message
    assert choose(environment, auth=Auth.AZURE_CLI).credential == AzureCli()


def test_inside_the_azure_cli_task() -> None:
    environment = {
        "AZURESUBSCRIPTION_CLIENT_ID": "c",
        "AZURESUBSCRIPTION_TENANT_ID": "t",
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": CONNECTION,
        "SYSTEM_ACCESSTOKEN": "job",
        "SYSTEM_OIDCREQUESTURI": "https://dev.azure.example/oidc",
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


def test_github_after_azure_login_without_a_secret(tmp_path: Path) -> None:
    """`az` got one assertion and cannot renew it: with the job's own tokens we can."""
    environment = {**GITHUB, **az(tmp_path, "client", {"client_id": "client", "client_assertion": "once"})}
    found = choose(environment)
    assert isinstance(found.credential, Federated)
    assert (found.credential.client_id, found.credential.tenant_id) == ("client", "tenant")
    assert (found.cloud, found.subscription, found.seconds) == ("AzureCloud", "s-2", None)
    assert isinstance(choose(environment, auth=Auth.OIDC).credential, Federated)


def test_github_after_azure_login_where_the_job_may_have_no_tokens(tmp_path: Path) -> None:
    environment = {
        "GITHUB_ACTIONS": "true",
        **az(tmp_path, "client", {"client_id": "client", "client_assertion": "x"}),
    }
    assert choose(environment) == SignIn(AzureCli(), "AzureCloud", "s-2", LOGIN_SECONDS)


def test_github_after_azure_login_with_a_secret(tmp_path: Path) -> None:
    """There may be no federated credential for the job, and none is needed."""
    environment = {**GITHUB, **az(tmp_path, "client", {"client_id": "client", "client_secret": "x"})}
    assert choose(environment) == SignIn(AzureCli(), "AzureCloud", "s-2", None)


def test_github_with_the_ids_in_the_environment(tmp_path: Path) -> None:
    ids = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "HOME": "/nowhere"}
    found = choose({**GITHUB, **ids}).credential
    assert isinstance(found, Federated)
    assert (found.client_id, found.tenant_id) == ("c", "t")
    assert isinstance(choose({**GITHUB, **ids, "AZURE_CLIENT_SECRET": "s"}).credential, ClientSecret)


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


def hours(services: Services, found: Credential) -> list[tuple[float, str]]:
    """When a build of four hours got which token, asking every ten minutes."""
    cloud = Cloud("custom", "https://127.0.0.1", services.https, SCOPE)
    seen: list[tuple[float, str]] = []
    with credential(found, cloud, str(services.authority_file)) as signed_in:
        for minute in range(0, 241, 10):
            services.now = minute * 60.0
            token = signed_in.get_token(SCOPE)
            assert token.expires_on > time.time()
            if not seen or seen[-1][1] != token.token:
                seen.append((minute, token.token))
    return seen


def renewed(services: Services, seen: list[tuple[float, str]]) -> None:
    """A token of an hour is used for most of it, and each new one needed an assertion of its own."""
    assert [token for _, token in seen] == [f"access-{number}-client" for number in range(1, len(seen) + 1)]
    assert all(30 <= later - sooner <= 60 for (sooner, _), (later, _) in pairwise(seen))
    assert len(seen) >= 4
    assert services.refused == []
    assert len(set(services.redeemed)) == len(seen)


def test_a_build_of_hours_on_github_signs_in_again_and_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The assertion lives five minutes; each new access token needs a new one."""
    services.moved(monkeypatch)
    url = f"{services.http}/github?api-version=2.0"
    environment = {**GITHUB, "ACTIONS_ID_TOKEN_REQUEST_URL": url}
    found = choose(environment, client_id="client", tenant_id="tenant").credential
    renewed(services, hours(services, found))


def test_a_build_of_hours_after_azure_login_signs_in_again_and_again(
    services: Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services.moved(monkeypatch)
    url = f"{services.http}/github?api-version=2.0"
    logged_in = {"client_id": "client", "tenant": "tenant", "client_assertion": "long over"}
    environment = {**GITHUB, **az(tmp_path, "client", logged_in), "ACTIONS_ID_TOKEN_REQUEST_URL": url}
    renewed(services, hours(services, choose(environment).credential))


def test_a_build_of_hours_on_azure_pipelines_signs_in_again_and_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.moved(monkeypatch)
    environment = {**FEDERATED, "SYSTEM_OIDCREQUESTURI": f"{services.http}/azuredevops"}
    monkeypatch.setenv("SYSTEM_OIDCREQUESTURI", environment["SYSTEM_OIDCREQUESTURI"])
    renewed(services, hours(services, choose(environment, connection=CONNECTION).credential))
    assert "SYSTEM_ACCESSTOKEN" not in os.environ


def test_an_assertion_is_not_good_for_a_second_hour(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests above would see of a credential that kept its first assertion."""
    from azure.core.exceptions import ClientAuthenticationError

    services.moved(monkeypatch)
    only = oidc(services, Masked())()
    with pytest.raises(ClientAuthenticationError, match="AADSTS700024"):
        hours(services, Federated("client", "tenant", lambda: only))
