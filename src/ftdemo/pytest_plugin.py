"""A pytest plugin, which does nothing unless one of its options is given.

`pytest --ftdemo-check=TARGET` adds one test per extension module of TARGET. A test fails if
importing the module enables the GIL, or if there is no verdict. `pytest --ftdemo-stress=TARGET`
adds one test per extension type. A test fails if `ftdemo stress` has a finding on the type.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftdemo import stress
from ftdemo.check import ModuleResult, TargetError, check
from ftdemo.stress import report, settings


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.getgroup("ftdemo").addoption
    what = "TARGET (a distribution, a package, a module or a wheel); may be repeated"
    several: dict[str, Any] = {"action": "append", "default": [], "metavar": "TARGET"}
    about = f"add one test per extension module of {what}: importing it must keep the GIL off"
    add("--ftdemo-check", **several, help=about)
    about = f"add one test per extension type of {what}: threads share its objects for ten seconds"
    add("--ftdemo-stress", **several, help=about)


ITEMS = pytest.StashKey[list[pytest.Item]]()


class GilItem(pytest.Item):
    """The test of one extension module; running it reports a verdict that is already known."""

    _parallel_custom_item = True  # pytest-run-parallel: do not run in threads, do not warn
    result: ModuleResult

    def runtest(self) -> None:
        culprits = ", ".join(self.result["culprits"])
        match self.result["verdict"]:
            case "skip":
                pytest.skip(self.result["detail"])
            case "fail":
                detail = self.result["detail"]
                words = f"importing it enables the GIL, because of {culprits}" if culprits else ""
                pytest.fail(f"{words}; {detail}".strip("; "), pytrace=False)
            case "error":
                pytest.fail(f"no verdict: {self.result['detail']}", pytrace=False)

    def reportinfo(self) -> tuple[str, None, str]:
        return "ftdemo-check", None, f"import of {self.name}"


class StressItem(pytest.Item):
    """The test of one extension type, or of the functions of one module."""

    _parallel_custom_item = True

    def runtest(self) -> None:
        configured = settings.read(Path(self.config.rootpath))
        result = stress.stress([self.name], factories=configured.factories, allow=configured.allow)
        wrong = [finding for finding in result["findings"] if not finding["allowed"]]
        if wrong:
            pictures = ["\n".join(report.picture(finding)) for finding in wrong]
            pytest.fail("\n\n".join(pictures), pytrace=False)
        if not result["summary"]["meetings"]:
            skipped = [skip["why"] for each in result["types"] for skip in each["skipped"]]
            pytest.skip(skipped[0] if skipped else "nothing to test")

    def reportinfo(self) -> tuple[str, None, str]:
        return "ftdemo-stress", None, f"stress of {self.name}"


def pytest_configure(config: pytest.Config) -> None:
    for command in ("check", "stress"):
        line = f"ftdemo_{command}: a test that --ftdemo-{command} added"
        config.addinivalue_line("markers", line)


def make_items(session: pytest.Session) -> Iterator[pytest.Item]:
    """Check the targets of --ftdemo-check, and find the types of those of --ftdemo-stress."""
    for target in dict.fromkeys(session.config.getoption("ftdemo_check")):
        for module in check([target])["targets"][0]["modules"]:
            nodeid = f"ftdemo-check::{target}::{module['name']}"
            item = GilItem.from_parent(session, name=module["name"], nodeid=nodeid)
            item.result = module
            item.add_marker(pytest.mark.ftdemo_check)
            yield item
    for target in dict.fromkeys(session.config.getoption("ftdemo_stress")):
        for name in stress.list_types(target):
            nodeid = f"ftdemo-stress::{target}::{name}"
            driven = StressItem.from_parent(session, name=name, nodeid=nodeid)
            driven.add_marker(pytest.mark.ftdemo_stress)
            yield driven


def pytest_collection(session: pytest.Session) -> None:
    """Make the tests before pytest collects and imports others."""
    try:
        items: list[pytest.Item] = list(make_items(session))
    except TargetError as error:
        raise pytest.UsageError(str(error)) from error
    session.config.stash[ITEMS] = items


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Append the added tests to those that pytest collected."""
    made: list[pytest.Item] = config.stash[ITEMS]
    items += made
