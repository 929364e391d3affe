"""Decides which credential a pipeline signs in with: what the job has already, federated first.

Never whatever happens to work: on a machine with an identity of its own that would be the machine's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from imagewright.core.clock import Clock
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
from imagewright.entry.az_login import AzLogin, az_login
from imagewright.entry.oidc import PERMISSION, GitHubOidc
from imagewright.options.choices import Auth

JOB_TOKENS = (
    "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN",
    "SECRET_SYSTEM_ACCESSTOKEN",
    "SYSTEM_ACCESSTOKEN",
)
CLOUD = "AzureCloud"
LOGIN_SECONDS = 55 * 60.0
"""How long `az` gives tokens after azure/login: its assertion is over in minutes, its token in about an hour."""


@dataclass(frozen=True)
class Chooser:
    """What is known of the job. `connection` is the id of a service connection; `mask` hides a value from the log."""

    environment: Mapping[str, str]
    clock: Clock
    mask: Callable[[str], None]
    auth: Auth = Auth.AUTO
    client_id: str = ""
    tenant_id: str = ""
    connection: str = ""
    cloud: str = ""

    def choose(self) -> SignIn:
        """Raises AuthenticationError that says what to give."""
        ways: dict[Auth, Callable[[], SignIn | None]] = {
            Auth.SERVICE_CONNECTION: self._connection,
            Auth.OIDC: self._oidc,
            Auth.WORKLOAD_IDENTITY: self._workload_identity,
            Auth.ENVIRONMENT: self._environment,
            Auth.AZURE_CLI: self._azure_cli,
            Auth.MANAGED_IDENTITY: lambda: SignIn(ManagedIdentity(self.client_id), self.cloud or CLOUD),
        }
        if self.auth is not Auth.AUTO:
            found = ways[self.auth]()
            if found is None:
                raise AuthenticationError(
                    f"`auth: {self.auth}`: the job has no such credential", hint=_MISSING[self.auth]
                )
            return found
        on_azure = self.environment.get("TF_BUILD", "").lower() == "true"
        by_itself = [self._connection, self._oidc, self._workload_identity, self._environment]
        if not on_azure:  # there `az` is logged in by whoever used the agent before
            by_itself += [self._oidc_for_whom_is_known, self._azure_cli]
        for way in by_itself:
            if (found := way()) is not None:
                return found
        hint = _MISSING[Auth.SERVICE_CONNECTION if on_azure else Auth.OIDC]
        nothing = "there is nothing to sign in to Azure with"
        raise AuthenticationError(
            f"{nothing}: the service connection is missing" if on_azure else nothing,
            hint=f"{hint}; or `platform: local` to build on the runner",
        )

    # --- Azure Pipelines ---

    def _connection(self) -> SignIn | None:
        if not self.connection:
            return self._from_azure_cli_task()
        scheme = self._auth_scheme()
        client, tenant = self._parameter("SERVICEPRINCIPALID"), self._parameter("TENANTID")
        match scheme.lower():
            case "workloadidentityfederation":
                found: Credential = PipelinesConnection(client, tenant, self.connection, self._job_token())
            case "serviceprincipal" if self._parameter("AUTHENTICATIONTYPE").lower() == "spncertificate":
                found = ClientCertificate(client, tenant, self._secret("SERVICEPRINCIPALCERTIFICATE"))
            case "serviceprincipal":
                found = ClientSecret(client, tenant, self._secret("SERVICEPRINCIPALKEY"))
            case "managedserviceidentity":
                found = ManagedIdentity(self._data("MSICLIENTID"))
            case _:
                raise AuthenticationError(
                    f"the service connection {self.connection} is of the kind `{scheme or 'unknown'}`",
                    hint="give one of the kind Azure Resource Manager that this pipeline may use",
                )
        return SignIn(found, self.cloud or self._data("ENVIRONMENT") or CLOUD, self._data("SUBSCRIPTIONID"))

    def _from_azure_cli_task(self) -> SignIn | None:
        """Inside AzureCLI@2 and AzurePowerShell@5 the connection is in the environment."""
        client = self.environment.get("AZURESUBSCRIPTION_CLIENT_ID", "")
        connection = self.environment.get("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "")
        tenant = self.environment.get("AZURESUBSCRIPTION_TENANT_ID", "")
        token = self._token() if self.environment.get("SYSTEM_OIDCREQUESTURI") else None
        if not (client and connection and tenant and token):
            return None
        return SignIn(PipelinesConnection(client, tenant, connection, token), self.cloud or CLOUD)

    def _auth_scheme(self) -> str:
        scheme = self.environment.get(f"ENDPOINT_AUTH_SCHEME_{self.connection}", "")
        return scheme or str(self._endpoint().get("scheme", ""))

    def _parameter(self, name: str) -> str:
        found = self.environment.get(f"ENDPOINT_AUTH_PARAMETER_{self.connection}_{name}", "")
        given = self._endpoint().get("parameters", {})
        return found or {str(key).upper(): str(value) for key, value in given.items()}.get(name, "")

    def _endpoint(self) -> dict[str, dict[str, str]]:
        try:
            document = json.loads(self.environment.get(f"ENDPOINT_AUTH_{self.connection}", "") or "{}")
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    def _data(self, name: str) -> str:
        return self.environment.get(f"ENDPOINT_DATA_{self.connection}_{name}", "")

    def _secret(self, name: str) -> Secret:
        text = self._parameter(name)
        if not text:
            raise AuthenticationError(
                f"the service connection {self.connection} brings no {name.lower()}",
                hint="use a connection with workload identity federation: it needs no secret",
            )
        self.mask(text)
        return Secret(name.lower(), text)

    def _job_token(self) -> Secret:
        token = self._token()
        if token is None or not self.environment.get("SYSTEM_OIDCREQUESTURI"):
            raise AuthenticationError(
                "the agent offers no token for the service connection",
                hint="the agent must be 3.232 or newer, and the task must name the connection as its input",
            )
        return token

    def _token(self) -> Secret | None:
        for name in JOB_TOKENS:
            if text := self.environment.get(name, ""):
                self.mask(text)
                return Secret("job token", text)
        return None

    # --- GitHub ---

    def _oidc(self) -> SignIn | None:
        if not self.client_id:
            return self._oidc_for_whom_is_known() if self.auth is Auth.OIDC else None
        client, tenant = self._ids()
        if not (client and tenant):
            raise AuthenticationError("`client-id` and `tenant-id` belong together", hint="give both")
        found = self._federated(client, tenant, None)
        if found is None and (self.auth is Auth.OIDC or self.environment.get("GITHUB_ACTIONS") == "true"):
            raise AuthenticationError("GitHub gives this job no OIDC token", hint=PERMISSION)
        return found

    def _oidc_for_whom_is_known(self) -> SignIn | None:
        """New assertions for the ids in the environment, or for the one whom azure/login gave only a single one."""
        login = az_login(self.environment)
        client, tenant = self._ids()
        if login and login.renews and client in ("", login.client_id):
            return None
        if login and not (client and tenant):
            client, tenant = login.client_id, login.tenant_id
        return self._federated(client, tenant, login) if client and tenant else None

    def _federated(self, client: str, tenant: str, login: AzLogin | None) -> SignIn | None:
        url = self.environment.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
        token = self.environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
        if not (url and token):
            return None
        fetch = GitHubOidc(url, Secret("OIDC request token", token), self.clock, self.mask)
        cloud, subscription = (login.cloud, login.subscription) if login else ("", "")
        return SignIn(Federated(client, tenant, fetch), self.cloud or cloud or CLOUD, subscription)

    # --- both ---

    def _ids(self) -> tuple[str, str]:
        return (
            self.client_id or self.environment.get("AZURE_CLIENT_ID", ""),
            self.tenant_id or self.environment.get("AZURE_TENANT_ID", ""),
        )

    def _workload_identity(self) -> SignIn | None:
        file = self.environment.get("AZURE_FEDERATED_TOKEN_FILE", "")
        client, tenant = self._ids()
        return (
            SignIn(WorkloadIdentity(client, tenant, file), self.cloud or CLOUD)
            if file and client and tenant
            else None
        )

    def _environment(self) -> SignIn | None:
        client, tenant = self._ids()
        secret = self.environment.get("AZURE_CLIENT_SECRET", "")
        file = self.environment.get("AZURE_CLIENT_CERTIFICATE_PATH", "")
        if not (client and tenant and (secret or file)):
            return None
        self.mask(secret)
        if secret:
            return SignIn(ClientSecret(client, tenant, Secret("AZURE_CLIENT_SECRET", secret)), self.cloud or CLOUD)
        try:
            pem = Path(file).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise AuthenticationError(f"AZURE_CLIENT_CERTIFICATE_PATH: {file} cannot be read: {error}") from error
        return SignIn(ClientCertificate(client, tenant, Secret("certificate", pem)), self.cloud or CLOUD)

    def _azure_cli(self) -> SignIn | None:
        """`az` is on every hosted runner; only one that somebody is logged in to counts."""
        login = az_login(self.environment)
        if login is None or shutil.which("az", path=self.environment.get("PATH")) is None:
            return None
        seconds = None if login.renews else LOGIN_SECONDS
        return SignIn(AzureCli(), self.cloud or login.cloud or CLOUD, login.subscription, seconds)


_MISSING = {
    Auth.SERVICE_CONNECTION: "give the task an Azure Resource Manager service connection as `azureSubscription`",
    Auth.OIDC: "give `client-id`, `tenant-id` and the job `permissions: id-token: write`, or put azure/login before",
    Auth.WORKLOAD_IDENTITY: "it needs AZURE_FEDERATED_TOKEN_FILE, AZURE_CLIENT_ID and AZURE_TENANT_ID",
    Auth.ENVIRONMENT: "it needs AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET (or _CERTIFICATE_PATH)",
    Auth.AZURE_CLI: "put azure/login or AzureCLI@2 before, and have `az` on the PATH",
}
