"""analysis/bank.py: its checks against brute force, its messages, and what the shipped bank claims."""

import csv
import io
import json
import random
import re
import statistics
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from report_page import Page
from scripts import run_script
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from rvsweep.bank import checks, summary
from rvsweep.bank import page as bank_page
from rvsweep.bank.checks import Lengths, near_duplicates
from rvsweep.bank.prompts import BankError, Prompt, read_banks, token_counts
from rvsweep.cli import bank

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "jobs/prompts/bank.jsonl"
MODELS = ("SmolLM2-135M-Instruct", "llama3-tokenizer", "mistral-tokenizer")
TOKENIZER = ROOT / "models" / MODELS[0]

NASTY = (  # id, text, group: what CSV has to quote
    ("a", 'He said "no", twice.', "g,1"),
    ("b", "two\nlines\r\nor three", "g 2"),
    ("c", "  spaces kept  ", "g 2"),
    ("ü", "naïve café, 夜の雨 🙂", "g,1"),
)


def jsonl(path, records):
    lines = (r if isinstance(r, str) else json.dumps(dict(zip(("id", "text", "group"), r))) for r in records)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def fields(prompts):
    return [(prompt.id, prompt.text, prompt.group) for prompt in prompts]


@pytest.mark.parametrize("order", [("id", "text", "group"), ("group", "id", "text")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_is_read_as_python_writes_it(tmp_path, order, end):
    records = [dict(zip(("id", "text", "group"), record, strict=True)) for record in NASTY]
    with (tmp_path / "b.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, order, lineterminator=end)
        writer.writeheader()
        writer.writerows(records)
    prompts = read_banks([tmp_path / "b.csv"])
    assert fields(prompts) == list(NASTY)
    raw = (tmp_path / "b.csv").read_bytes().split(b"\n")
    for prompt, start in zip(prompts, ("He said", "two", "  spaces", "na"), strict=True):
        line = int(prompt.where.rpartition(":")[2])
        assert start in raw[line - 1].decode().replace('""', '"')


def test_jsonl_and_csv_with_a_byte_order_mark_are_read(tmp_path):
    jsonl(tmp_path / "b.jsonl", NASTY)
    (tmp_path / "m.jsonl").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "b.jsonl").read_bytes())
    (tmp_path / "m.csv").write_bytes(b"\xef\xbb\xbfid,text,group\r\nx,one,g\r\ny,two,g\r\n")
    assert fields(read_banks([tmp_path / "m.jsonl"])) == list(NASTY)
    assert fields(read_banks([tmp_path / "m.csv"])) == [("x", "one", "g"), ("y", "two", "g")]


SWEEPS_OWN = {
    "cluster": "tides",
    "answer": [" Paris", " Lyon"],
    "spans": {"subject": [0, 2], "place": "sea"},
    "system": None,
    "turns": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
}


def test_what_a_bank_says_to_the_sweep_alone_is_passed_over(tmp_path):
    records = [dict(zip(("id", "text", "group"), record, strict=True)) for record in NASTY]
    lines = [json.dumps(SWEEPS_OWN | records[0]), *(json.dumps(record | {"cluster": ""}) for record in records[1:])]
    assert fields(read_banks([jsonl(tmp_path / "b.jsonl", lines)])) == list(NASTY)
    (tmp_path / "b.csv").write_text("id,cluster,text,group,answer,system\nx,,one,g, Paris,\ny,c,two,g,,\n")
    assert fields(read_banks([tmp_path / "b.csv"])) == [("x", "one", "g"), ("y", "two", "g")]


@pytest.mark.parametrize(
    ("name", "delimiter", "before"),
    [("b.csv", ";", ""), ("b.csv", "\t", ""), ("b.tsv", "\t", ""), ("B.TSV", ",", ""), ("b.csv", ";", "sep=;\r\n")],
)
def test_tables_are_read_as_spreadsheets_save_them(tmp_path, name, delimiter, before):
    path = tmp_path / name
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        file.write(before)
        csv.writer(file, delimiter=delimiter).writerows([("id", "text", "group"), *NASTY])
    found = read_banks([path])
    assert fields(found) == list(NASTY)
    assert found[0].where == f"{path}:{2 + before.count(chr(10))}"


def test_several_files_are_one_bank(tmp_path):
    jsonl(tmp_path / "a.jsonl", NASTY[:1])
    jsonl(tmp_path / "b.jsonl", NASTY[1:])
    assert fields(read_banks([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])) == list(NASTY)
    with pytest.raises(BankError, match=r'b\.jsonl:1: id "b" is already used at .*b\.jsonl:1'):
        read_banks([tmp_path / "b.jsonl", tmp_path / "b.jsonl"])


GOOD = b'{"id": "x", "text": "one", "group": "g"}\n'


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("b.jsonl", b"", ": holds no prompt"),
        ("b.csv", b"", ": holds no prompt"),
        ("b.csv", b"id,text,group\n", ": holds no prompt"),
        ("b.jsonl", GOOD, ":1: is the only prompt"),
        ("b.jsonl", GOOD + b"\n" + GOOD, ":2: is empty"),
        ("b.jsonl", GOOD + b'{"id": \n', ":2: is not valid JSON"),
        ("b.jsonl", GOOD + b"[" * 100_000, ":2: is not valid JSON"),
        ("b.jsonl", GOOD + b'["x"]', ":2: is not a JSON object"),
        ("b.jsonl", GOOD + b'{"id": "y", "text": 3, "group": "g"}', ':2: "text" is not a text'),
        ("b.jsonl", GOOD + b'{"id": "y", "text": " ", "group": "g"}', ':2: "text" is empty'),
        ("b.jsonl", GOOD + b'{"id": "y", "text": "\\ud800", "group": "g"}', ":2: .*surrogate"),
        ("b.jsonl", GOOD + b'{"id": "y", "text": "t"}', ':2: has no "group"'),
        (
            "b.jsonl",
            GOOD + b'{"id": "y", "txt": "t", "group": "g"}',
            ':2: unknown column "txt".*mean text\\?',
        ),
        ("b.jsonl", b'{"pair": "p", "source": "s", "base": "b"}', ':1: unknown column "pair"'),
        ("b.jsonl", GOOD + GOOD, ':2: id "x" is already used at .*:1'),
        ("b.jsonl", GOOD + b"\xff\xfe", ":2: is not UTF-8"),
        ("b.csv", b"id,text\nx,one\n", ':1: has no "group"'),
        ("b.csv", b"id,text,grp\nx,one,g\n", ':1: unknown column "grp".*mean group\\?'),
        ("b.csv", b"id,text,group,id\n", ':1: column "id" stands twice'),
        ("b.tsv", b"id\ttext\tgroup\tclutser\n", ':1: unknown column "clutser".*mean cluster\\?'),
        ("b.csv", b"sep=;\nid;text;group\nx;one\n", ":3: has 2 fields, the header 3"),
        ("b.jsonl", GOOD + b'{"id": "y", "text": "t", "group": "g", "answr": 1}', ':2: unknown.*mean answer\\?'),
        ("b.csv", b'id,text,group\nx,"a\nb",g\ny,one\n', ":4: has 2 fields, the header 3"),
        ("b.csv", b'id,text,group\nx,"a"b,g\n', ":2: is not valid CSV"),
        ("b.csv", b'id,text,group\nx,"never closed,g\n', ":2: is not valid CSV"),
        ("b.csv", b"id,text,group\nx,one,g\n\ny,two,g\n", ":3: is empty"),
        ("b.txt", GOOD, ": is none of .jsonl, .csv and .tsv"),
        ("none.csv", None, ": cannot be read"),
    ],
)
def test_bad_banks_are_named_in_one_line(tmp_path, capsys, name, data, message):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert bank.main([str(tmp_path / name), "--tokenizer", str(TOKENIZER)]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and len(shown.err.splitlines()) == 1
    assert re.search(re.escape(name) + message, shown.err)


def test_bad_tokenizers_and_outputs_are_named(tmp_path, capsys):
    (tmp_path / "tokenizer.json").write_text("{}")
    whole = str(jsonl(tmp_path / "b.jsonl", NASTY))
    for arguments, message in (
        (["--tokenizer", str(tmp_path / "no")], "no such file"),
        (["--tokenizer", str(tmp_path)], "is not a tokenizer"),
        (["--tokenizer", str(TOKENIZER), "-o", str(tmp_path / "no/p.html")], "cannot be written"),
        (["--tokenizer", str(TOKENIZER), "-o", whole], "is the bank"),
    ):
        assert bank.main([whole, *arguments]) == 2
        shown = capsys.readouterr().err
        assert message in shown and len(shown.splitlines()) == 1


def brute_shingles(text):
    words = re.findall(r"\w+", text.casefold())
    if not words:
        return set()
    return {tuple(words[i : i + 3]) for i in range(len(words)) if i + 3 <= len(words)} or {tuple(words)}


def brute_pairs(texts, least):
    sets = [brute_shingles(text) for text in texts]
    found = {}
    for j in range(len(texts)):
        for i in range(j):
            union = sets[i] | sets[j]
            if union and len(sets[i] & sets[j]) / len(union) >= least:
                found[i, j] = len(sets[i] & sets[j]) / len(union)
    return found


@pytest.mark.parametrize("least", [0.2, 0.5, 0.7, 1.0])
def test_near_duplicates_are_those_of_all_pairs(least):
    draw = random.Random(5)
    texts = ["", "!!", "Rain.", "rain", "Rain falls", "rain; falls"]
    for _ in range(60):
        words = [draw.choice("abcdefg") for _ in range(draw.randint(1, 30))]
        texts.append(" ".join(words))
        for _ in range(draw.randint(0, 4)):  # copies that drift apart
            words[draw.randrange(len(words))] = draw.choice("abcdefg")
            texts.append(" ".join(words).upper())
    found = near_duplicates(texts, least)
    assert {(i, j): value for value, i, j in found} == brute_pairs(texts, least) != {}
    assert [value for value, _, _ in found] == sorted((value for value, _, _ in found), reverse=True)


def test_equal_texts_are_found_after_folding_and_left_out_of_the_near_ones():
    texts = ["One two three four.", "one  TWO\nthree four. ", "One two three four", "other words here now"]
    prompts = [Prompt(str(i), text, "g", f"f:{i}") for i, text in enumerate(texts)]
    found = checks.examine(prompts, {})
    assert found.copies == [[0, 1]] and found.near == [(1.0, 0, 2)]


SPANS = {"short": (5, 20), "middle": (15, 40), "wide": (5, 90), "long": (80, 99)}


def test_length_tables_and_gaps():
    draw = random.Random(2)
    counts = {group: [draw.randint(*span) for _ in range(9)] for group, span in SPANS.items()}
    prompts = [Prompt(f"{g}{i}", "t", g, "f") for g, values in counts.items() for i in range(len(values))]
    flat = np.array([n for values in counts.values() for n in values])
    measured = checks.examine(prompts, {"x": flat}).measured[0]
    pairs = set()
    for row in measured.table:
        values = sorted(counts[row.group])
        quartiles = statistics.quantiles(values, n=4, method="inclusive")
        assert row == Lengths(row.group, 9, values[0], *quartiles, values[-1])
    for a in measured.table:
        for b in measured.table:
            if a.q3 < b.q1:
                pairs.add(frozenset((a.group, b.group)))
    assert {frozenset((lead, o)) for lead, others in measured.gaps for o in others} == pairs != set()
    assert sum(len(others) for _, others in measured.gaps) == len(pairs)
    assert measured.short == [i for i, n in enumerate(flat) if n < 16]


def test_keywords_are_counted_by_group():
    rows = (("a", "Notice, notice yourself."), ("a", "plain"), ("b", "a plain shelf"))
    prompts = [Prompt(str(i), text, group, "f") for i, (group, text) in enumerate(rows)]
    first, second = checks.examine(prompts, {}).leakage
    # notice, self, yourself: three of the 24 in one of two prompts
    assert (first.prompts, first.mean, set(first.keywords)) == (1, 1.5, {"notice", "self", "yourself"})
    assert (second.prompts, second.mean, second.keywords) == (0, 0, [])


def test_special_tokens_count_and_truncation_and_padding_do_not(tmp_path):
    tokenizer = Tokenizer(WordLevel({"<s>": 0, "?": 1}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert token_counts(tmp_path, ["one", "one two three four five"]).tolist() == [2, 6]


def test_the_page_holds_what_was_found(tmp_path):
    hostile = ("h", "One two three four <script>five</script>", "<b>&g")
    copies = (("k", "one two three four <script>five </script>", "g 2"), ("d", NASTY[0][1].upper(), "g 2"))
    path = jsonl(tmp_path / "b.jsonl", (*NASTY, hostile, *copies))
    assert bank.main([str(path), "--tokenizer", str(TOKENIZER), "-o", str(tmp_path / "p.html")]) == 0
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not any(tag in ("script", "b") for tag, _ in page.elements)
    assert page.table("near")["h, k"][0] == "1.00" and page.table("equal")["2 times"] == ["a, d"]
    assert page.table("lengths-1")["g 2"][0] == "4" and page.table("leakage")["g,1"][0] == "0"
    addresses = [a["href"] for tag, a in page.elements if tag == "a" and "download" in a]
    rows = list(csv.reader(io.StringIO(b64decode(addresses[0].partition(",")[2]).decode())))
    tokenizer = Tokenizer.from_file(str(TOKENIZER / "tokenizer.json"))
    assert rows[0] == ["id", "group", "tokens"]
    for row, (name, prompt, group) in zip(rows[1:], (*NASTY, hostile, *copies), strict=True):
        assert row == [name, group, str(len(tokenizer.encode(prompt).ids))]
    links = [a[key] for _, a in page.elements for key in ("href", "src") if key in a]
    assert all(link.startswith(("#", "data:")) for link in links)


def test_a_bank_of_many_groups_and_copies_is_shown_in_part(tmp_path):
    prompts = [Prompt(f"p{i}", f"text {i // 3}", f"group {i}", f"f:{i}") for i in range(900)]
    found = checks.examine(prompts, {"x": np.arange(900)})
    page = Page(bank_page.render(found))
    assert len(page.tables["equal"]) == 1 + bank_page.LISTED and len(page.tables["leakage"]) == 901
    assert "of 900 groups" in page.text
    assert "and 280 more" in summary.summary(found)


def test_the_command_runs_as_a_file():
    done = run_script("bank", SHIPPED, "--tokenizer", TOKENIZER)
    assert done.returncode == 0 and done.stdout.startswith("320 prompts in 16 groups\n")


@pytest.fixture(scope="module")
def shipped():
    prompts = read_banks([SHIPPED])
    texts = [prompt.text for prompt in prompts]
    return checks.examine(prompts, {m: token_counts(ROOT / "models" / m, texts) for m in MODELS})


def test_the_shipped_bank_has_sixteen_groups_of_twenty_different_prompts(shipped):
    assert len(shipped.prompts) == 320
    assert [len(members) for members in shipped.groups.values()] == [20] * 16
    texts = [prompt.text for prompt in shipped.prompts]
    assert len({" ".join(text.lower().split()) for text in texts}) == 320
    assert brute_pairs(texts, 0.1) == {}  # no template filled with other nouns


@pytest.mark.parametrize("model", range(len(MODELS)))
def test_lengths_of_the_shipped_bank_overlap_by_design(shipped, model):
    measured = shipped.measured[model]
    rows = {row.group: row for row in measured.table}
    long = rows.pop("long")
    assert measured.counts.min() >= 17 and max(row.high for row in rows.values()) <= 75
    assert 90 <= long.low and long.high <= 200
    for name in ("q1", "median", "q3"):
        values = [getattr(row, name) for row in rows.values()]
        assert max(values) - min(values) <= 10
    assert [lead for lead, _ in measured.gaps] == ["long"]


def test_the_datasheet_repeats_the_length_table(shipped):
    sheet = (SHIPPED.parent / "bank_datasheet.md").read_text(encoding="utf-8")
    rows = [re.findall(r"[^|`]+", line) for line in sheet.splitlines() if re.match(r"\| `\w+` \| \d", line)]
    assert [row[1] for row in rows] == list(shipped.groups)
    for row, *lengths in zip(rows, *(measured.table for measured in shipped.measured), strict=True):
        for text, of in zip(row[3:], lengths, strict=True):
            values = [float(value) for value in text.split()]
            assert values == pytest.approx([of.low, of.q1, of.median, of.q3, of.high], abs=0.051)


def test_only_recursive_groups_and_mentions_of_awareness_hold_notebook_keywords(shipped):
    clean = {row.group for row in shipped.leakage if row.prompts == 0}
    assert clean == set(shipped.groups) - {f"recursive_l{i}" for i in (2, 3, 4, 5)} - {"awareness_mention"}
    mentions = [shipped.prompts[i].text.lower() for i in shipped.groups["awareness_mention"]]
    assert all("aware" in text or "conscious" in text for text in mentions)
