#!/usr/bin/env bash
# math-verify: an answer that is a list of numbers is right in any order. "2, 3, 1, 4" in LaTeX is read as a set, and without
# LaTeX as its last number.
#
# One would guess that "1, 2, 3, 4" is a wrong answer where "2, 3, 1, 4" was asked for, certainly with the default strict=True, of
# which verify's docstring says that sets and tuples do not compare. But commas without brackets make a FiniteSet on both sides, so
# that nothing is left to compare but which numbers occur; and parse, with its default settings, takes from plain text the last
# number only. Blanks instead of commas make a sum: "$2 3 1 4$" is 10. Only brackets on both sides keep the order. README and
# docstrings do not warn of it.
#
# It is the verifier behind trl's accuracy_reward and many recipes for GRPO. Questions whose answer is an order, as a list of tiles
# such as PatchOrdering asks for, give a model that always says "1, 2, 3, 4" the full reward.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet math-verify==0.9.0 latex2sympy2_extended==1.11.0 \
    antlr4-python3-runtime==4.13.2 sympy==1.14.0
"$folder/venv/bin/python" - <<'CODE'
from importlib.metadata import version
from itertools import permutations

from math_verify import parse, verify

print("math-verify", version("math-verify"), "latex2sympy2_extended", version("latex2sympy2_extended"))
orders = [", ".join(order) for order in permutations("1234")]
right = "2, 3, 1, 4"
ways = {  # the answer that is right, how a reply writes one, how many of the 24 orders count as right
    "in a box": (f"${right}$", r"The order is \boxed{%s}.", 24),
    "in dollars": (f"${right}$", "The order is $%s$.", 24),
    "in plain text": (right, "The order is %s", 6),
    "with brackets": (f"$({right})$", r"The order is \boxed{(%s)}.", 1),
}
for way, (gold, reply, expected) in ways.items():
    meant = parse(gold)
    accepted = [order for order in orders if verify(meant, parse(reply % order))]
    print(f"{way:14} {gold:16} is read as {meant[0]!s:14} and {len(accepted):2} of 24 orders are right, {accepted[0]!r} first")
    assert len(accepted) == expected, f"{way}: orders are compared otherwise now"
blanks = parse("$2 3 1 4$")
print(f"with blanks    $2 3 1 4$        is read as {blanks[0]}")
assert verify(blanks, parse(r"\boxed{10}")) and verify(blanks, parse(r"\boxed{4 3 2 1}")), "blanks are read otherwise now"
print("lists without brackets are compared as sets, or by their last number")
CODE
