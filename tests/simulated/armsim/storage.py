"""Storage accounts, and the page blobs through which managed disks are read and written."""

from __future__ import annotations

import base64
import datetime as dt
import os
import re
import secrets
from pathlib import Path
from typing import Any, ClassVar

import azure.mgmt.storage.models as models
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobClient, BlobSasPermissions, BlobServiceClient, generate_blob_sas

from armsim import azurite, problems, schema
from armsim.certificates import certificates
from armsim.cloud import Cloud
from armsim.exchange import Answer, Call
from armsim.identifiers import stamp
from armsim.kinds import Kind, Work, default, merged
from armsim.operations import STORAGE
from armsim.problems import ArmError
from armsim.targets import Target
from armsim.world import Resource

ACCOUNT = "Microsoft.Storage/storageAccounts"
_CHUNK = 4 << 20


class Accounts(Kind):
    type = ACCOUNT
    model = models.StorageAccountCreateParameters
    style = STORAGE
    retry: ClassVar[dict[str, tuple[float, float]]] = {"create": (17, 17)}
    name_pattern = r".*"

    def put(self, call: Call) -> Answer:
        name = call.target.name
        if not re.fullmatch(r"[a-z0-9]{3,24}", name):
            raise ArmError(
                400,
                "AccountNameInvalid",
                f"{name} is not a valid storage account name. Storage account name must "
                "be between 3 "
                "and 24 characters in length and use numbers and lower-case letters only.",
            )
        taken = call.cloud.blobs.account(name)
        if taken is not None and taken.id.lower() != call.target.path.lower():
            raise ArmError(409, "StorageAccountAlreadyTaken", f"The storage account named {name} is already taken.")
        old = call.cloud.world.get(call.target.path)
        answer = super().put(call)
        if old is not None and (running := call.cloud.operations.of(old.id)) is not None:
            call.cloud.operations.cancel(running)
            old.properties["provisioningState"] = "Succeeded"
            return Answer(200, self.show(call.cloud, old, {}))
        return Answer(202, None, answer.headers)

    def prepare(self, call: Call, body: dict[str, Any], old: Resource | None) -> dict[str, Any]:
        name = call.target.name
        properties = body.setdefault("properties", {})
        default(body, kind="StorageV2")
        body["sku"] = default(body["sku"], tier=body["sku"]["name"].split("_")[0])
        default(
            properties,
            accessTier="Hot",
            allowBlobPublicAccess=False,
            minimumTlsVersion="TLS1_0",
            supportsHttpsTrafficOnly=True,
            networkAcls={
                "bypass": "AzureServices",
                "virtualNetworkRules": [],
                "ipRules": [],
                "defaultAction": "Allow",
            },
            encryption={
                "services": {"blob": {"keyType": "Account", "enabled": True}},
                "keySource": "Microsoft.Storage",
            },
            creationTime=stamp(),
            primaryLocation=body["location"],
            statusOfPrimary="available",
            privateEndpointConnections=[],
            primaryEndpoints={"blob": f"{call.cloud.blobs.url}/{name}/"},
        )
        return body

    def work(self, call: Call, resource: Resource, verb: str) -> Work | None:
        def known() -> None:
            call.cloud.blobs.open(resource.name)

        return known

    def patch(self, call: Call) -> Answer:
        """Synchronous: 200 with the account."""
        resource = self.existing(call)
        schema.check(models.StorageAccountUpdateParameters, call.body, partial=True)
        resource.body = merged(resource.body, call.body)
        return Answer(200, self.show(call.cloud, resource, {}))

    def get(self, call: Call) -> Answer:
        resource = call.cloud.world.get(call.target.path)
        if resource is not None and "Creating" in str(resource.properties.get("provisioningState")):
            return Answer(200, self.show(call.cloud, resource, {}))
        return super().get(call)

    def delete(self, call: Call) -> Answer:
        resource = call.cloud.world.get(call.target.path)
        if resource is None:
            return Answer(204)
        if (running := call.cloud.operations.of(resource.id)) is not None:
            call.cloud.operations.cancel(running)
        call.cloud.world.remove(resource.id)
        self.deleted(call.cloud, resource)
        return Answer(200)

    def deleted(self, cloud: Cloud, resource: Resource) -> None:
        cloud.blobs.forget(resource.name)

    def do_listkeys(self, call: Call, resource: Resource) -> Answer:
        key = base64.b64encode(call.cloud.blobs.open(resource.name)).decode()
        return Answer(
            200, {"keys": [{"keyName": "key1", "value": key, "permissions": "Full", "creationTime": stamp()}]}
        )


class BlobServices(Kind):
    type = "Microsoft.Storage/storageAccounts/blobServices"
    model = models.BlobServiceProperties
    located = False

    def put(self, call: Call) -> Answer:
        return Answer(200, {"id": call.target.path, "name": "default", "type": self.type, "properties": {}})

    get = put


class Containers(Kind):
    """`…/blobServices/default/containers/{name}`: the same containers as in the data plane."""

    type = "Microsoft.Storage/storageAccounts/blobServices/containers"
    model = models.BlobContainer
    located = False

    def parent_path(self, target: Target) -> str:
        """The account: its blob service `default` is always there."""
        return target.path.lower().split("/blobservices/")[0]

    def put(self, call: Call) -> Answer:
        schema.check(self.model, call.body or {}, partial=True)
        container = call.cloud.blobs.client(call.target.names[0]).get_container_client(call.target.name)
        fresh = not container.exists()
        if fresh:
            container.create_container()
        return Answer(201 if fresh else 200, self._shown(call))

    def get(self, call: Call) -> Answer:
        if not call.cloud.blobs.client(call.target.names[0]).get_container_client(call.target.name).exists():
            raise ArmError(404, "ContainerNotFound", "The specified container does not exist.")
        return Answer(200, self._shown(call))

    def delete(self, call: Call) -> Answer:
        container = call.cloud.blobs.client(call.target.names[0]).get_container_client(call.target.name)
        if not container.exists():
            return Answer(204)
        container.delete_container()
        return Answer(200)

    def list(self, call: Call, scope: str) -> list[dict[str, Any]]:
        found = call.cloud.blobs.client(call.target.names[0]).list_containers()
        return [
            {"id": f"{call.target.path}/{item.name}", "name": item.name, "type": self.type, "properties": {}}
            for item in found
        ]

    def _shown(self, call: Call) -> dict[str, Any]:
        return {
            "id": call.target.path,
            "name": call.target.name,
            "type": self.type,
            "properties": {"publicAccess": "None", "hasImmutabilityPolicy": False, "hasLegalHold": False},
        }


def check_name(call: Call) -> Answer:
    """POST …/Microsoft.Storage/checkNameAvailability."""
    name = (call.body or {}).get("name", "")
    if not re.fullmatch(r"[a-z0-9]{3,24}", name):
        return Answer(
            200,
            {
                "nameAvailable": False,
                "reason": "AccountNameInvalid",
                "message": f"{name} is not a valid storage account name.",
            },
        )
    if call.cloud.blobs.account(name) is not None:
        return Answer(
            200,
            {
                "nameAvailable": False,
                "reason": "AlreadyExists",
                "message": f"The storage account named {name} is already taken.",
            },
        )
    return Answer(200, {"nameAvailable": True})


class Blobs:
    """The data plane behind the accounts of one simulator; Azurite starts when the first account needs it."""

    EXPORTS = "disks"

    def __init__(self, world: Any) -> None:
        self._world = world
        self.url = ""
        self._keys: dict[str, bytes] = {}
        self.internal: set[str] = set()
        self._exports = f"md{secrets.token_hex(8)}"

    @property
    def azurite(self) -> azurite.Azurite:
        return azurite.shared()

    def account(self, name: str) -> Resource | None:
        return next((item for item in self._world.all(ACCOUNT) if item.name == name), None)

    def open(self, name: str) -> bytes:
        """Make the account known to Azurite; its key."""
        if name not in self._keys:
            self._keys[name] = self.azurite.add(name)
        return self._keys[name]

    def client(self, name: str) -> BlobServiceClient:
        """A client of our own with the account's key, past the front."""
        key = base64.b64encode(self.open(name)).decode()
        transport = RequestsTransport(connection_verify=str(certificates().authority))
        return BlobServiceClient(
            f"https://127.0.0.1:{self.azurite.port}/{name}",
            {"account_name": name, "account_key": key},
            transport=transport,
            retry_total=0,
        )

    def forget(self, name: str) -> None:
        if self._keys.pop(name, None) is None:
            return
        for container in self.client(name).list_containers():
            self.client(name).delete_container(container.name)
        self._keys.pop(name, None)

    # ---- managed disks as page blobs ----------------------------------------------------------------------------

    def grant(self, blob: str, *, write: bool, seconds: int) -> str:
        """A SAS URL of the page blob `blob` in the account that holds the disks under access."""
        key = base64.b64encode(self.open(self._exports)).decode()
        self.internal.add(self._exports)
        permission = BlobSasPermissions(read=True, write=write)
        expiry = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        sas = generate_blob_sas(
            self._exports, self.EXPORTS, blob, account_key=key, permission=permission, expiry=expiry
        )
        return f"{self.url}/{self._exports}/{self.EXPORTS}/{blob}?{sas}"

    def page_blob(self, blob: str) -> BlobClient:
        service = self.client(self._exports)
        container = service.get_container_client(self.EXPORTS)
        if not container.exists():
            container.create_container()
        return service.get_blob_client(self.EXPORTS, blob)

    def read(self, url: str, into: Path) -> int:
        """Copy a page blob of this simulator, given by URL, into a sparse file; its size."""
        match = re.match(re.escape(self.url) + r"/([^/]+)/([^/]+)/([^?]+)", url)
        if match is None:
            raise problems.invalid_parameter(
                f"The source blob URI {url.split('?', maxsplit=1)[0]} is not a blob of this region.", "sourceUri"
            )
        account, container, name = match.groups()
        if account != self._exports and self.account(account) is None:
            raise problems.invalid_parameter(
                f"The source blob {account}/{container}/{name} does not exist.", "sourceUri"
            )
        return download(self.client(account).get_blob_client(container, name), into)


def download(blob: BlobClient, into: Path) -> int:
    """The allocated ranges of a page blob, into a sparse file of the blob's size."""
    if not blob.exists():
        raise problems.invalid_parameter(
            f"The source blob {blob.container_name}/{blob.blob_name} does not exist.", "sourceUri"
        )
    size: int = blob.get_blob_properties().size
    with into.open("wb") as out:
        out.truncate(size)
        for item in blob.list_page_ranges():
            end = int(item.end or 0) + 1
            for start in range(int(item.start or 0), end, _CHUNK):
                length = min(_CHUNK, end - start)
                out.seek(start)
                out.write(blob.download_blob(start, length).readall())
    return size


def upload(file: Path, blob: BlobClient, size: int) -> None:
    """A sparse file as the beginning of a page blob of `size` bytes; holes are not sent."""
    blob.create_page_blob(size)
    with file.open("rb") as data:
        end = os.fstat(data.fileno()).st_size
        position = 0
        while position < end:
            chunk = data.read(_CHUNK)
            padded = chunk + b"\0" * (-len(chunk) % 512)
            if padded.strip(b"\0"):
                blob.upload_page(padded, position, len(padded))
            position += len(chunk)
