"""A package of types that race when threads share an object, and of types that only seem to.

UNSAFE has, for each type or function of racing.unsafe, the kinds of findings that `ftdemo stress`
may report. SAFE has, for each of racing.safe, why it is hard to judge, and the operations that must
be listed as not tested. Both also have calls for threads, and a condition that is true after them
if there is no race: by_hand.py makes these calls, using only threading. The package needs Python
3.13.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Unsafe:
    """make creates o, and each thread makes one of calls, once. All of them can use x, a Shared.

    right is a condition on o, x and the results r. It is true after the calls in any order. If
    there is no condition, no result is checked.
    """

    kinds: frozenset[str]  # each of them is correct, and more than one may be reported
    make: str
    calls: tuple[str, ...]  # one thread each
    right: str = ""
    allowed: bool = False  # by its doc
    hard: str = ""


@dataclass(frozen=True)
class Safe:
    """As above. Here, right is always true; calls contains no operation that is in aside."""

    hard: str
    make: str
    calls: tuple[str, ...]
    right: str = "True"
    aside: dict[str, str] = field(default_factory=dict)  # a call, and one of REASONS


def kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


WRONG = kinds("not-atomic")
# Memory that is used after it has been freed need not crash at once.
BAD_MEMORY = kinds("crash", "broken", "hang")
WRONG_OR_CRASH = kinds("not-atomic", *BAD_MEMORY)
HANG = kinds("hang")

UNSAFE = {
    # Numbers
    "PlainIncrement": Unsafe(
        WRONG, "PlainIncrement()", ("o.add(1)",) * 2, "o.value() == 2", hard="not widened"
    ),
    "MadeByMethod": Unsafe(
        WRONG,
        "MadeByMethod.now()",
        ("o.add(1)",) * 2,
        "o.value() == 2",
        hard="only a class method makes one, and its __module__ is builtins",
    ),
    "NumbersCalls": Unsafe(WRONG, "NumbersCalls()", ("o()",) * 2, "sorted(r) == [1, 2]"),
    "InplaceAdd": Unsafe(WRONG, "InplaceAdd()", ("o += 1",) * 2, "int(o) == 2"),
    "ChecksThenActs": Unsafe(WRONG, "ChecksThenActs()", ("o.withdraw(1)",) * 2, "o.balance == 0"),
    "LastItem": Unsafe(
        WRONG,
        "(lambda o: (o.push(1), o)[1])(LastItem())",
        ("o.pop()",) * 2,
        "sum(type(one) is int for one in r) == 1",
        hard="fails on a new object: another call must come first",
    ),
    "UnitedSets": Unsafe(
        WRONG,
        "UnitedSets(8)",
        ("o.unite(1, 3)",) * 2,
        "sorted(r) == [False, True]",
        hard="the smallest argument that works makes an object that cannot race",
    ),
    "Listeners": Unsafe(
        WRONG,
        "Listeners(size=4)",
        ("o.connect(print)",) * 2,
        "sorted(r) == [False, True]",
        hard="a required keyword; both threads must pass the same callable",
    ),
    "Jobs": Unsafe(
        WRONG,
        "(lambda o: (o.submit(1), o)[1])(Jobs(limit=8))",
        ("o.run(b'a')",) * 2,
        "sum(one is None for one in r) == 1",
        hard="on a new object, any argument fits and nothing happens; only an error names limit",
    ),
    "Lazy": Unsafe(
        WRONG,
        "Lazy(object)",
        ("o.get()",) * 2,
        "r[0] is r[1]",
        hard="a factory that returns None hides it",
    ),
    "Named": Unsafe(
        BAD_MEMORY,
        "Named()",
        ("o.set('a', [object()])", "o.line('a')"),
        hard="no call without arguments shows that set() changes something",
    ),
    "Query": Unsafe(
        WRONG,
        "Query()",
        ("o.where('a', 1)", "o.where('b', 2)"),
        "o.terms() in [(['a', 'b'], [1, 2]), (['b', 'a'], [2, 1])]",
        hard="only two calls that differ in both arguments show it",
    ),
    "Cursor": Unsafe(
        WRONG,
        "Cursor(Table(1))",
        ("o.fetch()",) * 2,
        "set(r) == {0, None}",
        hard="only an error names the type that its constructor needs",
    ),
    "Watchers": Unsafe(
        WRONG,
        "[o := Watchers(), [o.add(each) for each in (int, str, float, repr)]][0]",
        ("o.tell(1)", "o.remove(int)"),
        "len(r[0]) == 4 or r[0] == ['1', 1.0, '1']",
        hard="an object with one callback has none to skip",
    ),
    "Digits": Unsafe(
        WRONG,
        "Digits('1.5')",
        ("o.sum()",) * 2,
        "r == [6, 6]",
        hard="only the first call on an object races, and only for a text with digits",
    ),
    "TornPair": Unsafe(WRONG, "TornPair()", ("o.fill(1)", "o.read()"), "r[1] in {(0, 0), (1, 1)}"),
    "TornAttribute": Unsafe(
        WRONG, "TornAttribute()", ("o.both = 1", "o.both = 2"), "o.both in {(1, 1), (2, 2)}"
    ),
    "TwoLocks": Unsafe(
        WRONG,
        "TwoLocks()",
        ("o.add()", "o.clear()"),
        "(*r, o.clear()) in {(1, 1, 0), (1, 0, 1)}",
        hard="two different operations only",
    ),
    "WrongSum": Unsafe(
        WRONG, "WrongSum()", ("o.up_to(5)",) * 2, "r == [15, 15]", hard="no state that shows"
    ),
    "LazyHash": Unsafe(WRONG, "LazyHash()", ("hash(o)",) * 2, "r == [hash(o)] * 2"),
    "ContextDepth": Unsafe(WRONG, "ContextDepth()", ("with o: pass",) * 2, "o.depth == 0"),
    "ReservesThenCommits": Unsafe(
        WRONG,
        "ReservesThenCommits()",
        ("o.reserve(); o.commit()",) * 2,
        "o.committed == 2",
        hard="two calls in each of two threads",
    ),
    "RoomForTwo": Unsafe(
        WRONG, "RoomForTwo()", ("o.visit()",) * 3, "r == [True] * 3", hard="three threads"
    ),
    "SeatsForTwo": Unsafe(kinds("crash"), "SeatsForTwo()", ("o.sit()",) * 3, hard="three threads"),
    "OnlyDataRace": Unsafe(
        kinds("data-race"),
        "OnlyDataRace()",
        ("o.touch()",) * 2,
        "True",
        hard="only ThreadSanitizer can see it: elsewhere there must be no finding",
    ),
    # Text
    "StaticRepr": Unsafe(
        WRONG, "StaticRepr()", ("repr(o)",) * 2, "r == ['<StaticRepr>'] * 2", hard="only repr"
    ),
    "LazyList": Unsafe(
        kinds("not-atomic", "broken"), "LazyList()", ("o.append(1)", "o.append(2)"), "len(o) == 2"
    ),
    "LazyPart": Unsafe(
        kinds("not-atomic", "broken"),
        "LazyPart()",
        ("o.part()",) * 2,
        "r[0] is r[1]",
        hard="results differ in their identity alone",
    ),
    "ForgetsText": Unsafe(BAD_MEMORY, "ForgetsText()", ("o.text()", "o.forget()")),
    # Memory
    "GrowingArray": Unsafe(
        WRONG_OR_CRASH, "GrowingArray()", ("o.append(1)", "o.append(2)"), "len(o) == 2"
    ),
    "FreedWhileRead": Unsafe(
        WRONG_OR_CRASH, "FreedWhileRead()", ("o.replace()", "o.sum()"), "r[1] == 100"
    ),
    "ResizesExported": Unsafe(
        WRONG_OR_CRASH, "ResizesExported()", ("o.view()",) * 2, "o.exports == 2"
    ),
    # References
    "UnlockedStack": Unsafe(
        WRONG_OR_CRASH,
        "UnlockedStack()",
        ("o.pop()",) * 2,
        "sorted(r) == [b'item 1', b'item 2']",
    ),
    "ObjectField": Unsafe(WRONG_OR_CRASH, "ObjectField()", ("o.value = 1", "str(o.value)")),
    "ItemSlots": Unsafe(
        WRONG_OR_CRASH,
        "ItemSlots()",
        ("o[0] = Shared()", "type(o[0]).__name__"),
        hard="only items that are not immortal, as small ints are",
    ),
    "BorrowingCache": Unsafe(
        WRONG_OR_CRASH,
        "BorrowingCache()",
        ("o.put(1)", "str(o.get(1))"),
        hard="only where a thread drops a value that it has put itself:"
        " a decref by another thread is put off until the owner's next safe moment",
    ),
    "LeaksMemory": Unsafe(
        kinds("broken"), "LeaksMemory()", ("o.refresh()",) * 2, hard="memory is all that is lost"
    ),
    "Squares": Unsafe(
        kinds("broken"), "Squares()", ("o.of(2)",) * 2, hard="memory of C is all that is lost"
    ),
    "LeaksReference": Unsafe(
        kinds("broken"),
        "LeaksReference()",
        ("o.hold(x)",) * 2,
        hard="a reference to the argument is all that is lost",
    ),
    # Containers and iterators
    "HandsOutTwice": Unsafe(WRONG, "HandsOutTwice()", ("next(o)",) * 2, "sorted(r) == [0, 1]"),
    "ShelfReader": Unsafe(
        WRONG,
        "Shelf().reader()",
        ("next(o)",) * 2,
        "sorted(r) == ['a', 'b']",
        hard="only Shelf().reader() makes one",
    ),
    "CountedMapping": Unsafe(
        WRONG, "CountedMapping()", ("o[1] = 1",) * 2, "len(o) == 1", hard="not widened"
    ),
    "MovesToFront": Unsafe(
        WRONG,
        "MovesToFront()",
        ("1 in o", "2 in o"),
        "sorted(o.items()) == [*range(8)]",
        hard="what writes looks like a read",
    ),
    # Two objects
    "NestedSections": Unsafe(
        WRONG,
        "NestedSections(), NestedSections()",
        ("o[0].take(o[1])", "o[1].take(o[0])"),
        "sorted([o[0].n, o[1].n]) == [0, 2]",
        hard="two objects, in both directions",
    ),
    "OppositeOrder": Unsafe(
        HANG,
        "OppositeOrder(), OppositeOrder()",
        ("o[0].give(o[1])", "o[1].give(o[0])"),
        hard="two objects, in both directions",
    ),
    "OppositeEquality": Unsafe(
        HANG,
        "OppositeEquality(), OppositeEquality()",
        ("o[0] == o[1]", "o[1] == o[0]"),
        hard="an operator on two objects, in both directions",
    ),
    # What objects share
    "NumbersObjects": Unsafe(
        WRONG,
        "None",
        ("NumbersObjects().number",) * 2,
        "r[0] != r[1]",
        hard="only the constructor races; never the same number twice",
    ),
    "OneForEach": Unsafe(
        kinds("not-atomic", "broken"),
        "None",
        ("OneForEach(x)",) * 2,
        "r[0] is r[1]",
        hard="only the constructor races, on a key that is new",
    ),
    "TornSides": Unsafe(
        WRONG,
        "TornSides()",
        ("o.set(1)", "o.set(3)"),
        "(o.width, o.height) in {(1, 2), (3, 6)}",
        hard="no one operation shows both numbers",
    ),
    "Tap": Unsafe(
        WRONG,
        "(lambda barrel: (barrel.tap(), barrel.tap()))(Barrel())",
        ("next(o[0])", "next(o[1])"),
        "sorted(r) == [0, 1]",
        hard="two objects that a third one has made",
    ),
    # What goes wrong in other ways
    "LostWakeup": Unsafe(HANG, "LostWakeup()", ("o.use()",) * 2, hard="no lock that one can see"),
    "NullWithoutException": Unsafe(
        kinds("broken", "not-atomic"), "NullWithoutException()", ("o.use()",) * 2
    ),
    "ReturnsInSection": Unsafe(
        kinds("crash", "hang", "broken"), "ReturnsInSection()", ("o.use()",) * 2
    ),
    "DocumentedCompatible": Unsafe(
        WRONG, "DocumentedCompatible()", ("o.add()",) * 2, "sorted(r) == [1, 2]", allowed=True
    ),
    "DocumentedMethods.rough": Unsafe(
        WRONG, "DocumentedMethods()", ("o.rough()",) * 2, "sorted(r) == [1, 2]", allowed=True
    ),
    "DocumentedMethods.exact": Unsafe(
        WRONG, "DocumentedMethods()", ("o.exact()",) * 2, "sorted(r) == [1, 2]"
    ),
    "DocumentedCrash": Unsafe(
        BAD_MEMORY, "DocumentedCrash()", ("o.renew()",) * 2, hard="a crash is never allowed"
    ),
    # Functions of the module
    "bump": Unsafe(WRONG, "Box()", ("bump(o)",) * 2, "o.get() == 3", hard="a shared argument"),
    "transfer": Unsafe(
        HANG,
        "Box(), Box()",
        ("transfer(o[0], o[1])", "transfer(o[1], o[0])"),
        hard="two shared arguments, in both directions",
    ),
    "count_in": Unsafe(
        WRONG, "{}", ("count_in(o)",) * 2, "o == {'count': 2}", hard="the argument is a dict"
    ),
    "in_words": Unsafe(
        WRONG,
        "None",
        ("in_words(1)", "in_words(3)"),
        "r == ['one', 'three']",
        hard="nothing is shared; arguments must differ",
    ),
    "square": Unsafe(
        WRONG,
        "square(3)",
        ("forget_squares()", "square(3)"),
        "r[1] == 9",
        hard="the state is static: two functions, no object",
    ),
    "name_number": Unsafe(
        WRONG,
        "str(__import__('time').perf_counter_ns())",
        ("name_number(o)",) * 2,
        "r[0] == r[1]",
        hard="the state is the module's: the name must be new in each meeting",
    ),
    "inside": Unsafe(
        WRONG,
        "None",
        ("inside()",) * 2,
        "r == [1, 1]",
        hard="static: after a race, it returns wrong numbers in one thread too",
    ),
    "serial_number": Unsafe(
        WRONG,
        "None",
        ("serial_number()",) * 2,
        "r[0] != r[1]",
        hard="static: never the same result twice, so the results are masked",
    ),
}

# Types of racing.unsafe for which there is no finding, and why.
UNSAFE_SILENT = {
    "Box": "safe; bump and transfer are not",
    "Shelf": "safe; its reader is not",
    "Barrel": "safe; two of its taps are not",
    "DocumentedIncompatible": "not called, because its docstring says that it is incompatible",
}

WAITS = "waits for ever in one thread"
ENDS = "ends the process"
FORKS = "forks, and both processes continue"
SPAWNS = "starts a process"
CRASHES = "crashes in one thread"
CRASHES_IN_TURN = "crashes when threads take turns"
BROKEN = "SystemError in one thread"
LEAKS = "leaks in one thread"
UNMADE = "no object can be created"
REASONS = (WAITS, ENDS, FORKS, SPAWNS, CRASHES, CRASHES_IN_TURN, BROKEN, LEAKS, UNMADE)

SAFE = {
    # Results that vary
    "LockedTickets": Safe(
        "results depend on the order", "LockedTickets()", ("o.take()",) * 2, "sorted(r) == [1, 2]"
    ),
    "AtomicTickets": Safe(
        "an atomic instead of a lock", "AtomicTickets()", ("o.take()",) * 2, "sorted(r) == [1, 2]"
    ),
    "RandomValues": Safe("never the same result twice", "RandomValues()", ("o.random()",) * 2),
    "RareValues": Safe("a different result in one of 500 calls", "RareValues()", ("o.rare()",) * 2),
    "FailsAtRandom": Safe(
        "one of four exceptions in half of all calls", "FailsAtRandom()", ("o.attempt()",) * 2
    ),
    "TimeStamps": Safe(
        "the time; an age that is nearly always 0", "TimeStamps()", ("o.now()", "o.age()")
    ),
    "AddressInRepr": Safe(
        "addresses in results", "AddressInRepr()", ("repr(o)", "o.address()"), "r[1] == id(o)"
    ),
    "FreshObjects": Safe(
        "a new object each time, unlike LazyPart",
        "FreshObjects()",
        ("o.make()", "o.make()", "o.copy()"),
        "r[0] is not r[1]",
    ),
    "ThreadIdentity": Safe(
        "depends on the thread", "ThreadIdentity()", ("o.ident()",) * 2, "r[0] != r[1]"
    ),
    "LastError": Safe(
        "the state is per thread, and the same for all objects",
        "LastError()",
        ("o.fail(1); return o.last()", "o.fail(2); return o.last()"),
        "r == [1, 2]",
    ),
    "CountsAllCalls": Safe(
        "one counter for all objects; a str for each 1000th result",
        "CountsAllCalls()",
        ("o.call()",) * 2,
        "r[0] != r[1]",
    ),
    "HashOrder": Safe(
        "a set, and a list in the order of addresses",
        "HashOrder()",
        ("o.names()", "o.listed()"),
        "r[0] == set('abcde') and sorted(r[1]) == [*range(8)]",
    ),
    "ReferenceCount": Safe(
        "counts the references that the driver has", "ReferenceCount()", ("o.references()",) * 2
    ),
    "UnequalToItself": Safe(
        "nan, and an object whose == is always False",
        "UnequalToItself()",
        ("o.nan()", "o.self()"),
        "r[0] != r[0] and r[1] is o",
    ),
    "NotToBeLookedAt": Safe(
        "repr, hash and == of a result raise", "NotToBeLookedAt()", ("o.another()",) * 2
    ),
    "BoundlessResults": Safe(
        "a list that contains itself, one of 100,000 items, an iterator of iterators",
        "BoundlessResults()",
        ("o.itself()", "o.long()", "next(o)"),
        "r[0][0] is r[0] and len(r[1]) == 100000",
    ),
    "NeverEnds": Safe(
        "an iterator without end", "NeverEnds()", ("next(o)",) * 2, "sorted(r) == [0, 1]"
    ),
    # Containers, locks, references
    "SwapsLocked": Safe(
        "two objects, in both directions; also one with itself",
        "SwapsLocked(), SwapsLocked()",
        ("o[0].take(o[1])", "o[1].take(o[0])"),
        "sorted([o[0].n, o[1].n]) == [0, 2]",
    ),
    "RaisesWhenChanged": Safe(
        "RuntimeError if another thread changes the list during list(o), which is many operations",
        "RaisesWhenChanged()",
        ("o.append(1)", "list(o)"),
        "r[1] in ([], [1]) or isinstance(r[1], RuntimeError)",
    ),
    "GrowsByDesign": Safe(
        "memory grows without end, in one thread too",
        "GrowsByDesign()",
        ("o.append(bytes(100))",) * 2,
        "len(o) == 2",
    ),
    "CallsBack": Safe(
        "calls Python code, without a lock",
        "CallsBack()",
        ("o.append(1)", "o.apply(id)"),
        "r[1] in {0, 1}",
    ),
    "WeaklyReferenced": Safe(
        "a weak reference, which is cleared when its object dies",
        "WeaklyReferenced()",
        ("o.ref()",) * 2,
        "r[0]() is r[1]() is o",
    ),
    "BlockingQueue": Safe(
        "get() returns only if put() is called before or at the same time",
        "BlockingQueue()",
        ("o.put(1)", "o.get()"),
        "r[1] == 1",
        {"o.get()": WAITS},
    ),
    "ExportsLocked": Safe(
        "BufferError while a result is alive",
        "ExportsLocked()",
        ("o.view()", "o.resize(5)"),
        "isinstance(r[1], BufferError) or bytes(r[0]) in {b'', b'xxxxx'}",
    ),
    "TryLock": Safe(
        "release() raises if no thread holds the lock",
        "TryLock()",
        ("o.acquire()", "o.release()"),
        "r[0] is True and (r[1] is None or isinstance(r[1], RuntimeError))",
    ),
    "RefusesWhenBusy": Safe(
        "RuntimeError if another thread is inside, with no other effect",
        "RefusesWhenBusy()",
        ("o.use()",) * 2,
        "any(isinstance(one, RuntimeError) for one in r) or sorted(r) == [1, 2]",
    ),
    "NumbersSafely": Safe(
        "the constructor counts with an atomic",
        "None",
        ("NumbersSafely().number",) * 2,
        "r[0] != r[1]",
    ),
    "BlockingLock": Safe(
        "the second acquire() waits, so threads that take turns wait for ever",
        "BlockingLock()",
        ("o.acquire(); o.release()",) * 2,
        aside={"o.acquire(); o.acquire()": WAITS},
    ),
    "Rendezvous": Safe(
        "returns only if two threads call it at the same time: in no order do both calls end",
        "Rendezvous()",
        ("o.meet()",) * 2,
        aside={"o.meet()": WAITS},
    ),
    # What takes long, waits, or ends
    "TakesLong": Safe(
        "1 ms of work, 10 ms of sleep", "TakesLong()", ("o.work()", "o.sleep()"), "sum(r) == 3"
    ),
    "WaitsForEver": Safe(
        "waits for a lock that nobody releases",
        "WaitsForEver()",
        ("o.count()",) * 2,
        "sorted(r) == [1, 2]",
        {"o.wait()": WAITS},
    ),
    "WaitsAttached": Safe(
        "spins for ever, attached, so that no thread can stop the world",
        "WaitsAttached()",
        ("o.count()",) * 2,
        "sorted(r) == [1, 2]",
        {"o.wait()": WAITS},
    ),
    "EndsProcess": Safe(
        "exit status 0 at once, SIGABRT, SystemExit, an interrupt",
        "EndsProcess()",
        ("o.count()",) * 2,
        "sorted(r) == [1, 2]",
        {"o.at_once()": ENDS, "o.abort()": CRASHES, "o.quit()": ENDS, "o.interrupt()": ENDS},
    ),
    "CrashesAlone": Safe(
        "a bug, but no race",
        "CrashesAlone()",
        ("o.count()",) * 2,
        "sorted(r) == [1, 2]",
        {"o.crash()": CRASHES},
    ),
    "CrashesSecondTime": Safe(
        "a bug, but no race: one call is fine",
        "CrashesSecondTime()",
        (),
        aside={"o.use(); o.use()": CRASHES},
    ),
    "CrashesElsewhere": Safe(
        "a bug, but no race: only the thread that made it may use it",
        "CrashesElsewhere()",
        (),
        aside={"o.use()": CRASHES_IN_TURN},
    ),
    "BrokenAlone": Safe(
        "a bug, but no race",
        "BrokenAlone()",
        (),
        aside={"o.use()": BROKEN, "o.leak()": LEAKS},
    ),
    # What reaches beyond the object
    "ClosesDescriptors": Safe(
        "closes file descriptors that the driver uses: 1 and 2, or all up to 63",
        "ClosesDescriptors()",
        ("o.output(); o.all(); return o.count()",) * 2,
        "sorted(r) == [1, 2]",
    ),
    "Prints": Safe(
        "prints text that looks like a report or a crash", "Prints()", ("o.print()", "o.printf()")
    ),
    "Forks": Safe(
        "forks, and both processes continue",
        "Forks()",
        ("o.count()",) * 2,
        "sorted(r) == [1, 2]",
        {"o.fork()": FORKS, "o.spawn()": SPAWNS},
    ),
    "StartsThreads": Safe("starts threads", "StartsThreads()", ("o.start()",) * 2),
    # What is hard to make
    "NeedsKey": Safe(
        "only the call NeedsKey(make_key('open sesame')) creates an object",
        "NeedsKey(make_key('open sesame'))",
        ("o.count()",) * 2,
        "sorted(r) == [1, 2]",
        {"NeedsKey(1)": UNMADE},
    ),
    "NeverMade": Safe("the constructor raises", "None", (), aside={"NeverMade()": UNMADE}),
}


def build(folder: Path) -> None:
    """Build the package in folder, for the running interpreter."""
    package = folder / "racing"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    for source in HERE.glob("*.[ch]"):
        shutil.copy(source, package)
    for name in ("unsafe", "safe"):
        subprocess.run(
            [sys.executable, HERE.parent.parent / "build_module.py", f"{name}.c"],
            cwd=package,
            check=True,
            capture_output=True,
            timeout=240,
        )
