"""Names of images: what may be left out, what is refused, and that the full form means itself."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.errors import Invalid
from weft.model.names import parse_name
from weft.model.reference import Reference, find_stem, names_registry, parse_image_name, parse_reference

DIGEST = "sha256:" + "0123456789abcdef" * 4
FULL = [
    ("nginx", "docker.io/library/nginx:latest"),
    ("nginx:1.2", "docker.io/library/nginx:1.2"),
    ("team/app", "docker.io/team/app:latest"),
    ("docker.io/nginx", "docker.io/library/nginx:latest"),
    ("index.docker.io/team/app:X_1", "docker.io/team/app:X_1"),
    ("localhost/app", "localhost/app:latest"),
    ("localhost:5000/app:1", "localhost:5000/app:1"),
    ("host:5000/a/b/c", "host:5000/a/b/c:latest"),
    ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest"),
    ("[::1]:5000/a", "[::1]:5000/a:latest"),
    ("quay.example/a_b/c__d--e.f", "quay.example/a_b/c__d--e.f:latest"),
    (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
    (f"nginx:1.2@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
    ("HOST/a", "HOST/a:latest"),
]
WRONG = [
    *(
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "A",
        "a:",
        "a:-x",
        "a b",
        "../a",
        "a/..",
        "host.example/",
        "-host.example/a",
        "http://a/b",
    ),
    *(f"a:{'x' * 129}", "a@sha256:12", "a@md5:" + "0" * 32, "a@", "0" * 64, "host:99999/a", "host:x/a", "a_", "a___b"),
    *("host.example/" + "a" * 256, "a\n", "é", "a@" + DIGEST.upper()),
]


@pytest.mark.parametrize(("text", "full"), FULL)
def test_what_is_left_out(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full
    assert str(parse_reference(full)) == full


@pytest.mark.parametrize("text", WRONG)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not an image's name"):
        parse_reference(text)


def test_what_a_registry_is_asked_for() -> None:
    assert parse_reference("a").target == "latest"
    assert parse_reference("a:1").target == "1"
    assert parse_reference(f"a:1@{DIGEST}") == Reference("docker.io", "library/a", "1", DIGEST)
    assert parse_reference(f"a:1@{DIGEST}").target == DIGEST


def test_labels_stay_as_they_are() -> None:
    assert parse_image_name("web") == "web"
    assert parse_image_name("web:1") == "docker.io/library/web:1"


@pytest.mark.parametrize(
    ("text", "pulled"),
    [
        ("nginx", False),
        ("team/app", False),
        ("docker.io/nginx", True),
        ("a:5/b", True),
        ("localhost/a", True),
        ("a:5", False),
    ],
)
def test_references_with_a_registry(text: str, pulled: bool) -> None:
    assert names_registry(text) is pulled


@pytest.mark.parametrize(
    ("name", "stem"),
    [("web", "web"), ("docker.io/library/nginx:1.2", "nginx"), ("h:5/a/b_c.d@" + DIGEST, "b-c-d"), (DIGEST, "sha256")],
)
def test_stems(name: str, stem: str) -> None:
    assert find_stem(name) == stem


words = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
paths = st.lists(st.lists(words, min_size=1, max_size=3).map("-".join), min_size=1, max_size=4).map("/".join)
hosts = st.one_of(
    st.just("localhost"), words.map(lambda word: f"{word}.example"), words.map(lambda word: f"{word}:5000")
)
tags = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}\Z")
digests = st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:{}".format)


@given(hosts, paths, st.none() | tags, st.none() | digests)
def test_the_full_form_means_itself(host: str, path: str, tag: str | None, digest: str | None) -> None:
    text = f"{host}/{path}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    reference = parse_reference(text)
    assert (reference.host, reference.path, reference.digest) == (host, path, digest)
    assert str(parse_reference(str(reference))) == str(reference)
    assert names_registry(text)
    assert parse_name(find_stem(str(reference)))


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    names_registry(text)
    parse_name(find_stem(text) + "-1")
    try:
        name = parse_image_name(text)
    except Invalid:
        return
    assert parse_image_name(name) == name
