#include "rvsweep/plan/bundle.hpp"

#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "rvsweep/core/error.hpp"

namespace rvsweep {

using nlohmann::json;

namespace {

/// As one block of bytes: a JSON number each would take most of the coordinator's time.
json packed_tokens(const std::vector<std::int32_t>& tokens) {
  std::vector<std::uint8_t> bytes(tokens.size() * sizeof(std::int32_t));
  if (!tokens.empty()) std::memcpy(bytes.data(), tokens.data(), bytes.size());
  return json::binary(std::move(bytes));
}

std::vector<std::int32_t> unpacked_tokens(const json& packed) {
  const auto& bytes = packed.get_binary();
  RVSWEEP_EXPECT(bytes.size() % sizeof(std::int32_t) == 0, "a bundle arrived damaged: its tokens");
  std::vector<std::int32_t> tokens(bytes.size() / sizeof(std::int32_t));
  if (!tokens.empty()) std::memcpy(tokens.data(), bytes.data(), bytes.size());
  return tokens;
}

}  // namespace

std::vector<std::byte> pack_bundle(const Bundle& bundle) {
  json contexts = json::array(), derived = json::array(), rows = json::array();
  for (const auto& c : bundle.contexts)
    contexts.push_back({c.prompt.value, packed_tokens(c.tokens),
                        json::binary({c.text.begin(), c.text.end()}), c.records_prompt,
                        c.tokens_after_window});
  for (const auto& d : bundle.derived)
    derived.push_back({d.derivation, d.of, d.tokens, d.cells, d.pair_id, d.direction});
  for (const auto& r : bundle.rows) {
    json donors = json::array();
    for (const auto& d : r.donors)
      donors.push_back(json::array({d.index, packed_tokens(d.keyword_tokens)}));
    rows.push_back({r.row.value, r.arm.value, r.sample, r.pair_hash, r.base, r.reference,
                    r.counterpart, donors});
  }
  const auto& shape = bundle.shape;
  const json packed{
      bundle.id.value, {shape.contexts, shape.prompt_length, shape.rows}, contexts, derived, rows,
      bundle.cost};
  const auto bytes = json::to_msgpack(packed);
  std::vector<std::byte> result(bytes.size());
  std::memcpy(result.data(), bytes.data(), bytes.size());
  return result;
}

Bundle unpack_bundle(const std::vector<std::byte>& bytes) {
  try {
    const json packed = json::from_msgpack(bytes);
    Bundle bundle;
    bundle.id = BundleId(packed.at(0).get<std::int32_t>());
    const auto& shape = packed.at(1);
    bundle.shape = {shape.at(0), shape.at(1), shape.at(2)};
    for (const auto& c : packed.at(2)) {
      const auto& text = c.at(2).get_binary();
      bundle.contexts.push_back({PromptIndex(c.at(0).get<std::int32_t>()), unpacked_tokens(c.at(1)),
                                 std::string(text.begin(), text.end()), c.at(3).get<bool>(),
                                 c.at(4)});
    }
    for (const auto& d : packed.at(3))
      bundle.derived.push_back({d.at(0).get<Derivation>(), d.at(1), d.at(2), d.at(3), d.at(4),
                                d.at(5).get<Direction>()});
    for (const auto& r : packed.at(4)) {
      bundle.rows.push_back({RowIndex(r.at(0).get<std::int64_t>()),
                             ArmIndex(r.at(1).get<std::int32_t>()), r.at(2), r.at(3), r.at(4),
                             r.at(5), r.at(6)});
      for (const auto& d : r.at(7))
        bundle.rows.back().donors.push_back({d.at(0), unpacked_tokens(d.at(1))});
    }
    bundle.cost = packed.at(5);
    return bundle;
  } catch (const json::exception& error) {
    throw ContractError(std::string("a bundle arrived damaged: ") + error.what());
  }
}

}  // namespace rvsweep
