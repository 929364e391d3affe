"""The grammar of expressions."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.template.expressions import Access, Call, Expression, ExpressionError, Literal, is_expression, parse


def show(tree: Expression) -> str:
    match tree:
        case Literal(value=str(value)):
            return "'" + value.replace("'", "''") + "'"
        case Literal(value=value):
            return str(value)
        case Call(namespace=namespace, name=name, arguments=arguments):
            return f"{namespace + '.' if namespace else ''}{name}({', '.join(show(one) for one in arguments)})"
        case Access(target=target, key=key, safe=safe):
            return f"{show(target)}{'?' if safe else ''}[{show(key)}]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[a()]", "a()"),
        ("[ a( 'it''s' , -3 ) ]", "a('it''s', -3)"),
        ("[a().b.c[0]]", "a()['b']['c'][0]"),
        ("[a()?.b?[c('d')]]", "a()?['b']?[c('d')]"),
        ("[my.own(1)]", "my.own(1)"),
        ("['text']", "'text'"),
    ],
)
def test_trees(text: str, shown: str) -> None:
    assert show(parse(text)) == shown


@pytest.mark.parametrize("text", ["[", "x", "[[a()]", "[a() x", ""])
def test_what_is_no_expression(text: str) -> None:
    assert not is_expression(text)


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("[]", "a function or a text in single quotes is missing", 1),
        ("[a(]", "is missing", 3),
        ("[a('b]", "this text does not end", 3),
        ("[a() b()]", "'b' is out of place", 5),
        ("[a(1 2)]", "'2' where '\\)' is due", 5),
        ("[ -f /etc/x ]", "'-' has no meaning here", 2),
        ("[a().]", "the name of a property is missing", 5),
        ("[a()?]", "after '\\?'", 5),
    ],
)
def test_errors_say_where(text: str, message: str, at: int) -> None:
    with pytest.raises(ExpressionError, match=message) as caught:
        parse(text)
    assert caught.value.at == at


TREES = st.recursive(
    st.text(max_size=5).map(lambda value: Literal(value, 0))
    | st.integers(-999, 999).map(lambda value: Literal(value, 0)),
    lambda inner: st.lists(inner, max_size=3).map(lambda arguments: Call("", "f", tuple(arguments), 0)),
    max_leaves=12,
)


@given(TREES)
def test_a_tree_survives_being_written_and_read(tree: Expression) -> None:
    text = show(tree)

    assert show(parse(f"[{text}]")) == text


@given(st.text(alphabet="abc()[]',.? 01-", max_size=40))
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        parse(f"[{text}]")


def test_nesting_is_bounded() -> None:
    with pytest.raises(ExpressionError, match="levels of nesting"):
        parse("[" + "a(" * 5000 + ")" * 5000 + "]")
    with pytest.raises(ExpressionError, match="accesses in a row"):
        parse("[a()" + ".b" * 5000 + "]")
