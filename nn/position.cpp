// Defaults and the registry of positional schemes: see position.h.
#include "nn/position.h"

#include "core/error.h"

namespace farsight {
namespace {

std::map<std::string, const PositionEntry*>& registry() {
  static std::map<std::string, const PositionEntry*> entries;
  return entries;
}

}  // namespace

Tensor PositionScheme::embed(const Positions&) { return {}; }
void PositionScheme::rotate(Tensor&, Tensor&, const Positions&) {}
Bias PositionScheme::bias(const Positions&) { return {}; }

Bias FixedBias::bias(const Positions& queries) {
  const int64_t T = queries.end;
  if (!table_.defined() || table_.shape()[1] < T || scale_ != queries.scale()) {
    scale_ = queries.scale();
    std::vector<double> shapes(T);
    for (int64_t c = 0; c < T; ++c) shapes[c] = shape(static_cast<double>(T - 1 - c) * scale_);
    std::vector<real> table;
    table.reserve(heads_ * T);
    for (int64_t head = 1; head <= heads_; ++head)
      for (const double value : shapes) table.push_back(static_cast<real>(factor(head) * value));
    table_ = Tensor::from({heads_, T}, table, backend_);
  }
  return {table_};
}

PositionEntry::PositionEntry(std::string name, std::string description, MakePosition make,
                             std::vector<PositionOption> options)
    : name(std::move(name)),
      description(std::move(description)),
      make(make),
      options(std::move(options)) {
  if (!registry().emplace(this->name, this).second)
    fail("two positional schemes are called ", this->name);
}

std::vector<const PositionEntry*> PositionEntry::all() {
  std::vector<const PositionEntry*> entries;
  for (const auto& [name, entry] : registry()) entries.push_back(entry);
  return entries;
}

std::unique_ptr<PositionScheme> make_position(const std::string& name, PositionConfig config) {
  const auto found = registry().find(name);
  if (found == registry().end()) {
    std::string known;
    for (const auto& [other, entry] : registry()) known += (known.empty() ? "" : ", ") + other;
    check(!name.empty(), "no positional scheme was chosen; pass --position, one of: ", known);
    fail("there is no positional scheme '", name, "'; known are: ", known);
  }
  const PositionEntry& entry = *found->second;
  std::map<std::string, double> options;
  for (const PositionOption& option : entry.options) {
    const auto given = config.options.find(option.name);
    options[option.name] = given == config.options.end() ? option.value : given->second;
  }
  config.options = options;
  check(config.heads > 0 && config.width % config.heads == 0, config.heads,
        " heads do not divide a width of ", config.width);
  return entry.make(config);
}

}  // namespace farsight
