"""The notebook's keywords: the one list that the report counts and marks with."""

# The 24 entries of count_recursive_keywords() in "The Geometry of Recursion: Master Reproduction
# Notebook", in its order. It asks of each whether it occurs anywhere in the lower-cased text, so an
# entry counts once however often it occurs, also inside other words ("self" in "himself").
NOTEBOOK_KEYWORDS = (
    "observe", "observing", "awareness", "aware", "consciousness", "conscious",
    "process", "processing", "experience", "experiencing", "notice", "noticing",
    "self", "itself", "myself", "yourself", "generate", "generating",
    "emerge", "emerging", "direct", "directly", "immediate", "simultaneously",
)  # fmt: skip


def keyword_count(text: str) -> int:
    """How many of the notebook's keywords occur in `text` (0 to 24)."""
    lowered = text.lower()
    return sum(keyword in lowered for keyword in NOTEBOOK_KEYWORDS)


def keyword_spans(text: str) -> list[tuple[int, int]]:
    """Half-open character ranges of `text` covered by keywords, overlaps merged, ascending."""
    lowered, origin = _lowered_with_origin(text)
    found = []
    for keyword in NOTEBOOK_KEYWORDS:
        start = lowered.find(keyword)
        while start >= 0:
            found.append((origin[start], origin[start + len(keyword) - 1] + 1))
            start = lowered.find(keyword, start + 1)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _lowered_with_origin(text: str) -> tuple[str, list[int]]:
    """`text` lower-cased and, per character of that, its index in `text`: some grow ("İ" gives two)."""
    pieces = [character.lower() for character in text]
    origin = [index for index, piece in enumerate(pieces) for _ in piece]
    return "".join(pieces), origin
