"""Vendor errors to ours: the one place where an exception of the Azure SDKs, or a code of ARM's, gets a meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from imagewright.core.address import hidden
from imagewright.core.errors import (
    AuthenticationError,
    ImagewrightError,
    NoCredentialError,
    PlatformError,
    QuotaError,
)

CONFLICTS = frozenset(
    {
        "Conflict",
        "RetryableError",
        "AnotherOperationInProgress",
        "OperationPreempted",
        "InUseByAnotherOperation",
        "PrincipalNotFound",
        "ReferencedResourceNotProvisioned",
    }
)
"""Somebody else is at the same resource, or a part of it is not known everywhere yet: it may be asked for again."""

CAPACITY = frozenset(
    {
        "SkuNotAvailable",
        "AllocationFailed",
        "ZonalAllocationFailed",
        "OverconstrainedAllocationRequest",
        "OverconstrainedZonalAllocationRequest",
        "LowPriorityQuotaExceeded",
    }
)
"""Another size or another zone may have what this one lacks."""

STALE = frozenset({"ExpiredAuthenticationToken", "InvalidAuthenticationToken"})
"""A token went bad before its time: a fresh one is asked for, once."""

TAKEN = frozenset(
    {
        "PropertyChangeNotAllowed",
        "Conflict",
        "BlobAlreadyExists",
        "PendingCopyOperation",
        "TargetConditionNotMet",
        "ConditionNotMet",
    }
)

GONE = frozenset({"ResourceNotFound", "ResourceGroupNotFound", "NotFound", "ParentResourceNotFound"})


@dataclass(frozen=True, slots=True)
class Meaning:
    kind: type[ImagewrightError]
    hint: str = ""


SIZES = "choose another size (vmSize), other ones to fall back on (--fallback-size), a zone or a region"
RIGHTS = (
    "`imagewright doctor --platform azure` lists the missing role actions; a new assignment takes minutes to work"
)
WAIT = "build again later; if it stays, look at https://azure.status.microsoft"

MEANINGS: dict[str, Meaning] = {
    # rights
    "AuthorizationFailed": Meaning(AuthenticationError, RIGHTS),
    "LinkedAuthorizationFailed": Meaning(AuthenticationError, RIGHTS),
    "Unauthorized": Meaning(AuthenticationError, RIGHTS),
    "AuthorizationPermissionMismatch": Meaning(
        AuthenticationError,
        "give the caller the role `Storage Blob Data Contributor`, on the resource group or the subscription",
    ),
    "AuthorizationFailure": Meaning(
        AuthenticationError,
        "the storage account's network rules keep this machine out: see --staging-account-network",
    ),
    "KeyBasedAuthenticationNotPermitted": Meaning(AuthenticationError, "the storage account forbids shared keys"),
    "InvalidAuthenticationToken": Meaning(AuthenticationError, "sign in again"),
    "InvalidAuthenticationTokenTenant": Meaning(AuthenticationError, "sign in to the subscription's tenant"),
    "ExpiredAuthenticationToken": Meaning(
        AuthenticationError, "use a federated credential: it is renewed for as long as the build lasts"
    ),
    "SubscriptionNotFound": Meaning(AuthenticationError, "check --subscription, and the tenant that you sign in to"),
    "NoAuthenticationInformation": Meaning(AuthenticationError, "sign in again"),
    # quota and capacity
    "QuotaExceeded": Meaning(
        QuotaError, "ask for more quota in the portal (Usage + quotas), or choose a smaller size"
    ),
    "SkuNotAvailable": Meaning(QuotaError, SIZES),
    "AllocationFailed": Meaning(QuotaError, SIZES),
    "ZonalAllocationFailed": Meaning(QuotaError, SIZES),
    "OverconstrainedAllocationRequest": Meaning(QuotaError, SIZES),
    "OverconstrainedZonalAllocationRequest": Meaning(QuotaError, SIZES),
    "LowPriorityQuotaExceeded": Meaning(QuotaError, "ask for quota of spot cores, or build without --spot"),
    "PublicIPCountLimitReached": Meaning(QuotaError, "delete public addresses, or name a subnet (vnetConfig)"),
    "StorageAccountCountLimitReached": Meaning(QuotaError, "give one that is there (--staging-account)"),
    "TooManyRequests": Meaning(QuotaError, "the subscription is throttled: run fewer builds at once"),
    "OperationPreempted": Meaning(PlatformError, "a newer request took its place: build again"),
    # policies, locks, registration, terms
    "RequestDisallowedByPolicy": Meaning(
        PlatformError,
        "meet the policy (--tag, --staging-account, --staging-account-network, a subnet), or ask for an exemption",
    ),
    "ScopeLocked": Meaning(PlatformError, "remove the lock, or build in a resource group without one"),
    "MissingSubscriptionRegistration": Meaning(PlatformError, "az provider register --namespace {namespace}"),
    "NoRegisteredProviderFound": Meaning(PlatformError, "the resource type is not offered in this region or cloud"),
    "MarketplacePurchaseEligibilityFailed": Meaning(
        PlatformError, "accept the image's terms: az vm image terms accept --urn PUBLISHER:OFFER:SKU:VERSION"
    ),
    "VMMarketplaceInvalidInput": Meaning(PlatformError, "give the source's `planInfo` in the template"),
    "ReadOnlyDisabledSubscription": Meaning(PlatformError, "enable the subscription"),
    # what is not there
    "ResourceGroupNotFound": Meaning(PlatformError, "check the name, and the subscription"),
    "ResourceNotFound": Meaning(PlatformError, "check the id, and the subscription"),
    "ParentResourceNotFound": Meaning(PlatformError, "check the id: what it lies in is not there"),
    "NotFound": Meaning(PlatformError, "check the name and the region"),
    "PlatformImageNotFound": Meaning(PlatformError, "az vm image list --all -p PUBLISHER -f OFFER -l REGION"),
    "GalleryImageNotFound": Meaning(PlatformError, "replicate the image version to the build's region"),
    "InvalidResourceReference": Meaning(PlatformError, "what is referred to must be there, in the same region"),
    "LocationNotAvailableForResourceGroup": Meaning(PlatformError, "check the region's name"),
    "LocationNotAvailableForResourceType": Meaning(PlatformError, "check the region's name"),
    "InvalidResourceGroupLocation": Meaning(PlatformError, "the group is in another region: give another name"),
    "InvalidResourceLocation": Meaning(PlatformError, "something of this name is in another region"),
    # states
    "OperationNotAllowed": Meaning(PlatformError, "the resource is in a state that does not allow it"),
    "PropertyChangeNotAllowed": Meaning(PlatformError, "delete the old one, or choose another name"),
    "ResourceGroupBeingDeleted": Meaning(PlatformError, "build again when the group is gone"),
    "ResourceGroupDeletionBlocked": Meaning(PlatformError, "something outside of the group uses what is in it"),
    "ResourceGroupDeletionTimeout": Meaning(PlatformError, "run `imagewright cleanup` again"),
    "StorageAccountAlreadyTaken": Meaning(
        PlatformError, "account names are shared by all of Azure: --staging-account-name"
    ),
    "CannotDeleteResource": Meaning(PlatformError, "something nested in it is still there"),
    "NicReservedForAnotherVm": Meaning(
        PlatformError, "the interface of a machine that failed is kept for it for three minutes: build again then"
    ),
    "NicInUse": Meaning(PlatformError, "delete the machine that uses it first"),
    "InUseSubnetCannotBeDeleted": Meaning(PlatformError, "something still uses the subnet"),
    "PublicIPAddressCannotBeDeleted": Meaning(PlatformError, "something still uses the address"),
    "InUseNetworkSecurityGroupCannotBeDeleted": Meaning(PlatformError, "something still uses the security group"),
    "Conflict": Meaning(PlatformError, "another operation runs on the resource: build again"),
    "RetryableError": Meaning(PlatformError, "another operation runs on the resource: build again"),
    "AnotherOperationInProgress": Meaning(PlatformError, "another operation runs on the resource: build again"),
    "PrincipalNotFound": Meaning(PlatformError, "a new identity takes minutes to be known everywhere: build again"),
    # the guest
    "OSProvisioningTimedOut": Meaning(
        PlatformError, "the guest did not report in time: the image needs a working Azure agent and cloud-init"
    ),
    "OSProvisioningClientError": Meaning(PlatformError, "the image could not be provisioned: look at its boot log"),
    "OSProvisioningInternalError": Meaning(PlatformError, WAIT),
    "VMExtensionProvisioningError": Meaning(PlatformError, "the Azure agent in the guest refused: see the message"),
    "VMAgentStatusCommunicationError": Meaning(PlatformError, "the Azure agent in the guest does not answer"),
    "VMStartTimedOut": Meaning(PlatformError, WAIT),
    # requests
    "BadRequest": Meaning(PlatformError),
    "InvalidParameter": Meaning(PlatformError),
    "InvalidRequestContent": Meaning(PlatformError),
    "InvalidTemplateDeployment": Meaning(PlatformError),
    "InvalidResourceGroup": Meaning(PlatformError, "choose another name for the staging group"),
    "InvalidApiVersionParameter": Meaning(PlatformError, "this cloud is older than the installed SDKs"),
    "NotSupported": Meaning(PlatformError),
    # their trouble
    "InternalServerError": Meaning(PlatformError, WAIT),
    "InternalExecutionError": Meaning(PlatformError, WAIT),
    "InternalOperationError": Meaning(PlatformError, WAIT),
    "ServerTimeout": Meaning(PlatformError, WAIT),
    "GatewayTimeout": Meaning(PlatformError, WAIT),
    "ResourceReadFailed": Meaning(PlatformError, WAIT),
    "ServiceUnavailable": Meaning(PlatformError, WAIT),
}

CLASSES: dict[str, Meaning] = {
    "ClientAuthenticationError": Meaning(
        AuthenticationError, "sign in again; see `imagewright doctor --platform azure`"
    ),
    "CredentialUnavailableError": Meaning(
        NoCredentialError, "`az login`, or AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET"
    ),
    "AuthenticationRequiredError": Meaning(AuthenticationError, "sign in again"),
    "ServiceRequestError": Meaning(PlatformError, "look whether this machine reaches Azure (proxy, firewall, TLS)"),
    "ServiceRequestTimeoutError": Meaning(PlatformError, "look whether this machine reaches Azure (proxy, firewall)"),
    "ServiceResponseError": Meaning(PlatformError, "the connection was cut: build again"),
    "ServiceResponseTimeoutError": Meaning(PlatformError, "the connection was cut: build again"),
    "IncompleteReadError": Meaning(PlatformError, "the connection was cut: build again"),
    "DecodeError": Meaning(PlatformError, "something between here and Azure answers instead (a proxy?)"),
    "TooManyRedirectsError": Meaning(PlatformError, "something between here and Azure answers instead (a proxy?)"),
    "ResourceExistsError": Meaning(PlatformError),
    "ResourceNotFoundError": Meaning(PlatformError, "check the id, and the subscription"),
    "ResourceModifiedError": Meaning(PlatformError, "something else changed it at the same time: build again"),
    "ResourceNotModifiedError": Meaning(PlatformError),
    "ODataV4Error": Meaning(PlatformError),
    "HttpResponseError": Meaning(PlatformError, WAIT),
    "StreamConsumedError": Meaning(ImagewrightError, "this is a defect of Imagewright"),
    "StreamClosedError": Meaning(ImagewrightError, "this is a defect of Imagewright"),
    "ResponseNotReadError": Meaning(ImagewrightError, "this is a defect of Imagewright"),
    "SerializationError": Meaning(ImagewrightError, "this is a defect of Imagewright"),
    "DeserializationError": Meaning(PlatformError, "Azure answered something unexpected"),
    "AzureError": Meaning(PlatformError),
}

_QUOTA = re.compile(
    r"exceeding approved (.+?) quota.*?Location: ([^,]+), Current Limit: (\d+), Current Usage: (\d+), "
    r"Additional Required: (\d+)",
    re.DOTALL,
)
_POLICY = re.compile(r'"policyAssignment":\{"name":"([^"]+)"')
_STANDARD_SECURITY = "UseStandardSecurityType"
STANDARD_SECURITY = (
    f"az feature register --namespace Microsoft.Compute --name {_STANDARD_SECURITY}, "
    "and when it is registered: az provider register -n Microsoft.Compute"
)
_NAMESPACE = re.compile(r"namespace '([^']+)'")


def code_of(error: BaseException) -> str:
    """ARM's own code: that of the error, or of its only detail where the error says less than it."""
    found = _said(error)
    code = str(getattr(found, "code", "") or _name(getattr(error, "error_code", None)))
    details = getattr(found, "details", None) or []
    if code in ("InvalidTemplateDeployment", "DeploymentFailed") and details:
        return str(getattr(details[0], "code", "") or code)
    if not code and _throttled(error):
        return "TooManyRequests"
    return code


def _name(code: Any) -> str:
    """The storage SDK has an enum of the codes that it knows; those of others are strings."""
    return str(getattr(code, "value", code) or "")


def _said(error: BaseException) -> Any:
    """What ARM says of the error; a group's deletion says it with capitals, which the SDKs do not read."""
    found = getattr(error, "error", None)
    if found is not None:
        return found
    response: Any = getattr(error, "response", None)
    try:
        said = response.json()["Error"]
        return SimpleNamespace(
            code=said.get("Code", ""),
            message=said.get("Message", ""),
            details=[SimpleNamespace(message=each.get("Message", "")) for each in said.get("Details") or []],
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def code_in(error: ImagewrightError) -> str:
    """ARM's code behind one of our errors, or `""`."""
    return code_of(error.__cause__) if error.__cause__ is not None else ""


def is_gone(error: ImagewrightError) -> bool:
    """Whether it says that the thing is not there."""
    cause = error.__cause__
    return code_in(error) in GONE or getattr(cause, "status_code", 0) == 404


def is_taken(error: ImagewrightError) -> bool:
    """Whether a PUT was refused because something else has the name, or is just being made under it."""
    return code_in(error) in TAKEN or "Changing property" in error.message


def translate(error: Exception, doing: str) -> ImagewrightError:
    """Our error for a vendor's, raised while `doing` ("creating the network"). Raise it `from` the vendor's."""
    code, text = code_of(error), _text(error)
    meaning = MEANINGS.get(code) or _class(error)
    if quota := _QUOTA.search(text):
        what, place, limit, usage, needed = quota.groups()
        return QuotaError(
            f"{doing}: the {what} quota in {place} is used up: limit {limit}, in use {usage}, needed {needed} more",
            hint=f"ask for at least {int(usage) + int(needed)} in the portal (Usage + quotas), or take another size",
        )
    hint = STANDARD_SECURITY if _STANDARD_SECURITY in text else meaning.hint
    if code == "MissingSubscriptionRegistration":
        found = _NAMESPACE.search(text)
        hint = hint.format(namespace=found[1] if found else "NAMESPACE")
    if code == "RequestDisallowedByPolicy":
        text = f"{text.split(' Policy identifiers')[0]} ({_policy(error, text)})"
    return meaning.kind(f"{doing}: {code + ': ' if code else ''}{text}", hint=hint)


def _class(error: Exception) -> Meaning:
    for kind in type(error).__mro__:
        if kind.__name__ in CLASSES:
            return CLASSES[kind.__name__]
    return Meaning(PlatformError)


def _text(error: Exception) -> str:
    found = _said(error)
    text = str(getattr(found, "message", "") or getattr(error, "message", "") or error)
    details = [str(getattr(one, "message", "")) for one in getattr(found, "details", None) or []]
    whole = " ".join(part for part in (text, *(one for one in details if one and one not in text)) if part)
    whole = hidden(whole)
    first = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", whole)).strip()
    return first[:1000].rstrip(". ") or type(error).__name__


def _policy(error: Exception, text: str) -> str:
    response: Any = getattr(error, "response", None)
    try:
        info = response.json()["error"]["additionalInfo"][0]["info"]
        return f"policy '{info['policyAssignmentDisplayName']}'"
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        found = _POLICY.search(text)
        return f"policy '{found[1]}'" if found else "a policy"


def _throttled(error: BaseException) -> bool:
    return getattr(error, "status_code", None) == 429
