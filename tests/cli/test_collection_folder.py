"""A folder of photos, read as the collection it describes; no service, no picture."""

from pathlib import Path

import pytest

from streamproc.cli.collection_folder import (
    CollectionFolder,
    FolderError,
    find_collections,
    read_folder,
)
from streamproc.cli.collection_manifest import ManifestError, celebrity_id, legal_id
from streamproc.model.person import Celebrity


def folder_of(root: Path, *files: str, manifest: str | None = None, name: str = "team") -> Path:
    """A folder of empty files: only their names matter here."""
    folder = root / name
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    if manifest is not None:
        (folder / "manifest.toml").write_text(manifest, "utf-8")
    return folder


def owners(folder: CollectionFolder) -> dict[str, str]:
    return {str(photo.path): photo.external_id for photo in folder.photos}


def test_photos_are_named_by_themselves_or_by_their_sub_folder(tmp_path: Path) -> None:
    folder = read_folder(
        folder_of(tmp_path, "bob.v2.JPG", "alice/1.jpeg", "alice/2.png", "bob.v2.png")
    )
    assert (folder.collection_id, folder.people, folder.remarks) == ("team", (), ())
    assert owners(folder) == {
        "alice/1.jpeg": "alice", "alice/2.png": "alice",
        "bob.v2.JPG": "bob.v2", "bob.v2.png": "bob.v2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("Ann_Ahn-2.x:y", "Ann_Ahn-2.x:y"),
        ("Ann  Ahn", "Ann__Ahn"),
        ("José Ångström", "Jose_Angstrom"),
        ("Jose\u0301", "Jose"),
        ("李雷", "u674eu96f7"),
        ("a/b & c", "a-b_-_c"),
        ("🙂", "-"),
    ],
)
def test_names_become_legal(name: str, legal: str) -> None:
    assert legal_id(name) == legal


def test_a_name_that_changes_is_told_unless_only_by_its_spaces(tmp_path: Path) -> None:
    folder = read_folder(folder_of(tmp_path, "Ann Ahn.jpg", "Zoë/1.jpg"))
    assert owners(folder) == {"Ann Ahn.jpg": "Ann_Ahn", "Zoë/1.jpg": "Zoe"}
    assert folder.remarks == ("'Zoë' is Zoe in the collection",)


def test_one_spelling_in_two_normal_forms_is_one_person(tmp_path: Path) -> None:
    folder = read_folder(folder_of(tmp_path, "Zo\u00eb.jpg", "Zoe\u0308/1.jpg"))
    assert set(owners(folder).values()) == {"Zoe"}


def test_two_people_of_one_id_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="'Zoe' and 'Zoë' would both be Zoe; rename one"):
        read_folder(folder_of(tmp_path, "Zoe.jpg", "Zoë.jpg"))


def test_what_is_no_photo_is_ignored_with_a_line(tmp_path: Path) -> None:
    outside = tmp_path / "outside.jpg"
    outside.touch()
    folder = folder_of(tmp_path, "ann.jpg", ".DS_Store", "notes.txt", "bob.webp", "a/b/c.jpg")
    (folder / "carl.jpg").symlink_to(outside)
    (folder / "dora").symlink_to(tmp_path)
    (folder / ".git").mkdir()
    read = read_folder(folder)
    assert owners(read) == {"ann.jpg": "ann"}
    assert read.remarks == (
        "ignored, hidden: .DS_Store, .git",
        "ignored, neither JPEG nor PNG by their names: bob.webp, notes.txt",
        "ignored, symbolic links: carl.jpg, dora",
        "ignored, deeper than one sub-folder: a/b/c.jpg",
    )


def test_many_ignored_files_are_still_one_line(tmp_path: Path) -> None:
    read = read_folder(folder_of(tmp_path, "ann.jpg", *(f"{number}.txt" for number in range(7))))
    assert read.remarks == (
        "ignored, neither JPEG nor PNG by their names: 0.txt, 1.txt, 2.txt, 3.txt and 3 more",
    )


def test_a_folder_whose_name_is_no_collection_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="'my team' cannot be one; use a-z"):
        read_folder(folder_of(tmp_path, "ann.jpg", name="my team"))


def test_an_empty_folder_empties_nothing_unless_it_says_so(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    with pytest.raises(FolderError, match=r"has no photos; .* put an empty manifest\.toml"):
        read_folder(folder)
    (folder / "manifest.toml").touch()
    assert read_folder(folder).photos == ()


# --- the manifest -------------------------------------------------------------------------


def test_people_of_an_ordinary_collection_have_the_ids_they_are_given(tmp_path: Path) -> None:
    manifest = """
        [[people]]
        name = "Ann Ahn"
        [[people]]
        name = "Bob"
        id = "employee:17"
        photos = ["staff/*_bob.jpg", "party/**/b*.png"]
        urls = ["https://example.com"]
    """
    files = (
        "Ann Ahn/1.jpg", "Ann_Ahn.png", "staff/2020_bob.jpg", "staff/2020_eve.jpg",
        "party/b1.png", "party/x/y/b2.png", "party/x/eve.png",
    )  # fmt: skip
    read = read_folder(folder_of(tmp_path, *files, manifest=manifest))
    assert owners(read) == {
        "Ann Ahn/1.jpg": "Ann_Ahn", "Ann_Ahn.png": "Ann_Ahn", "party/b1.png": "employee:17",
        "party/x/y/b2.png": "employee:17", "staff/2020_bob.jpg": "employee:17",
    }  # fmt: skip
    assert read.people == ()
    assert read.remarks == (
        "urls and gender are kept of celebrities alone; see celebrities = true",
        "ignored, of nobody in manifest.toml: party/x/eve.png, staff/2020_eve.jpg",
    )


def test_celebrities_come_with_what_the_registry_keeps(tmp_path: Path) -> None:
    manifest = """
        celebrities = true
        [[people]]
        name = "Ann Ahn"
        id = "3SF8x1"
        urls = ["https://www.example.com/ann", "example.org/a://b"]
        gender = "Female"
        [[people]]
        name = "Bob"
    """
    read = read_folder(folder_of(tmp_path, "Ann Ahn.jpg", "Bob/1.jpg", manifest=manifest))
    bob = celebrity_id("Bob")
    assert owners(read) == {"Ann Ahn.jpg": "3SF8x1", "Bob/1.jpg": bob}
    assert read.people == (
        Celebrity("3SF8x1", "Ann Ahn", ("www.example.com/ann", "example.org/a://b"), "Female"),
        Celebrity(bob, "Bob"),
    )


def test_ids_that_follow_from_names_never_change() -> None:
    # The digest is what `printf Bob | sha256sum` prints.
    digest = 0xCD9FB1E148CCD8442E5AA74904CC73BF6FB54D1D54D333BD596AA9BB4BB4E961
    assert [digest // 62**place % 62 for place in range(8)] == [61, 0, 19, 7, 21, 44, 57, 36]
    assert celebrity_id("Bob") == "z0J7Liva"
    assert celebrity_id("Zo\u00eb") == celebrity_id("Zoe\u0308") != celebrity_id("Zoe")


def test_a_person_without_photos_is_told_of(tmp_path: Path) -> None:
    manifest = 'celebrities = true\n[[people]]\nname = "Ann"\n[[people]]\nname = "Bob"'
    read = read_folder(folder_of(tmp_path, "Ann.jpg", manifest=manifest))
    assert [person.name for person in read.people] == ["Ann", "Bob"]
    assert read.remarks == ("there is no photo of Bob",)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("celebrities = ", "is not TOML: "),
        ("celebrities = 1", r"celebrities = 1: Input should be a valid boolean"),
        ("celebrity = true", "the key celebrity is not known"),
        ("[[people]]\nid = 'x'", r"people\[0\]\.name is missing"),
        ("[[people]]\nname = ' '", r"people\[0\]\.name = ' ': a person needs a name"),
        ("[[people]]\nname = 'A'\ngender = 'male'", r"people\[0\]\.gender = 'male': .*'Unlisted'"),
        ("[[people]]\nname = 'A'\nurls = ['http://']", r"people\[0\]\.urls\[0\] = 'http://': "),
        (
            "[[people]]\nname = 'A'\nphotos = ['../b/*']",
            r"people\[0\]\.photos\[0\] = '\.\./b/\*': .* inside",
        ),
        (
            "[[people]]\nname = 'A'\nphotos = ['/etc/*']",
            r"people\[0\]\.photos\[0\] = '/etc/\*': .* inside",
        ),
        ("[[people]]\nname = 'A'\nid = 'a b'", r"people\[0\]\.id = 'a b': an id is 1 to 255 of"),
        (
            "celebrities = true\n[[people]]\nname = 'A'\nid = 'a_b'",
            r"people\[0\]\.id = 'a_b': an id is 1 to 64 of 0-9, A-Z and a-z",
        ),
        (
            "celebrities = true\n[[people]]\nname = 'A'\n[[people]]\nname = 'A'",
            r"people\[1\] A has the id \w{8}, and so has A; give one of them another id",
        ),
        ("celebrities = true", "people is missing; celebrities are those it names"),
    ],
)
def test_a_wrong_manifest_is_refused_by_key(tmp_path: Path, manifest: str, message: str) -> None:
    folder = folder_of(tmp_path, "ann.jpg", manifest=manifest)
    with pytest.raises(ManifestError, match=rf"^{folder}/manifest\.toml(: | ){message}"):
        read_folder(folder)


def test_a_photo_of_two_people_is_refused(tmp_path: Path) -> None:
    manifest = "[[people]]\nname = 'Ann'\nphotos = ['*']\n[[people]]\nname = 'Bob'"
    with pytest.raises(FolderError, match=r"Bob\.jpg would be a photo of both Ann and Bob"):
        read_folder(folder_of(tmp_path, "Bob.jpg", manifest=manifest))


# --- which folders ------------------------------------------------------------------------


def test_a_folder_is_a_collection_or_holds_some(tmp_path: Path) -> None:
    people = folder_of(tmp_path, "ann/1.jpg", "bob/1.jpg", name="team")
    many = tmp_path / "collections"
    stars = folder_of(many, name="stars", manifest="")
    crew = folder_of(many, "eve.jpg", name="crew")
    (many / "README.md").touch()
    (many / "linked").symlink_to(people)
    assert find_collections([people, many]) == [people, crew, stars]
    other = folder_of(tmp_path / "faces", name="guests", manifest="")
    assert find_collections([tmp_path / "faces"]) == [other]
    whole = folder_of(tmp_path / "x", "ann.jpg", name="collections", manifest="")
    assert find_collections([whole]) == [whole]


def test_folders_that_say_nothing_clear_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="there is no folder"):
        find_collections([tmp_path / "absent"])
    many = tmp_path / "collections"
    many.mkdir()
    with pytest.raises(FolderError, match="holds no collection; make a folder per collection"):
        find_collections([many])
    (many / "ann.jpg").touch()
    with pytest.raises(FolderError, match=r"the photo ann\.jpg is in none of them"):
        find_collections([many])
    one, other = folder_of(tmp_path / "a", "x.jpg"), folder_of(tmp_path / "b", "x.jpg")
    with pytest.raises(FolderError, match=r"a/team and .*b/team would be the same collection"):
        find_collections([one, other])
