#include "rvsweep/sweep/identity.hpp"

#include <gtest/gtest.h>

#include "rvsweep/core/hash.hpp"

namespace rvsweep {
namespace {

SweepIdentity sample() {
  SweepIdentity identity;
  identity.schema_version = 1;
  identity.rvsweep_version = "0.1.0";
  identity.git_commit = "abc";
  identity.config = {{"model.path", "m"},
                     {"run.device", "auto"},
                     {"sweep.seed", "7"},
                     {"sweep.arm", "base"},
                     {"sweep.arm", "source"}};
  identity.model_path = "m";
  identity.model_fingerprint = "00000000000000aa";
  identity.tokenizer_fingerprint = "00000000000000bb";
  identity.files.prompts = "00000000000000cc";
  identity.files.families = "00000000000000dd";
  identity.n_layers = 8;
  identity.early_layer = 1;
  identity.late_layer = 6;
  identity.window = 16;
  identity.bundle_rows = 128;
  identity.device = "cpu";
  identity.hardware = "AVX512";
  identity.dtype = "float32";
  identity.threads = 2;
  identity.libtorch_version = "2.9";
  return identity;
}

SweepFacts stored(const SweepIdentity& identity) {
  SweepFacts facts;
  facts.attributes = attributes_of(identity);
  return facts;
}

std::vector<std::string> texts(const std::vector<Difference>& differences) {
  std::vector<std::string> lines;
  for (const Difference& difference : differences) lines.push_back(difference.text());
  return lines;
}

TEST(SweepIdentity, NamesTheMemoryThatAGpusBundlesWerePlannedFor) {
  SweepIdentity on_gpu = sample();
  on_gpu.device = "cuda";
  on_gpu.device_memory = 80'000'000'000;
  EXPECT_EQ(stored_identity(stored(on_gpu)).device_memory, 80'000'000'000);
  SweepIdentity other = on_gpu;
  other.device_memory = 24'000'000'000;
  EXPECT_NE(fingerprint_of(on_gpu), fingerprint_of(other));
  EXPECT_EQ(texts(differences(on_gpu, other)),
            std::vector<std::string>{"device_memory was \"80000000000\", is now \"24000000000\""});
}

TEST(SweepIdentity, HasTheAttributesOfTheContractInItsOrder) {
  const Attributes expected{{"schema_version", "1"},
                            {"rvsweep_version", "0.1.0"},
                            {"git_commit", "abc"},
                            {"config",
                             "[model]\npath = m\n\n[run]\ndevice = auto\n\n[sweep]\nseed = 7\narm "
                             "= base\narm = source\n"},
                            {"model_path", "m"},
                            {"model_fingerprint", "00000000000000aa"},
                            {"tokenizer_fingerprint", "00000000000000bb"},
                            {"prompts_fingerprint", "00000000000000cc"},
                            {"n_layers", "8"},
                            {"early_layer", "1"},
                            {"late_layer", "6"},
                            {"window", "16"},
                            {"bundle_rows", "128"},
                            {"device_type", "cpu"},
                            {"cpu_capability", "AVX512"},
                            {"dtype", "float32"},
                            {"threads_per_rank", "2"},
                            {"libtorch_version", "2.9"},
                            {"families_fingerprint", "00000000000000dd"}};
  EXPECT_EQ(attributes_of(sample()), expected);
}

TEST(SweepIdentity, OfAGpuNamesTheLibrariesThatDecideItsBits) {
  SweepIdentity identity = sample();
  identity.device = "cuda";
  identity.gpu_libraries = {"13.0", "13.1.0", "9.19.0"};
  SweepIdentity asked = identity;
  asked.gpu_libraries = {"12.6", "12.6.4", "9.19.0"};
  EXPECT_EQ(texts(differences(identity, asked)),
            (std::vector<std::string>{"cuda_version was \"13.0\", is now \"12.6\"",
                                      "cublas_version was \"13.1.0\", is now \"12.6.4\""}));
  EXPECT_NE(fingerprint_of(identity), fingerprint_of(asked));
  asked = identity;
  asked.gpu_libraries.cudnn = "9.20.0";
  EXPECT_NE(fingerprint_of(identity), fingerprint_of(asked));
}

TEST(SweepIdentity, IsReadBackFromAFolder) {
  for (const char* device : {"cpu", "cuda"}) {
    SweepIdentity identity = sample();
    identity.device = device;
    if (identity.device == "cuda") identity.gpu_libraries = {"13.0", "13.1.0", "9.19.0"};
    const SweepIdentity read = stored_identity(stored(identity));
    EXPECT_EQ(attributes_of(read), attributes_of(identity));
    EXPECT_EQ(read.threads, 2);
    EXPECT_EQ(read.config, identity.config);
    EXPECT_EQ(fingerprint_of(read), fingerprint_of(identity));
    EXPECT_TRUE(differences(read, identity).empty());
  }
}

// Written out: attributes but for commit, path and configuration, then the settings that decide.
TEST(SweepIdentity, ItsFingerprintIsAHashOfWhatDecidesResults) {
  EXPECT_EQ(fingerprint_of(sample()),
            xxh3("schema_version=1\nrvsweep_version=0.1.0\nmodel_fingerprint=00000000000000aa\n"
                 "tokenizer_fingerprint=00000000000000bb\nprompts_fingerprint=00000000000000cc\n"
                 "n_layers=8\nearly_layer=1\nlate_layer=6\nwindow=16\nbundle_rows=128\n"
                 "device_type=cpu\ncpu_capability=AVX512\ndtype=float32\nthreads_per_rank=2\n"
                 "libtorch_version=2.9\nfamilies_fingerprint=00000000000000dd\n"
                 "sweep.arm = base | source\nsweep.seed = 7\n"));
}

TEST(SweepIdentity, FingerprintsOfTensorsAreKeptAndDecideNothing) {
  SweepIdentity identity = sample();
  identity.tensor_fingerprints = "0123456789abcdef";
  EXPECT_EQ(stored_identity(stored(identity)).tensor_fingerprints, "0123456789abcdef");
  EXPECT_EQ(fingerprint_of(identity), fingerprint_of(sample()));
  EXPECT_TRUE(differences(identity, sample()).empty());
}

TEST(Differences, AreNamedSettingsFirst) {
  SweepIdentity asked = sample();
  asked.config = {{"model.path", "elsewhere"},
                  {"run.device", "cpu"},
                  {"sweep.seed", "8"},
                  {"sweep.arm", "base"}};
  asked.git_commit = "def";
  asked.model_path = "elsewhere";
  asked.threads = 4;
  asked.files.filler = "00000000000000ee";
  const auto found = differences(sample(), asked);
  EXPECT_EQ(texts(found),
            (std::vector<std::string>{"sweep.arm was \"base | source\", is now \"base\"",
                                      "sweep.seed was \"7\", is now \"8\"",
                                      "threads_per_rank was \"2\", is now \"4\"",
                                      "filler_fingerprint was \"\", is now \"00000000000000ee\""}));
  EXPECT_EQ(found.front().key, "sweep.arm");
  EXPECT_NE(fingerprint_of(asked), fingerprint_of(sample()));
}

TEST(Differences, ASettingOfAnotherVersionIsOne) {
  SweepIdentity old = sample();
  old.config.push_back({"sweep.gone", "1"});
  EXPECT_EQ(texts(differences(stored_identity(stored(old)), sample())),
            std::vector<std::string>{"sweep.gone was \"1\", is now \"\""});
}

TEST(SweepIdentity, NotesForPeopleDecideNothing) {
  SweepIdentity now = sample();
  now.model_notes = "suppress_tokens = [3] is not applied";
  EXPECT_EQ(fingerprint_of(now), fingerprint_of(sample()));
  EXPECT_TRUE(differences(sample(), now).empty());
  EXPECT_EQ(stored_identity(stored(now)).model_notes, now.model_notes);
}

TEST(SweepIdentity, AChatTemplateOfAFileIsWhatItWrites) {
  SweepIdentity own = sample(), moved = sample();
  own.config.emplace_back("prompts.template", "own");
  moved.config.emplace_back("prompts.template", "elsewhere/file.json");
  own.files.chat_template = moved.files.chat_template = "00000000000000ee";
  EXPECT_EQ(fingerprint_of(own), fingerprint_of(moved));
  moved.files.chat_template = "00000000000000ff";
  EXPECT_NE(fingerprint_of(own), fingerprint_of(moved));
  EXPECT_EQ(differences(own, moved).front().key, "chat_template_fingerprint");
  SweepIdentity named = sample();
  named.config.emplace_back("prompts.template", "chatml");
  EXPECT_EQ(texts(differences(named, own)).front(),
            "prompts.template was \"chatml\", is now \"of a file\"");
}

}  // namespace
}  // namespace rvsweep
