// Every op and every scheme on the CUDA backend, against the CPU's, whose derivatives
// tests/gradcheck.cpp compares with differences.
#include "core/tape.h"
#include "nn/language_model.h"
#include "tests/catch.h"
#include "tests/cuda/compare.h"
#include "tests/op_cases.h"

namespace farsight {
namespace {

/// The output of a case, and its inputs' gradients after two backward passes (which add up).
std::vector<std::vector<real>> results_of(const OpCase& op_case, Backend& backend) {
  const Tensor covector = numbers(op_case.forward().shape(), 1, backend);
  for (const Tensor& input : op_case.inputs) backend.fill(input.grad(), 0, input.size());
  std::vector<std::vector<real>> results;
  for (int pass = 0; pass < 2; ++pass) {
    Tape tape;
    const Tensor y = op_case.forward();
    if (pass == 0) results.push_back(y.to_vector());
    tape.backward(y, covector);
  }
  for (const Tensor& input : op_case.inputs) results.push_back(input.grad_to_vector());
  return results;
}

/// The losses of a model of two blocks, and the gradients of its parameters.
std::vector<std::vector<real>> results_of(const std::string& scheme, Backend& backend) {
  ModelConfig config;
  config.vocabulary = 11;
  config.width = 12;
  config.heads = 3;
  config.blocks = 2;
  config.length = 9;
  config.tied = false;
  config.position = scheme;
  LanguageModel model(config, 3, backend);
  uint64_t stream = 0;
  for (const Parameter& parameter : model.parameters()) {
    // Larger weights than at the start of training, so that every path matters.
    const Tensor noise = numbers(parameter.tensor.shape(), ++stream, backend);
    backend.accumulate(parameter.tensor.data(), noise.data(), real(0.3), noise.size());
  }
  std::vector<int32_t> tokens(18), targets(18);
  for (int i = 0; i < 18; ++i) {
    tokens[i] = i * i % 11;
    targets[i] = (i + 1) * (i + 1) % 11;
  }
  std::vector<std::vector<real>> results;
  {
    Tape tape;
    const Tensor losses = model.losses(Ids(tokens, backend), Ids(targets, backend), 2);
    results.push_back(losses.to_vector());
    tape.backward(losses, numbers({18}, 1, backend));
  }
  for (const Parameter& parameter : model.parameters())
    results.push_back(parameter.tensor.grad_to_vector());
  return results;
}

}  // namespace

TEST_CASE("cuda: every op gives what the CPU gives, forward and backward") {
  const auto on_cpu = op_cases(cpu_backend()), on_device = op_cases(open_backend("cuda"));
  for (size_t i = 0; i < on_cpu.size(); ++i) {
    for (size_t k = 0; k < on_cpu[i].inputs.size(); ++k) {
      // The table draws other values each time.
      const auto values = on_cpu[i].inputs[k].to_vector();
      const Tensor& to = on_device[i].inputs[k];
      to.backend().upload(to.data(), values.data(), values.size() * sizeof(real));
    }
    const auto expected = results_of(on_cpu[i], cpu_backend());
    const auto got = results_of(on_device[i], open_backend("cuda"));
    for (size_t k = 0; k < expected.size(); ++k) {
      INFO(on_cpu[i].op << ", " << on_cpu[i].what
                        << (k ? ": gradient of input " + std::to_string(k) : ": output"));
      CHECK(difference(got[k], expected[k]) < kRounding);
    }
  }
}

TEST_CASE("cuda: every scheme gives what the CPU gives, forward and backward") {
  for (const PositionEntry* entry : PositionEntry::all()) {
    const auto expected = results_of(entry->name, cpu_backend());
    const auto got = results_of(entry->name, open_backend("cuda"));
    INFO(entry->name);
    REQUIRE(got.size() == expected.size());
    for (size_t k = 0; k < expected.size(); ++k)
      CHECK(difference(got[k], expected[k]) < 4 * kRounding);
  }
}

}  // namespace farsight
