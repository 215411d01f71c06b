// Attention by distance: see attention_map.h.
#include "train/attention_map.h"

#include <cmath>
#include <iomanip>
#include <numeric>

#include "core/error.h"
#include "train/memory.h"
#include "train/sequences.h"

namespace farsight {

int64_t HeadAttention::window(double share) const {
  // Beyond the last distance that has any mass, rounding is all that can be missing.
  auto seen = static_cast<int64_t>(mass.size());
  while (seen > 1 && mass[seen - 1] == 0) --seen;
  double held = 0;
  for (int64_t d = 0; d < seen; ++d) {
    held += mass[d];
    if (held >= share) return d + 1;
  }
  return seen;
}

AttentionMap attention_map(LanguageModel& model, const TokenSource& text,
                           const AttentionMapOptions& options) {
  const int64_t L = options.length, N = options.sequences, H = model.config().heads;
  const EvenSequences sequences(model, text, L, N);
  const int64_t per_pass = std::max<int64_t>(1, options.tokens_per_pass / L);
  require_memory(forward_bytes(model.config(), static_cast<double>(per_pass * L), model.backend()) +
                     bias_bytes(model.position(), L),
                 model.backend(), concat("an attention map at length ", L));

  AttentionMap map{L, N, {}};
  for (int64_t block = 1; block <= model.config().blocks; ++block)
    for (int64_t head = 1; head <= H; ++head)
      map.heads.push_back({block, head, std::vector<double>(L, 0), 0});
  for (int64_t first = 0; first < N; first += per_pass) {
    const int64_t B = std::min(per_pass, N - first);
    std::vector<int32_t> tokens;
    for (int64_t i = first; i < first + B; ++i) {
      const std::vector<int32_t> sequence = sequences.read(i);
      tokens.insert(tokens.end(), sequence.begin(), sequence.end() - 1);
    }
    std::vector<AttentionMass> masses;
    model.hidden(model.embed(Ids(tokens, model.backend()), B), {.mass = &masses});
    for (size_t block = 0; block < masses.size(); ++block) {
      const std::vector<real> mass = masses[block].mass.to_vector();
      const std::vector<real> entropy = masses[block].entropy.to_vector();
      for (int64_t h = 0; h < H; ++h)
        map.heads[block * H + h].entropy += static_cast<double>(entropy[h]);
      for (int64_t i = 0; i < H * L; ++i)
        map.heads[block * H + i / L].mass[i % L] += static_cast<double>(mass[i]);
    }
    if (options.progress) options.progress(first + B, N);
  }
  for (HeadAttention& head : map.heads) {
    const double total = std::accumulate(head.mass.begin(), head.mass.end(), 0.0);
    check(std::isfinite(total) && total > 0, text.name, ": the attention of block ", head.block,
          ", head ", head.head, " adds up to ", total,
          "; the model's parameters are damaged: use another checkpoint");
    for (double& mass : head.mass) mass /= total;
    head.entropy /= total;  // as many as there were queries, each with mass 1
  }
  return map;
}

void write_attention(std::ostream& stream, const std::vector<AttentionMap>& maps) {
  stream << "length,block,head,distance,mass\n" << std::setprecision(9);
  for (const AttentionMap& map : maps)
    for (const HeadAttention& head : map.heads)
      for (int64_t d = 0; d < map.length; ++d)
        stream << map.length << ',' << head.block << ',' << head.head << ',' << d << ','
               << head.mass[d] << '\n';
}

void write_windows(std::ostream& stream, const std::vector<AttentionMap>& maps, double share) {
  stream << "length,block,head,share,window,entropy\n" << std::setprecision(9);
  for (const AttentionMap& map : maps)
    for (const HeadAttention& head : map.heads)
      stream << map.length << ',' << head.block << ',' << head.head << ',' << share << ','
             << head.window(share) << ',' << head.entropy << '\n';
}

}  // namespace farsight
