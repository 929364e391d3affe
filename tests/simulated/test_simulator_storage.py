"""Storage accounts and their blobs, which are Azurite's."""

from __future__ import annotations

import datetime as dt
import ssl
import urllib.error
import urllib.request

import pytest
from armsim import Fault, dropped
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ServiceResponseError,
)
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas
from sdk import Sdk

BODY = {
    "location": "eastus",
    "kind": "StorageV2",
    "sku": {"name": "Standard_LRS"},
    "properties": {"allowSharedKeyAccess": False, "allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2"},
}


def _account(sdk: Sdk, name: str = "stage1") -> str:
    made = sdk.storage.storage_accounts.begin_create(sdk.group(), name, BODY).result()
    return str(made.primary_endpoints.blob)


def _get(sdk: Sdk, url: str) -> bytes:
    context = ssl.create_default_context(cafile=str(sdk.simulator.authority))
    with urllib.request.urlopen(url, context=context) as answer:
        content: bytes = answer.read()
        return content


def test_an_account_is_made_as_recorded(sdk: Sdk) -> None:
    _account(sdk)
    put = next(item for item in sdk.simulator.requests if item.method == "PUT" and "storageAccounts" in item.path)
    assert (put.status, put.response) == (202, None)
    assert "/asyncoperations/" in put.headers["Location"]
    assert "Azure-AsyncOperation" not in put.headers
    with pytest.raises(ResourceExistsError) as caught:
        sdk.storage.storage_accounts.begin_create(sdk.group("other"), "stage1", BODY)
    assert caught.value.error.code == "StorageAccountAlreadyTaken"
    assert (
        sdk.storage.storage_accounts.check_name_availability(
            {"name": "stage1", "type": "Microsoft.Storage/storageAccounts"}
        ).name_available
        is False
    )


def test_a_user_delegation_sas_hands_a_blob_out(sdk: Sdk) -> None:
    url = _account(sdk)
    service = sdk.blobs(url)
    container = service.create_container("scripts")
    container.upload_blob("a.sh", b"echo hello")
    now = dt.datetime.now(dt.UTC)
    until = now + dt.timedelta(minutes=10)
    key = service.get_user_delegation_key(now - dt.timedelta(minutes=5), until)
    sas = generate_blob_sas(
        "stage1", "scripts", "a.sh", user_delegation_key=key, permission=BlobSasPermissions(read=True), expiry=until
    )
    assert _get(sdk, f"{url}scripts/a.sh?{sas}") == b"echo hello"
    with pytest.raises(urllib.error.HTTPError, match=r"40[13]"):
        _get(sdk, f"{url}scripts/a.sh")


def test_shared_keys_are_refused_where_the_account_forbids_them(sdk: Sdk) -> None:
    url = _account(sdk)
    secret = sdk.storage.storage_accounts.list_keys("g", "stage1").keys_property[0].value
    shared = BlobServiceClient(
        url,
        {"account_name": "stage1", "account_key": secret},
        connection_verify=str(sdk.simulator.authority),
        retry_total=0,
    )
    with shared, pytest.raises(HttpResponseError) as caught:
        shared.create_container("c")
    assert caught.value.error_code == "KeyBasedAuthenticationNotPermitted"


def test_a_caller_without_a_data_role_is_refused(sdk: Sdk) -> None:
    sdk.simulator.roles.data_actions = []
    container = sdk.blobs(_account(sdk)).create_container("scripts")  # no data action: an Owner may
    with pytest.raises(HttpResponseError) as caught:
        container.upload_blob("one", b"content")
    assert caught.value.error_code == "AuthorizationPermissionMismatch"


def test_faults_strike_blobs_too(sdk: Sdk) -> None:
    service = sdk.blobs(_account(sdk))
    sdk.simulator.faults.add(Fault(".*/one", where="blob", status=503, code="ServerBusy"))
    with pytest.raises(HttpResponseError) as caught:
        service.create_container("one")
    assert caught.value.status_code == 503
    cut = dropped(".*/two")
    cut.where = "blob"
    sdk.simulator.faults.add(cut)
    with pytest.raises(ServiceResponseError):
        service.create_container("two")
    service.create_container("one")


def test_a_deleted_account_does_not_answer(sdk: Sdk) -> None:
    service = sdk.blobs(_account(sdk))
    service.create_container("ccc")
    sdk.storage.storage_accounts.delete("g", "stage1")
    with pytest.raises(HttpResponseError):
        service.create_container("ddd")
    assert list(sdk.blobs(_account(sdk)).list_containers()) == []
