"""Clients of AWS services: which endpoint, which region, whose credentials.

The one place that builds aiobotocore clients. The same code runs against the embedded
services, another emulator and AWS itself; what differs is a setting. The embedded services of
the same process are asked without a wire, through clients of the same methods. Knows nothing of
what the clients are used for.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError, NoCredentialsError

from streamproc.errors import ConfigError, PermanentFailure
from streamproc.settings import AwsConfig, EndpointsConfig

if TYPE_CHECKING:
    from aiobotocore.session import AioSession
    from botocore.credentials import Credentials

# Which setting of [endpoints] serves which botocore service.
_SETTING = {
    "kinesisvideo": "kinesisvideo",
    "kinesis-video-media": "kinesisvideo",
    "kinesis-video-archived-media": "kinesisvideo",
    "kinesis": "kinesis",
    "s3": "s3",
    "sns": "sns",
    "sts": "sts",
}
# What STS answers where no retry helps (STS API reference, AssumeRole and common errors).
_ROLE_REFUSED = {
    "AccessDenied",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "MalformedPolicyDocument",
    "RegionDisabledException",
    "SignatureDoesNotMatch",
    "ValidationError",
}


class Inside(Protocol):
    """The services of this process."""

    def client(self, service: str, region: str, *, read_timeout_s: float) -> Any:
        """A client with botocore's methods, that needs no closing."""
        ...


def verification() -> ssl.SSLContext:
    """How requests that are not botocore's verify a server: by its ca_bundle (AWS_CA_BUNDLE, or
    the profile's), else by the system's authorities. Raises ConfigError if that is no file of
    certificates."""
    bundle = get_session().get_config_variable("ca_bundle")
    try:
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"AWS_CA_BUNDLE {bundle} holds no certificates: {error}") from None


class AwsClients:
    """Opens clients by service name; one instance per daemon.

    inside, if given, is where the embedded services are; without it they are asked at
    embedded_url, with credentials that nobody verifies.
    """

    def __init__(
        self,
        endpoints: EndpointsConfig,
        aws: AwsConfig,
        embedded_url: str = "",
        *,
        inside: Inside | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._aws = aws
        self._embedded_url = embedded_url
        self._inside = inside

    @cached_property
    def _session(self) -> "AioSession":
        return get_session()

    def is_enabled(self, service: str) -> bool:
        return str(getattr(self._endpoints, _SETTING[service])) != "off"

    def is_embedded(self, service: str) -> bool:
        return str(getattr(self._endpoints, _SETTING[service])) == "embedded"

    @asynccontextmanager
    async def open(
        self,
        service: str,
        region: str,
        *,
        role_arn: str = "",
        endpoint_url: str | None = None,
        **config: Any,
    ) -> AsyncIterator[Any]:
        """An aiobotocore client, closed when the block is left; or one of our own inside.

        endpoint_url overrides the setting (the data endpoint that GetDataEndpoint named).
        Further keywords go to AioConfig; what has no wire has no use for them. Raises
        ConfigError if the service is off, and PermanentFailure if role_arn cannot be assumed.
        """
        setting = str(getattr(self._endpoints, _SETTING[service]))
        if setting == "off":
            raise ConfigError(f"endpoints.{_SETTING[service]} is off; set it to a URL or to aws")
        if setting == "embedded" and self._inside is not None and endpoint_url is None:
            yield self._inside.client(service, region, read_timeout_s=self._aws.read_timeout_s)
            return
        from aiobotocore.config import AioConfig

        options: dict[str, Any] = {
            "region_name": region,
            "config": AioConfig(read_timeout=self._aws.read_timeout_s, **config),
        }
        if setting == "embedded":
            options |= {
                "endpoint_url": self._embedded_url,
                "aws_access_key_id": "embedded",
                "aws_secret_access_key": "embedded",
            }
        elif setting != "aws":
            options["endpoint_url"] = setting
        if endpoint_url is not None:
            options["endpoint_url"] = endpoint_url
        session = self._session
        if role_arn and self._aws.role == "assume" and setting != "embedded":
            session = await self._session_of_role(role_arn, region)
        async with session.create_client(service, **options) as client:
            yield client

    async def credentials(self) -> "Credentials":
        """What requests to services that are not our own are signed with, where no client of
        botocore's does it. Raises NoCredentialsError."""
        from botocore.credentials import Credentials

        found = await self._session.get_credentials()
        if found is None:
            raise NoCredentialsError
        frozen = await found.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    async def _session_of_role(self, role_arn: str, region: str) -> "AioSession":
        """A session whose credentials renew themselves: a role's last an hour, a processor
        runs for months. Raises PermanentFailure if the role cannot be assumed."""
        refresh = partial(self._assume, role_arn, region)
        try:
            metadata = await refresh()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _ROLE_REFUSED:
                raise PermanentFailure("Access denied to Role") from error
            raise
        from aiobotocore.credentials import AioRefreshableCredentials

        session = get_session()
        # What botocore's own assume-role provider does; there is no public way to hand it in.
        session._credentials = AioRefreshableCredentials.create_from_metadata(
            metadata, refresh_using=refresh, method="sts-assume-role"
        )
        return session

    async def _assume(self, role_arn: str, region: str) -> dict[str, str]:
        async with self.open("sts", region) as sts:
            answer = await sts.assume_role(RoleArn=role_arn, RoleSessionName="streamproc")
        credentials = answer["Credentials"]
        return {
            "access_key": credentials["AccessKeyId"],
            "secret_key": credentials["SecretAccessKey"],
            "token": credentials["SessionToken"],
            "expiry_time": credentials["Expiration"].isoformat(),
        }


def get_session() -> "AioSession":
    # A tenth of a second with its imports, which a daemon of embedded services can do without.
    from aiobotocore import session

    return session.get_session()
