"""Blinded texts, ratings joined by row id, and agreement of raters."""

import csv
import itertools
import json
import re

import h5py
import numpy as np
import pytest
from report_page import Page, numbers
from synthetic_results import ARMS, set_status

import rvsweep
from rvsweep.cli import blind, report
from rvsweep.data import ratings
from rvsweep.data.ratings import read_table, row_id_text
from rvsweep.data.results import read_results
from rvsweep.stats.agreement import krippendorff_alpha


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def blinded(results_file, tmp_path):
    """(results, texts, key) with one row that is not ok."""
    path = results_file(edit=lambda columns: set_status(columns, [4], 2, "broke"))
    texts, key = tmp_path / "texts.csv", tmp_path / "key.csv"
    assert blind.main([str(path), "-o", str(texts), "--key", str(key)]) == 0
    return path, texts, key


def test_blinded_texts_say_nothing_about_their_rows(blinded, tmp_path):
    path, texts, key = blinded
    lines, known = read(texts), read(key)
    assert list(lines[0]) == ["id", "text"] and len({line["id"] for line in lines}) == 89
    with h5py.File(path) as file:
        text_of = {
            row_id_text(row): text
            for row, text in zip(file["rows/row_id"][...], file["rows/text"].asstr()[...], strict=True)
        }
        order = [row_id_text(row) for row in file["rows/row_id"][...]]
    assert [text_of[line["row_id"]] for line in known] == [line["text"] for line in lines]
    places = [order.index(line["row_id"]) for line in known]
    assert abs(np.corrcoef(places, np.arange(89))[0, 1]) < 0.4 and places != sorted(places)
    assert {line["arm"] for line in known} == {arm[0] for arm in ARMS}
    again, other = tmp_path / "again.csv", tmp_path / "other.csv"
    for target, seed in ((again, "1"), (other, "2")):
        assert blind.main([str(path), "-o", str(target), "--key", str(tmp_path / "k"), "--seed", seed]) == 0
    assert again.read_bytes() == texts.read_bytes() != other.read_bytes()


def test_jsonl_holds_the_same_texts(blinded, tmp_path):
    path, texts, _ = blinded
    target = tmp_path / "texts.jsonl"
    assert blind.main([str(path), "-o", str(target), "--key", str(tmp_path / "k.csv")]) == 0
    assert [json.loads(line) for line in target.read_text("utf-8").splitlines()] == read(texts)


def rate(texts, target, rater, score):
    """Every text rated by `score(text)`, two left out."""
    lines = read(texts)[2:]
    with target.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "rater", "self_reference"])
        writer.writerows([line["id"], rater, score(line["text"])] for line in lines)


def test_ratings_become_an_outcome_of_every_analysis(blinded, tmp_path):
    path, texts, key = blinded
    rate(texts, tmp_path / "a.csv", "a", lambda text: text.count("aware"))
    rate(texts, tmp_path / "b.csv", "b", lambda text: text.count("aware") + 1)
    joined, page = tmp_path / "joined.csv", tmp_path / "page.html"
    arguments = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "--key", str(key), "-o", str(joined)]
    assert blind.join_ratings(arguments) == 0
    report_arguments = [str(path), "-o", str(page), "--ratings", str(joined), "--bootstrap", "500"]
    assert report.main(report_arguments) == 0
    shown = Page(page.read_text("utf-8"))
    with h5py.File(path) as file:
        rows = zip(
            file["rows/row_id"][...], file["rows/arm"][...], file["rows/pair"][...],
            file["rows/text"].asstr()[...], strict=True,
        )  # fmt: skip
        rated = {line["row_id"] for line in read(joined)}
        by_pair = {}
        for row, arm, pair, text in rows:
            if row_id_text(row) in rated:
                by_pair.setdefault((arm, pair), []).append(text.count("aware") + 0.5)
    for arm, (label, _, _) in enumerate(ARMS):
        means = [np.mean(by_pair[arm, pair]) for pair in range(5) if (arm, pair) in by_pair]
        assert numbers(shown.table("self_reference")[label][2]) == pytest.approx([np.mean(means)], abs=6e-3)
    raters, rows, several, alpha = shown.table("agreement")["self_reference"]
    assert (raters, rows, several) == ("2", "87", "87")
    a = np.array([float(line["self_reference"]) for line in read(tmp_path / "a.csv")])
    assert numbers(alpha)[0] == pytest.approx(brute_alpha(np.stack([a, a + 1])), abs=6e-4)


def brute_alpha(ratings):
    """From the definition: mean squared difference within units over that between all pairs of values."""
    units = [unit[np.isfinite(unit)] for unit in ratings.T]
    units = [unit for unit in units if len(unit) > 1]
    values = np.concatenate(units)
    observed = sum(
        sum((x - y) ** 2 for x, y in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in units
    ) / len(values)
    pairs = list(itertools.permutations(values, 2))
    return 1 - observed / (sum((x - y) ** 2 for x, y in pairs) / len(pairs))


def test_alpha_equals_its_definition():
    random = np.random.default_rng(1)
    ratings = random.integers(1, 6, (3, 25)) + random.normal(0, 0.1, (3, 25))
    ratings[random.random((3, 25)) < 0.3] = np.nan
    assert krippendorff_alpha(ratings) == pytest.approx(brute_alpha(ratings))
    assert krippendorff_alpha(np.tile(np.arange(5.0), (2, 1))) == pytest.approx(1)
    assert np.isnan(krippendorff_alpha(np.ones((2, 5))))
    assert np.isnan(krippendorff_alpha(np.array([[1.0, np.nan], [np.nan, 2.0]])))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no lines below its header"),
        ("row_id,score\n", "holds no lines below its header"),
        ("id,score\n1,2\n", "entry 1 has no row_id"),
        ("row_id\n{row}\n", "has no column of ratings"),
        ("row_id,score\n12,3\n", "no row 12 in"),
        ("row_id,score\n{row},high\n", "score 'high' is not a number"),
        ('row_id,score\n{row},"1,234"\n', "comma for thousands or decimals"),
        ("row_id,score\n{row},1\n{row},2\n", "rated twice by one rater"),
        ("row_id,score\n{row},1,9\n", "not as many fields"),
        ("row_id,keyword_count\n{row},1\n", "is the name of a read-out or a column of /rows"),
        ("row_id,logit_diff\n{row},1\n", "'logit_diff' is the name of a read-out"),  # that the file lacks
    ],
)
def test_bad_ratings_are_refused_in_one_line(results_file, tmp_path, capsys, text, message):
    path, ratings = results_file(pairs=1), tmp_path / "ratings.csv"
    with h5py.File(path) as file:
        ratings.write_text(text.replace("{row}", row_id_text(file["rows/row_id"][0])))
    assert report.main([str(path), "--ratings", str(ratings)]) == 2
    said = capsys.readouterr().err
    assert message in said and str(ratings) in said and len(said.splitlines()) == 1


def test_no_cell_is_a_formula_and_none_is_changed(results_file, tmp_path):
    written = [
        "=1+1",
        "+x",
        "-2.5",
        "@a",
        "'=quoted",
        "'plain",
        "\t=1",
        "＝1+1",
        "-inf",
        "a\x01b\r\nc",
        '"=',
        "",
    ]

    def edit(columns):
        columns["rows/text"][:12] = written
        columns["pairs/id"][0] = "-pair"

    texts, key, joined = (tmp_path / name for name in ("texts.csv", "key.csv", "joined.csv"))
    assert blind.main([str(results_file(edit=edit)), "-o", str(texts), "--key", str(key)]) == 0
    for path in (texts, key):
        for line in read(path):
            assert not any(
                cell.lstrip().startswith(tuple("=+-@＝")) and cell != "-2.5" for cell in line.values()
            )
    assert b"\x01" not in texts.read_bytes()
    found = [line["text"] for line in read_table(texts, ("id",))]
    assert set(found) >= {*written[:9], "a␁b␍\nc", '"='}
    assert "-pair" in {line["pair"] for line in read_table(key, ("id",))}
    rate(texts, tmp_path / "rated.csv", "=me", lambda text: -1)
    assert blind.join_ratings([str(tmp_path / "rated.csv"), "--key", str(key), "-o", str(joined)]) == 0
    assert {(line["rater"], line["self_reference"]) for line in read_table(joined, ("row_id",))} == {
        ("=me", "-1")
    }


def spreadsheet(cell: str) -> str:
    """What Excel and Calc make of a field on opening and saving: one that reads as a number is one."""
    if re.fullmatch(r"\d+", cell):
        return str(int(cell)) if len(cell) <= 11 else f"{int(cell):.5E}"
    if re.fullmatch(r"\d+[eE]\d+", cell) and float(cell) < 1e308:
        mantissa, exponent = f"{float(cell):.5E}".split("E")
        return f"{float(mantissa):g}E+{int(exponent):02d}"
    return cell


@pytest.mark.parametrize(
    ("delimiter", "encoding", "comma", "before"),
    [
        (",", "utf-8-sig", False, ""),
        (";", "utf-8-sig", True, ""),
        (",", "utf-8", True, ""),
        ("\t", "utf-16", True, ""),
        (";", "utf-8", True, "sep=;\r\n"),
    ],
)
def test_ratings_come_back_from_spreadsheets(results_file, tmp_path, delimiter, encoding, comma, before):
    path = results_file(pairs=20)
    texts, key, rated, joined = (tmp_path / f"{name}.csv" for name in ("texts", "key", "rated", "joined"))
    assert blind.main([str(path), "-o", str(texts), "--key", str(key)]) == 0
    lines = read(texts)
    assert len(lines) == 360 and all(spreadsheet(line["id"]) == line["id"] for line in lines)
    with rated.open("w", newline="", encoding=encoding) as file:
        file.write(before)
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\r\n")
        writer.writerow(["id", "text", "score"])
        for at, line in enumerate(lines):
            score = f"{at % 5}.25"
            writer.writerow(
                [spreadsheet(line["id"]), line["text"], score.replace(".", ",") if comma else score]
            )
        writer.writerows([["", "", ""]] * 2)
    assert blind.join_ratings([str(rated), "--key", str(key), "-o", str(joined)]) == 0
    results, _ = ratings.join(read_results(path), joined)
    row_of = {line["id"]: line["row_id"] for line in read(key)}
    found = dict(zip(map(row_id_text, results.rows["row_id"]), results.rows["score"], strict=True))
    assert [found[row_of[line["id"]]] for line in lines] == [at % 5 + 0.25 for at in range(360)]


def test_an_id_that_became_a_number_is_named_as_such(blinded, tmp_path, capsys):
    path, _, key = blinded
    lost = tmp_path / "lost.csv"
    lost.write_text("id,score\n2.2508E+79,1\n")
    assert blind.join_ratings([str(lost), "--key", str(key), "-o", str(tmp_path / "j.csv")]) == 2
    lost.write_text("row_id,score\n2.2508E+79,1\n")
    assert report.main([str(path), "--ratings", str(lost)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all("format the column as text" in line for line in said)


def test_bad_blinding_is_refused(blinded, tmp_path, capsys):
    path, texts, key = blinded
    stranger = tmp_path / "stranger.csv"
    stranger.write_text("id,score\nffff,1\n")
    assert blind.main([str(path), "-o", str(key), "--key", str(key)]) == 2
    assert blind.main([str(path), "-o", str(path), "--key", str(key)]) == 2
    assert blind.join_ratings([str(stranger), "--key", str(key), "-o", str(tmp_path / "j.csv")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "need two files" in said[0] and "is the results file itself" in said[1]
    assert "id ffff is not in the key" in said[2]


def test_a_line_of_jsonl_ends_at_its_line_feed_alone(tmp_path):
    texts = ["red\u2028boat", "red\u2029boat", "red\x85boat", "red\x0b\x0c\x1cboat"]
    path = tmp_path / "ratings.jsonl"
    with path.open("w", encoding="utf-8", newline="") as file:
        for n, text in enumerate(texts):
            line = json.dumps({"id": str(n), "text": text, "score": "1"}, ensure_ascii=False)
            file.write(line + ("\r\n" if n % 2 else "\n"))
    assert [line["text"] for line in read_table(path, ("id", "score"))] == texts


def test_objects_of_jsonl_need_not_have_every_rating(results_file, tmp_path):
    results = read_results(results_file())
    first, second = map(row_id_text, results.rows["row_id"][:2])
    path = tmp_path / "ratings.jsonl"
    path.write_text(f'{{"row_id": "{first}", "calm": 1}}\n{{"row_id": "{second}", "calm": 2, "depth": 3}}\n')
    joined, by_rater = ratings.join(results, path)
    assert joined.ratings == ["calm", "depth"] and by_rater["depth"].tolist() == [[3]]
    assert joined.rows["calm"][:2].tolist() == [1, 2] and np.isnan(joined.rows["depth"][0])


def test_empty_columns_behind_the_last_one_are_left_out(results_file, tmp_path):
    results = read_results(results_file())
    row = row_id_text(results.rows["row_id"][0])
    path = tmp_path / "ratings.csv"
    path.write_text(f"row_id,score,,\n{row},4,,\n")
    joined, _ = ratings.join(results, path)
    assert joined.ratings == ["score"] and joined.rows["score"][0] == 4
    path.write_text(f"row_id,score,,\n{row},4,,5\n")
    with pytest.raises(rvsweep.InputError, match="rename it"):
        ratings.join(results, path)


def test_a_rating_named_like_the_notebooks_families_is_reported_in_any_study(results_file, tmp_path):
    path, rated = results_file(attributes={"config": "[prompts]\nfile = gardens.jsonl\n"}), tmp_path / "ratings.csv"
    with h5py.File(path) as file:
        lines = [f"{row_id_text(row)},{at % 7}\n" for at, row in enumerate(file["rows/row_id"][...])]
    rated.write_text("row_id,recursive_depth\n" + "".join(lines))
    arguments = [str(path), "-o", str(tmp_path / "page.html"), "--ratings", str(rated), "--bootstrap", "200"]
    assert report.main(arguments) == 0
    assert "recursive_depth" in Page((tmp_path / "page.html").read_text("utf-8")).tables
