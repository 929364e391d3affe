"""The token endpoint, and what a bearer token must be to be let in."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from armsim.identifiers import guid
from armsim.problems import ArmError

STORAGE_AUDIENCE = "https://storage.azure.com"
_ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the application and its object id."""

    client: str
    oid: str


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpart(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Tokens:
    """Issues and reads tokens of one tenant. `lifetime` is in seconds.

    `federation` says what is wrong with an assertion, `""` for a good one; without it every assertion is good.
    """

    tenant: str
    client: str
    secret: str
    oid: str = field(default_factory=guid)
    lifetime: int = 3600
    federation: Callable[[str], str] | None = None
    issued: int = 0
    expired: int = 0
    """So many of the issued ones count as expired, whatever their `exp` says."""
    _key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)

    def configuration(self, base: str, tenant: str) -> dict[str, Any]:
        root = f"{base}/{tenant}"
        return {
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
            "issuer": f"{root}/v2.0",
            "jwks_uri": f"{root}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "tenant_region_scope": "WW",
            "cloud_instance_name": "microsoftonline.com",
        }

    def grant(self, form: bytes, base: str) -> tuple[int, dict[str, Any]]:
        """Answer POST …/oauth2/[v2.0/]token: client credentials by secret or by assertion."""
        given = {name: values[0] for name, values in parse_qs(form.decode()).items()}
        if given.get("grant_type") != "client_credentials":
            return 400, self._refusal(
                "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type."
            )
        if given.get("client_id") != self.client:
            text = (
                f"AADSTS700016: Application with identifier '{given.get('client_id')}' "
                "was not found in the directory."
            )
            return 400, self._refusal("unauthorized_client", text)
        if "client_assertion" not in given and given.get("client_secret") != self.secret:
            text = (
                "AADSTS7000215: Invalid client secret provided. Ensure the secret being "
                "sent in the request is the client secret value."
            )
            return 401, self._refusal("invalid_client", text)
        assertion = given.get("client_assertion", "")
        if assertion and self.federation and (wrong := self.federation(assertion)):
            return 401, self._refusal("invalid_client", wrong)
        old = "resource" in given
        audience = given["resource"] if old else given.get("scope", "").removesuffix("/.default")
        token = self.issue(audience.rstrip("/"))
        answer: dict[str, Any] = {"token_type": "Bearer", "access_token": token}
        if old:  # the first version of the endpoint writes numbers as strings
            end = int(time.time()) + self.lifetime
            answer |= {
                "expires_in": str(self.lifetime),
                "ext_expires_in": str(self.lifetime),
                "resource": given["resource"],
            }
            answer |= {"expires_on": str(end), "not_before": str(end - self.lifetime)}
        else:
            answer |= {"expires_in": self.lifetime, "ext_expires_in": self.lifetime}
        return 200, answer

    def issue(self, audience: str) -> str:
        start = int(time.time())
        self.issued += 1
        claims = {
            "aud": audience, "iss": f"https://sts.windows.net/{self.tenant}/", "iat": start, "nbf": start - 300,
            "exp": start + self.lifetime, "appid": self.client, "oid": self.oid, "sub": self.oid, "tid": self.tenant,
            "idtyp": "app", "ver": "1.0", "uti": str(self.issued),
        }  # fmt: skip
        head = _part(json.dumps({"typ": "JWT", "alg": "HS256", "kid": "armsim"}).encode())
        payload = _part(json.dumps(claims).encode())
        sign = hmac.new(self._key, f"{head}.{payload}".encode(), hashlib.sha256).digest()
        return f"{head}.{payload}.{_part(sign)}"

    def revoke(self) -> None:
        """Tokens issued so far are worth nothing from now on."""
        self._key = os.urandom(32)

    def expire(self) -> None:
        """Tokens issued so far are out of date from now on: a client that trusts their `exp` does not see it come."""
        self.expired = self.issued

    def read(self, authorization: str, base: str) -> Principal:
        """The caller of an ARM request; ArmError 401 for a missing, foreign, expired or forged token."""
        if not authorization.lower().startswith("bearer "):
            raise self._unauthorized(
                "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.", base
            )
        claims = self.claims(authorization[7:], base)
        if claims["aud"] not in (base, *_ARM_AUDIENCES):
            text = f"The access token has been obtained for wrong audience or resource '{claims['aud']}'."
            raise self._unauthorized("InvalidAuthenticationTokenAudience", text, base)
        return Principal(claims["appid"], claims["oid"])

    def claims(self, token: str, base: str) -> dict[str, Any]:
        try:
            head, payload, sign = token.split(".")
            good = hmac.new(self._key, f"{head}.{payload}".encode(), hashlib.sha256).digest()
            if not hmac.compare_digest(good, _unpart(sign)):
                raise ValueError("signature")
            claims: dict[str, Any] = json.loads(_unpart(payload))
        except (ValueError, KeyError) as cause:
            raise self._unauthorized("InvalidAuthenticationToken", "The access token is invalid.", base) from cause
        if claims["exp"] < time.time() or int(claims["uti"]) <= self.expired:
            end = dt.datetime.fromtimestamp(claims["exp"], dt.UTC)
            text = f"The access token expiry UTC time '{end:%m/%d/%Y %I:%M:%S %p}' is earlier than current UTC time."
            raise self._unauthorized("ExpiredAuthenticationToken", text, base)
        return claims

    def _unauthorized(self, code: str, text: str, base: str) -> ArmError:
        challenge = (
            f'Bearer authorization_uri="{base}/{self.tenant}", error="invalid_token", error_description="{text}"'
        )
        return ArmError(401, code, text, headers={"WWW-Authenticate": challenge, "x-ms-failure-cause": "gateway"})

    @staticmethod
    def _refusal(error: str, text: str) -> dict[str, Any]:
        return {"error": error, "error_description": text, "trace_id": guid(), "correlation_id": guid()}
