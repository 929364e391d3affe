"""The vendor's credential for each decision; never a bare DefaultAzureCredential."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagewright.core import credential as plain
from imagewright.core.errors import AuthenticationError
from imagewright.core.secret import Secret
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.clouds import cloud_of
from imagewright.platforms.azure.credential import credential, from_environment

IDS = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t"}
CLOUD = cloud_of(AzureChoices())


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (plain.Federated("c", "t", lambda: "assertion"), "ClientAssertionCredential"),
        (plain.ClientSecret("c", "t", Secret("s", "s")), "ClientSecretCredential"),
        (plain.WorkloadIdentity("c", "t", "/nowhere"), "WorkloadIdentityCredential"),
        (plain.ManagedIdentity("c"), "ManagedIdentityCredential"),
        (plain.AzureCli(), "AzureCliCredential"),
    ],
)
def test_each_decision_has_its_credential(decision: plain.Credential, expected: str) -> None:
    assert type(credential(decision, CLOUD)).__name__ == expected


def test_a_service_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_OIDCREQUESTURI", "https://dev.azure.com/x")
    made = credential(plain.PipelinesConnection("c", "t", "id", Secret("token", "x")), CLOUD)
    assert type(made).__name__ == "AzurePipelinesCredential"


def test_a_command_line_inside_the_azure_cli_task() -> None:
    environment = {
        "AZURESUBSCRIPTION_CLIENT_ID": "c",
        "AZURESUBSCRIPTION_TENANT_ID": "t",
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "id",
        "SYSTEM_OIDCREQUESTURI": "https://dev.azure.example/oidc",
        "SYSTEM_ACCESSTOKEN": "job",
    }
    connection = plain.PipelinesConnection("c", "t", "id", Secret("SYSTEM_ACCESSTOKEN", "job"))
    assert from_environment(environment) == connection
    assert from_environment({**environment, "SYSTEM_ACCESSTOKEN": ""}) == plain.AzureCli()


def test_the_environment_of_a_command_line(tmp_path: Path) -> None:
    pem = tmp_path / "key.pem"
    pem.write_text("PEM")
    assert from_environment({}) == plain.AzureCli()
    assert from_environment(IDS) == plain.AzureCli()
    assert isinstance(from_environment({**IDS, "AZURE_CLIENT_SECRET": "x"}), plain.ClientSecret)
    assert isinstance(from_environment({**IDS, "AZURE_FEDERATED_TOKEN_FILE": "/f"}), plain.WorkloadIdentity)
    found = from_environment({**IDS, "AZURE_CLIENT_CERTIFICATE_PATH": str(pem)})
    assert isinstance(found, plain.ClientCertificate)
    assert found.certificate.reveal() == "PEM"
    with pytest.raises(AuthenticationError, match="could not be read"):
        from_environment({**IDS, "AZURE_CLIENT_CERTIFICATE_PATH": "/nowhere"})
