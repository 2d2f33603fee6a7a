"""Which of apt's sources another suite is taken from."""

from weft.image.suites import Archive, find_archive

DEBIAN = "Debian|http://mirror.example/debian/|bookworm|main"
OTHERS = (
    ". nodistro|https://deb.example/node_20.x/|nodistro|main",
    "Debian|http://mirror.example/debian/|bookworm-updates|main",
    "Debian|http://mirror.example/debian-security/|bookworm-security|main",
    "Debian|http://mirror.example/debian/|bookworm|contrib",
    "Flat|https://flat.example/||",
)


def test_it_is_debian_s_own_whatever_else_there_is() -> None:
    assert find_archive("\n".join([*OTHERS, DEBIAN])) == Archive("http://mirror.example/debian/", "bookworm")


def test_a_host_without_it_has_none() -> None:
    assert find_archive("") is None
    assert find_archive("\n".join(OTHERS)) is None


def test_a_suite_s_line_names_the_archive() -> None:
    line = Archive("http://mirror.example/debian/", "trixie").source("backports")
    assert line.endswith(" http://mirror.example/debian/ trixie-backports main\n")
