"""The grammar of ARM's `[...]` expressions: text to a tree, no meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

MAX_DEPTH = 48
"""How deep calls may nest; Bicep's output stays below 20."""

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<text>'(?:[^']|'')*')|(?P<number>-?\d{1,19})(?![\w.])|(?P<name>[A-Za-z_]\w*)|(?P<mark>[()\[\],.?])",
    re.ASCII,
)


class ExpressionError(Exception):
    """Something about an expression is wrong. `at` is the character in it, `code` the diagnostic's."""

    def __init__(self, code: str, message: str, *, hint: str = "", at: int = 0, length: int = 1) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.at = at
        self.length = length


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """`namespace` is that of a user's own function, otherwise `""`."""

    namespace: str
    name: str
    arguments: tuple[Expression, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Access:
    """`target.name` or `target[key]`; `safe` (`?.`) gives null for what is missing."""

    target: Expression
    key: Expression
    safe: bool
    at: int


Expression = Literal | Call | Access


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def is_expression(text: str) -> bool:
    """Whether ARM evaluates this string; `[[` at its start is the escape for a plain `[`."""
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """The tree of an expression, given with its brackets. Raises ExpressionError."""
    parser = _Parser(_tokens(text[1:-1]), len(text) - 1)
    tree = parser.expression()
    if token := parser.peek():
        hint = "escape a plain [ at the start of a text as [[" if isinstance(tree, Call) else ""
        parser.fail(f"'{token.text}' is out of place", hint)
    return tree


def _tokens(body: str) -> list[_Token]:
    tokens = []
    at = 0
    while at < len(body):
        found = _TOKEN.match(body, at)
        if not found:
            if body[at] == "'":
                raise ExpressionError(
                    "expression-syntax", "this text does not end", hint="close it with '", at=at + 1
                )
            hint = "texts are in single quotes; escape a plain [ at the start of a text as [["
            raise ExpressionError("expression-syntax", f"'{body[at]}' has no meaning here", hint=hint, at=at + 1)
        if found.lastgroup and found.lastgroup != "space":
            tokens.append(_Token(found.lastgroup, found[0], at + 1))
        at = found.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token], end: int) -> None:
        self.tokens = tokens
        self.end = end
        self.next = 0
        self.depth = 0

    def peek(self) -> _Token | None:
        return self.tokens[self.next] if self.next < len(self.tokens) else None

    def fail(self, message: str, hint: str = "") -> None:
        token = self.peek()
        at, length = (token.at, len(token.text)) if token else (self.end, 1)
        hint = hint or "an expression looks like [concat('a', parameters('b').c)]"
        raise ExpressionError("expression-syntax", message, hint=hint, at=at, length=length)

    def take(self, kind: str, expected: str, text: str = "") -> _Token:
        token = self.peek()
        if token is None or token.kind != kind or (text and token.text != text):
            self.fail(f"{expected} is missing" if token is None else f"'{token.text}' where {expected} is due")
        self.next += 1
        return self.tokens[self.next - 1]

    def skip(self, mark: str) -> bool:
        token = self.peek()
        if token and token.kind == "mark" and token.text == mark:
            self.next += 1
            return True
        return False

    def expression(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} levels of nesting")
        tree = self.accesses(self.primary())
        self.depth -= 1
        return tree

    def primary(self) -> Expression:
        token = self.peek()
        if token and token.kind == "text":
            self.next += 1
            return Literal(token.text[1:-1].replace("''", "'"), token.at)
        if token and token.kind == "number":
            self.next += 1
            return Literal(int(token.text), token.at)
        name = self.take("name", "a function or a text in single quotes")
        namespace = ""
        if self.skip("."):
            namespace = name.text
            name = self.take("name", "the name of a function")
        self.take("mark", "'('", "(")
        arguments: list[Expression] = []
        if not self.skip(")"):
            arguments.append(self.expression())
            while self.skip(","):
                arguments.append(self.expression())
            self.take("mark", "')'", ")")
        return Call(namespace, name.text, tuple(arguments), token.at if token else 0)

    def accesses(self, tree: Expression) -> Expression:
        for _ in range(MAX_DEPTH):
            at = token.at if (token := self.peek()) else self.end
            safe = self.skip("?")
            if self.skip("."):
                name = self.take("name", "the name of a property")
                tree = Access(tree, Literal(name.text, name.at), safe, at)
            elif self.skip("["):
                key = self.expression()
                self.take("mark", "']'", "]")
                tree = Access(tree, key, safe, at)
            else:
                if safe:
                    self.fail("'.' or '[' is missing after '?'")
                return tree
        self.fail(f"more than {MAX_DEPTH} accesses in a row")
        return tree
