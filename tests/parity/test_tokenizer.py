"""`rvsweep tokenize` against the tokenizers package with the same tokenizer.json, both ways, id for id."""

from __future__ import annotations

import json
import random
import subprocess
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

import make_gguf_tokenizers
import make_llama3_tokenizer
import make_mistral_tokenizer
import make_olmo2_tokenizer
from mixed_lines import edge_lines, mixed_lines

COUNT = 12_000


def tokenize(binary: Path, model: Path, lines: Sequence, *options: str) -> list:
    """One JSON value a line in, one a line out."""
    command = [str(binary), "tokenize", "--model", str(model), *options]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    result = subprocess.run(command, input=text.encode(), capture_output=True, timeout=600)
    assert result.returncode == 0, result.stderr.decode()[-2000:]
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def differing(given: Sequence, got: Sequence, wanted: Sequence) -> list[str]:
    return [f"{a!r:.300}: {b!r:.300}, not {c!r:.300}" for a, b, c in zip(given, got, wanted, strict=True) if b != c]


def check_encoding(binary: Path, folder: Path, reference: Tokenizer, lines: Sequence[str]) -> None:
    wanted = [encoding.ids for encoding in reference.encode_batch(lines)]
    wrong = differing(lines, tokenize(binary, folder, lines, "--json"), wanted)
    assert not wrong, f"{len(wrong)} of {len(lines)} lines:\n" + "\n".join(wrong[:5])


def check_decoding(binary: Path, folder: Path, reference: Tokenizer, sequences: Sequence[list[int]]) -> None:
    wrong = differing(sequences, tokenize(binary, folder, sequences, "--decode"), reference.decode_batch(sequences))
    assert not wrong, f"{len(wrong)} of {len(sequences)} sequences:\n" + "\n".join(wrong[:5])


# ---- Real vocabularies


OF_GGUF = ("qwen2", "gpt-2", "gpt-neox", "falcon", "phi-3", "gemma-4")


@pytest.fixture(
    scope="module", params=["SmolLM2", "Llama 3", "Mistral", "Mistral as transformers 5 writes it", "OLMo-2", *OF_GGUF]
)
def folder(request, demo_model, tmp_path_factory) -> Path:
    if request.param in OF_GGUF:
        return make_gguf_tokenizers.make(request.param)
    if request.param == "SmolLM2":
        return demo_model
    if request.param == "Llama 3":
        return make_llama3_tokenizer.make()
    if request.param == "OLMo-2":
        return make_olmo2_tokenizer.make()
    mistral = make_mistral_tokenizer.make()
    return mistral if request.param == "Mistral" else with_metaspace(mistral, tmp_path_factory.mktemp("mistral-5"))


def with_metaspace(mistral: Path, folder: Path) -> Path:
    """The same tokenizer as transformers 5 writes it: white space is marked by the pre-tokenizer, first word only."""
    tokenizer = Tokenizer.from_file(str(mistral / "tokenizer.json"))
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return saved(tokenizer, folder)


@pytest.fixture(scope="module")
def reference(folder) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def lines(reference) -> list[str]:
    special = [token.content for token in reference.get_added_tokens_decoder().values()]
    return edge_lines(special) + mixed_lines(seed=20, count=COUNT, special=special)


def test_encodes_every_line_alike(rvsweep, folder, reference, lines, parity_notes):
    check_encoding(rvsweep, folder, reference, lines)
    parity_notes.append(f"tokenizer {folder.name}: {len(lines)} lines give the same ids")


def test_decodes_every_line_alike(rvsweep, folder, reference, lines, parity_notes):
    rng = random.Random(21)
    encoded = [encoding.ids for encoding in reference.encode_batch(lines)]
    cut_short = [ids[rng.randint(0, len(ids)) :][: rng.randint(1, 20)] for ids in encoded]
    size = reference.get_vocab_size()
    scattered = [[rng.randrange(size + 3) for _ in range(rng.randint(0, 40))] for _ in range(COUNT)]
    sequences = encoded + cut_short + scattered
    check_decoding(rvsweep, folder, reference, sequences)
    parity_notes.append(f"tokenizer {folder.name}: {len(sequences)} id sequences give the same text")


def with_whole_spans(folder: Path) -> Tokenizer:
    """The reference without the ByteLevel post-processor's trimming of offsets, which leaves white space out."""
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    processor = content["post_processor"] or {}
    for part in (processor, *processor.get("processors", [])):
        if part.get("type") == "ByteLevel":
            part["trim_offsets"] = False
    return Tokenizer.from_str(json.dumps(content))


def whole_characters(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Byte spans as spans of the characters that they touch."""
    character_of_byte = [i for i, character in enumerate(text) for _ in character.encode()] + [len(text)]
    return [(character_of_byte[a], character_of_byte[b - 1] + 1) if b > a else (-1, -1) for a, b in spans]


def test_spans_are_the_offsets(rvsweep, folder, lines, parity_notes):
    """Empty are only the template's tokens and a mark of white space that was put in front and became a token of its
    own; the package gives such a mark the character that follows it. It also loses count behind a byte that has no
    token, of which SmolLM2 has some, and counts composed characters in its own way: lines with one are left out."""
    reference, wrong, n_spans = with_whole_spans(folder), [], 0
    known = set(reference.get_vocab())
    no_token = {byte for byte, c in enumerate(make_llama3_tokenizer.CHARACTER_OF_BYTE) if c not in known}
    if "▁" not in known:
        lines = [line for line in lines if no_token.isdisjoint(line.encode())]
    if reference.normalizer is not None and "NFC" in str(reference.normalizer):
        lines = [line for line in lines if unicodedata.is_normalized("NFC", line)]
    assert len(lines) >= 8_000
    encodings = reference.encode_batch(lines)
    tokenized = tokenize(rvsweep, folder, lines, "--json", "--spans")
    for line, tokens, wanted in zip(lines, tokenized, encodings, strict=True):
        assert [token[0] for token in tokens] == wanted.ids
        got = whole_characters(line, [(begin, end) for _, begin, end in tokens])
        expected = zip(wanted.offsets, wanted.tokens, wanted.special_tokens_mask, strict=True)
        for span, (offset, token, special) in zip(got, expected, strict=True):
            empty = offset == (0, 0) if special else token == make_mistral_tokenizer.MARK
            n_spans += 1
            if span != offset and not (span == (-1, -1) and empty):
                wrong.append(f"{line!r:.200}: {token!r} has {span}, not {offset}")
    assert not wrong, f"{len(wrong)} of {n_spans}:\n" + "\n".join(wrong[:5])
    parity_notes.append(f"tokenizer {folder.name}: {n_spans} tokens stand for the same characters")


def test_plain_lines_are_texts(rvsweep, folder, reference):
    texts = ["Hello world", "", "  two\tspaces  ", "don't", '中文 "quoted"']
    command = [str(rvsweep), "tokenize", "--model", str(folder)]
    result = subprocess.run(command, input="\n".join(texts).encode(), capture_output=True, check=True)
    assert [json.loads(line) for line in result.stdout.splitlines()] == [reference.encode(t).ids for t in texts]


# ---- Made for one question each. Their vocabulary is the single bytes and pairs of bytes that merge wherever
# ---- nothing separates them, so every cut between two characters is seen.


def pair_merging(firsts: bytes, seconds: bytes, *pre_tokenizer) -> Tokenizer:
    """All bytes, and each of `firsts` followed by each of `seconds` as one token."""
    vocabulary = {byte: i for i, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    character_of = make_llama3_tokenizer.CHARACTER_OF_BYTE
    merges = [(character_of[a], character_of[b]) for a in firsts for b in seconds]
    for a, b in merges:
        vocabulary.setdefault(a + b, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(list(pre_tokenizer))
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def saved(tokenizer: Tokenizer, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
NO_REGEX = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
CLASSIFIERS = {
    "gpt2": [GPT2],
    "punctuation": [pre_tokenizers.Punctuation("isolated"), NO_REGEX],
    "behind ByteLevel": [NO_REGEX, pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Digits()],
    "llama3": [pre_tokenizers.Split(Regex(make_llama3_tokenizer.WORDS), "isolated"), NO_REGEX],
    "digits": [pre_tokenizers.Digits(), NO_REGEX],
    "classes": [pre_tokenizers.Split(Regex(r"\w+|[\p{Lu}\p{M}]|\p{P}+|[^\S\r\n]|\D"), "isolated"), NO_REGEX],
}
# Of the large blocks of one class (ideographs, Hangul, private use, the empty planes) their ends and one in 97.
UNIFORM_BLOCKS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xE000, 0xF8FF),
    (0x17000, 0x18AFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2EBE0),
    (0x2EBF0, 0x2EE5D),
    (0x30000, 0x323AF),
    (0x323B0, 0x33479),
    (0x33500, 0xE0000),
    (0xE01F0, 0x10FFFF),
)


def is_of_interest(character: str) -> bool:
    code = ord(character)
    inside = any(first + 2 <= code <= last - 2 for first, last in UNIFORM_BLOCKS)
    return not 0xD800 <= code < 0xE000 and (not inside or code % 97 == 0)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_character_is_of_the_same_class(rvsweep, tmp_path, name):
    characters = list(filter(is_of_interest, map(chr, range(0x110000))))
    batches = [characters[start : start + 64] for start in range(0, len(characters), 64)]
    lines = ["".join(f"{c}a{c}1{c}!{c} \n" for c in batch) for batch in batches]
    neighbours = b"aA1! "
    last_bytes, first_bytes = bytes(range(0xC0)), bytes([*range(0x80), *range(0xC2, 0xF5)])
    for firsts, seconds in ((last_bytes, neighbours), (neighbours, first_bytes)):
        tokenizer = pair_merging(firsts, seconds, *CLASSIFIERS[name])
        check_encoding(rvsweep, saved(tokenizer, tmp_path), tokenizer, lines)


ADDED_TOKENS = [
    AddedToken("<a>", normalized=False, special=True),
    AddedToken("<a>b", normalized=False),
    AddedToken("word", single_word=True, normalized=False),
    AddedToken("<l>", lstrip=True, normalized=False, special=True),
    AddedToken("<r>", rstrip=True, normalized=False),
    AddedToken("<lr>", lstrip=True, rstrip=True, normalized=True),
    AddedToken("b<", normalized=True),
    AddedToken("ends é", single_word=True, normalized=True),
    AddedToken("é", normalized=False),
]


@pytest.mark.parametrize("add_prefix_space", [False, True])
def test_added_tokens_of_every_kind(rvsweep, tmp_path, add_prefix_space):
    tokenizer = pair_merging(b"abr <", b"abr >", pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space))
    tokenizer.add_tokens(ADDED_TOKENS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<a> <r> $A <l>", special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("<a>", "<r>", "<l>")]
    )
    folder = saved(tokenizer, tmp_path)
    rng = random.Random(22)
    parts = [token.content for token in ADDED_TOKENS]
    parts += [*" \n\t\u3000\xa0ab<>_1é²w", "\u0301", "\u200d", "\u24d0", "\u11de", "word", "  ", "\U00011f04"]
    lines = ["".join(rng.choices(parts, k=rng.randint(0, 9))) for _ in range(COUNT)]
    check_encoding(rvsweep, folder, tokenizer, lines)
    check_decoding(rvsweep, folder, tokenizer, [encoding.ids for encoding in tokenizer.encode_batch(lines)])


@pytest.mark.parametrize("seed", range(8))
def test_added_tokens_that_take_each_others_white_space(rvsweep, tmp_path, seed):
    rng = random.Random(seed)
    contents = ["<a>", "<b>", " ", "  ", "\n", " x"]
    tokenizer = pair_merging(b"xy", b"xy", NO_REGEX)
    for content in rng.sample(contents, 4):
        lstrip, rstrip, single_word = (rng.random() < 0.4 for _ in range(3))
        tokenizer.add_tokens(
            [AddedToken(content, lstrip=lstrip, rstrip=rstrip, single_word=single_word, normalized=False)]
        )
    drawn = ["".join(rng.choices([*contents, "x", "y"], k=rng.randint(1, 8))) for _ in range(500)]
    # The package breaks down where a token's range would end before it begins.
    lines = [line for line in drawn if encodes(tokenizer, line)]
    assert len(lines) > 250
    check_encoding(rvsweep, saved(tokenizer, tmp_path), tokenizer, lines)


def encodes(tokenizer: Tokenizer, line: str) -> bool:
    try:
        tokenizer.encode(line)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return False
    return True


SPLITS = {
    "digits of three": (r"\p{N}{1,3}", "isolated", False),
    "removed": (r"\s+", "removed", False),
    "only matches": (r"\p{L}+|\p{N}", "removed", True),
    "may be empty": (r"x*", "isolated", False),
    "look around": (r"(?<=a)b|(?<!b)1|a(?=!)|(?>x+)y?", "isolated", False),
    "lazy and possessive": (r"a+?b|x*+!|\s?[^\sa]", "isolated", False),
    "gpt4": (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\s*[\r\n]|\s+(?!\S)|\s+", "isolated", False),
    "cases": (r"[^\r\n\p{L}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+", "isolated", False),
    "escapes": (r"[\s\-\]a-b]+|\w\W|\d\D|\.\S|[\w-]!", "isolated", False),
    "negated property": (r"\P{L}{2}|\p{^N}x|[^\p{L}\P{M}]", "isolated", False),
    "not a regex": ("a!", "isolated", False),
    "merged with previous": (r"\s|!", "merged_with_previous", False),
    "merged with next": (r"\s|!", "merged_with_next", False),
    "merged with next, inverted": (r"[a-x]+", "merged_with_next", True),
    "contiguous": (r"a|\s", "contiguous", False),
    "contiguous, inverted, may be empty": (r"x*", "contiguous", True),
    "merged, may be empty": (r"x*", "merged_with_previous", False),
}


@pytest.mark.parametrize("name", SPLITS)
def test_regular_expressions_match_alike(rvsweep, tmp_path, name):
    expression, behavior, invert = SPLITS[name]
    pattern = expression if name == "not a regex" else Regex(expression)
    every_byte = bytes(range(256))
    tokenizer = pair_merging(every_byte, every_byte, pre_tokenizers.Split(pattern, behavior, invert), NO_REGEX)
    rng = random.Random(23)
    characters = "aaabbx1!'-]. \t\n\r\xa0\u180e\u3000éÉßſsSLlvVeErR2٣½中\u0301\u200d\U00011f04\U00011de0ǅ_"
    lines = ["".join(rng.choices(characters, k=rng.randint(0, 24))) for _ in range(4000)]
    check_encoding(rvsweep, saved(tokenizer, tmp_path), tokenizer, lines)


# ---- Byte-fallback tokenizers of other shapes, on Mistral's vocabulary


def metaspace(prepend_scheme: str, split: bool) -> dict:
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": prepend_scheme, "split": split}


def replace(pattern: str, content: str) -> dict:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


NORMALIZED = [
    AddedToken("<n>", normalized=True),
    AddedToken("in", single_word=True, normalized=True),
    AddedToken("<nl>", lstrip=True, normalized=True),
    AddedToken("<v>", rstrip=True, normalized=False),
]
SHAPES = {
    "a sequence of one": {
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [metaspace("first", split=False)]},
    },
    "cut before it is marked": {
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"String": "a"}, "behavior": "MergedWithPrevious", "invert": False},
                {"type": "Punctuation", "behavior": "Isolated"},
                metaspace("always", split=True),
            ],
        },
    },
    "always": {"normalizer": None, "pre_tokenizer": metaspace("always", split=False)},
    "always, split": {"normalizer": None, "pre_tokenizer": metaspace("always", split=True)},
    "first, split": {"normalizer": None, "pre_tokenizer": metaspace("first", split=True)},
    "never": {"normalizer": None, "pre_tokenizer": metaspace("never", split=False)},
    "as in old files": {
        "normalizer": None,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
    },
    "replaced": {
        "normalizer": {"type": "Sequence", "normalizers": [replace("aa", "b"), replace("b", ""), replace(" ", "▁")]}
    },
    "both": {"pre_tokenizer": metaspace("first", split=True)},
    "not fused": {"decoder": {"type": "Sequence", "decoders": [replace("▁", " "), {"type": "ByteFallback"}]}},
    "stripped twice": {
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "ByteFallback"},
                {"type": "Strip", "content": "▁", "start": 2, "stop": 0},
                replace("e", ""),
            ],
        }
    },
}


@pytest.mark.parametrize("name", SHAPES)
def test_byte_fallback_of_every_shape(rvsweep, tmp_path, name):
    content = json.loads((make_mistral_tokenizer.make() / "tokenizer.json").read_text(encoding="utf-8"))
    reference = Tokenizer.from_str(json.dumps(content | SHAPES[name]))
    reference.add_tokens(NORMALIZED)
    folder = saved(reference, tmp_path)
    rng = random.Random(24)
    parts = [token.content for token in NORMALIZED]
    parts += [*" \n\t\u3000\xa0abeé▁中😀\u0301", "<s>", "<0x41>", "▁the", " in ", "  ", "aa", "word", "\U0010ffff"]
    lines = ["".join(rng.choices(parts, k=rng.randint(0, 9))) for _ in range(4000)]
    check_encoding(rvsweep, folder, reference, lines)
    encoded = [encoding.ids for encoding in reference.encode_batch(lines)]
    any_or_byte = [[rng.randrange(32_010), rng.randrange(3, 259)] for _ in range(40_000)]
    scattered = [[rng.choice(rng.choice(any_or_byte)) for _ in range(rng.randint(0, 20))] for _ in lines]
    check_decoding(rvsweep, folder, reference, encoded + scattered)
