"""`ftdemo new`: the files that it copies, and its errors. `nox -s template` tests the projects."""

import os
import sys
from pathlib import Path

import pytest

from ftdemo import new
from ftdemo.cli import main
from ftdemo.new import NewError, new_project

CHECKOUT = Path(__file__).parents[2] / "template"

pytestmark = pytest.mark.thread_unsafe(reason="tmp_path is shared")


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.skipif(not CHECKOUT.exists(), reason="the sources are not beside the tests")
def test_every_file_of_the_sources_is_installed(tmp_path, monkeypatch):
    assert new_project("acme", tmp_path / "installed") == ("acme", tmp_path / "installed", 18)
    monkeypatch.setattr(new, "_TEMPLATE", CHECKOUT)
    new_project("acme", tmp_path / "sources")
    made = contents(tmp_path / "installed")
    assert made == contents(tmp_path / "sources")
    assert all(text == (CHECKOUT / path).read_bytes() for path, text in made.items())


@pytest.mark.parametrize("name", ["x", "acme_acmeology", "ab_" * 20 + "c"])
def test_the_name_replaces_acme_everywhere(tmp_path, name):
    new_project("acme", tmp_path / "acme")
    (tmp_path / "new").mkdir()  # an empty folder is accepted
    new_project(name, tmp_path / "new")
    upper = name.upper().encode()
    assert contents(tmp_path / "new") == {
        path.replace("acme", name): text.replace(b"acme", name.encode()).replace(b"ACME", upper)
        for path, text in contents(tmp_path / "acme").items()
    }
    assert all(b"Acme" not in text for text in contents(tmp_path / "new").values())


@pytest.mark.parametrize(
    ("name", "module"),
    [("my-lib", "my_lib"), ("zope.like", "zope_like"), ("Acme", "acme"), ("a-_.b", "a_b")],
)
def test_module_name_of_a_project_name(tmp_path, monkeypatch, capsys, name, module):
    monkeypatch.chdir(tmp_path)
    assert main(["new", name]) == 0
    assert (tmp_path / name / "src" / module / "__init__.py").exists()
    said = capsys.readouterr().out
    assert f"named {module}; pip treats {name} as the same name.\n" in said
    assert said.endswith(f"\n\ncd {name}\ngit init && git add .\nnox  # or: uvx --with uv nox\n")
    assert main(["new", name, f"{tmp_path}/with space/"]) == 0
    assert f"\ncd '{tmp_path}/with space'\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *(
            (invalid, "is not a valid project name")
            for invalid in ("", "a b", "acme/", "acme\n", "_acme", "acme-", "café", "\u212aelvin")
        ),
        ("3d", "begins with a digit"),
        ("class", "a keyword"),
        ("json", "the standard library"),
        ("JSON", "the standard library"),
        ("test", "the standard library"),
        ("distutils", "the standard library"),  # of 3.11
        ("annotationlib", "the standard library"),  # since 3.14
        ("print", "a built-in name"),
        ("tests", "a file or folder"),
        ("noxfile", "a file or folder"),
        ("build", "git ignores"),
        ("CON", "a device on Windows"),
        ("lpt1", "a device on Windows"),
        ("pip", "a package"),
        ("pytest", "a package"),
        ("pytest.run-parallel", "a package"),
        ("ftdemo", "a package"),
    ],
)
def test_exit_code_2_when_a_name_is_invalid(tmp_path, monkeypatch, capsys, name, reason):
    monkeypatch.chdir(tmp_path)
    assert main(["new", name]) == 2
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert line.startswith("ftdemo new: error: ")
    assert reason in line
    assert out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("full", "the folder full is not empty"),
        ("file", "cannot write to file: "),
        ("file/new", "cannot write to file/new: "),
        ("dangling", "cannot write to dangling: "),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="needs a symbolic link, and says it with slashes")
def test_exit_code_2_when_the_folder_cannot_be_used(tmp_path, monkeypatch, capsys, folder, reason):
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    Path("full/.hidden").touch()
    Path("file").touch()
    Path("dangling").symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    assert main(["new", "acme", folder]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ftdemo new: error: {reason}")
    assert sorted(tmp_path.rglob("*")) == before


def test_new_error_when_the_folder_is_not_writable(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)  # root may write anywhere
    with pytest.raises(NewError, match=r"cannot write to .*: Permission denied"):
        new_project("acme", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no executable bits")
def test_executable_bits_are_kept_and_build_output_is_not_copied(tmp_path, monkeypatch):
    new_project("acme", tmp_path / "template")
    monkeypatch.setattr(new, "_TEMPLATE", tmp_path / "template")
    (tmp_path / "template/setup.py").chmod(0o555)
    left = ["build/lib/acme.py", "src/acme/_core.so", ".nox/x", "tests/__pycache__/x.pyc"]
    for path in (tmp_path / "template" / name for name in left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert new_project("other", tmp_path / "new").files == 18
    made = [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    executable = [path.name for path in made if path.stat().st_mode & 0o100]
    assert executable == ["setup.py"]
    assert (tmp_path / "new/setup.py").stat().st_mode & 0o200  # so that it can be edited


def test_new_error_when_a_name_is_in_the_standard_library(tmp_path):
    for module in sys.stdlib_module_names:
        with pytest.raises(NewError, match=r"valid|pip|library|keyword"):
            new_project(module, tmp_path)
