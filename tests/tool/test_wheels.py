"""`ftdemo wheels`: the wheel that pip installs for each interpreter, and the expected wheels."""

import json
import zipfile
from pathlib import Path

import pytest
from wheel_files import make

from ftdemo.wheels import ContractError, WheelError, survey

pytestmark = pytest.mark.thread_unsafe(reason="tmp_path is shared")

LINUX, MUSL = "manylinux_2_28_x86_64", "musllinux_1_2_x86_64"
CELLS = """
[[cells]]
interpreters = ["cp314", "cp314t", "cp315", "cp315t"]
platforms = ["manylinux_x86_64"]

[[cells]]
interpreters = ["cp316", "cp316t"]
platforms = ["manylinux_x86_64"]
abi = "abi3.abi3t"
"""


@pytest.fixture
def wheelhouse(tmp_path):
    """A folder with the wheels that CELLS lists."""
    folder = tmp_path / "wheel house"
    for abi in ("cp314", "cp314t", "cp315", "cp315t"):
        make(folder, abi.removesuffix("t"), abi, LINUX)
    make(folder, "cp315", "abi3.abi3t", LINUX)
    return folder


@pytest.fixture
def expect(tmp_path):
    path = tmp_path / "contract.toml"
    path.write_text(CELLS)
    return str(path)


def chosen(result):
    (release,) = result["releases"]
    return {f"{cell['interpreter']}-{cell['platform']}": cell["wheel"] for cell in release["cells"]}


def test_each_interpreter_gets_the_file_that_pip_installs(wheelhouse):
    result = survey([str(wheelhouse)])
    abis = {cell.partition("-")[0]: w and w.split("-")[3] for cell, w in chosen(result).items()}
    own = {name: name for name in ("cp314", "cp314t", "cp315", "cp315t")}
    stable = dict.fromkeys(["cp316", "cp316t"], "abi3.abi3t")
    assert abis == dict.fromkeys(["cp311", "cp312", "cp313"]) | own | stable
    assert result["releases"][0]["holes"] == [f"cp31{v}-manylinux_x86_64" for v in (1, 2, 3)]
    assert result["problems"] == []


@pytest.mark.parametrize(
    ("python", "abi", "platform", "serves"),
    [
        ("cp311", "abi3", LINUX, ["cp311", "cp312", "cp313", "cp314", "cp315", "cp316"]),
        ("cp313", "cp313t", LINUX, ["cp313t"]),
        ("py3", "none", "any", ["cp311", "cp314t", "cp315t", "cp316t", "cp313t"]),
        ("cp314", "cp314", "linux_x86_64", ["cp314"]),
    ],
)
def test_tags(tmp_path, python, abi, platform, serves):
    make(tmp_path, python, abi, platform)
    found = {cell.partition("-")[0] for cell, w in chosen(survey([str(tmp_path)])).items() if w}
    assert found >= set(serves)
    if abi != "none":
        assert found == set(serves)


def test_platforms(tmp_path):
    for platform in (
        *("manylinux_2_17_aarch64.manylinux2014_aarch64", "macosx_11_0_universal2"),
        *("win_arm64", "musllinux_1_2_aarch64"),
    ):
        make(tmp_path, "cp314", "cp314", platform, "a.py")
    (release,) = survey([str(tmp_path)])["releases"]
    assert release["platforms"] == [
        *("manylinux_aarch64", "musllinux_aarch64"),
        *("macosx_arm64", "macosx_x86_64", "win_arm64"),
    ]
    filled = {cell["platform"] for cell in release["cells"] if cell["wheel"]}
    assert filled == set(release["platforms"])


def test_the_newest_platform_tag_and_the_highest_build_number_win(tmp_path):
    for platform in ("manylinux_2_17_x86_64", LINUX):
        make(tmp_path, "cp314", "cp314", platform)
    assert chosen(survey([str(tmp_path)]))["cp314-manylinux_x86_64"].endswith(f"{LINUX}.whl")
    make(tmp_path, "cp314", "cp314", LINUX, name=f"acme-1.0-2-cp314-cp314-{LINUX}.whl")
    assert "-1.0-2-" in chosen(survey([str(tmp_path)]))["cp314-manylinux_x86_64"]


def test_requires_python_excludes_interpreters(tmp_path):
    make(tmp_path, "py3", "none", "any", requires=">=3.14,<3.16")
    cells = chosen(survey([str(tmp_path)]))
    assert sorted(cells) == ["cp314-any", "cp314t-any", "cp315-any", "cp315t-any"]


def test_exit_code_0_when_no_wheel_is_missing(fresh_python, wheelhouse, expect):
    done = fresh_python("-m", "ftdemo", "wheels", str(wheelhouse), "--expect", expect)
    assert (done.returncode, done.stderr) == (0, "")
    assert "a wheel for every interpreter and platform" in done.stdout
    assert "3.15t  cp315t [4]" in done.stdout


def kinds(wheelhouse, expect):
    return [(p["kind"], p["subject"]) for p in survey([str(wheelhouse)], expect)["problems"]]


def test_exit_code_1_when_a_wheel_is_missing(fresh_python, wheelhouse, expect):
    """Although the interpreter could load the wheel for the stable ABI."""
    (wheelhouse / f"acme-1.0-cp315-cp315t-{LINUX}.whl").unlink()
    done = fresh_python("-m", "ftdemo", "wheels", "--json", str(wheelhouse), "--expect", expect)
    assert done.returncode == 1
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["kind"], problem["subject"]) == ("hole", "cp315t-manylinux_x86_64")
    assert "abi3.abi3t" in problem["detail"]


def test_exit_code_3_when_there_is_no_wheel(fresh_python, tmp_path, expect):
    (tmp_path / "empty").mkdir()
    assert fresh_python("-m", "ftdemo", "wheels", str(tmp_path / "empty")).returncode == 3
    assert len(kinds(tmp_path / "empty", expect)) == 6


def test_a_renamed_wheel_is_a_tag_problem(wheelhouse, expect):
    wheel = wheelhouse / f"acme-1.0-cp315-cp315-{LINUX}.whl"
    wheel.rename(wheelhouse / f"acme-1.0-cp315-cp315-{MUSL}.whl")
    assert {kind for kind, _ in kinds(wheelhouse, expect)} == {"tag", "hole", "extra"}


@pytest.mark.parametrize("tag", [("cp314", "cp314", "win32"), ("cp313", "cp313t", LINUX)])
def test_an_extra_wheel_is_a_problem(wheelhouse, expect, tag):
    extra = make(wheelhouse, *tag, "acme.py")
    assert kinds(wheelhouse, expect) == [("extra", extra.name)]


def test_wheels_of_two_releases_are_a_problem_if_one_is_expected(wheelhouse, expect):
    make(wheelhouse, "cp314", "cp314", LINUX, version="1.1")
    assert ("extra", "acme 1.0, acme 1.1") in kinds(wheelhouse, expect)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("acme/native.c", "sources"),
        ("acme/include/native.h", "sources"),
        ("acme/fast.pyx", "sources"),
        ("acme/tests/__init__.py", "tests"),
        ("tests/test_all.py", "tests"),
        ("acme/conftest.py", "tests"),
    ],
)
def test_sources_and_tests_in_a_wheel_are_problems(wheelhouse, expect, file, kind):
    wheel = wheelhouse / f"acme-1.0-cp314-cp314-{LINUX}.whl"
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(file, "")
    assert set(kinds(wheelhouse, expect)) == {(kind, wheel.name)}
    assert survey([str(wheelhouse)])["problems"] == []  # allowed, unless wheels are expected
    Path(expect).write_text(f'allow = ["{file}"]\n' + CELLS)
    assert kinds(wheelhouse, expect) == []


@pytest.mark.parametrize(
    ("python", "abi", "platform", "file"),
    [
        ("cp314", "cp314t", LINUX, "a.cpython-314-x86_64-linux-gnu.so"),
        ("cp314", "cp314", LINUX, "a.cpython-314t-x86_64-linux-gnu.so"),
        ("cp314", "cp314t", LINUX, "a.abi3.so"),
        ("cp314", "cp314", LINUX, "a.abi3t.so"),  # 3.14 does not search for this suffix
        ("cp315", "abi3.abi3t", LINUX, "a.abi3.so"),
        ("cp315", "abi3.abi3t", LINUX, "a.cpython-315t-x86_64-linux-gnu.so"),
        ("cp311", "abi3", LINUX, "a.cpython-311-x86_64-linux-gnu.so"),
        ("py3", "none", "any", "a.cpython-314-x86_64-linux-gnu.so"),
        ("cp314", "cp314t", "win_amd64", "a.cp314-win_amd64.pyd"),
        ("cp314", "cp314", "win_arm64", "a.cp314-win_amd64.pyd"),
        ("cp314", "cp314", "manylinux_2_28_aarch64", "a.cpython-314-x86_64-linux-gnu.so"),
    ],
)
def test_a_tag_that_does_not_match_the_contents_is_a_problem(tmp_path, python, abi, platform, file):
    wheel = make(tmp_path, python, abi, platform, file)
    problems = survey([str(tmp_path)])["problems"]
    assert {(problem["kind"], problem["subject"]) for problem in problems} == {("tag", wheel.name)}
    assert all(problem["detail"].startswith(file) for problem in problems)


@pytest.mark.parametrize(
    ("python", "abi", "platform", "files"),
    [
        ("cp314", "cp314t", "win_amd64", ["a.cp314t-win_amd64.pyd"]),
        ("cp314", "cp314", "macosx_11_0_arm64", ["a.cpython-314-darwin.so", "b.so"]),
        ("cp315", "abi3.abi3t", "win_amd64", ["a.abi3t.pyd"]),
        ("cp314", "cp314", LINUX, ["acme.libs/libx-1.so", "libz.so.2", "a.abi3.so"]),
        ("py3", "none", LINUX, ["lib.so"]),
    ],
)
def test_tags_that_match_the_contents_are_no_problem(tmp_path, python, abi, platform, files):
    make(tmp_path, python, abi, platform, *files)
    assert survey([str(tmp_path)])["problems"] == []


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ("", r"one table \[\[cells\]\]"),
        ("[[cells]]\ninterpreters = []\nplatforms = ['any']", "interpreters must be a list"),
        ("[[cells]]\ninterpreters = ['3.14t']\nplatforms = ['any']", "write one as 'cp314t'"),
        ("[[cells]]\ninterpreters = ['cp314']\nplatform = ['any']", "unknown key 'platform'"),
        (
            "[[cells]]\ninterpreters = ['cp314', 'cp314']\nplatforms = ['any']",
            "listed twice: cp314-any",
        ),
        ("cells = 3", r"\[\[cells\]\]"),
        ("[[cells", "contract.toml"),
    ],
)
def test_exit_code_2_when_the_list_of_expected_wheels_is_invalid(
    fresh_python, wheelhouse, expect, contract, message
):
    Path(expect).write_text(contract)
    with pytest.raises(ContractError, match=message):
        survey([str(wheelhouse)], expect)
    done = fresh_python("-m", "ftdemo", "wheels", str(wheelhouse), "--expect", expect)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ftdemo wheels: error: ")


@pytest.mark.parametrize("name", ["acme.whl", "acme-1.0-py3-none-any.whl", "none-there"])
def test_wheel_error_when_a_file_is_not_a_wheel(tmp_path, name):
    if name.endswith(".whl"):
        (tmp_path / name).write_text("no archive")
    with pytest.raises(WheelError):
        survey([str(tmp_path / name)])
