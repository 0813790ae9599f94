"""How the commands reach a service: which endpoint, which region, whose credentials.

A command is a client like any other. It follows the environment that AWS tools follow, except
that without a word it means the daemon on this machine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

import typer

from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.aws import AwsClients

T = TypeVar("T")

DEFAULT_ENDPOINT_URL = "http://127.0.0.1:4600"

EndpointUrl: TypeAlias = Annotated[
    str, typer.Option(envvar="AWS_ENDPOINT_URL", help="Where the services answer; aws for AWS.")
]
Region: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar=["AWS_REGION", "AWS_DEFAULT_REGION"],
        help="AWS region; us-east-1 if nothing says another.",
    ),
]
CLIENT_CONFIG: dict[str, Any] = {"connect_timeout": 5.0, "retries": {"max_attempts": 1}}
"""Somebody is waiting: better a clear answer than a patient one."""

# What a key that is missing, unknown or no longer good is answered with.
_KEYLESS = {
    "ExpiredTokenException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True)
class Access:
    """What a command needs to make clients and to sign by hand."""

    clients: "AwsClients"
    credentials: Any  # botocore's, with access_key, secret_key and token
    region: str
    endpoint_url: str

    @property
    def is_local(self) -> bool:
        return urlsplit(self.endpoint_url).hostname in _LOOPBACK


async def find_access(endpoint_url: str, region: str | None) -> Access:
    """Credentials come from where AWS tools find them; this machine's daemon needs none, unless
    its auth.required is true.

    Raises StreamprocError if there are none for another endpoint.
    """
    from aiobotocore.session import get_session
    from botocore.credentials import Credentials

    from streamproc.aws import AwsClients
    from streamproc.settings import AwsConfig, EndpointsConfig

    if endpoint_url != "aws" and not endpoint_url.startswith(("http://", "https://")):
        raise StreamprocError(f"--endpoint-url {endpoint_url} is no http(s) URL, nor aws")
    session = get_session()
    is_local = urlsplit(endpoint_url).hostname in _LOOPBACK
    if is_local:
        # It would ask a network that most machines are not on, and wait for the answer.
        session.get_component("credential_provider").remove("iam-role")
    found = await session.get_credentials()
    if found is not None:
        credentials = await found.get_frozen_credentials()
        endpoints = EndpointsConfig(kinesisvideo=endpoint_url, kinesis=endpoint_url)
    elif is_local:
        credentials = Credentials("local", "local")
        endpoints = EndpointsConfig()
    else:
        raise StreamprocError(
            "there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or AWS_PROFILE"
        )
    clients = AwsClients(endpoints, AwsConfig(), embedded_url=endpoint_url)
    chosen = region or session.get_config_variable("region") or "us-east-1"
    return Access(clients, credentials, chosen, endpoint_url)


def run(endpoint_url: str, region: str | None, work: Callable[[Access], Awaitable[T]]) -> T:
    """Do this with access to the services. Raises StreamprocError, in one line."""

    async def with_access() -> T:
        return await work(await find_access(endpoint_url, region))

    with plain_words(endpoint_url):
        return asyncio.run(with_access())


def nothing_answers(endpoint_url: str) -> StreamprocError:
    """The daemon is not there, in words; to be raised."""
    return StreamprocError(
        f"nothing answers at {endpoint_url}; start it with: streamproc serve, "
        "or name another with --endpoint-url"
    )


def refused(endpoint_url: str, code: str, message: str) -> str:
    """What a service answered, in one line; with the way out, where a key is the way."""
    line = f"{code}: {message}"
    if code not in _KEYLESS or endpoint_url == "aws":
        return line
    return (
        f"{line.rstrip('.')}. {endpoint_url} verifies signatures: make a key with: streamproc "
        "keys create NAME --policy admin, then run the export lines that it prints"
    )


@contextmanager
def plain_words(endpoint_url: str) -> Iterator[None]:
    """Turn what a service or the network answers into one line."""
    from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

    try:
        yield
    except EndpointConnectionError:
        raise nothing_answers(endpoint_url) from None
    except ClientError as error:
        details = error.response.get("Error", {})
        code, message = str(details.get("Code")), str(details.get("Message"))
        raise StreamprocError(refused(endpoint_url, code, message)) from None
    except BotoCoreError as error:
        raise StreamprocError(str(error)) from None
