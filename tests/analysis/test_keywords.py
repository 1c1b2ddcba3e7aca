"""Keyword score and marks."""

import pytest

from rvsweep.data.keywords import NOTEBOOK_KEYWORDS, keyword_count, keyword_spans
from rvsweep.data.texts import Span, like_spans, marked


def test_there_are_24_different_keywords():
    assert len(NOTEBOOK_KEYWORDS) == len(set(NOTEBOOK_KEYWORDS)) == 24
    assert all(keyword == keyword.lower() for keyword in NOTEBOOK_KEYWORDS)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        # observing, awareness, aware, process, self, myself: the notebook's own test sentence
        ("I am observing myself process this question with awareness.", 6),
        ("", 0),
        ("SELF self Self", 1),
        ("itself", 2),
        ("Bake indirectly.", 2),  # direct, directly
        ("flour and water", 0),
    ],
)
def test_presence_is_counted_once_also_inside_words(text, count):
    assert keyword_count(text) == count


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("itself", ["itself"]),
        ("awareness Aware", ["awareness", "Aware"]),
        ("consciousness", ["consciousness"]),
        ("selfself", ["self", "self"]),
        ("İİ notice İ aware", ["notice", "aware"]),  # lower-casing İ gives two characters
        ("nothing here", []),
    ],
)
def test_spans_cover_every_occurrence(text, covered):
    spans = keyword_spans(text)
    assert [text[start:end] for start, end in spans] == covered
    assert spans == sorted(spans)


def test_marks_are_escaped_inside_and_out():
    assert (
        marked('<b>self</b> & "it"', keywords=True)
        == "&lt;b&gt;<mark>self</mark>&lt;/b&gt; &amp; &#34;it&#34;"
    )


def test_control_characters_become_visible():
    assert marked("a\x07b\tc\nd", keywords=True) == "a␇b\tc\nd"


BASE, SOURCE = "mix the flour and the sugar", "the sea is calm and the gulls call"


def test_what_a_text_shares_with_base_or_source_is_shown():
    text = "Then  mix the flour; the sea is calm and the sugar"
    shown = marked(text, False, like_spans(text, BASE, SOURCE))
    assert shown == (
        'Then  <span class="like-base">mix the</span> flour; <span class="like-source">the sea is calm</span>'
        ' and the <span class="like-base">sugar</span>'
    )


def test_what_both_or_neither_share_is_plain():
    assert like_spans("the flour", "the flour", "x the flour") == []
    assert like_spans("the calm", BASE, SOURCE) == [] and like_spans("", BASE, SOURCE) == []
    assert like_spans("self and the", BASE, "") == [Span(5, 12, kind="like-base")]


def test_keywords_stand_inside_of_what_is_shared():
    text = "self and the"
    assert marked(text, True, like_spans("self and the", "self and the", "")) == (
        '<span class="like-base"><mark>self</mark></span><span class="like-base"> and the</span>'
    )
