"""A pytest plugin, off unless asked for.

`pytest --ftdemo-check=TARGET` adds a test for each extension module of TARGET; each fails whose
import brings the GIL back, or cannot be judged. `pytest --ftdemo-stress=TARGET` adds a test for
each extension type; each fails whose objects go wrong when threads share them.
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
        help="add a test for each extension type of TARGET that threads may share its objects; "
        "ten seconds each; may be repeated",
    )
    group.addoption(
        "--ftdemo-check",
        action="append",
        default=[],
        metavar="TARGET",
        help="add a test that importing each extension module of TARGET (an installed "
        "distribution, a package, a module or a wheel) keeps the GIL off; may be repeated",
    )


ITEMS = pytest.StashKey[list[pytest.Item]]()


class GilItem(pytest.Item):
    """The test of one extension module: its verdict is known, and raised when the test runs."""

    _parallel_custom_item = True  # for pytest-run-parallel: not to be run in threads, no warning

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
                blame = f"turned on by {culprits}" if culprits else ""
                pytest.fail(f"the GIL came on: {blame}; {detail}".rstrip("; "), pytrace=False)
            case "error":
                pytest.fail(f"no verdict: {self.result['detail']}", pytrace=False)

    def reportinfo(self) -> tuple[str, None, str]:
        return "ftdemo-check", None, f"import of {self.name}"


class GilCollector(pytest.Collector):
    """One target."""

    def collect(self) -> Iterator[GilItem]:
        try:
            result = check([self.name])
        except TargetError as error:
            raise pytest.UsageError(str(error)) from error
        for module in result["targets"][0]["modules"]:
            yield GilItem.from_parent(self, name=module["name"], result=module)


class StressItem(pytest.Item):
    """The test of one extension type, or of the functions of a module."""

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
            pytest.skip(skipped[0] if skipped else "nothing to drive")

    def reportinfo(self) -> tuple[str, None, str]:
        return "ftdemo-stress", None, f"stress of {self.name}"


class StressCollector(pytest.Collector):
    """One target."""

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
    """Check the targets before anything else is collected, or imported."""
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
    """Add the tests after those that pytest found itself."""
    added: list[pytest.Item] = config.stash[ITEMS]
    items += added
