"""Policy documents: what they say is enforced, and what cannot be enforced is refused."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.access.policy import PATTERNS_MAX, POLICY_BYTES_MAX, Policy, parse_policy
from streamproc.access.presets import PRESETS, preset
from streamproc.errors import PolicyError
from streamproc.model.caller import Right

USER = "arn:aws:iam::123456789012:user/ann"
PEOPLE = "arn:aws:rekognition:eu-west-1:123456789012:collection/people"
STAFF = "arn:aws:rekognition:eu-west-1:123456789012:collection/staff"
DELETE = Right("rekognition:DeleteCollection", PEOPLE)


def document(*statements: Any, **elements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)} | elements)


def statement(
    effect: str = "Allow", action: Any = "*", resource: Any = "*", **elements: Any
) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource} | elements


def policy(*statements: Any) -> Policy:
    return parse_policy(document(*statements))


def allows(said: Policy, right: Right) -> bool:
    return said.refusal(USER, right) == ""


def test_what_nobody_allowed_is_denied_in_aws_words() -> None:
    said = policy(statement(action="rekognition:ListFaces"))
    assert said.refusal(USER, DELETE) == (
        f"User: {USER} is not authorized to perform: rekognition:DeleteCollection on resource: "
        f"{PEOPLE} because no identity-based policy allows the rekognition:DeleteCollection action"
    )


def test_what_somebody_denied_is_denied_in_aws_words() -> None:
    said = policy(statement(), statement("Deny", "rekognition:Delete*"))
    assert said.refusal(USER, DELETE) == (
        f"User: {USER} is not authorized to perform: rekognition:DeleteCollection on resource: "
        f"{PEOPLE} with an explicit deny in an identity-based policy"
    )


def test_a_refusal_names_what_may_be_told() -> None:
    told = "arn:aws:kinesisvideo:r:1:stream/cam/*"
    right = Right("kinesisvideo:GetMedia", "arn:aws:kinesisvideo:r:1:stream/cam/17", told)
    refusal = policy(statement("Deny")).refusal(USER, right)
    assert f"on resource: {told} with" in refusal
    assert "17" not in refusal


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (statement(), True),
        (statement(action="rekognition:DeleteCollection", resource=PEOPLE), True),
        (statement(action="REKOGNITION:deletecollection", resource=PEOPLE), True),
        (statement(action="rekognition:Delete*"), True),
        (statement(action="rekognition:DeleteCollectio?"), True),
        (statement(action="rekognition:Delete"), False),
        (statement(action="kinesis:*"), False),
        (statement(action=["kinesis:*", "rekognition:*"]), True),
        (statement(resource=STAFF), False),
        (statement(resource=[STAFF, PEOPLE]), True),
        (statement(resource=PEOPLE.upper().replace("ARN:", "arn:")), False),
        (statement(resource="arn:aws:rekognition:*:*:collection/*"), True),
        (statement(resource="arn:aws:rekognition:*:*:*/people"), True),
        (statement(resource="arn:aws:*"), True),
        (statement(resource="arn:aws:rekognition:*:*:collection/peopl?"), True),
        (statement(resource="arn:aws:rekognition:*:*:streamprocessor/*"), False),
        ({"Effect": "Allow", "NotAction": "kinesis:*", "Resource": "*"}, True),
        ({"Effect": "Allow", "NotAction": ["kinesis:*", "rekognition:D*"], "Resource": "*"}, False),
        ({"Effect": "Allow", "Action": "*", "NotResource": STAFF}, True),
        ({"Effect": "Allow", "Action": "*", "NotResource": [STAFF, PEOPLE]}, False),
    ],
)
def test_a_statement_concerns_what_it_names(said: dict[str, Any], expected: bool) -> None:
    assert allows(policy(said), DELETE) is expected
    assert allows(policy(statement(), {**said, "Effect": "Deny"}), DELETE) is not expected


def test_an_operation_without_a_resource_needs_all() -> None:
    right = Right("rekognition:ListCollections", "*")
    assert allows(policy(statement(action="rekognition:List*")), right)
    assert not allows(policy(statement(resource="arn:aws:rekognition:*")), right)


def test_one_statement_needs_no_list() -> None:
    said = parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statement(Sid="All1")}))
    assert allows(said, DELETE)


REFUSED = {
    "a condition": (
        document(statement(Condition={"Bool": {"aws:SecureTransport": "true"}})),
        r'^Statement\[0\]: element "Condition" is not supported: conditions are not evaluated',
    ),
    "a condition beside a Sid": (
        document(statement(), statement(Sid="Night", Condition={})),
        r'^Statement\[1\] \(Night\): element "Condition" is not supported',
    ),
    "a principal": (document(statement(Principal="*")), 'element "Principal" is not supported'),
    "an element nobody knows": (
        document(statement(Resources="*")),
        'element "Resources" is not supported: the elements are Action, Effect',
    ),
    "a policy variable": (
        document(statement(resource="arn:aws:s3:::home/${aws:username}/*")),
        "has a policy variable, which is not supported",
    ),
    "an unknown member": (document(statement(), Statements=[]), '"Statements" is not known'),
    "no version": (json.dumps({"Statement": [statement()]}), 'write "Version": "2012-10-17"'),
    "an old version": (document(statement(), Version="2008-10-17"), "Version 2008-10-17"),
    "no statement": (document(), "Statement must be a statement, or a list"),
    "a statement that is none": (document("Allow"), r"Statement\[0\]: Allow is not a JSON object"),
    "no effect": (document({"Action": "*", "Resource": "*"}), "Effect .* is neither Allow nor"),
    "an effect in lower case": (document(statement("allow")), "Effect allow is neither"),
    "an effect that is a list": (document(statement() | {"Effect": ["Allow"]}), "is neither"),
    "no action": (document({"Effect": "Allow", "Resource": "*"}), "one of Action and NotAction"),
    "both actions": (document(statement(NotAction="*")), "exactly one of Action and NotAction"),
    "no resource": (document({"Effect": "Allow", "Action": "*"}), "Resource and NotResource"),
    "an empty list": (document(statement(action=[])), "Action must be a string, or a list"),
    "a number": (document(statement(resource=[7])), "Resource must be a string, or a list"),
    "an action without service": (document(statement(action="PutMedia")), "service:Operation"),
    "a wildcard for a service": (document(statement(action="kinesis*:Get*")), "behind the colon"),
    "a resource that is a name": (document(statement(resource="people")), "nor an ARN"),
    "a resource of another order": (document(statement(resource="aws:arn:*")), "nor an ARN"),
    "an ARN that lacks a part": (
        document(statement("Deny", resource="arn:aws:kinesis:eu-west-1:stream/cam")),
        "neither . nor an ARN",
    ),
    "an ARN of nothing": (
        document(statement("Deny", resource="arn:aws:s3:::")),
        "neither . nor an ARN",
    ),
    "a control character": (document(statement(resource="arn:aws:s3:::a/\n*")), "printed"),
    "half a surrogate": (document(statement(resource="arn:aws:s3:::a/\ud800")), "printed"),
    "a strange Sid": (document(statement(Sid="a b")), "Sid a b is not made of letters"),
    "two of one Sid": (document(statement(Sid="A"), statement(Sid="A")), "A is the Sid of two"),
    "an element twice": (
        '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Effect":"Allow","Action":"*",'
        '"Resource":"*"}}',
        '"Effect" is given twice',
    ),
    "no JSON": ("Allow", "^policy document: not JSON"),
    "a list": ("[]", "is not a JSON object"),
    "nesting": ("[" * 60_000, "nested too deeply"),
    "a number too long": ('{"Version":' + "9" * 5000 + "}", "not JSON"),
    "a long pattern": (document(statement(resource="arn:" + "a" * 2045)), "2049 characters"),
    "many patterns": (document(statement(resource=["*"] * PATTERNS_MAX)), "1001 actions and"),
    "a long text": (" " * (POLICY_BYTES_MAX + 1), "65537 bytes; the most is 65536"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_enforced_is_refused_by_name(name: str) -> None:
    text, words = REFUSED[name]
    with pytest.raises(PolicyError, match=words) as error:
        parse_policy(text)
    assert len(str(error.value)) < 300, "it goes onto a terminal"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from(["*", "Allow"]),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_a_policy_or_one_kind_of_error(value: Any) -> None:
    for text in (json.dumps(value), document(value), document(statement(action=value))):
        with contextlib.suppress(PolicyError):
            parse_policy(text)


ACTIONS = st.sampled_from(
    ["*", "rekognition:*", "rekognition:List*", "rekognition:DeleteFaces", "kinesis:?et*"]
)
RESOURCES = st.sampled_from(
    ["*", PEOPLE, STAFF, "arn:aws:rekognition:*:*:collection/*", "arn:aws:kinesis:*"]
)
STATEMENTS = st.builds(
    lambda effect, negated, actions, resources: {
        "Effect": effect,
        "NotAction" if negated[0] else "Action": actions,
        "NotResource" if negated[1] else "Resource": resources,
    },
    st.sampled_from(["Allow", "Deny"]),
    st.tuples(st.booleans(), st.booleans()),
    st.lists(ACTIONS, min_size=1, max_size=2),
    st.lists(RESOURCES, min_size=1, max_size=2),
)
RIGHTS = st.builds(
    Right,
    st.sampled_from(["rekognition:ListFaces", "rekognition:DeleteFaces", "kinesis:GetRecords"]),
    st.sampled_from(["*", PEOPLE, STAFF, "arn:aws:kinesis:eu-west-1:1:stream/s"]),
)


@settings(deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=5), RIGHTS, st.randoms())
def test_the_order_of_statements_does_not_matter(
    statements: list[dict[str, Any]], right: Right, chance: Any
) -> None:
    shuffled = list(statements)
    chance.shuffle(shuffled)
    assert policy(*statements).refusal(USER, right) == policy(*shuffled).refusal(USER, right)


@settings(deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=5), STATEMENTS, RIGHTS)
def test_adding_a_deny_never_grants(
    statements: list[dict[str, Any]], more: dict[str, Any], right: Right
) -> None:
    denied = policy(*statements, {**more, "Effect": "Deny"})
    assert allows(policy(*statements), right) >= allows(denied, right)


@settings(deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=5), STATEMENTS, RIGHTS)
def test_removing_an_allow_never_grants(
    statements: list[dict[str, Any]], other: dict[str, Any], right: Right
) -> None:
    with_it = policy(*statements, {**other, "Effect": "Allow"})
    assert allows(with_it, right) >= allows(policy(*statements), right)


@settings(deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=5), RIGHTS)
def test_a_right_is_there_if_some_statement_allows_and_none_denies(
    statements: list[dict[str, Any]], right: Right
) -> None:
    """Each statement by itself, made an Allow, tells whether it concerns the right."""
    concerning = [
        said["Effect"] for said in statements if allows(policy({**said, "Effect": "Allow"}), right)
    ]
    assert allows(policy(*statements), right) is (
        "Allow" in concerning and "Deny" not in concerning
    )


# --- presets -----------------------------------------------------------------------------

VIDEO = "arn:aws:kinesisvideo:eu-west-1:123456789012:stream/{}/1551924009774"
DATA = "arn:aws:kinesis:eu-west-1:123456789012:stream/{}"


@pytest.mark.parametrize(
    ("name", "resources", "may", "may_not"),
    [
        ("admin", [], [DELETE, Right("later:Anything", "*")], []),
        (
            "operator",
            [],
            [
                Right("rekognition:StartStreamProcessor", "arn:aws:rekognition:r:1:x/cam"),
                Right("kinesisvideo:GetMedia", VIDEO.format("cam")),
                Right("rekognition:DeleteFaces", PEOPLE),
                Right("s3:GetObject", "arn:aws:s3:::clips/a.mp4"),
            ],
            [
                DELETE,
                Right("kinesis:DeleteStream", DATA.format("cam")),
                Right("kinesisvideo:DeleteStream", VIDEO.format("cam")),
                Right("kinesisvideo:UpdateDataRetention", VIDEO.format("cam")),
                Right("iam:PassRole", "arn:aws:iam::1:role/any"),
            ],
        ),
        (
            "viewer",
            [],
            [
                Right("rekognition:ListStreamProcessors", "*"),
                Right("rekognition:DescribeStreamProcessor", "arn:aws:rekognition:r:1:x/cam"),
                Right("rekognition:GetFaceDetection", "*"),
                Right("kinesisvideo:ListFragments", VIDEO.format("cam")),
            ],
            [
                DELETE,
                Right("rekognition:SearchFacesByImage", PEOPLE),
                Right("rekognition:IndexFaces", PEOPLE),
                Right("kinesis:GetRecords", DATA.format("cam")),
                Right("kinesis:GetShardIterator", DATA.format("cam")),
                Right("kinesisvideo:GetMedia", VIDEO.format("cam")),
                Right("kinesisvideo:GetMediaForFragmentList", VIDEO.format("cam")),
                Right("s3:GetObject", "arn:aws:s3:::clips/a.mp4"),
            ],
        ),
        (
            "camera",
            ["front-door", "arn:aws:kinesisvideo:eu-west-1:123456789012:stream/back/*"],
            [
                Right("kinesisvideo:PutMedia", VIDEO.format("front-door")),
                Right("kinesisvideo:GetDataEndpoint", VIDEO.format("front-door")),
                Right("kinesisvideo:DescribeStream", VIDEO.format("back")),
            ],
            [
                Right("kinesisvideo:PutMedia", VIDEO.format("front-door2")),
                Right("kinesisvideo:GetMedia", VIDEO.format("front-door")),
                Right("kinesisvideo:CreateStream", VIDEO.format("front-door")),
                Right("kinesisvideo:ListStreams", "*"),
            ],
        ),
        (
            "consumer",
            ["faces-*"],
            [
                Right("kinesis:GetRecords", DATA.format("faces-hall")),
                Right("kinesis:GetShardIterator", DATA.format("faces-hall")),
                Right("kinesis:ListShards", DATA.format("faces-hall")),
                Right("kinesis:DescribeStreamSummary", DATA.format("faces-hall")),
            ],
            [
                Right("kinesis:GetRecords", DATA.format("face")),
                Right("kinesis:PutRecords", DATA.format("faces-hall")),
                Right("kinesis:ListStreams", "*"),
                Right("kinesisvideo:GetMedia", VIDEO.format("faces-hall")),
            ],
        ),
    ],
)
def test_a_preset_allows_what_it_is_for_and_no_more(
    name: str, resources: list[str], may: list[Right], may_not: list[Right]
) -> None:
    said = parse_policy(preset(name, resources))
    assert [right for right in may if not allows(said, right)] == []
    assert [right for right in may_not if allows(said, right)] == []


def test_every_preset_is_known_by_its_name() -> None:
    assert PRESETS == ("admin", "operator", "viewer", "watcher", "camera", "consumer")


@pytest.mark.parametrize(
    ("name", "resources", "words"),
    [
        (
            "root",
            [],
            "there is no preset root; there are: admin, operator, viewer, watcher, camera",
        ),
        ("camera", [], "preset camera needs the streams that it is for"),
        ("admin", ["cam"], "preset admin is for all resources; leave cam out"),
        ("camera", ["a/b"], "'a/b' names no stream"),
        ("camera", [DATA.format("cam")], "which begins with arn:aws:kinesisvideo:"),
        ("consumer", ["cam\n"], "names no stream"),
    ],
)
def test_a_preset_that_does_not_fit_says_so(name: str, resources: list[str], words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        preset(name, resources)
