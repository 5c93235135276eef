"""The words of a report and what they mean, one click away from where they stand."""

from __future__ import annotations

import re
from html import escape
from typing import NamedTuple


class Term(NamedTuple):
    """A word of the report: its anchor, its heading, how it is found in text, what it means."""

    key: str
    name: str
    pattern: str
    meaning: str


# In headers the first that matches is explained, so differences come before their metrics.
TERMS = (
    Term(
        "gain",
        "gain",
        r"gains?|Gain",
        "Metric of a method minus the same metric of its teacher, in the same cell (same draws). "
        "Positive is better than the teacher.",
    ),
    Term(
        "over_w2s",
        "over W2S",
        r"over W2S",
        "Metric of a method minus that of plain W2S in the same cell: what a remedy adds to it.",
    ),
    Term(
        "pgr",
        "PGR",
        r"PGR",
        "Performance gap recovered: (method − teacher) / (ceiling − teacher). 0 is the teacher, 1 "
        "the ceiling. Blank unless ceiling − teacher is surely positive.",
    ),
    Term(
        "rank",
        "rank range",
        r"[Rr]ank ranges?|[Rr]anks?",
        "Every rank that the seeds leave open for a method. 1-3 means that no paired test, "
        "corrected for the number of pairs, separates it from the best nor puts it below third.",
    ),
    Term(
        "bias",
        "bias of the lowest",
        r"[Bb]ias of the lowest",
        "How far the lowest of several measured group accuracies lies, in expectation, below the "
        "lowest true one, only because test groups are finite.",
    ),
    Term(
        "worst_group",
        "worst group",
        r"[Ww]orst[- ]group",
        "The lowest accuracy over the groups (class, attribute) of one run, then the mean over "
        "seeds.",
    ),
    Term(
        "eta_l",
        "η_ℓ",
        r"η_ℓ",
        "Minority fraction of the labelled set, on which the teacher is fitted. 1/2 is balanced.",
    ),
    Term(
        "eta_u",
        "η_u",
        r"η_u",
        "Minority fraction of the unlabelled set, which the teacher pseudolabels.",
    ),
    Term("eta_t", "η_t", r"η_t", "Minority fraction of the test distribution."),
    Term("n_l", "n_ℓ", r"n_ℓ", "Number of labelled samples."),
    Term("n_u", "n_u", r"n_u", "Number of unlabelled samples."),
    Term(
        "minority",
        "minority",
        r"[Mm]inority",
        "Groups against the spurious correlation (a ≠ y, or as the dataset lists them). As a "
        "metric: accuracy at η_t = 1.",
    ),
    Term(
        "majority",
        "majority",
        r"[Mm]ajority",
        "Groups that follow the spurious correlation. As a metric: accuracy at η_t = 0.",
    ),
    Term(
        "average",
        "average",
        r"[Aa]verage",
        "Accuracy at an even test mix, η_t = 1/2: half minority, half majority.",
    ),
    Term(
        "teacher",
        "teacher",
        r"[Tt]eacher",
        "The weak model, fitted on the labelled set. Its predictions on the unlabelled set are "
        "the pseudolabels.",
    ),
    Term(
        "w2s",
        "W2S",
        r"W2S",
        "Weak-to-strong generalisation: the strong student is fitted on the teacher's "
        "pseudolabels alone.",
    ),
    Term(
        "baseline",
        "baseline",
        r"[Bb]aseline",
        "The student fitted on the labelled set, without a teacher: a reference, not ranked.",
    ),
    Term(
        "ceiling",
        "ceiling",
        r"[Cc]eiling",
        "The student fitted on the true labels of the unlabelled set: a reference, not ranked.",
    ),
    Term(
        "kept",
        "kept set",
        r"kept set|[Kk]ept",
        "The pseudolabelled samples that selective retraining goes on with: those on which the "
        "student is most confident.",
    ),
    Term(
        "told",
        "group labels used",
        r"group labels(?: used)?",
        "Group labels a method reads: none, those of validation data, or those of training data.",
    ),
    Term(
        "trial",
        "trial",
        r"[Tt]rials?",
        "One of several settings of a method, fitted in every cell. A rule chooses among them in "
        "each cell by itself, before the test set is looked at.",
    ),
    Term(
        "oracle",
        "oracle",
        r"[Oo]racle",
        "The trial that is best by the test set itself: what a rule is compared with, never "
        "a result. It holds the luck of a best of several.",
    ),
    Term(
        "d",
        "d / 1000",
        r"d / 1000",
        "The l2 penalty that trials are chosen around: d is the number of features that vary over "
        "the pool, which is the trace of the covariance of standardised features.",
    ),
    Term(
        "t",
        "Student t interval",
        r"Student t",
        "Mean ± t × standard error over seeds, at 95 %: what another draw of the labelled and "
        "unlabelled sets would change. Intervals of accuracies end at 0 and 1.",
    ),
    Term(
        "sign_flip",
        "sign-flip test",
        r"[Ss]ign-flip",
        "Permutation test of a paired difference: the share of all ways to exchange the two "
        "methods within seeds that move the mean difference as far from 0. It supposes no "
        "distribution.",
    ),
    Term(
        "wilson",
        "Wilson interval",
        r"Wilson",
        "Interval of a share of n test {noun}s: what another choice of those {noun}s would change.",
    ),
    Term(
        "fieller",
        "Fieller's interval",
        r"Fieller",
        "Interval of a ratio of two paired means. It is unbounded, and the ratio left blank, where "
        "the denominator may be 0.",
    ),
    Term(
        "holm",
        "Holm's correction",
        r"Holm",
        "Makes a family of tests stricter, so that the chance of any false claim stays at 5 %.",
    ),
    Term(
        "seed",
        "seed",
        r"[Ss]eeds?",
        "One redraw of the labelled and the unlabelled set from the pool; the test {noun}s stay. "
        "All methods of a seed share its draws.",
    ),
)
_BY_KEY = {term.key: term for term in TERMS}
_ANY = re.compile(r"(?<![\w_])(?:" + "|".join(f"(?P<{t.key}>{t.pattern})" for t in TERMS) + r")\b")


def marked(text: str, seen: set[str]) -> str:
    """HTML of `text`, the first use of each term not in `seen` a button that explains it."""
    out, end = [], 0
    for match in _ANY.finditer(text):
        key = str(match.lastgroup)
        if key in seen or match.start() < end:
            continue
        seen.add(key)
        # Marks beside the word stay on its line: a button would let them go.
        before, after = match.start(), match.end()
        while before > end and text[before - 1] in "([":
            before -= 1
        while after < len(text) and text[after] in ",.;:)]'":
            after += 1
        out.append(
            f'{escape(text[end:before])}<span class="tight">{escape(text[before : match.start()])}'
            f'<button type="button" class="term" popovertarget="def-{key}">{escape(match[0])}'
            f"</button>{escape(text[match.end() : after])}</span>"
        )
        end = after
    return "".join(out) + escape(text[end:])


def help_button(header: str) -> str:
    """A small button beside a column's name, or nothing where the name holds no term."""
    match = next((term for term in TERMS if re.search(rf"(?:{term.pattern})\b", header)), None)
    if match is None:
        return ""
    return (
        f' <button type="button" class="what" popovertarget="def-{match.key}" '
        f'aria-label="What is {escape(match.name)}?">?</button>'
    )


def popovers(noun: str) -> str:
    """What the buttons open; Escape or a click elsewhere closes it."""
    return "\n".join(
        f'<div popover id="def-{t.key}" class="def" role="dialog" aria-label="{escape(t.name)}">'
        f"<p><strong>{escape(t.name)}</strong> {_meaning(t, noun)}</p>"
        f'<button type="button" popovertarget="def-{t.key}" popovertargetaction="hide">Close'
        "</button></div>"
        for t in TERMS
    )


def glossary(noun: str) -> str:
    """All terms in alphabetical order. noun: what one sample is called."""
    rows = "\n".join(
        f"<div><dt>{escape(t.name)}</dt><dd>{_meaning(t, noun)}</dd></div>"
        for t in sorted(TERMS, key=lambda t: t.name.lower())
    )
    return f'<section id="glossary">\n<h2>Glossary</h2>\n<dl>\n{rows}\n</dl>\n</section>'


def _meaning(term: Term, noun: str) -> str:
    return escape(term.meaning.replace("{noun}", noun))
