import pytest

from streamproc.gateway.dispatch import BoundService, Service
from streamproc.gateway.errors import UnknownOperation, UnknownPath
from streamproc.gateway.routing import Router

PATHS = {
    "operations": {
        name: {"name": name, "http": {"method": method, "requestUri": path}}
        for name, method, path in [
            ("GetThing", "GET", "/things/{Name}"),
            ("GetLatest", "GET", "/things/latest"),
            ("GetParts", "GET", "/things/{Name}/parts/{Part+}"),
            ("GetAny", "GET", "/{Name}"),
            ("PutThing", "PUT", "/things/{Name}?x=y"),
        ]
    }
}


def bound(name: str, **options: object) -> BoundService:
    return Service[None](name, validation_error="ValidationException", **options).bind(None)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def router() -> Router:
    return Router(
        [
            bound("rekognition"),
            bound("kinesis"),
            bound("kinesisvideo", extra=PATHS),
            bound("kinesis-video-media"),
            bound("kinesis-video-archived-media"),
        ]
    )


@pytest.mark.parametrize(
    ("target", "service", "operation"),
    [
        ("RekognitionService.DetectFaces", "rekognition", "DetectFaces"),
        ("Kinesis_20131202.PutRecords", "kinesis", "PutRecords"),
    ],
)
def test_a_target_names_service_and_operation(
    router: Router, target: str, service: str, operation: str
) -> None:
    route = router.find("POST", "/", target, None)
    assert (route.service.name, route.operation.name) == (service, operation)


@pytest.mark.parametrize(
    ("method", "path", "operation", "labels"),
    [
        ("POST", "/createStream", "CreateStream", {}),
        ("POST", "/getMedia", "GetMedia", {}),
        ("POST", "/listFragments", "ListFragments", {}),
        ("GET", "/things/a%2Fb", "GetThing", {"Name": "a%2Fb"}),
        ("GET", "/things/latest", "GetLatest", {}),
        ("GET", "/things/a/parts/x/y", "GetParts", {"Name": "a", "Part": "x/y"}),
        ("GET", "/things", "GetAny", {"Name": "things"}),
        ("PUT", "/things/a", "PutThing", {"Name": "a"}),
    ],
)
def test_a_path_names_an_operation_and_its_labels(
    router: Router, method: str, path: str, operation: str, labels: dict[str, str]
) -> None:
    route = router.find(method, path, None, "kinesisvideo")
    assert (route.operation.name, dict(route.labels)) == (operation, labels)


def test_the_signing_scope_decides_between_two_services_of_one_path() -> None:
    router = Router([bound("iot-data"), bound("mediastore-data")])
    path = "/things/a/shadow"  # of iot-data, and as good a path of an object as any
    assert router.find("GET", path, None, "iotdata").service.name == "iot-data"
    assert router.find("GET", path, None, "mediastore").service.name == "mediastore-data"
    assert router.find("GET", path, None, None).service.name == "iot-data"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/"),
        ("GET", "/getMedia"),
        ("POST", "/getMedia/"),
        ("POST", "//getMedia"),
        ("POST", "/\x1b[31m" + "x" * 5000),
    ],
)
def test_an_unknown_path_says_what_this_endpoint_is(method: str, path: str) -> None:
    router = Router([bound("rekognition"), bound("kinesis"), bound("kinesis-video-media")])
    with pytest.raises(UnknownPath) as unknown:
        router.find(method, path, None, None)
    assert "rekognition, kinesis" in unknown.value.message
    assert "--endpoint-url" in unknown.value.message
    assert len(unknown.value.message) < 500
    assert unknown.value.message.isprintable()


@pytest.mark.parametrize(
    "target", ["", ".", "DetectFaces", "RekognitionService", "DynamoDB_20120810.ListTables"]
)
def test_a_target_of_another_service_is_refused_with_those_known(
    router: Router, target: str
) -> None:
    with pytest.raises(UnknownOperation, match="RekognitionService, Kinesis_20131202"):
        router.find("POST", "/", target, None)


def test_an_operation_that_the_service_lacks_is_named(router: Router) -> None:
    with pytest.raises(UnknownOperation, match="rekognition has no operation 'DetectCats'"):
        router.find("POST", "/", "RekognitionService.DetectCats", None)


def test_the_methods_of_a_path_are_listed(router: Router) -> None:
    assert router.methods("/things/a") == ["GET", "POST", "PUT"]


def test_two_services_of_one_target_prefix_are_refused() -> None:
    with pytest.raises(ValueError, match="Kinesis_20131202"):
        Router([bound("kinesis"), bound("kinesis")])
