"""What the devices of a compiled program exchange, read from the text of its HLO."""

import re

import numpy as np

_NAME = re.compile(
    # Of one array or a tuple of them. The `-done` that ends an asynchronous one exchanges nothing.
    r" = (?:\(.*?\)|\S+) (all-[a-z]+|collective-[a-z]+|ragged-all-to-all|reduce-scatter)"
    r"(?:-start)?\("
)
_LISTED = re.compile(r"(?:replica_groups|source_target_pairs)=\{(\{[\d,{}]*\})\}")
_ARRAY = re.compile(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?")
_MESH = re.compile(r"replica_groups=mesh\[([^\]]*)\] ?\{((?:'\w+',?)+)\}")


def collectives(text):
    """The groups of devices that exchange anything: [(name, groups)].

    >>> collectives(
    ...     "%r = (f32[1]{0}, /*index=1*/f32[]) all-reduce(%a, %b), replica_groups={{0,1},{2,3}}\\n"
    ...     "%s = (f32[4]{0}, f32[8]{0}) all-gather-start(%a), replica_groups={{0,1},{2,3}}\\n"
    ...     "%d = f32[8]{0} all-gather-done(%s)\\n"
    ...     "%p = (f32[4], f32[4]) collective-permute-start(%a), source_target_pairs={{0,1},{1,0}}"
    ... )  # doctest: +NORMALIZE_WHITESPACE
    [('all-reduce', [{0, 1}, {2, 3}]), ('all-gather', [{0, 1}, {2, 3}]),
     ('collective-permute', [{0, 1}, {0, 1}])]
    """
    named = ((_NAME.search(line), line) for line in text.splitlines())
    return [(name[1], groups_of(line)) for name, line in named if name]


def groups_of(line):
    """The groups of a collective, in each of the ways XLA writes them.

    >>> groups_of("replica_groups=[2,4]<=[8]")
    [{0, 1, 2, 3}, {4, 5, 6, 7}]
    >>> groups_of("replica_groups=[4,2]<=[2,2,2]T(0,2,1)")
    [{0, 2}, {1, 3}, {4, 6}, {5, 7}]
    >>> groups_of("replica_groups=mesh['a'=2,'b'=2,'c'=2] {'b'}")
    [{0, 2}, {1, 3}, {4, 6}, {5, 7}]
    >>> groups_of("replica_groups=mesh['a'=2,'b'=2,'c'=2] {'a','c'}, use_global_device_ids=true")
    [{0, 1, 4, 5}, {2, 3, 6, 7}]
    """
    if listed := _LISTED.search(line):
        return [set(_numbers(group)) for group in re.findall(r"\{([\d,]+)\}", listed[1])]
    if array := _ARRAY.search(line):
        shape, places, order = map(_numbers, array.groups(default=""))
        groups = _counted(places).transpose(order or None).reshape(shape)
    else:
        mesh = _MESH.search(line)
        assert mesh, line
        axes = dict(re.findall(r"'(\w+)'=(\d+)", mesh[1]))
        inside = [list(axes).index(name) for name in re.findall(r"\w+", mesh[2])]
        sizes = [int(size) for size in axes.values()]
        groups = np.moveaxis(_counted(sizes), inside, range(-len(inside), 0))
        groups = groups.reshape(-1, np.prod([sizes[axis] for axis in inside]))
    return [set(group) for group in groups.tolist()]


def _numbers(text):
    return [int(number) for number in text.split(",") if number]


def _counted(shape):
    return np.arange(np.prod(shape)).reshape(shape)
