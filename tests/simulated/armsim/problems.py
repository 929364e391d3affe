"""What ARM says when it refuses: the recorded error bodies (facts/azure-control-plane.md, 4.2) as constructors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

GATEWAY = {"x-ms-failure-cause": "gateway"}


@dataclass
class ArmError(Exception):
    """A refusal: HTTP status, ARM code and text. `raw` replaces the whole body (bytes, or JSON without `error`)."""

    status: int
    code: str
    message: str
    target: str | None = None
    details: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | dict[str, Any] | None = None

    def body(self) -> dict[str, Any]:
        """`{"code", "message"[, "target"][, "details"]}`, as in an envelope or in an operation's `error`."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target is not None:
            error["target"] = self.target
        if self.details:
            error["details"] = self.details
        return error


def resource_not_found(kind: str, name: str, group: str) -> ArmError:
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}/{name}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        headers=GATEWAY,
    )


def group_not_found(name: str) -> ArmError:
    return ArmError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.", headers=GATEWAY)


def parent_not_found(name: str) -> ArmError:
    return ArmError(
        404,
        "ParentResourceNotFound",
        f"Can not perform requested operation on nested resource. Parent resource '{name}' not found.",
    )


def not_found(message: str = "The entity was not found in this Azure location.") -> ArmError:
    return ArmError(404, "NotFound", message)


def invalid_parameter(message: str, target: str | None = None) -> ArmError:
    return ArmError(400, "InvalidParameter", message, target)


def missing_parameter(name: str) -> ArmError:
    leaf = name.rsplit(".", 1)[-1]
    return invalid_parameter(f"Required parameter '{leaf}' is missing (null).", name)


def unknown_member(member: str, owner: str, path: str) -> ArmError:
    return ArmError(
        400,
        "InvalidRequestContent",
        "The request content was invalid and could not be deserialized: "
        f"'Could not find member '{member}' on object of type '{owner}'. Path '{path}', line 1, position 1.'.",
        path,
    )


def invalid_reference(missing: str, by: str) -> ArmError:
    return ArmError(
        400,
        "InvalidResourceReference",
        f"Resource {missing} referenced by resource {by} was not found. Please make sure that the referenced "
        "resource exists, and that both resources are in the same region.",
    )


def operation_not_allowed(message: str, target: str | None = None) -> ArmError:
    return ArmError(409, "OperationNotAllowed", message, target)


def conflict() -> ArmError:
    return ArmError(
        409,
        "Conflict",
        "The request failed due to conflict with a concurrent request. To resolve it, please refer to "
        "https://aka.ms/activitylog to get more details on the conflicting requests.",
    )


def another_operation_in_progress() -> ArmError:
    text = "Another operation on this or dependent resource is in progress. The call can be retried in 12 seconds."
    return ArmError(
        429,
        "RetryableError",
        "A retryable error occurred.",
        details=[{"code": "RetryableErrorDueToAnotherOperation", "message": text}],
        headers={"Retry-After": "12"},
    )


def not_authorized(client: str, oid: str, action: str, scope: str) -> ArmError:
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{client}' with object id '{oid}' does not have authorization to perform action '{action}' "
        f"over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your "
        "credentials.",
        headers=GATEWAY,
    )


def not_registered(namespace: str) -> ArmError:
    return ArmError(
        409,
        "MissingSubscriptionRegistration",
        f"The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for "
        "how to register subscriptions.",
        details=[
            {
                "code": "MissingSubscriptionRegistration",
                "target": namespace,
                "message": f"The subscription is not registered to use namespace '{namespace}'. "
                "See https://aka.ms/rps-not-found for how to register subscriptions.",
            }
        ],
        headers=GATEWAY,
    )


def scope_locked(scope: str, locked: str, verb: str) -> ArmError:
    return ArmError(
        409,
        "ScopeLocked",
        f"The scope '{scope}' cannot perform {verb} operation because following scope(s) are locked: '{locked}'. "
        "Please remove the lock and try again.",
        headers=GATEWAY,
    )


def policy_denied(resource: str, policy: str) -> ArmError:
    """RequestDisallowedByPolicy as ARM writes it: the policy's name in the text, its ids in additionalInfo."""
    identifier = f'[{{"policyAssignment":{{"name":"{policy}","id":"/providers/Microsoft.Management/managementGroups/'
    identifier += f'root/providers/Microsoft.Authorization/policyAssignments/{policy}"}}}}]'
    error = ArmError(
        403,
        "RequestDisallowedByPolicy",
        f"Resource '{resource}' was disallowed by policy. Policy identifiers: '{identifier}'.",
        resource,
    )
    error.raw = {
        "error": error.body()
        | {"additionalInfo": [{"type": "PolicyViolation", "info": {"policyAssignmentDisplayName": policy}}]}
    }
    return error


def quota_exceeded(what: str, location: str, limit: int, usage: int, required: int) -> ArmError:
    return operation_not_allowed(
        f"Operation could not be completed as it results in exceeding approved {what} Cores quota. Additional "
        f"details - Deployment Model: Resource Manager, Location: {location}, Current Limit: {limit}, "
        f"Current Usage: {usage}, Additional Required: {required}, (Minimum) New Limit Required: {usage + required}. "
        "Setup Alerts when Quota reaches threshold. Learn more at https://aka.ms/quotamonitoringalerting . Submit a "
        "request for Quota increase at https://aka.ms/ProdportalCRP by specifying parameters listed in the "
        "'Details' section for deployment to succeed. Please read more about quota limits at "
        "https://docs.microsoft.com/en-us/azure/azure-supportability/regional-quota-requests"
    )


def sku_not_available(size: str, location: str) -> ArmError:
    return ArmError(
        409,
        "SkuNotAvailable",
        f"The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {size}' is "
        f"currently not available in location '{location}'. Please try another size or deploy to a different "
        "location or different zone. See https://aka.ms/azureskunotavailable for details.",
    )


def allocation_failed() -> ArmError:
    return ArmError(
        200,
        "AllocationFailed",
        "Allocation failed. Please try reducing the VM size or number of VMs, retry later, or try deploying to a "
        "different Availability Set or different Azure location.",
    )


def os_provisioning_timed_out(name: str) -> ArmError:
    return ArmError(
        200,
        "OSProvisioningTimedOut",
        f"OS Provisioning for VM '{name}' did not finish in the allotted time. The VM may still finish provisioning "
        "successfully. Please check provisioning state later. Also, make sure the image has been properly prepared "
        "(generalized).",
    )


def throttled(bucket: str, seconds: int) -> ArmError:
    """The 429 of the Compute provider: no `error` around its body."""
    text = "The server rejected the request because too many requests have been received for this subscription."
    return ArmError(
        429,
        "OperationNotAllowed",
        text,
        headers={
            "Retry-After": str(seconds),
            "x-ms-ratelimit-remaining-resource": ",".join(
                f"Microsoft.Compute/{bucket}{window}" for window in ("3Min;46", "30Min;0")
            ),
        },
        raw={
            "code": "OperationNotAllowed",
            "message": text,
            "details": [{"code": "TooManyRequests", "target": f"{bucket}30Min", "message": "{}"}],
        },
    )


def platform_image_not_found(urn: str) -> ArmError:
    return ArmError(
        404,
        "PlatformImageNotFound",
        f"The platform image '{urn}' is not available. Verify that all fields in the storage profile are correct. "
        "For more details about storage profile information, please refer to https://aka.ms/storageprofile",
        "imageReference",
    )


def gallery_image_not_found(image: str, location: str) -> ArmError:
    return ArmError(
        404,
        "GalleryImageNotFound",
        f"The gallery image {image} is not available in {location} region. Please contact image owner to replicate "
        "to this region, or change your requested region.",
        "imageReference",
    )
