"""Writes ioi.jsonl, facts.jsonl and copy.jsonl beside itself: pairs whose answers are known.

    .venv/bin/python jobs/prompts/make_known_answers.py [FOLDER]

known_answers_datasheet.md says what they are. The files are committed; tests compare them with what this writes.
"""

import json
import random
import sys
from pathlib import Path

SEED = 23

NAMES = (
    "Mary John Tom James Anna Paul Peter Sarah David Laura Mark Alice Robert Emma Kate Daniel Michael Susan Karen "
    "Linda Lisa Maria Martin George Henry Jack Jane Julia Kevin Lucy Nancy Oliver Rachel Sam Simon Steven Thomas "
    "William Amy Andrew Anthony Ben Brian Carl Charles Chris Claire Edward Elizabeth Eric Frank Helen Jason Jim Joe "
    "Josh Matt Max Nick Patrick Philip Richard Ruth Ryan Scott Sean Sophie Steve Tim Tony Victoria Walter"
).split()
SCENES = (  # the first two names, then the one who gives
    "When {} and {} went to the store, {} gave a drink to",
    "After {} and {} had dinner at the restaurant, {} handed the bill to",
    "While {} and {} were working in the office, {} passed a pen to",
    "Yesterday {} and {} met in the park, and {} showed a map to",
    "Then {} and {} sat down in the kitchen, and {} offered some cake to",
    "Once {} and {} had arrived at the station, {} bought a ticket for",
    "Because {} and {} were late for school, {} told a story to",
    "In the morning {} and {} walked along the river, and {} threw the ball to",
    "Before {} and {} left the library, {} lent a book to",
    "At the end of the day {} and {} cleaned the house, and {} said thanks to",
)
PAIRS_OF_SCENE = 11  # of each scene and order of names

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "Greece": "Athens", "Poland": "Warsaw", "Sweden": "Stockholm", "Norway": "Oslo", "Denmark": "Copenhagen",
    "Finland": "Helsinki", "Hungary": "Budapest", "Austria": "Vienna", "Ireland": "Dublin", "Russia": "Moscow",
    "Belgium": "Brussels", "Bulgaria": "Sofia", "Japan": "Tokyo", "China": "Beijing", "Thailand": "Bangkok",
    "Vietnam": "Hanoi", "Indonesia": "Jakarta", "Iran": "Tehran", "Iraq": "Baghdad", "Egypt": "Cairo",
    "Kenya": "Nairobi", "Morocco": "Rabat", "Cuba": "Havana", "Canada": "Ottawa", "Chile": "Santiago",
    "Peru": "Lima", "Australia": "Canberra", "Afghanistan": "Kabul", "Lebanon": "Beirut", "Romania": "Bucharest",
    "Serbia": "Belgrade", "Croatia": "Zagreb", "Pakistan": "Islamabad", "Uganda": "Kampala", "Ghana": "Accra",
}  # fmt: skip
LANGUAGES = {
    "France": "French", "Germany": "German", "Italy": "Italian", "Spain": "Spanish", "Portugal": "Portuguese",
    "Greece": "Greek", "Poland": "Polish", "Sweden": "Swedish", "Norway": "Norwegian", "Denmark": "Danish",
    "Finland": "Finnish", "Hungary": "Hungarian", "Austria": "German", "Russia": "Russian", "Ukraine": "Ukrainian",
    "Turkey": "Turkish", "Netherlands": "Dutch", "Romania": "Romanian", "Bulgaria": "Bulgarian", "Serbia": "Serbian",
    "Croatia": "Croatian", "Iceland": "Icelandic", "Japan": "Japanese", "China": "Chinese", "Korea": "Korean",
    "Thailand": "Thai", "Vietnam": "Vietnamese", "Iran": "Persian", "Iraq": "Arabic", "Egypt": "Arabic",
    "Israel": "Hebrew", "Brazil": "Portuguese", "Mexico": "Spanish", "Argentina": "Spanish", "Chile": "Spanish",
    "Cuba": "Spanish", "Colombia": "Spanish", "Lithuania": "Lithuanian", "Nepal": "Nepali", "Estonia": "Estonian",
}  # fmt: skip
COUNTRIES = {  # by continent
    "Europe": "France Germany Italy Spain Portugal Greece Poland Sweden Norway Denmark".split(),
    "Asia": "Japan China India Vietnam Thailand Iran Iraq Pakistan Nepal Mongolia".split(),
    "Africa": "Kenya Nigeria Ghana Morocco Algeria Libya Uganda Ethiopia Senegal Zimbabwe".split(),
}
CONTINENTS = {country: name for row in zip(*COUNTRIES.values()) for country, name in zip(row, COUNTRIES)}
RELATIONS = {
    "capital": (CAPITALS, ("The capital of {} is the city of", "If you visit {}, you should see its capital,")),
    "language": (LANGUAGES, ("The official language of {} is", "Most people who live in {} speak the language called")),
    "continent": (
        CONTINENTS,
        ("On the map of the world, {} lies on the continent of", "Like its neighbours, {} belongs to the continent of"),
    ),
}

WORDS = (
    "apple river stone window garden music paper silver dog cat horse bird fish tree house door table chair lamp book "
    "clock train boat plane bridge road mountain forest island ocean desert valley castle tower church market school "
    "hospital kitchen bottle glass spoon knife plate coat shirt hat shoe ring gold iron copper wood coal oil salt "
    "sugar bread butter cheese honey lemon orange banana cherry potato tomato onion pepper rice corn wheat coffee"
).split()
LISTS = {"near": 8, "far": 16}  # words until the list begins again
PAIRS_OF_LIST = 100


def fill(template: str, words: dict[str, str]) -> tuple[str, dict[str, list[int]]]:
    """The text, and where in its characters each word stands, by name; `words` in the order of the blanks."""
    text, spans = "", {}
    for part, (name, word) in zip(template.split("{}"), [*words.items(), ("", "")]):
        text += part
        if name:
            spans[name] = [len(text), len(text) + len(word)]
        text += word
    return text, spans


def pair(name: str, group: str, cluster: str, template: str, sides: dict[str, tuple[dict[str, str], str]]) -> dict:
    """A line of a file; `sides`: the words and the answer of source and base."""
    filled = {side: fill(template, words) for side, (words, _) in sides.items()}
    places = filled["source"][1].keys()
    return {
        "pair": name,
        **{side: text for side, (text, _) in filled.items()},
        **{f"{side}_group": group for side in sides},
        "cluster": cluster,
        "answer": {side: f" {answer}" for side, (_, answer) in sides.items()},
        "spans": {place: {side: spans[place] for side, (_, spans) in filled.items()} for place in places},
    }


def ioi(rng: random.Random) -> list[dict]:
    """The receiver is the name that is not repeated; base exchanges the two names throughout."""
    lines = []
    for number, scene in enumerate(SCENES):
        for order in ("abba", "baba"):
            drawn = rng.sample(NAMES, 2 * PAIRS_OF_SCENE)
            for names in zip(drawn[::2], drawn[1::2]):
                sides = {}
                for side, (receiver, giver) in (("source", names), ("base", names[::-1])):
                    words = (
                        {"receiver": receiver, "giver": giver}
                        if order == "abba"
                        else {"giver": giver, "receiver": receiver}
                    )
                    sides[side] = words | {"repeated": giver}, receiver
                lines.append(pair(f"ioi-{len(lines):03d}", order, f"scene-{number}", scene, sides))
    return lines


def facts(rng: random.Random) -> list[dict]:
    """Every subject of a template once as source and once as base, with a subject of another answer."""
    lines = []
    for relation, (answers, templates) in RELATIONS.items():
        for number, template in enumerate(templates):
            subjects = list(answers)
            while any(answers[one] == answers[other] for one, other in zip(subjects, rotated(subjects))):
                rng.shuffle(subjects)
            for source, base in zip(subjects, rotated(subjects)):
                sides = {side: ({"subject": one}, answers[one]) for side, one in (("source", source), ("base", base))}
                name = f"{relation}-{number}-{source}-{base}"
                lines.append(pair(name, relation, "", template, sides))
    return lines


def rotated(items: list) -> list:
    return [*items[1:], items[0]]


def copy(rng: random.Random) -> list[dict]:
    """A list of words begins again; base had another word behind the one that stands last."""
    lines = []
    for group, length in LISTS.items():
        for number in range(PAIRS_OF_LIST):
            drawn = rng.sample(WORDS, length + 1)
            other, words = drawn[0], drawn[1:]
            again = rng.randrange(length // 4, length // 2)  # words of the list that stand there twice before the cue
            sides = {}
            for side, target in (("source", words[again + 1]), ("base", other)):
                places = {f"word{i}": word for i, word in enumerate(words)} | {f"word{again + 1}": target}
                names = {f"word{again}": "cue", f"word{again + 1}": "target"}
                blanks = {names.get(key, key): word for key, word in places.items()}
                blanks |= {f"again{i}": word for i, word in enumerate(words[: again + 1])}
                sides[side] = blanks, target
            template = "Words: " + " ".join(["{}"] * len(blanks))
            line = pair(f"copy-{group}-{number:03d}", group, "", template, sides)
            line["spans"] = {place: line["spans"][place] for place in ("cue", "target")}
            lines.append(line)
    return lines


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for make in (ioi, facts, copy):
        lines = make(random.Random(f"{SEED} {make.__name__}"))
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{make.__name__}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
