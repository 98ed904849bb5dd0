"""Instructions: how long a TPU's compiler takes a program to run, by the text of what it compiled.

An instruction carries the cycles that the compiler expects of it; bodies of loops are written once.
Gathers, sorts and scatters carry none: of those, what they move is counted. Kernels of our own say
how many a turn takes. Copies that run beside others are taken to be hidden.
"""

import dataclasses
import functools
import itertools
import math
import re
from collections import Counter

_SIZES = {"pred": 1, "bf16": 2, "c64": 8, "c128": 16}
_ARRAY = re.compile(r"\b(pred|bf16|c64|c128|[sfu]\d+)[a-z0-9]*\[([\d,]*)\]")
_HEAD = re.compile(r"^(ENTRY )?%([^ ]+) \(.*\{$")
_LINE = re.compile(r"^  (ROOT )?%([^ ]+) = (.*)$")
_OPCODE = re.compile(r"([a-z][\w\-]*)\(")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
# What a kernel says of itself is written over several lines.
_SAID = re.compile(r"kernel_metadata=\{[^{}]*\}")
_KERNEL = re.compile(r'kernel_metadata=\{[^{}]*"cycles":"(\d+)"')
_CALLED = re.compile(r"\b(?:calls|to_apply)=%([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}|(?:true|false)_computation=%([\w.\-]+)")
_WHILE = re.compile(r"condition=%([\w.\-]+), body=%([\w.\-]+)")
_CONSTANT = re.compile(r"^[su]32\[\]\S* constant\((\d+)\)")
_COLLECTIVE = re.compile(
    r"(all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(-start)?$"
)


@dataclasses.dataclass(frozen=True)
class Work:
    """What is done on one device.

    Attributes:
      cycles: of instructions that say how many.
      moved: bytes to and from the memory, of gathers, sorts and scatters that do not.
    """

    cycles: float = 0.0
    moved: float = 0.0

    def plus(self, other: "Work", times: float = 1) -> "Work":
        """Returns this and so many of another."""
        return Work(self.cycles + times * other.cycles, self.moved + times * other.moved)


@dataclasses.dataclass(frozen=True)
class Loop:
    """One loop of a program.

    Attributes:
      turns: of it; 0: the text does not tell, and one is counted.
      times: how often it is entered.
      turn: the work of one turn, loops inside it included.
    """

    turns: int
    times: int
    turn: Work


@dataclasses.dataclass(frozen=True)
class Instructions:
    """What a compiled program does on one device.

    Attributes:
      work: of all of it.
      loops: outer ones first.
      collectives: what devices exchange, by its name -> how many such instructions there are.
      exchanged: bytes that a device gives to be added up over devices, as often as it does.
    """

    work: Work
    loops: tuple[Loop, ...]
    collectives: dict[str, int]
    exchanged: float = 0.0

    def turn_of(self, turns: int) -> Work | None:
        """Returns one turn of every loop of so many, each as often as it is entered; None: none."""
        found = [loop for loop in self.loops if loop.turns == turns]
        return (
            functools.reduce(lambda w, loop: w.plus(loop.turn, loop.times), found, Work())
            if (found)
            else None
        )


@dataclasses.dataclass(frozen=True)
class _Line:
    """One instruction: its type, its operands' names and its attributes as they are written."""

    kind: str
    opcode: str
    operands: tuple[str, ...]
    rest: str


def read(text: str) -> Instructions:
    """Reads the text of a compiled program.

    Args:
      text: of `jax.stages.Compiled.as_text`.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self.parts: dict[str, dict[str, _Line]] = {}
        self.entry, inside = "", None
        for line in _SAID.sub(lambda found: found[0].replace("\n", ""), text).splitlines():
            head = _HEAD.match(line)
            if head:
                inside = self.parts.setdefault(head[2], {})
                self.entry = head[2] if head[1] else self.entry
            elif inside is not None and (found := _LINE.match(line)):
                inside[found[2]] = _parsed(found[3])
        self.work = functools.cache(self._work)
        self.loops: list[Loop] = []
        self.collectives: Counter[str] = Counter()
        self.exchanged = 0.0

    def read(self) -> Instructions:
        self._enter(self.entry, 1)
        return Instructions(
            self.work(self.entry), tuple(self.loops), dict(self.collectives), self.exchanged
        )

    def _work(self, name: str) -> Work:
        """All of a computation."""
        total = Work()
        for line in self.parts[name].values():
            total = total.plus(self._of(line, self.parts[name]))
        return total

    def _of(self, line: _Line, beside: dict[str, _Line]) -> Work:
        cycles = _CYCLES.search(line.rest)
        if cycles:
            return Work(float(cycles[1]))
        if line.opcode == "custom-call" and (of_turn := _KERNEL.search(line.rest)):
            return Work(_turns_of_kernel(line.kind) * float(of_turn[1]))
        if line.opcode == "while":
            turns, turn = self._loop(line)
            return Work().plus(turn, turns or 1)
        if line.opcode == "conditional":
            return max((self.work(name) for name in _branches(line)), key=lambda work: work.cycles)
        called = _CALLED.search(line.rest)
        if called and line.opcode == "fusion":
            inside = self.parts[called[1]]
            return Work(0.0, sum(_moved(each, inside) for each in inside.values()))
        if called and line.opcode in ("call", "async-start"):
            return self.work(called[1])
        return Work(0.0, _moved(line, beside))

    def _loop(self, line: _Line) -> tuple[int, Work]:
        condition, body = _WHILE.search(line.rest).groups()
        return self._turns(condition), self.work(body).plus(self.work(condition))

    def _turns(self, condition: str) -> int:
        """JAX counts from 0 to a constant; other loops end nobody knows when."""
        lines = self.parts[condition].values()
        inside = [_CALLED.search(line.rest) for line in lines if line.opcode == "fusion"]
        every = [
            *lines,
            *(each for call in inside if call for each in self.parts[call[1]].values()),
        ]
        counts = {
            int(found[1])
            for line in every
            if (found := _CONSTANT.match(f"{line.kind} {line.opcode}({line.rest}"))
        }
        compared = [line for line in every if line.opcode == "compare"]
        ascending = len(compared) == 1 and "direction=LT" in compared[0].rest
        return counts.pop() if ascending and len(counts) == 1 else 0

    def _enter(self, name: str, times: int) -> None:
        """Notes the loops and what is exchanged in a computation that is run so often."""
        for line in self.parts[name].values():
            exchanged = _COLLECTIVE.match(line.opcode)
            if exchanged:
                self.collectives[exchanged[1]] += 1
                if exchanged[1] == "all-reduce":
                    given = (self.parts[name][each].kind for each in line.operands)
                    self.exchanged += times * sum(map(_bytes, given))
            if line.opcode == "while":
                turns, turn = self._loop(line)
                self.loops.append(Loop(turns, times, turn))
                self._enter(_WHILE.search(line.rest)[2], times * (turns or 1))
            elif line.opcode == "conditional":
                for branch in _branches(line):
                    self._enter(branch, times)
            elif line.opcode in ("call", "async-start") and _CALLED.search(line.rest):
                self._enter(_CALLED.search(line.rest)[1], times)


def _branches(line: _Line) -> list[str]:
    found = _BRANCHES.findall(line.rest)
    return [name.strip().lstrip("%") for many, one in found for name in (many or one).split(",")]


def _parsed(text: str) -> _Line:
    """An instruction, as in "f32[8]{0} add(%a, %b), metadata=...": types may hold brackets."""
    end = text.find(" ")
    if text.startswith("("):
        depths = itertools.accumulate((c == "(") - (c == ")") for c in text)
        end = next(i for i, depth in enumerate(depths, 1) if not depth)
    kind, after = text[:end], text[end:].lstrip()
    found = _OPCODE.match(after)
    if found is None:
        return _Line(kind, "", (), after)
    rest = after[found.end() :]
    operands = tuple(re.findall(r"%([\w.\-]+)", rest.partition(")")[0]))
    return _Line(kind, found[1], operands, rest)


def _turns_of_kernel(kind: str) -> int:
    """Of one turn for each image: the leading axes of its first result, [..., T, D]."""
    sides = [int(side) for side in _ARRAY.search(kind)[2].split(",")]
    return math.prod(sides[:-2])


def _moved(line: _Line, beside: dict[str, _Line]) -> float:
    """Bytes that a gather, sort or scatter has to move; a sort at least once to and fro."""
    if line.opcode in ("gather", "sort"):
        return 2.0 * _bytes(line.kind)
    if line.opcode == "select-and-scatter":  # The gradient of a pool of maxima.
        read = sum(_bytes(beside[name].kind) for name in line.operands if name in beside)
        return float(read + _bytes(line.kind))
    if line.opcode == "scatter":
        updates = beside.get(line.operands[-1])
        return 2.0 * _bytes((updates or line).kind)
    return 0.0


def _bytes(kind: str) -> int:
    return sum(
        math.prod(int(side) for side in sides.split(",") if side)
        * (_SIZES.get(name) or max(1, int(name[1:]) // 8))
        for name, sides in _ARRAY.findall(kind)
    )
