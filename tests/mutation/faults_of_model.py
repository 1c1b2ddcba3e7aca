"""Deliberate faults in src/model, model_config, tokenizer and text."""

from __future__ import annotations

from fault import fault

FAULTS = [
    fault(
        "local layers of OLMo-3 rotated as Llama's",
        "model_config/positions.cpp",
        "if (m.local_rope) m.local_rope->in_float32 = family.rotates_in_float32;",
        "",
        "model_config Config.OnlyFullAttentionOfOlmo3IsScaled",
    ),
    fault(
        "halves side by side added to the stream one after the other",
        "model/transformer.cpp",
        "      add_mlp(halves);\n      stream.add_(halves);",
        "      stream.add_(halves);\n      halves.zero_();\n      add_mlp(halves);\n      stream.add_(halves);",
        "model Transformer.HalvesSideBySideAreAddedToEachOtherFirst",
    ),
    fault(
        "the sliding window of the layer before",
        "model/transformer.cpp",
        "hides ? config_.window(layer) : 0",
        "hides ? config_.window(std::max<std::int64_t>(layer - 1, 0)) : 0",
        "model Transformer.LayersOfSlidingAttentionSeeTheirWindow",
    ),
    fault(
        "rows of q, k and v taken in the file's order",
        "model_config/parameters.cpp",
        "if (head_rows == 0) return i;",
        "return i;",
        "model_config Parameter.LiesInItsFileAsTheFamilyWritesIt",
    ),
    fault(
        "layers of sliding attention rotated like the others",
        "model/transformer.cpp",
        "pass.rotations[rotation_of(layer)]",
        "pass.rotations[0]",
        "model Transformer.LayersOfSlidingAttentionRotateByTheirOwn",
    ),
    fault(
        "rows of k and v exchanged",
        "model_config/parameters.cpp",
        '{qkv_proj, layer + "self_attn.k_proj.weight", {D, H}, product, !c.fused},\n'
        '      {qkv_proj, layer + "self_attn.v_proj.weight", {D, H}, product, !c.fused},',
        '{qkv_proj, layer + "self_attn.v_proj.weight", {D, H}, product, !c.fused},\n'
        '      {qkv_proj, layer + "self_attn.k_proj.weight", {D, H}, product, !c.fused},',
        "model_config Parameters.AreHuggingFacesInTheOrderOfTheirUse",
    ),
    fault(
        "a family's own sliding window forgotten",
        "model_config/families.cpp",
        '.defaults = {{"num_key_value_heads", 8}, {"sliding_window", 4096}}};',
        '.defaults = {{"num_key_value_heads", 8}}};',
        "model_config Config.TakesFromItsFamilyWhatFamiliesDifferIn",
    ),
    fault(
        "tied head left out of the products",
        "model/weights.cpp",
        "if (config.tied_head) parameters.push_back",
        "if (!config.tied_head) parameters.push_back",
        "model WeightLayout.GivesTheMatricesOfProductsInTheOrderOfTheirUse",
    ),
    fault(
        "biases drawn as ones",
        "model/weight_source.cpp",
        "parameter.role == Role::bias ? 0.0F : source.norm_weight",
        "source.norm_weight",
        "model Sources.DrawnNumbersAreNearlyNormal",
    ),
    fault(
        "patch one layer too late",
        "model/site_edit.cpp",
        "edit.site == site && edit.layer == layer",
        "edit.site == site && edit.layer + 1 == layer",
        "model SiteEdit.WeightOneGivesTheValuesBitsAndZeroKeepsTheOldOnes",
    ),
    fault(
        "norm of the donor left in what is added by the values' own norm",
        "model/site_edit.cpp",
        "return v * (along_heads(x, x) / safe).sqrt();",
        "return v * along_heads(x, x).sqrt();",
        "model SiteEdit/Operation.IsItsDefinitionWhereItHasAWeightAndNothingElsewhere/2",
    ),
    fault(
        "a part that a prompt holds twice taken where it comes first",
        "text/named_spans.cpp",
        "text.find(part, at + 1) != std::string_view::npos",
        "false",
        "text NamedSpans.RefuseWhatIsNoPartOfTheText",
    ),
    fault(
        "named spans read as bytes",
        "text/named_spans.cpp",
        "bytes.push_back(bytes.back() + utf8::first(text.substr(bytes.back())).size);",
        "bytes.push_back(bytes.back() + 1);",
        "text NamedSpans.AreCharactersOfTheText",
    ),
    fault(
        "earlier answers left out of a conversation",
        "tokenizer/chat_template.cpp",
        ".append((*chat.answer)(answer))",
        "",
        "tokenizer ChatTemplate.AnOpeningIsAllBeforeTheUsersLastMessage",
    ),
    fault(
        "components behind ByteLevel see bytes as they are",
        "tokenizer/pre_tokenizer.cpp",
        "cut.in_alphabet = has_byte_level_;",
        "cut.in_alphabet = false;",
        "tokenizer PreTokenizer.BehindByteLevelBytesAreCharacters",
    ),
    fault(
        "NUL admitted to prompts",
        "text/records.cpp",
        "values[key].find('\\0') != std::string::npos",
        "values[key].empty() && form.keys.empty()",
        "text Prompts.ANulIsRefusedInEveryTextThatResultsKeep",
    ),
    fault(
        "pairs matched by length alone",
        "text/pairing.cpp",
        "tokens <= pairing.caliper && logprob <= pairing.caliper",
        "tokens <= pairing.caliper",
        "text PairBank.MatchesTheClosestPromptsWithinTheCaliper",
    ),
    fault(
        "tied embedding under the head's name not found",
        "model/weight_source.cpp",
        "if (!tied || index.contains(embedding)) return;",
        "return;",
        "model Sources.ATiedEmbeddingMayHaveTheHeadsName",
    ),
    fault(
        "fingerprint of prompts leaves out what they say",
        "text/records.cpp",
        "hasher.update(values[key] + '\\0');",
        "hasher.update(file.string());",
        "text Prompts.TheFingerprintIsOfWhatTheFileSays",
    ),
    fault(
        "an answer's first token with a space that the tokenizer adds",
        "text/answers.cpp",
        'tokenizer.encode_with_spans("\\n" + text, /*add_special_tokens=*/false)',
        'tokenizer.encode_with_spans(" " + text, /*add_special_tokens=*/false)',
        "text Answers.CountByTheirFirstTokenWithTheSpaceAsWritten",
    ),
    fault(
        "answers in the fingerprint of prompts that have none",
        "text/records.cpp",
        "if (of_form.is_later && values[key] == of_form.default_value) continue;",
        "",
        "text Prompts.AnswersAreInTheFingerprintOnlyWhereGiven",
    ),
    fault(
        "a spherical mix with the norm that was there",
        "model/site_edit.cpp",
        "direction * at::lerp(x_norm, v_norm, weight)",
        "direction * x_norm",
        "model SiteEdit.OnTheSphereWeightsOfOneAndZeroAreExactAndNormsAreMixed",
    ),
]
