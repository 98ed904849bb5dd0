"""What words mean in a column of labels: yes and no, nothing known, one and the same."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

# The vocabularies of a binary column, (negative, positive), compared without case.
BINARY = (
    ("0", "1"),
    ("-1", "1"),
    ("false", "true"),
    ("no", "yes"),
    ("n", "y"),
    ("absent", "present"),
    ("negative", "positive"),
)
_NOT = frozenset({"no", "not", "non", "without"})
# "does not smile" negates "smiles": what stands around a negation says nothing.
_AROUND = frozenset(
    ["a", "an", "any", "the", "is", "are", "was", "were", "has", "have", "had", "do", "does"]
) | {"did", "with", "wear", "wears", "wearing"}
_JOINED = ("non", "not", "no", "un")  # "nonsmoker", "notsmiling", "unhappy"
_ENDINGS = re.compile(r"(?<=\w{3})(ings?|ers?|ed|es|s|e)$")  # smil-e, smil-ing; smok-er, smok-ing


def folded(word: str) -> str:
    """Returns what words that differ in case, blanks or normal form alone have in common.

    >>> folded(" Man") == folded("man"), folded("dark  skin")
    (True, 'dark skin')
    """
    return " ".join(unicodedata.normalize("NFC", word).casefold().split())


def meanings(words: Iterable[str]) -> dict[str, bool] | None:
    """Returns whether each word means yes, or None where they are no yes and no.

    They are of one of the pairs of `BINARY` (perhaps of one side alone), or two of which one
    negates the other.

    >>> meanings(["Y", "n"]), meanings(["non-smoker", "smoker"]), meanings(["man", "woman"])
    ({'Y': True, 'n': False}, {'non-smoker': False, 'smoker': True}, None)
    """
    forms: dict[str, str] = {}
    for word in words:
        forms[word] = folded(word)
        if len(forms) > 2 and len(set(forms.values())) > 2:
            return None
    distinct = sorted(set(forms.values()))
    pairs = list(BINARY)
    if len(distinct) == 2:
        first, second = distinct
        pairs += [(a, b) for a, b in ((first, second), (second, first)) if _negates(a, b)]
    for negative, positive in pairs:
        if distinct and set(distinct) <= {negative, positive}:
            return {word: form == positive for word, form in forms.items()}
    return None


def _negates(one: str, other: str) -> bool:
    """Whether a folded word or phrase says that another is not so.

    >>> _negates("no_smile", "smiling"), _negates("not wearing a hat", "hat")
    (True, True)
    >>> _negates("unfit", "fit")
    True
    >>> _negates("female", "male"), _negates("no", "hat"), _negates("not a", "not b")
    (False, False, False)
    """
    negation, word = _tokens(one), _tokens(other)
    if not word or not negation or any(token in _NOT for token in word):
        return False
    if negation[0] in _NOT:
        return _stems(negation[1:]) == _stems(word)
    return len(negation) == len(word) == 1 and any(
        negation[0] == start + word[0] for start in _JOINED
    )


def suggestion(values: Sequence[str]) -> tuple[str, str]:
    """Returns the (negative, positive) among a column's values that a message may suggest.

    Where none says yes, the positive is the first and the negative ''.

    >>> suggestion(["0", "1", "2"]), suggestion(["maybe", "no", "yes"]), suggestion(["cat", "dog"])
    (('0', '1'), ('no', 'yes'), ('', 'cat'))
    """
    by_form = {folded(value): value for value in values}
    for negative, positive in BINARY:
        if negative in by_form and positive in by_form:
            return by_form[negative], by_form[positive]
    if len(values) <= 12:  # A few words; comparing all pairs of many would take long.
        for negation in values:
            for word in values:
                if _negates(folded(negation), folded(word)):
                    return negation, word
    return "", values[0] if values else "..."


def unify(words: Sequence[str], counts: Sequence[int]) -> dict[str, str]:
    """Returns the spelling that words which are one and the same are to have, where it is another.

    Args:
      words: distinct.
      counts: how often each occurs; the most frequent spelling stays, of equals the first in order.

    >>> unify(["Man", "man", "woman"], [3, 1, 2])
    {'man': 'Man'}
    """
    forms = Counter(folded(word) for word in words)
    best: dict[str, tuple[int, str]] = {}
    for word, count in zip(words, counts, strict=True):
        form = folded(word)
        best[form] = min(best.get(form, (1, "")), (-count, word))
    return {
        word: best[folded(word)][1]
        for word in words
        if forms[folded(word)] > 1 and best[folded(word)][1] != word
    }


def _tokens(text: str) -> list[str]:
    text = re.sub(r"n['’]t\b", " not", text)
    return [token for token in re.split(r"[\W_]+", text) if token and token not in _AROUND]


def _stems(tokens: Sequence[str]) -> list[str]:
    return [_ENDINGS.sub("", token) for token in tokens]
