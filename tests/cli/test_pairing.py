"""Banks of prompts and how they are paired, against SciPy, Python's csv module and a count of tokens in `tokenizers`."""

from __future__ import annotations

import csv
import json
import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from tokenizers import Tokenizer

from processes import call
from prompt_texts import sentences
from rvsweep_cli import read_results, write_config

SIZES = {"rec_a": 24, "rec_b": 20, "fact": 30, "chat": 17, "maths": 13}
SOURCES, BASES = ("rec_a", "rec_b"), ("fact", "chat", "maths")


def make_bank(sizes: dict[str, int], seed: int = 3) -> list[dict[str, str]]:
    """Groups of unlike lengths, mixed in the file."""
    generator = random.Random(seed)
    words = " ".join(sentences(seed, 40)).split(" ")
    bank = []
    for place, (group, count) in enumerate(sizes.items()):
        for n in range(count):
            start, length = generator.randrange(100), generator.randint(10 + 3 * place, 40 + 2 * place)
            text = f"{group} {n}: {' '.join(words[start : start + length])}"
            bank.append({"id": f"{group}-{n}", "text": text, "group": group})
    generator.shuffle(bank)
    return bank


def write_bank(path: Path, bank: list[dict[str, str]]) -> Path:
    if path.suffix == ".csv":
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["group", "id", "text"])
            writer.writeheader()
            writer.writerows(bank)
    else:
        path.write_text("".join(json.dumps(prompt) + "\n" for prompt in bank))
    return path


@dataclass
class Study:
    binary: Path
    config: Path
    prompts: list[dict[str, str]]
    length: dict[str, int]  # tokens by prompt id

    def words(self, command: str, pairing: str, *more: str, **keys: str | int | Path) -> list[str | Path]:
        settings = {"pairing": pairing, "source_groups": "rec_*", "base_groups": ",".join(BASES)} | keys
        sets = [word for key, value in settings.items() for word in ("--set", f"prompts.{key}={value}")]
        return [self.binary, command, "--config", self.config, *sets, *more]

    def call(self, command: str, pairing: str, *more: str, expect: int = 0, **keys: str | int | Path):
        result = call(self.words(command, pairing, *more, **keys))
        assert result.returncode == expect, f"exit {result.returncode}\n{result.stdout[-2000:]}{result.stderr}"
        return result

    def pairs(self, pairing: str, *more: str, **keys: str | int | Path) -> list[tuple[str, str]]:
        """(source, base) of every pair, its id and its token counts checked."""
        rows = [json.loads(line) for line in self.call("plan", pairing, "--list", *more, **keys).stdout.splitlines()]
        for row in rows:
            assert row["pair"] == f"{row['source']}~{row['base']}"
            assert row["source_tokens"] == self.length[row["source"]]
            assert row["base_tokens"] == self.length[row["base"]]
        return [(row["source"], row["base"]) for row in rows]

    def cost(self, pairs: list[tuple[str, str]]) -> int:
        return sum(abs(self.length[source] - self.length[base]) for source, base in pairs)

    def least_cost(self, some: list[str], others: list[str]) -> int:
        cost = np.abs(np.subtract.outer([self.length[i] for i in some], [self.length[i] for i in others]))
        return int(cost[linear_sum_assignment(cost)].sum())

    def members(self, group: str) -> list[str]:
        return [prompt["id"] for prompt in self.prompts if prompt["group"] == group]


def group_of(prompt_id: str) -> str:
    return prompt_id.rsplit("-", 1)[0]


def make_study(binary: Path, model: Path, folder: Path, prompts: list[dict[str, str]], name: str) -> Study:
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    bank = write_bank(folder / name, prompts)
    config = write_config(folder / "job.cfg", model, bank, ["base"], 1, 3, 0)
    return Study(binary, config, prompts, {p["id"]: len(tokenizer.encode(p["text"]).ids) for p in prompts})


@pytest.fixture(scope="module")
def study(rvsweep, tiny_model, tmp_path_factory) -> Study:
    return make_study(rvsweep, tiny_model("llama"), tmp_path_factory.mktemp("study"), make_bank(SIZES), "bank.jsonl")


def assert_one_to_one(pairs: list[tuple[str, str]]) -> None:
    for side in zip(*pairs):
        assert max(Counter(side).values()) == 1


def test_cross_is_every_source_with_every_base(study):
    pairs = study.pairs("cross")
    assert len(pairs) == 44 * 60
    assert set(pairs) == {(s, b) for g in SOURCES for s in study.members(g) for h in BASES for b in study.members(h)}


def test_random_gives_each_source_so_many_distinct_bases(study):
    pairs = study.pairs("random:3")
    assert len(set(pairs)) == len(pairs) == 44 * 3
    assert set(Counter(source for source, _ in pairs).values()) == {3}
    assert {group_of(base) for _, base in pairs} == set(BASES)
    assert study.pairs("random:3") == pairs
    assert study.pairs("random:3", "--set", "sweep.seed=2") != pairs
    assert set(pairs) < set(study.pairs("random:4"))
    assert len(study.pairs("random:3", pairs=50)) == 50


@pytest.mark.parametrize(("source", "base"), [("rec_a", "fact"), ("fact", "rec_a"), ("rec_b", "maths"), ("maths", "chat")])
def test_length_matched_has_the_least_total_difference(study, source, base):
    pairs = study.pairs("length_matched", source_groups=source, base_groups=base)
    assert len(pairs) == min(SIZES[source], SIZES[base])
    assert_one_to_one(pairs)
    assert {(group_of(s), group_of(b)) for s, b in pairs} == {(source, base)}
    assert study.cost(pairs) == study.least_cost(study.members(source), study.members(base))


@pytest.mark.parametrize("swapped", [False, True])
def test_length_matched_over_groups_is_least_within_each_group_of_the_larger_side(study, swapped):
    few, many = SOURCES, BASES
    sides = (many, few) if swapped else (few, many)
    pairs = study.pairs("length_matched", source_groups=",".join(sides[0]), base_groups=",".join(sides[1]))
    assert len(pairs) == 44
    assert_one_to_one(pairs)
    shares = Counter((group_of(s), group_of(b)) for s, b in pairs)
    assert len(shares) == 6
    for group in few:  # 24 to 3 groups: 8 each; 20: 7, 7, 6
        of_group = [share for groups, share in shares.items() if group in groups]
        assert sum(of_group) == SIZES[group] and max(of_group) - min(of_group) <= 3
    for group in many:
        dealt = [pair for pair in pairs if group in map(group_of, pair)]
        assert len(dealt) <= SIZES[group]
        mine = [s if group_of(b) == group else b for s, b in dealt]
        assert study.cost(dealt) == study.least_cost(mine, study.members(group))


def test_length_matched_is_a_function_of_seed_and_bank(study):
    pairs = study.pairs("length_matched")
    assert study.pairs("length_matched") == pairs
    assert study.pairs("length_matched", "--set", "sweep.seed=2") != pairs
    capped = study.pairs("length_matched", pairs=12)
    assert len(capped) == 12 and set(Counter((group_of(s), group_of(b)) for s, b in capped).values()) == {2}


def test_hundreds_of_prompts_are_matched(rvsweep, tiny_model, tmp_path):
    sizes = {"rec_a": 700, "fact": 900}
    study = make_study(rvsweep, tiny_model("llama"), tmp_path, make_bank(sizes, seed=5), "bank.jsonl")
    pairs = study.pairs("length_matched", base_groups="fact")
    assert len(pairs) == 700
    assert study.cost(pairs) == study.least_cost(study.members("rec_a"), study.members("fact"))


@pytest.mark.parametrize("pairing", ["cross", "length_matched"])
def test_the_plan_reports_what_lengths_are_left_to_differ(study, pairing):
    lines = study.call("plan", pairing).stdout.splitlines()
    by_groups = defaultdict(list)
    for source, base in study.pairs(pairing):
        difference = study.length[source] - study.length[base]
        by_groups["lengths   "].append(difference)
        by_groups[f"  {group_of(source)} x {group_of(base)}: "].append(difference)
    assert len(by_groups) == 7
    for title, differences in by_groups.items():
        told = next(line for line in lines if line.startswith(title))
        numbers = [float(number) for number in re.findall(r"[-+]?\d+(?:\.\d+)?", told.removeprefix(title))]
        sizes = np.abs(differences)
        expected = [len(sizes), sizes.mean(), np.median(sizes), sizes.max(), np.mean(differences), 100 * (sizes == 0).mean()]
        tolerances = [0, 0.0051, 0, 0, 0.0051, 0.51]
        for number, value, tolerance in zip(numbers, expected, tolerances, strict=True):
            assert abs(number - value) <= tolerance, told


def test_csv_and_json_lines_give_the_same_pairs(study, tmp_path):
    bank = write_bank(tmp_path / "bank.csv", study.prompts)
    assert study.pairs("length_matched", file=bank) == study.pairs("length_matched")


def nasty_texts() -> list[str]:
    generator = random.Random(11)
    pieces = ['"', '""', ",", "\n", "\r\n", "\r", " ", "\t", "é", "🙂", "a", "b c", ";", "'", "\\", "\x01"]
    texts = ["Text " + "".join(generator.choices(pieces, k=generator.randint(1, 30))) for _ in range(60)]
    # Python's writer leaves a field unquoted whose only line end is a carriage return.
    return [text + "\n" * ("\r" in text) for text in texts]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_is_read_as_python_reads_it(study, tmp_path, quoting, line_end, encoding):
    texts = sorted(set(nasty_texts()))
    path = tmp_path / "bank.csv"
    with open(path, "w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, quoting=quoting, lineterminator=line_end)
        writer.writerow(["id", "text", "group"])
        writer.writerows((f"p{n}", text, "ab"[n % 2]) for n, text in enumerate(texts))
    with open(path, newline="", encoding=encoding) as file:
        expected = [(row["id"], row["text"], row["group"]) for row in csv.DictReader(file)]
    assert [text for _, text, _ in expected] == texts
    out = tmp_path / "out"
    device = ["--out", str(out), "--device", "cpu", "--dtype", "float32"]
    study.call("run", "random:1", *device, file=path, source_groups="a", base_groups="b")
    prompts = read_results(out / "results.h5").prompts
    read = dict(zip(prompts["id"], zip(prompts["text"], prompts["group"])))
    assert {f"p{n}" for n in range(0, len(texts), 2)} <= read.keys()
    assert read == {i: (text, group) for i, text, group in expected if i in read}


def test_pairs_are_listed_in_csv_too(study, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text('pair,source,base,base_group\none,"Observe, observe.","Bake\na cake.",food\n')
    words = study.words("plan", "listed", "--list", file=path, source_groups="none", base_groups="none")
    row = json.loads(call(words).stdout)
    assert (row["pair"], row["source"], row["base"]) == ("one", "one/source", "one/base")


GOOD = '{"id": "a", "text": "A text", "group": "rec_a"}\n{"id": "b", "text": "B text", "group": "fact"}\n'


@pytest.mark.parametrize(
    ("name", "content", "keys", "told"),
    [
        ("bank.jsonl", GOOD, {"source_groups": "rec_c"}, ["--set prompts.source_groups", "rec_c", "did you mean rec_a?"]),
        ("bank.jsonl", GOOD, {"base_groups": "chat"}, ["--set prompts.base_groups", 'no group "chat"']),
        ("bank.jsonl", GOOD, {"base_groups": "fact,*"}, ["rec_a", "both sides"]),
        ("bank.jsonl", GOOD, {"base_groups": "none"}, ["without prompts.base_groups"]),
        ("bank.jsonl", GOOD, {"base_groups": "fact,,chat"}, ["commas"]),
        ("bank.jsonl", GOOD, {"pairing": "random:2"}, ["random:2", "1 of prompts.base_groups"]),
        ("bank.jsonl", GOOD, {"pairing": "random:0"}, ["number from 1"]),
        ("bank.jsonl", GOOD, {"pairing": "random"}, ["random:K"]),
        ("bank.jsonl", GOOD, {"pairing": "cross:2"}, ["random:K"]),
        ("bank.jsonl", GOOD, {"pairs": 3, "pairing": "cross"}, ["prompts.pairs", "means nothing"]),
        ("bank.jsonl", GOOD, {"pairing": "listed"}, ["prompts.source_groups", "means nothing"]),
        ("bank.jsonl", GOOD + GOOD, {}, ["bank.jsonl:3: ", "already used at", "bank.jsonl:1"]),
        ("bank.jsonl", GOOD + '{"id": "c", "text": "A"}\n', {}, ["bank.jsonl:3: ", '"group"']),
        ("bank.jsonl", '{"pair": "a", "source": "S", "base": "B"}\n', {}, ["bank.jsonl:1: ", "listed pair"]),
        ("bank.jsonl", GOOD.encode() + b'{"id": "c", "text": "\xff", "group": "fact"}\n', {}, ["bank.jsonl:3: ", "UTF-8"]),
        ("bank.csv", b"id,text,group\na,A,rec_a\nb,\xc3,fact\n", {}, ["bank.csv:3: ", "UTF-8"]),
        ("bank.csv", "id,text\na,A\n", {}, ["bank.csv:1: ", '"group"']),
        ("bank.csv", 'id,text,group\na,"A\nA",rec_a\nb,B\n', {}, ["bank.csv:4: ", "2 fields"]),
        ("bank.csv", 'id,text,group\na,"A,rec_a\n', {}, ["bank.csv:2: ", "never closed"]),
        ("bank.csv", "id,text,group\n", {}, ["holds no prompt"]),
        ("bank.jsonl", "", {}, ["holds no prompt"]),
    ],
)
def test_bad_banks_and_settings_are_one_message(study, tmp_path, name, content, keys, told):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    keys = {"file": path, "source_groups": "rec_a", "base_groups": "fact"} | keys
    pairing = keys.pop("pairing", "length_matched")
    message = study.call("plan", pairing, expect=2, **keys).stderr
    assert len(message.splitlines()) == 1, message
    for part in told:
        assert part in message


def test_more_pairs_than_the_bank_can_give_are_warned_of(study):
    for pairing, most in (("length_matched", 44), ("random:1", 44)):
        for pairs, warned in ((most, False), (most + 1, True)):
            said = study.call("plan", pairing, pairs=pairs)
            assert re.search(r"^pairs +44$", said.stdout, re.MULTILINE)
            assert (f"prompts.pairs = {pairs}, but these groups and this pairing make 44 pairs" in said.stderr) == warned


def test_one_pair_is_a_study(study, tmp_path):
    bank = tmp_path / "bank.jsonl"
    bank.write_text(GOOD)
    for pairing in ("cross", "random:1", "length_matched"):
        lines = study.call("plan", pairing, "--list", file=bank, base_groups="fact").stdout.splitlines()
        assert [json.loads(line)["pair"] for line in lines] == ["a~b"]
        assert "1 pair: " in study.call("plan", pairing, file=bank, base_groups="fact").stdout


def test_a_sweep_grows_where_its_pairs_stay(study, tmp_path):
    out = tmp_path / "out"
    device = ["--out", str(out), "--device", "cpu", "--dtype", "float32"]
    few = {"base_groups": "maths", "source_groups": "rec_b"}
    study.call("run", "random:1", *device, **few)
    old = read_results(out / "results.h5")
    message = study.call("run", "random:2", *device, expect=2, **few).stderr
    assert 'prompts.pairing was "random:1", is now "random:2"' in message
    study.call("run", "random:2", "--extend", *device, **few)
    new = read_results(out / "results.h5")
    assert len(new.pairs["id"]) == 40 and set(old.pairs["id"]) < set(new.pairs["id"])
    places = [list(new.prompts["id"]).index(prompt) for prompt in old.prompts["id"]]
    np.testing.assert_array_equal(new.prompts["spectra"][places], old.prompts["spectra"])
    message = study.call("run", "length_matched", "--extend", *device, expect=2, **few).stderr
    assert "does not extend" in message and " is gone" in message and " more: an extension only" in message
