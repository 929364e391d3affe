"""How much one file of templates may cost: no text, however made, keeps the reader busy for long."""

from __future__ import annotations

from imagewright.template.expressions import ExpressionError
from imagewright.template.values import Value, measure

MAX_STEPS = 400_000
MAX_DEPTH = 120
"""Together with what a level takes of Python's stack, this stays below its limit."""


class Effort:
    """Bounds the work and the recursion. A step is a value, a call, or a thousand characters."""

    def __init__(self) -> None:
        self.steps = 0
        self.depth = 0

    @property
    def exhausted(self) -> bool:
        return self.steps > MAX_STEPS

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.exhausted:
            hint = "look for copy loops inside of copy loops, and for values that grow with every step"
            raise ExpressionError("too-expensive", "the template takes too many steps to evaluate", hint=hint)

    def weigh(self, value: Value) -> Value:
        """`value`, unless it is larger or deeper than anyone should work with."""
        self.spend(measure(value))
        return value

    def __enter__(self) -> None:
        self.spend(1)
        if self.depth >= MAX_DEPTH:
            hint = "look for a variable or function that leads back to itself, or flatten the chain"
            raise ExpressionError(
                "too-deep", "the expressions of the template refer to one another too deeply", hint=hint
            )
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
