#include "rvsweep/text/prompts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "rvsweep/core/hash.hpp"
#include "support/input_error.hpp"
#include "support/temporary_folder.hpp"

namespace rvsweep {
namespace {

/// Listed pairs with their prompts.
PromptSet read_pairs(const std::filesystem::path& file) {
  std::vector<Prompt> prompts;
  PromptSet set = read_prompts(file, [&](Prompt prompt) { prompts.push_back(std::move(prompt)); });
  set.prompts = std::move(prompts);
  return set;
}

class Prompts : public ::testing::Test {
 protected:
  PromptSet read(const std::string& text) { return read_pairs(folder.write("pairs.jsonl", text)); }
  std::string refusal(const std::string& text) {
    return refusal_message([&] { read(text); });
  }
  std::string at(int line) const {
    return (folder.path() / "pairs.jsonl").string() + ":" + std::to_string(line);
  }
  TemporaryFolder folder;
};

const std::string first = R"({"pair": "one", "source": "S", "base": "B"})";

TEST_F(Prompts, ReadsPairsInOrder) {
  const auto set = read(first + "\n" + R"({"base": "b", "pair": "two", "source": "s"})" + "\n");
  ASSERT_EQ(set.pairs.size(), 2u);
  EXPECT_EQ(set.pairs[0].id, "one");
  EXPECT_EQ(set.pairs[1].id, "two");
  ASSERT_EQ(set.prompts.size(), 4u);
  EXPECT_EQ(set.prompts[set.pairs[0].source.value].text, "S");
  EXPECT_EQ(set.prompts[set.pairs[0].base.value].text, "B");
  EXPECT_EQ(set.prompts[set.pairs[1].source.value].text, "s");
  EXPECT_EQ(set.prompts[set.pairs[1].source.value].id, "two/source");
  EXPECT_EQ(set.prompts[set.pairs[1].base.value].id, "two/base");
  EXPECT_EQ(set.prompts[set.pairs[1].source.value].group, "source");
  EXPECT_EQ(set.prompts[set.pairs[1].base.value].group, "base");
}

TEST_F(Prompts, TakesTheLastLineWithoutItsEndAndWindowsLineEnds) {
  EXPECT_EQ(read(first).pairs.size(), 1u);
  const auto set = read(first + "\r\n" + R"({"pair": "two", "source": "s", "base": "b"})" + "\r\n");
  EXPECT_EQ(set.pairs.size(), 2u);
  EXPECT_EQ(set.prompts[0].text, "S");
}

TEST_F(Prompts, TakesGroupsAndLeavesOtherKeysToTheirOwner) {
  const auto set = read(
      R"({"pair": "one", "source": "S", "base": "B", "source_group": "recursive", "base_group": "history", "note": [1]})");
  EXPECT_EQ(set.prompts[set.pairs[0].source.value].group, "recursive");
  EXPECT_EQ(set.prompts[set.pairs[0].base.value].group, "history");
}

TEST_F(Prompts, TakesClustersOfEachSideOrOfBoth) {
  const auto clusters = [&](const std::string& written) {
    const auto set = read(R"({"pair": "one", "source": "S", "base": "B", )" + written + "}");
    return std::pair(set.prompts[set.pairs[0].source.value].cluster,
                     set.prompts[set.pairs[0].base.value].cluster);
  };
  using Two = std::pair<std::string, std::string>;
  EXPECT_EQ(clusters(R"("x": 1)"), (Two{"", ""}));
  EXPECT_EQ(clusters(R"("source_cluster": "t1")"), (Two{"t1", ""}));
  EXPECT_EQ(clusters(R"("cluster": "t1")"), (Two{"t1", "t1"}));
  EXPECT_EQ(clusters(R"("cluster": {"source": "t1", "base": "t2"})"), (Two{"t1", "t2"}));
  EXPECT_EQ(clusters(R"("cluster": {"base": "t2"}, "source_cluster": "t3")"), (Two{"t3", "t2"}));
  EXPECT_TRUE(says(refusal(R"({"pair": "one", "source": "S", "base": "B", "cluster": [1]})"),
                   {at(1), "source_cluster", "not a text"}));
  const auto table =
      read_pairs(folder.write("pairs.csv", "pair,source,base,cluster\none,S,B,t1\ntwo,s,b,\n"));
  EXPECT_EQ(table.prompts[table.pairs[0].base.value].cluster, "t1");
  EXPECT_EQ(table.prompts[table.pairs[1].base.value].cluster, "");
  const auto bank = read_bank(
      folder.write("bank.jsonl", R"({"id": "a", "text": "A", "group": "g", "cluster": "t1"})"
                                 "\n"
                                 R"({"id": "b", "text": "B", "group": "g"})"));
  EXPECT_EQ(bank.prompts[0].cluster, "t1");
  EXPECT_EQ(bank.prompts[1].cluster, "");
}

TEST_F(Prompts, SpansAreOfEachSide) {
  const std::string begin = R"({"pair": "one", "source": "S there", "base": "B")";
  const PromptSet set = read(begin + R"(, "spans": {"x": {"source": "there", "base": [0, 1]}}})");
  EXPECT_EQ(set.prompts[0].spans, R"({"x":[2,7]})");
  EXPECT_EQ(set.prompts[1].spans, R"({"x":[0,1]})");
  EXPECT_EQ(read(begin + R"(, "spans": null})").fingerprint, read(begin + "}").fingerprint);
  EXPECT_NE(set.fingerprint, read(begin + "}").fingerprint);
  EXPECT_TRUE(says(refusal(begin + R"(, "spans": {"x": "S"}})"), {at(1), "span \"x\"", "\"S\""}));
  // A prompt that is marked otherwise is another one.
  const std::string one = R"({"pair": "1", "source": "S", "base": "B", "spans": {"x": [0, 1]}})";
  const std::string two = R"({"pair": "2", "source": "S", "base": "B"})";
  EXPECT_EQ(read(one + "\n" + two).prompts.size(), 4u);
}

TEST_F(Prompts, MayListTheirArms) {
  const std::string begin = R"({"pair": "one", "source": "S", "base": "B")";
  const auto arms = [&](const std::string& written) {
    return read(first + "\n" + R"({"pair": "2", "source": "S", "base": "B", "arms": )" + written +
                "}")
        .pairs[1];
  };
  EXPECT_EQ(arms(R"(["x", "y z"])").arms, (std::vector<std::string>{"x", "y z"}));
  EXPECT_EQ(arms(R"("x")").arms, (std::vector<std::string>{"x"}));
  EXPECT_TRUE(arms("null").arms.empty());
  EXPECT_EQ(arms(R"("x")").line, 2);
  EXPECT_EQ(read(begin + R"(, "arms": null})").fingerprint, read(begin + "}").fingerprint);
  EXPECT_NE(read(begin + R"(, "arms": "x"})").fingerprint, read(begin + "}").fingerprint);
  for (const std::string written : {"[]", "[1]", R"({"x": 1})"})
    EXPECT_TRUE(says(refusal_message([&] { arms(written); }), {at(2), "\"arms\" is"}));
}

TEST_F(Prompts, TakesAnswersOfEachSide) {
  const auto answers = [&](const std::string& written) {
    return read(R"({"pair": "one", "source": "S", "base": "B", )" + written + "}").pairs[0].answers;
  };
  EXPECT_EQ(answers(R"("x": 1)"), PairAnswers());
  const PairAnswers both{{" Paris"}, {" Berlin", "Berlin"}};
  EXPECT_EQ(answers(R"("answer": {"source": " Paris", "base": [" Berlin", "Berlin"]})"), both);
  EXPECT_EQ(answers(R"("source_answer": " Paris", "base_answer": [" Berlin", "Berlin"])"), both);
  EXPECT_EQ(answers(R"("answer": {"base": " Berlin"})"), (PairAnswers{{}, {" Berlin"}}));
  const std::string pair = R"({"pair": "p", "source": "S", "base": "B", "answer": )";
  EXPECT_TRUE(says(refusal(pair + R"({"source": "", "base": "b"}})"), {at(1), "source_answer"}));
  EXPECT_TRUE(says(refusal(first + "\n" + pair + R"({"base": []}})"), {at(2), "base_answer"}));
  EXPECT_TRUE(says(refusal(pair + R"({"sorce": "s"}})"), {at(1), "\"answer\"", "sorce", "sides"}));
  const auto table = read_pairs(folder.write(
      "pairs.csv",
      "pair,source,base,source_answer,base_answer\none,S,B, Paris, Berlin\ntwo,s,b,,\n"));
  EXPECT_EQ(table.pairs[0].answers, (PairAnswers{{" Paris"}, {" Berlin"}}));
  EXPECT_EQ(table.pairs[1].answers, PairAnswers());
  const std::string bank_line = R"({"id": "a", "text": "A", "group": "g", "answer": )";
  EXPECT_THAT(read_bank(folder.write("bank.jsonl", bank_line + "\" Paris\"}")).answers,
              ::testing::ElementsAre(Answer{" Paris"}));
  EXPECT_TRUE(says(refusal_message([&] {
                     read_bank(folder.write("bank.jsonl", bank_line + R"({"source": "a"}})"));
                   }),
                   {"bank.jsonl:1", "\"answer\"", "no text"}));
}

TEST_F(Prompts, AnswersAreInTheFingerprintOnlyWhereGiven) {
  const auto fingerprint = [&](const std::string& more) {
    return read(R"({"pair": "one", "source": "S", "base": "B")" + more + "}").fingerprint;
  };
  // As the version before answers hashed it: every value and a NUL.
  std::string known;
  for (const char* value : {"one", "S", "B", "source", "base", "null", "null", "", ""})
    known += value + std::string(1, '\0');
  EXPECT_EQ(fingerprint(""), xxh3(known));
  std::set<std::uint64_t> all{fingerprint("")};
  for (const char* answer : {R"({"source": " x"})", R"({"base": " x"})", R"({"base": " y"})"})
    all.insert(fingerprint(R"(, "answer": )" + std::string(answer)));
  EXPECT_EQ(all.size(), 4u);
}

TEST_F(Prompts, EqualTextAndGroupIsOnePrompt) {
  const auto set = read(first + "\n" + R"({"pair": "two", "source": "S", "base": "other"})" + "\n" +
                        R"({"pair": "three", "source": "B", "base": "B"})" + "\n" +
                        R"({"pair": "four", "source": "S", "base": "B", "source_group": "g"})");
  EXPECT_EQ(set.pairs[0].source, set.pairs[1].source);
  EXPECT_EQ(set.pairs[0].base, set.pairs[2].base);
  EXPECT_NE(set.pairs[2].source, set.pairs[2].base);  // groups "source" and "base"
  EXPECT_NE(set.pairs[3].source, set.pairs[0].source);
  EXPECT_EQ(set.prompts.size(), 5u);
  EXPECT_EQ(set.prompts[set.pairs[1].source.value].id, "one/source");  // of its first pair
}

TEST_F(Prompts, AcceptsAnyTextAlsoEmpty) {
  const auto set =
      read(R"({"pair": "p é", "source": "", "base": "γνῶθι\n\"σεαυτόν\" 🙂"})");
  EXPECT_EQ(set.prompts[set.pairs[0].source.value].text, "");
  EXPECT_EQ(set.prompts[set.pairs[0].base.value].text, "γνῶθι\n\"σεαυτόν\" 🙂");
}

TEST_F(Prompts, TheFingerprintIsOfWhatTheFileSays) {
  const auto of = [&](const std::string& text, const char* name = "pairs.jsonl") {
    return read_pairs(folder.write(name, text)).fingerprint;
  };
  const std::string a = R"({"pair": "a", "source": "S", "base": "B é"})";
  EXPECT_EQ(of(a), of(a + "\r\n"));
  EXPECT_EQ(of(a),
            of(R"({"base":"B \u00e9","note":1,"source":"S","pair":"a","base_group":"base"})"));
  EXPECT_EQ(of(a), of("pair,source,base\na,S,B é\n", "pairs.csv"));
  const std::string b = R"({"pair": "b", "source": "S", "base": "B é"})";
  EXPECT_NE(of(a), of(b));
  EXPECT_NE(of(a + "\n" + b), of(b + "\n" + a));
  EXPECT_NE(of(a), of(R"({"pair": "a", "source": "SB", "base": " é"})"));
}

TEST_F(Prompts, AMissingFileOrAFolderIsRefused) {
  const auto missing = folder.path() / "none.jsonl";
  EXPECT_TRUE(says(refusal_message([&] { read_pairs(missing); }),
                   {missing.string(), "cannot be read", "prompts.file"}));
  EXPECT_TRUE(says(refusal_message([&] { read_pairs(folder.path()); }), {"cannot be read"}));
}

TEST_F(Prompts, AFileWithoutPairsIsRefused) {
  EXPECT_TRUE(says(refusal(""), {"pairs.jsonl", "no pair"}));
}

TEST_F(Prompts, AnEmptyLineIsNamed) {
  EXPECT_TRUE(says(refusal("\n" + first), {at(1), "empty"}));
  EXPECT_TRUE(says(refusal(first + "\n  \t\r\n"), {at(2), "empty"}));
}

TEST_F(Prompts, AMalformedLineIsNamed) {
  for (const std::string& line :
       {std::string("{\"pair\": \"two\""), first + first, std::string("{\0}", 3)})
    EXPECT_TRUE(says(refusal(first + "\n" + line + "\n"), {at(2), "not valid JSON"})) << line;
  for (const std::string line : {"[]", "3", "null", "\"pair\"", "pair: two"})
    EXPECT_TRUE(says(refusal(first + "\n" + line), {at(2), "not a JSON object"})) << line;
}

TEST_F(Prompts, AMissingKeyIsNamed) {
  EXPECT_TRUE(says(refusal(R"({"source": "S", "base": "B"})"), {at(1), "\"pair\""}));
  EXPECT_TRUE(says(refusal(R"({"pair": "one", "base": "B"})"), {at(1), "\"source\""}));
  EXPECT_TRUE(says(refusal(R"({"pair": "one", "source": "S"})"), {at(1), "\"base\""}));
}

TEST_F(Prompts, AValueOfTheWrongTypeIsNamed) {
  EXPECT_TRUE(says(refusal(R"({"pair": 1, "source": "S", "base": "B"})"),
                   {at(1), "\"pair\" is not a text"}));
  EXPECT_TRUE(says(refusal(R"({"pair": "one", "source": ["S"], "base": "B"})"),
                   {at(1), "\"source\" is not a text"}));
  EXPECT_TRUE(says(refusal(R"({"pair": "one", "source": "S", "base": null})"),
                   {at(1), "\"base\" is not a text"}));
  EXPECT_TRUE(says(refusal(R"({"pair": "one", "source": "S", "base": "B", "base_group": 2})"),
                   {at(1), "\"base_group\" is not a text"}));
}

// The message goes to a terminal, so it is text itself.
TEST_F(Prompts, TextThatIsNotUtf8IsRefusedInUtf8) {
  for (const std::string bad : {"\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf"}) {
    const auto message =
        refusal(first + "\n{\"pair\": \"two\", \"source\": \"" + bad + "\", \"base\": \"B\"}");
    EXPECT_TRUE(says(message, {at(2)}));
    for (const char c : message) EXPECT_LT(static_cast<unsigned char>(c), 0x80u) << message;
  }
}

TEST_F(Prompts, APairIdUsedTwiceIsRefusedNamingBothLines) {
  EXPECT_TRUE(says(refusal(first + "\n" + R"({"pair": "two", "source": "s", "base": "b"})" + "\n" +
                           R"({"pair": "one", "source": "x", "base": "y"})"),
                   {at(3), "\"one\"", at(1)}));
}

TEST_F(Prompts, AnEmptyPairIdIsRefused) {
  EXPECT_TRUE(says(refusal(R"({"pair": "", "source": "S", "base": "B"})"), {at(1), "\"pair\""}));
}

TEST_F(Prompts, ReadsPairsFromCsvColumnsInAnyOrder) {
  const auto set = read_pairs(folder.write("pairs.csv",
                                           "note,base,pair,source,base_group\n1,\"B,\nb\",one,"
                                           "\"S \"\"s\"\"\",history\n,C,two,T,maths\n"));
  ASSERT_EQ(set.pairs.size(), 2u);
  EXPECT_EQ(set.pairs[1].id, "two");
  EXPECT_EQ(set.prompts[set.pairs[0].source.value].text, "S \"s\"");
  EXPECT_EQ(set.prompts[set.pairs[0].source.value].group, "source");
  EXPECT_EQ(set.prompts[set.pairs[0].base.value].text, "B,\nb");
  EXPECT_EQ(set.prompts[set.pairs[0].base.value].group, "history");
}

class Bank : public ::testing::Test {
 protected:
  PromptBank read(const std::string& text, const std::string& name = "bank.jsonl") {
    return read_bank(folder.write(name, text));
  }
  std::string refusal(const std::string& text, const std::string& name = "bank.jsonl") {
    return refusal_message([&] { read(text, name); });
  }
  TemporaryFolder folder;
};

const std::string prompt = R"({"id": "one", "text": "T", "group": "g"})";

TEST_F(Bank, ReadsTheSameFromJsonLinesAndCsv) {
  const std::string json =
      prompt + "\n" + R"({"id": "two", "text": "a, \"b\"\nc é", "group": "h", "level": 3})" + "\n";
  const std::string csv = "id,level,text,group\r\none,,T,g\r\ntwo,3,\"a, \"\"b\"\"\nc é\",h\r\n";
  std::set<std::uint64_t> fingerprints;
  for (const auto& [text, name] : {std::pair(json, "bank.jsonl"), std::pair(csv, "bank.csv")}) {
    const auto bank = read(text, name);
    ASSERT_EQ(bank.prompts.size(), 2u) << name;
    EXPECT_EQ(bank.prompts[0].id, "one");
    EXPECT_EQ(bank.prompts[1].text, "a, \"b\"\nc é");
    EXPECT_EQ(bank.prompts[1].group, "h");
    fingerprints.insert(bank.fingerprint);
  }
  EXPECT_EQ(fingerprints.size(), 1u);
}

TEST_F(Bank, RefusesWhatCannotBeToldApart) {
  EXPECT_TRUE(says(refusal(prompt + "\n" + R"({"id": "one", "text": "U", "group": "g"})"),
                   {"bank.jsonl:2: ", "\"one\" is already used at", "bank.jsonl:1"}));
  EXPECT_TRUE(says(refusal(prompt + "\n" + R"({"id": "two", "text": "T", "group": "g"})"),
                   {"bank.jsonl:2: ", "text of \"two\"", "bank.jsonl:1"}));
  EXPECT_EQ(read(prompt + "\n" + R"({"id": "two", "text": "T", "group": "h"})").prompts.size(), 2u);
  EXPECT_TRUE(says(refusal(R"({"id": "a~b", "text": "T", "group": "g"})"), {"\"a~b\" has '~'"}));
}

TEST_F(Bank, RefusesEmptyAndMissingValues) {
  EXPECT_TRUE(says(refusal(R"({"id": "", "text": "T", "group": "g"})"), {"\"id\" is empty"}));
  EXPECT_TRUE(says(refusal(R"({"id": "a", "text": " ", "group": "g"})"), {"\"text\" is empty"}));
  EXPECT_TRUE(
      says(refusal("id,text,group\na,T,\n", "bank.csv"), {"bank.csv:2: ", "\"group\" is empty"}));
  EXPECT_TRUE(says(refusal(R"({"id": "a", "text": "T"})"), {"bank.jsonl:1: ", "no \"group\""}));
  EXPECT_TRUE(says(refusal("id,text\na,T\n", "bank.csv"),
                   {"bank.csv:1: ", "no column \"group\"", "id,text,group"}));
  EXPECT_TRUE(says(refusal("id,text,group,id\n", "bank.csv"), {"bank.csv:1: ", "twice"}));
  EXPECT_TRUE(says(refusal("id,text,group\na,\"x\ny\",g\nb,T\n", "bank.csv"),
                   {"bank.csv:4: ", "has 2 fields, the header 3"}));
  EXPECT_TRUE(says(refusal("id,text,group\n\na,T,g\n", "bank.csv"), {"bank.csv:2: ", "empty"}));
  for (const std::string text : {"", "id,text,group\n"})
    EXPECT_TRUE(says(refusal(text, "bank.csv"), {"bank.csv: ", "holds no prompt"}));
}

TEST_F(Bank, ABankIsNotTakenForPairsNorPairsForABank) {
  EXPECT_TRUE(says(refusal(first), {"bank.jsonl:1: ", "listed pair", "prompts.pairing = listed"}));
  EXPECT_TRUE(says(refusal("pair,source,base\na,S,B\n", "bank.csv"),
                   {"bank.csv:1: ", "prompts.pairing = listed"}));
  EXPECT_TRUE(says(refusal_message([&] { read_pairs(folder.write("bank.jsonl", prompt)); }),
                   {"bank.jsonl:1: ", "prompt of a bank", "length_matched"}));
}

TEST_F(Prompts, ANulIsRefusedInEveryTextThatResultsKeep) {
  for (const std::string key : {"pair", "source", "base", "source_group", "base_group"}) {
    nlohmann::json pair{{"pair", "p"}, {"source", "s"}, {"base", "b"}};
    pair[key] = std::string("a\0b", 3);
    EXPECT_TRUE(says(refusal(first + "\n" + pair.dump()), {at(2), "\"" + key + "\" holds a NUL"}));
  }
  for (const std::string key : {"id", "text", "group"}) {
    nlohmann::json prompt{{"id", "i"}, {"text", "t"}, {"group", "g"}};
    prompt[key] = std::string(1, '\0');
    const auto bank = folder.write("bank.jsonl", prompt.dump());
    EXPECT_TRUE(says(refusal_message([&] { read_bank(bank); }),
                     {bank.string() + ":1: \"" + key + "\" holds a NUL"}));
  }
  const auto csv = folder.write("pairs.csv", "pair,source,base\np,s," + std::string(1, '\0'));
  EXPECT_TRUE(says(refusal_message([&] { read_pairs(csv); }), {":2: \"base\" holds a NUL"}));
}

TEST_F(Prompts, ReadsTablesAsSpreadsheetsSaveThem) {
  for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
           {"PAIRS.CSV", "pair,source,base\r\np,S,B\r\n"},
           {"german.csv", "\xef\xbb\xbfpair;source;base\r\np;S;B\r\n"},
           {"tabs.Tsv", "pair\tsource\tbase\np\tS\tB\n"},
           {"excel.csv", "sep=;\r\npair;source;base\r\np;S;B\r\n"},
           {"heads.csv", "Pair, Source, BASE\np,S,B\n"}}) {
    const PromptSet set = read_pairs(folder.write(name, text));
    ASSERT_EQ(set.pairs.size(), 1u) << name;
    EXPECT_EQ(set.pairs[0].id, "p") << name;
    EXPECT_EQ(set.prompts[0].text, "S") << name;
    EXPECT_EQ(set.prompts[1].text, "B") << name;
  }
}

TEST_F(Prompts, NamesWhatIsNeitherLinesNorATable) {
  const auto refused = [&](const std::string& name, const std::string& text) {
    return refusal_message([&] { read_pairs(folder.write(name, text)); });
  };
  EXPECT_TRUE(says(refused("a.txt", "pair,source,base\np,S,B\n"),
                   {"a.txt:1: is not a JSON object", "ends in .csv or .tsv"}));
  EXPECT_TRUE(says(refused("a.json", "[" + first + "]"), {"a.json:1", "a list", "lines=True"}));
  EXPECT_TRUE(says(refused("a.jsonl", std::string("\xff\xfe{\0", 4)), {"a.jsonl:1: is UTF-16"}));
  EXPECT_TRUE(says(refused("a.csv", "pair,source,base\np,S,B\n,,\n"), {"a.csv:3: is empty"}));
}

/// Writes <s>system</s>, <u>message</u> and <a>answer</a>.
const ChatTemplate tags{"tags",
                        {"<u>", false, "</u>"},
                        {},
                        Around{"<s>", false, "</s><u>"},
                        Around{"</u><a>", false, "</a><u>"},
                        {}};

class Turns : public Prompts {
 protected:
  std::vector<std::string> openings(const std::string& lines, const ChatTemplate* chat = &tags) {
    std::vector<std::string> found;
    read_prompts(
        folder.write("pairs.jsonl", lines),
        [&](const Prompt& prompt) { found.push_back(prompt.opening); }, chat);
    return found;
  }
  std::string refused(const std::string& more, const ChatTemplate* chat = &tags) {
    return refusal_message(
        [&] { openings(R"({"pair": "one", "source": "S", "base": "B", )" + more + "}", chat); });
  }
};

const std::string turns =
    R"([{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}])";

TEST_F(Turns, StandInFrontOfBothPromptsOrOfOne) {
  const std::string begin = R"({"pair": "one", "source": "S", "base": "B")";
  EXPECT_EQ(
      openings(begin + R"(, "system": "Y", "turns": )" + turns + "}"),
      (std::vector<std::string>{"<s>Y</s><u>q</u><a>r</a><u>", "<s>Y</s><u>q</u><a>r</a><u>"}));
  EXPECT_EQ(openings(begin + R"(, "system": {"base": "Y"}, "turns": {"source": )" + turns + "}}"),
            (std::vector<std::string>{"<u>q</u><a>r</a><u>", "<s>Y</s><u>"}));
  EXPECT_EQ(openings(begin + R"(, "system": null, "turns": null})"),
            (std::vector<std::string>{"", ""}));
}

TEST_F(Turns, MakeAnotherPromptOfATextAndAGroup) {
  const std::string texts = R"("source": "S", "base": "B", "system": )";
  EXPECT_EQ(openings(R"({"pair": "1", )" + texts + "\"Y\"}\n" + R"({"pair": "2", )" + texts +
                     "\"Z\"}\n" + R"({"pair": "3", )" + texts + "\"Y\"}")
                .size(),
            4u);
}

TEST_F(Turns, AreOfSidesThatAPairHas) {
  for (const std::string key : {"system", "turns"}) {
    const std::string line =
        R"({"pair": "1", "source": "S", "base": "B", ")" + key + R"(": {"sorce": "Y"}})";
    EXPECT_TRUE(says(refusal_message([&] { openings(line); }), {":1", key, "side \"sorce\""}));
  }
}

TEST_F(Turns, OfABank) {
  const auto bank = [&](const std::string& system) {
    return folder.write("bank.jsonl", R"({"id": "a", "text": "T", "group": "g", "system": "Y"})"
                                      "\n"
                                      R"({"id": "b", "text": "T", "group": "g", "system": ")" +
                                          system + "\"}\n");
  };
  EXPECT_EQ(read_bank(bank("Z"), &tags).prompts[1].opening, "<s>Z</s><u>");
  EXPECT_TRUE(says(refusal_message([&] { read_bank(bank("Y"), &tags); }), {":2", "already used"}));
}

TEST_F(Turns, AreRefusedWhereTheyCannotBeWritten) {
  EXPECT_TRUE(says(refused(R"("system": "Y")", nullptr), {at(1), "set prompts.template = own"}));
  EXPECT_TRUE(says(refused(R"("system": "Y")", find_chat_template("llama2")),
                   {at(1), "has no place for a system message"}));
  EXPECT_TRUE(says(refused(R"("system": ["Y"])"), {at(1), "\"system\" is not a text"}));
  EXPECT_TRUE(says(refused(R"("system": "a\u0000b")"), {at(1), "NUL"}));
  for (const char* wrong :
       {R"("q")", R"([{"role": "user", "content": "q"}])", R"(["q", "r"])",
        R"([{"role": "assistant", "content": "r"}, {"role": "user", "content": "q"}])",
        R"([{"role": "user", "content": 1}, {"role": "assistant", "content": "r"}])"})
    EXPECT_TRUE(says(refused(std::string(R"("turns": )") + wrong),
                     {at(1), "\"turns\" are not messages of user and assistant in turn"}))
        << wrong;
}

TEST_F(Turns, ATableHasSystemMessagesAlone) {
  const auto file = folder.write("pairs.csv", "pair,source,base,system\n1,S,B,Y\n2,s,b,\n");
  std::vector<std::string> found;
  read_prompts(
      file, [&](const Prompt& prompt) { found.push_back(prompt.opening); }, &tags);
  EXPECT_EQ(found, (std::vector<std::string>{"<s>Y</s><u>", "<s>Y</s><u>", "", ""}));
}

}  // namespace
}  // namespace rvsweep
