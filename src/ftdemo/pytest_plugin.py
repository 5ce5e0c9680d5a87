"""A pytest plugin, which does nothing unless one of its options is given.

`pytest --ftdemo-check=TARGET` adds one test per extension module of TARGET. A test fails if
importing the module enables the GIL, or if there is no verdict. `pytest --ftdemo-stress=TARGET`
adds one test per extension type. A test fails if `ftdemo stress` has a finding on the type.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ftdemo import stress
from ftdemo.check import ModuleResult, TargetError, check
from ftdemo.stress import report, settings


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ftdemo")
    group.addoption(
        "--ftdemo-stress",
        action="append",
        default=[],
        metavar="TARGET",
        help="add one test per extension type of TARGET, which lets threads share its objects for "
        "ten seconds; may be repeated",
    )
    group.addoption(
        "--ftdemo-check",
        action="append",
        default=[],
        metavar="TARGET",
        help="add one test per extension module of TARGET (an installed distribution, a package, "
        "a module or a wheel), which checks that importing it keeps the GIL off; may be repeated",
    )


ITEMS = pytest.StashKey[list[pytest.Item]]()


class GilItem(pytest.Item):
    """The test of one extension module; running it reports a verdict that is already known."""

    _parallel_custom_item = True  # pytest-run-parallel: do not run in threads, do not warn

    def __init__(self, *, result: ModuleResult, **arguments: object) -> None:
        super().__init__(**arguments)  # type: ignore[arg-type]
        self.result = result
        self.add_marker(pytest.mark.ftdemo_check)

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


class GilCollector(pytest.Collector):
    """One target of --ftdemo-check."""

    def collect(self) -> Iterator[GilItem]:
        try:
            result = check([self.name])
        except TargetError as error:
            raise pytest.UsageError(str(error)) from error
        for module in result["targets"][0]["modules"]:
            yield GilItem.from_parent(self, name=module["name"], result=module)


class StressItem(pytest.Item):
    """The test of one extension type, or of the functions of one module."""

    _parallel_custom_item = True

    def __init__(self, **arguments: object) -> None:
        super().__init__(**arguments)  # type: ignore[arg-type]
        self.add_marker(pytest.mark.ftdemo_stress)

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


class StressCollector(pytest.Collector):
    """One target of --ftdemo-stress."""

    def collect(self) -> Iterator[StressItem]:
        try:
            names = stress.list_types(self.name)
        except TargetError as error:
            raise pytest.UsageError(str(error)) from error
        for name in names:
            yield StressItem.from_parent(self, name=name)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ftdemo_stress: a test that --ftdemo-stress added")
    config.addinivalue_line("markers", "ftdemo_check: a test that --ftdemo-check added")


def pytest_collection(session: pytest.Session) -> None:
    """Check the targets before pytest collects and imports tests."""
    items: list[pytest.Item] = []
    for target in dict.fromkeys(session.config.getoption("ftdemo_check")):
        collector = GilCollector.from_parent(session, name=target, nodeid=f"ftdemo-check::{target}")
        items += collector.collect()
    for target in dict.fromkeys(session.config.getoption("ftdemo_stress")):
        node = f"ftdemo-stress::{target}"
        items += StressCollector.from_parent(session, name=target, nodeid=node).collect()
    session.config.stash[ITEMS] = items


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Append the added tests to those that pytest collected."""
    added: list[pytest.Item] = config.stash[ITEMS]
    items += added
