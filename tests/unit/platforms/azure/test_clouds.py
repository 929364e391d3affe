"""Public, sovereign and custom clouds."""

from __future__ import annotations

import pytest

from imagewright.core.errors import OptionsError
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.clouds import cloud_of


def test_the_vendor_knows_the_same_endpoints() -> None:
    from azure.core import AzureClouds
    from azure.mgmt.core.tools import get_arm_endpoints

    theirs = {
        "AzureCloud": AzureClouds.AZURE_PUBLIC_CLOUD,
        "AzureUSGovernment": AzureClouds.AZURE_US_GOVERNMENT,
        "AzureChinaCloud": AzureClouds.AZURE_CHINA_CLOUD,
    }
    for name, setting in theirs.items():
        cloud, endpoints = cloud_of(AzureChoices(cloud=name)), get_arm_endpoints(setting)
        assert cloud.arm == endpoints["resource_manager"].rstrip("/")
        assert [cloud.scope] == endpoints["credential_scopes"]
        assert cloud.is_public


def test_the_sign_in_says_which_cloud_unless_the_user_does() -> None:
    assert cloud_of(AzureChoices(), "AzureChinaCloud").name == "AzureChinaCloud"
    assert cloud_of(AzureChoices(cloud="AzureCloud"), "AzureChinaCloud").name == "AzureCloud"
    assert cloud_of(AzureChoices()).name == "AzureCloud"


def test_a_cloud_of_ones_own() -> None:
    cloud = cloud_of(AzureChoices(arm_endpoint="https://arm.local/", authority_host="https://login.local"))
    assert (cloud.arm, cloud.scope, cloud.is_public) == ("https://arm.local", "https://arm.local/.default", False)


@pytest.mark.parametrize(
    "choices",
    [
        AzureChoices(cloud="Elsewhere"),
        AzureChoices(arm_endpoint="https://arm.local"),
        AzureChoices(arm_endpoint="http://arm.local", authority_host="https://login.local"),
    ],
)
def test_half_a_cloud_is_refused(choices: AzureChoices) -> None:
    with pytest.raises(OptionsError):
        cloud_of(choices)
