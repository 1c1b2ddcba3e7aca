"""Lines of text of every sort a tokenizer can meet, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

WORDS = """the of consciousness recursion observer 's process aware I'm don't can't language model attention
naïve façade Zürich smörgåsbord Ελληνικά русский язык українська עברית العربية فارسی हिन्दी বাংলা தமிழ் ไทย
日本語 中文 繁體字 한국어 ქართული አማርኛ ខ្មែរ Việt Nam İstanbul ǅ ﬁnance ﬆ ß ẞ""".split()
CODE = (
    "def f(x: int) -> str:\n    return f'{x:>08.3f}'\n",
    "for (size_t i = 0; i < n; ++i) { a[i] += b[i] * 0x1F; } // done",
    'print("Hello,\\tworld!\\n")',
    "SELECT * FROM t WHERE id >= 10 AND name LIKE '%_x%';",
    "#include <vector>\r\ntemplate<class T>\r\nT&& f(T&& t);\r\n",
    '<div class="a-b">&nbsp;&amp;</div><!-- x -->',
    '\tif [[ $x =~ ^[0-9]+$ ]]; then\n\t\techo "${x//a/b}"\n\tfi',
    "https://example.org/a_b/c?d=e%20f&g=1#h",
    '{"key": [1, 2.5e-10, null, true], "s": "\\u00e9"}',
    r"\begin{align} \sum_{i=1}^{n} x_i^2 &\leq \frac{1}{2} \end{align}",
)
EMOJI = "😀 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ❤️ 1️⃣ 🧑🏿‍🚀 ☺ ✊🏻 🫠 🪿".split()
CONTRACTIONS = ("s", "t", "re", "ve", "m", "ll", "d", "ſ", "x", "st", "lls", "k")
MARKS = "\u0301\u0308\u0323\u20d7\u0610\u0651\u093c\u0e31\u3099\ufe0f\u200d\u1ab0\U0001e8d0"
DIGITS = "0123456789٣५७๓३²¼Ⅷ①𝟗੧፲〇\U00010107"
FORMATTING = "\xad\u200b\u200e\u202e\u2028\u2029\ufeff"
CONTROLS = [*map(chr, range(0, 0x20)), *map(chr, range(0x7F, 0xA1)), *FORMATTING]
SPACES = " \t\n\r\v\f\x85\xa0\u1680\u180e\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"
PUNCTUATION = "!?.,;:-_=*#/\\|~`@$%^&()[]{}<>\"'…—«»“”¿€№™"
BLOCKS = (  # first and last character
    (0x80, 0x24F),
    (0x370, 0x52F),
    (0x590, 0x6FF),
    (0x900, 0xDFF),
    (0x1E00, 0x1FFF),
    (0x2000, 0x2BFF),
    (0x3000, 0x33FF),
    (0x4E00, 0x9FFF),
    (0xA000, 0xABFF),
    (0xAC00, 0xD7FF),
    (0xE000, 0xF8FF),
    (0xF900, 0xFFFF),
    (0x10000, 0x11FFF),
    (0x12000, 0x18FFF),
    (0x1B000, 0x1EFFF),
    (0x1F000, 0x1FBFF),
    (0x20000, 0x33FFF),
    (0xE0000, 0x10FFFF),
)
# Assigned since Unicode 15: libraries disagree about their class.
NEW_CHARACTERS = (
    "\u1c89\u0897\u1b4e\U000105c0\U00010d40\U000113d4\U00011f04\U00011f50\U00016d70\U0001e4d0"
    "\U00031350\U0002ebf0\U00011de0\U0001fae9"
)


def mixed_lines(seed: int, count: int, special: Sequence[str]) -> list[str]:
    """`count` lines; `special` are token texts to strew in."""
    rng = random.Random(seed)
    kinds = fragments(rng, special)
    return ["".join(rng.choice(kinds)() for _ in range(rng.randint(1, 6))) for _ in range(count)]


def fragments(rng: random.Random, special: Sequence[str]) -> list[Callable[[], str]]:
    """One function for each kind of text; each call draws another piece of it."""

    def some(characters: Sequence[str], most: int, separator: str = "") -> str:
        return separator.join(rng.choices(characters, k=rng.randint(1, most)))

    def marked() -> str:
        return rng.choice("aeonAعकกが가 ") + "".join(rng.choices(MARKS, k=rng.randint(0, 3)))

    return [
        lambda: some(WORDS, 12, " "),
        lambda: rng.choice(CODE)[rng.randint(0, 5) :],
        lambda: some("0123456789", 12),
        lambda: f"{rng.uniform(-1e6, 1e6):,.{rng.randint(0, 6)}f}",
        lambda: some(DIGITS + "a .", 12),
        lambda: some(EMOJI, 4, rng.choice(("", " "))),
        lambda: "".join(marked() for _ in range(8)),
        lambda: "".join(chr(rng.randint(0x4E00, 0x9FFF)) for _ in range(rng.randint(1, 12))) + rng.choice("。，、！ a"),
        lambda: "".join(chr(rng.choice((0x20, rng.randint(0x600, 0x6FF)))) for _ in range(rng.randint(1, 20))),
        lambda: some(CONTROLS, 6),
        lambda: rng.choice(" \t\n\r\xa0\u3000") * rng.choice((1, 2, 3, 4, 7, 16, 17, 60, 130)),
        lambda: some(SPACES, 8),
        lambda: rng.choice(("", " ", "  ", "a", "\n")) + rng.choice(special) + rng.choice(("", " ", "\t ", "b", "'s")),
        lambda: rng.choice(special)[: rng.randint(1, 30)],
        lambda: rng.choice(("it", "WE", "é", "1", "", " ")) + rng.choice("'’ʼ") + any_case(rng, rng.choice(CONTRACTIONS)),
        lambda: "".join(chr(rng.randint(*rng.choice(BLOCKS))) for _ in range(rng.randint(1, 8))),
        lambda: some(NEW_CHARACTERS + "a1! ", 6, rng.choice(("", "a", " ", "1", "!"))),
        lambda: rng.choice(PUNCTUATION) * rng.choice((1, 1, 2, 3, 8, 33)),
        lambda: some("abcXYZ'_- ", 30),
        lambda: rng.choice("aAzé0.ß中") * rng.choice((5, 50, 300)),
    ]


def any_case(rng: random.Random, text: str) -> str:
    return "".join(rng.choice((c.lower(), c.upper())) if c.upper().lower() == c else c for c in text)


def edge_lines(special: Sequence[str]) -> list[str]:
    """Lines worth having whatever the seed: empty ones, lone ones, very long ones."""
    runs = (" ", "a", "\n", "\t", "1", "!", "é", "ab", " \n", "  x", "\r\n", "👍")
    long_lines = [run * (10_000 // len(run)) for run in runs]
    every_byte = ["".join(map(chr, range(0x100))), "".join(map(chr, range(0x300)))]
    return ["", " ", "\n", "\0", "'", "\ufffd", *special, "".join(special[:5]), *every_byte, *long_lines]
