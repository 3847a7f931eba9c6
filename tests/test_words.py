"""One voice: percentages are written one way, and phrases that were replaced do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXTS = [
    *sorted((ROOT / "bayescausal").rglob("*.py")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "docs" / "course").glob("*.ipynb")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
]
#: Made when the pages are built.
MADE = {"_build", "generated", "gallery"}
MADE |= {"api.md", "architecture.md", "benchmarks.md", "changelog.md"}
SPACED = re.compile(r"\d[ \u00a0]%(?![\w(\[{])|\} % HDI")
#: What was said, and what is said.
REPLACED = {
    r"None of \S+ refutations": "All 7 refutation tests passed",
    r"[Aa]s seen, and if done|if done \(causal\)": "Observed association and causal effect",
    r"check is kind": "the check is optimistic: the latent was fitted to the same data",
    r"joins the worlds": "under any coupling of the potential outcomes",
    r"kept as with": "while M keeps the value it would have had under X = 0",
    r"at the door": "raises an error",
    r"is no knowledge": "tells you nothing",
    r"[Ii]s it right on this problem|[Aa]nd if an assumption fails": "Checks; Sensitivity analysis",
    r"[Uu]nits (do not )?touch|[Uu]nits that (do not )?touch": "units that depend on each other",
    r"coupling of the worlds": "coupling of the potential outcomes",
}


def read() -> dict[str, str]:
    """Return the texts, but for the records of decisions, which stay as they were written."""
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in TEXTS
        if not MADE & set(path.parts) and "decisions" not in path.parts
    }


def test_percentages_are_written_one_way():
    found = [(name, hit.group()) for name, text in read().items() for hit in SPACED.finditer(text)]
    assert not found


@pytest.mark.parametrize("phrase", REPLACED)
def test_phrases_that_were_replaced_do_not_come_back(phrase):
    found = [name for name, text in read().items() if re.search(phrase, text)]
    assert not found, f"say: {REPLACED[phrase]}"


def test_the_search_finds_what_it_is_for():
    assert SPACED.search("the 94 % HDI")
    assert not SPACED.search("the 94% HDI, 7 %(x)s")
    assert re.search(r"at the door", "refused at the door")


def test_the_glossary_has_the_terms_of_the_field_in_order():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^(\S.*)\n  \S", text, re.M)
    for term in (
        "ATE, ATT, CATE",
        "potential outcome",
        "SUTVA",
        "exchangeability",
        "d-separation",
        "ID, IDC",
        "E-value",
        "monotonicity",
    ):
        assert term in terms
    assert terms == sorted(terms, key=str.casefold)
