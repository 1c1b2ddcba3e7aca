"""A deliberate fault: one edit of one file, and the test that must fail with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    what: str
    file: str
    old: str  # occurs once in the file
    new: str
    program: str  # a module's C++ tests, or random_arms: tests/reference/test_random_arms.py
    test: str

    def table_line(self) -> str:
        """As README.md lists it."""
        return f"| {self.what} | `{self.file.removeprefix('src/')}` | `{self.test}` |"


def fault(what: str, file: str, old: str, new: str, test: str) -> Fault:
    """`test`: "<program> <test>"."""
    return Fault(what, "src/" + file, old, new, *test.split(" "))
