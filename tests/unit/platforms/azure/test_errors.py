"""Every exception of the vendor's, and every code of ARM's that is known to come, has a meaning of ours."""

from __future__ import annotations

import inspect
import re
from types import SimpleNamespace
from typing import Any

import azure.core.exceptions
import azure.identity
import pytest

from imagewright.core.errors import AuthenticationError, ImagewrightError, PlatformError, QuotaError
from imagewright.platforms.azure import errors

KNOWN_CODES = """
    ResourceNotFound NotFound ResourceGroupNotFound ParentResourceNotFound AuthorizationFailed
    LinkedAuthorizationFailed OperationNotAllowed InvalidTemplateDeployment QuotaExceeded SkuNotAvailable
    AllocationFailed PlatformImageNotFound InvalidParameter GalleryImageNotFound Conflict
    PropertyChangeNotAllowed VMExtensionProvisioningError OSProvisioningTimedOut Unauthorized NicInUse
    InUseSubnetCannotBeDeleted PublicIPAddressCannotBeDeleted InUseNetworkSecurityGroupCannotBeDeleted
    StorageAccountAlreadyTaken MissingSubscriptionRegistration PrincipalNotFound RetryableError TooManyRequests
    ServerTimeout GatewayTimeout ResourceReadFailed InternalServerError ResourceGroupDeletionBlocked
    ResourceGroupDeletionTimeout RequestDisallowedByPolicy ScopeLocked OperationPreempted ZonalAllocationFailed
    MarketplacePurchaseEligibilityFailed VMMarketplaceInvalidInput KeyBasedAuthenticationNotPermitted
""".split()  # noqa: SIM905


def _raised(code: str, text: str, **more: Any) -> azure.core.exceptions.HttpResponseError:
    error = azure.core.exceptions.HttpResponseError(text)
    error.error = SimpleNamespace(code=code, message=text, details=more.pop("details", []))  # type: ignore[assignment]
    for name, value in more.items():
        setattr(error, name, value)
    return error


@pytest.mark.parametrize("module", [azure.core.exceptions, azure.identity])
def test_every_vendor_exception_is_mapped_by_name(module: Any) -> None:
    kinds = {name for name, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Exception)}
    assert kinds
    assert kinds - set(errors.CLASSES) == set(), "the vendor has a new exception: give it a meaning in errors.py"


@pytest.mark.parametrize("code", KNOWN_CODES)
def test_every_known_code_is_mapped(code: str) -> None:
    assert code in errors.MEANINGS
    found = errors.translate(_raised(code, "it went wrong"), "creating it")
    assert isinstance(found, PlatformError)
    assert found.message.startswith(f"creating it: {code}: it went wrong")


def test_hints_and_messages_follow_the_house_rules() -> None:
    for code, meaning in (errors.MEANINGS | errors.CLASSES).items():
        assert not meaning.hint.endswith("."), code
        assert issubclass(meaning.kind, ImagewrightError)


def test_capacity_is_a_matter_of_quota() -> None:
    for code in errors.CAPACITY:
        assert errors.MEANINGS[code].kind is QuotaError


def test_a_quota_that_comes_as_operation_not_allowed_is_told_in_numbers() -> None:
    text = (
        "Operation could not be completed as it results in exceeding approved Total Regional Cores quota. Additional "
        "details - Deployment Model: Resource Manager, Location: eastus, Current Limit: 50, Current Usage: 49, "
        "Additional Required: 2, (Minimum) New Limit Required: 51."
    )
    found = errors.translate(_raised("OperationNotAllowed", text), "creating the build VM")
    assert isinstance(found, QuotaError)
    assert "Total Regional Cores quota in eastus" in found.message
    assert "at least 51" in found.hint


def test_an_unregistered_provider_is_named_in_the_remedy() -> None:
    text = "The subscription is not registered to use namespace 'Microsoft.Network'. See https://aka.ms/rps-not-found"
    found = errors.translate(_raised("MissingSubscriptionRegistration", text), "creating it")
    assert found.hint == "az provider register --namespace Microsoft.Network"


def test_a_policy_is_named_once_and_its_ids_are_left_out() -> None:
    ids = '[{"policyAssignment":{"name":"no-ip","id":"/p"}}]'
    text = f"Resource 'x' was disallowed by policy. Policy identifiers: '{ids}'."
    found = errors.translate(_raised("RequestDisallowedByPolicy", text), "creating it")
    assert found.message.endswith("(policy 'no-ip')")
    assert "identifiers" not in found.message


def test_the_detail_of_a_deployment_counts() -> None:
    detail = SimpleNamespace(code="QuotaExceeded", message="no cores")
    found = errors.translate(_raised("InvalidTemplateDeployment", "failed", details=[detail]), "creating it")
    assert isinstance(found, QuotaError)


def test_throttling_without_an_error_envelope_is_known_by_its_status() -> None:
    error = azure.core.exceptions.HttpResponseError("slow down")
    error.status_code = 429
    assert errors.code_of(error) == "TooManyRequests"
    assert isinstance(errors.translate(error, "creating it"), QuotaError)


def test_html_between_us_and_azure_is_shown_as_text() -> None:
    found = errors.translate(
        azure.core.exceptions.HttpResponseError("<html><h1>503</h1> Unavailable</html>"), "asking"
    )
    assert re.fullmatch(r"asking: 503 Unavailable", found.message)


def test_no_credential_says_how_to_sign_in() -> None:
    found = errors.translate(azure.identity.CredentialUnavailableError(message="no az"), "signing in")
    assert isinstance(found, AuthenticationError)
    assert "az login" in found.hint


def test_the_reason_why_a_group_stays_is_read_though_it_is_written_with_capitals() -> None:
    error = azure.core.exceptions.HttpResponseError("Operation returned an invalid status 'Conflict'")
    said = {"Error": {"Code": "ResourceGroupDeletionBlocked", "Message": "the subnet build is in use."}}
    error.response = SimpleNamespace(json=lambda: said)  # type: ignore[assignment]
    found = errors.translate(error, "deleting the group")
    assert found.message == "deleting the group: ResourceGroupDeletionBlocked: the subnet build is in use"
    assert "outside" in found.hint


def test_a_signature_in_a_vendors_text_is_not_passed_on() -> None:
    text = "Max retries exceeded with url: /vhds/a.vhd?sv=2025&sig=c2VjcmV0%3D&se=1 (Caused by it)"
    found = errors.translate(azure.core.exceptions.ServiceRequestError(text), "copying")
    assert "sig=" not in found.message
    assert "/vhds/a.vhd?… (Caused by it)" in found.message


def test_the_codes_of_the_storage_sdk_are_read_by_their_value() -> None:
    from azure.storage.blob import StorageErrorCode

    error = azure.core.exceptions.HttpResponseError("not authorized")
    error.error_code = StorageErrorCode.AUTHORIZATION_FAILURE  # type: ignore[attr-defined]
    found = errors.translate(error, "uploading")
    assert isinstance(found, AuthenticationError)
    assert (found.message, "--staging-account-network" in found.hint) == (
        "uploading: AuthorizationFailure: not authorized",
        True,
    )
