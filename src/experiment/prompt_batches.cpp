#include "experiment/prompt_batches.hpp"

#include "rvsweep/intervention/site_patch.hpp"

namespace rvsweep {

void visit_last_tokens(const Transformer& model, const PromptTokens& prompts, Site site,
                       const std::vector<std::int64_t>& layers,
                       const std::function<void(const std::vector<SiteCapture>&)>& visit) {
  in_batches(prompts, [&](const PromptTokens& batch, std::int64_t rows, std::int64_t columns) {
    std::vector<SiteCapture> captures;
    for (const std::int64_t layer : layers) captures.push_back({site, layer, 1});
    ForwardInput input;
    input.captures = &captures;
    input.last_kv_layer = last_layer_for(captures, model.config().n_layers);
    KvCache cache = KvCache::allocate(model.config(), model.placement(), rows, columns);
    feed_prompts(model, batch, input, cache);
    for (SiteCapture& capture : captures)
      capture.values = capture.values.narrow(0, 0, std::ssize(batch));
    visit(captures);
  });
}

}  // namespace rvsweep
