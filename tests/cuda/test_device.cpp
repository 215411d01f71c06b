// What goes wrong with devices: none, an old one, an old driver, no memory, a kernel that fails.
// The emulator pretends all of these.
#include <iostream>

#include "core/attention.h"
#include "core/ops.h"
#include "core/tape.h"
#include "cuda/cuda_backend.h"
#include "tests/catch.h"
#include "tests/cuda/compare.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/small_model.h"
#include "tests/temporary_folder.h"
#include "train/checkpoint.h"
#include "train/optimizer.h"

namespace farsight {
namespace {

/// The emulator's options as they were, at the end of the scope.
struct Restored {
  ~Restored() { emulator::reset(); }
};

std::string opening_error() {
  return error_of([] { CudaBackend backend; });
}

}  // namespace

TEST_CASE("cuda: no device, an old one, an old driver") {
  const Restored restored;
  emulator::options().devices = 0;
  CHECK(contains(opening_error(), "--device cuda: no GPU can be used"));
  emulator::options().devices = 1;
  emulator::options().major = 7;
  CHECK(contains(opening_error(), "has compute capability 7.0, and 7.5 is needed"));
  emulator::options().minor = 5;
  CudaBackend turing;
  turing.set_precision(Precision::kFp32);
  CHECK(contains(error_of([&] { turing.set_precision(Precision::kBf16); }),
                 "computes in fp32 only: tf32 and bf16 need compute capability 8.0"));
  emulator::options().driver = 11080;
  CHECK(contains(opening_error(), "the driver knows CUDA 11.8, this program was built with"));
  emulator::options().driver = 0;
  CHECK(contains(opening_error(), "no NVIDIA driver is installed"));
}

TEST_CASE("cuda: a run that the device cannot hold is refused before it starts") {
  const Restored restored;
  emulator::options().memory = emulator::allocated_bytes() + (size_t{32} << 20);
  CudaBackend device;
  const TemporaryFolder folder;
  Config config = small_run("alibi");
  config.out = (folder.path() / "run").string();
  std::ostringstream said;
  const std::string error =
      error_of([&] { train(config, small_text(2000), nullptr, false, device, said); });
  CHECK(contains(error, "this run needs about"));
  CHECK(contains(error, "MiB and the device has 32 MiB"));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "run"));
}

TEST_CASE("cuda: attention in portions is attention") {
  const Restored restored;
  const Precision precision =
      sizeof(real) == 8 ? Precision::kFp32 : GENERATE(Precision::kFp32, Precision::kBf16);
  const auto results = [=](int64_t most) {
    CudaBackend device;
    device.set_precision(precision);
    device.limit_sums(most);
    const int64_t T = 200;
    const Tensor q = numbers({3, T, 2, 4}, 1, device).track();
    Bias bias;
    bias.values = numbers({2, T}, 2, device).track();
    {
      Tape tape;
      const Tensor y = attention(q, q, q, bias, {});
      tape.backward(y, numbers(y.shape(), 3, device));
    }
    const AttentionMass mass = attention_mass(q, q, bias, {}, 5);
    return std::vector{q.grad_to_vector(), bias.values.grad_to_vector(), mass.mass.to_vector(),
                       mass.entropy.to_vector()};
  };
  const auto whole = results(int64_t{1} << 24);
  // One tile at a time; three of a sequence's four; two of three sequences; more than there are.
  for (const int64_t most : {1, 3 * 200 * 2, 2 * 200 * 2 * 4, 4 * 200 * 2 * 4}) {
    const auto parts = results(most);
    for (size_t i = 0; i < whole.size(); ++i) {
      INFO(most << ", result " << i);
      CHECK(difference(parts[i], whole[i]) < kRounding);
    }
  }
}

TEST_CASE("cuda: memory that runs out while running") {
  const Restored restored;
  emulator::options().memory = emulator::allocated_bytes() + 1000;
  CudaBackend device;
  { const Tensor small({10}, device); }
  device.pool().trim();
  CHECK(device.peak_bytes() == 10 * sizeof(real));  // of the device's memory, not the host's
  const std::string error = error_of([&] { Tensor::full({1000}, 1, device); });
  CHECK(contains(error, "out of device memory: 0 MiB more were asked for, 0 MiB are free"));
  Tensor::full({10}, 1, device);  // which that error does not concern
  device.pool().trim();
  CHECK(device.memory_bytes() == 1000);
  { const Tensor idle({10}, device); }
  CHECK(device.memory_bytes() == 1000);  // what idles in the pool among it
}

TEST_CASE("cuda: launches and kernels that fail are reported") {
  const Restored restored;
  CudaBackend device;
  const Tensor x({10}, device);
  emulator::options().failing_launch = 1;
  emulator::options().failing_error = cudaErrorLaunchOutOfResources;
  CHECK(contains(error_of([&] { device.fill(x.data(), 1, 10); }), "LaunchOutOfResources"));
  device.fill(x.data(), 1, 10);
  emulator::options().failing_launch = 1;
  emulator::options().failing_error = cudaErrorIllegalAddress;
  device.fill(x.data(), 1, 10);
  CHECK(contains(error_of([&] { device.wait(); }), "cudaErrorIllegalAddress"));
}

TEST_CASE("cuda: what is uploaded may change or go at once") {
  // The emulator reads pinned memory as late as a device may.
  CudaBackend device;
  const size_t n =
      (5 << 20) / sizeof(real) + 3;  // more than goes through the pinned memory at once
  std::vector<real> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<real>(i % 1001);
  const Tensor x({static_cast<int64_t>(n)}, device);
  {
    std::vector<real> source = values;
    device.upload(x.data(), source.data(), n * sizeof(real));
    std::fill(source.begin(), source.end(), real(-1));
  }
  CHECK(x.to_vector() == values);
}

TEST_CASE("cuda: a kernel that fails ends the run with its checkpoint intact") {
  const Restored restored;
  CudaBackend device;
  const TemporaryFolder folder;
  Config config = small_run("alibi");
  config.out = (folder.path() / "run").string();
  config.steps = 4;
  std::ostringstream said;
  REQUIRE(train(config, small_text(2000), nullptr, false, device, said));
  const auto checkpoint = folder.path() / "run" / "checkpoint.safetensors";
  config.steps = 8;
  emulator::options().failing_launch = 300;
  emulator::options().failing_error = cudaErrorIllegalAddress;
  const std::string error =
      error_of([&] { train(config, small_text(2000), nullptr, true, device, said); });
  CHECK(contains(error, "cudaErrorIllegalAddress"));
  CHECK(contains(error, "go on from the last checkpoint with --resume"));
  emulator::reset();
  CHECK(load_checkpoint(checkpoint, cpu_backend()).step >= 4);
}

TEST_CASE("cuda: launches and memory of a step of GPT-2's shape", "[.][launches]") {
  const Restored restored;
  emulator::options().counting = true;
  emulator::options().multiprocessors = 108;
  emulator::options().memory = size_t{40} << 30;
  const auto step = [](CudaBackend& device, int64_t blocks) {
    ModelConfig config;
    config.vocabulary = 50304;
    config.width = 768;
    config.heads = 12;
    config.blocks = blocks;
    config.length = 1024;
    config.position = "sinusoidal";
    LanguageModel model(config, std::nullopt, device);
    const ParameterBlock parameters(model);
    AdamW optimizer(parameters);
    const Ids tokens(std::vector<int32_t>(8 * config.length, 0), device);
    const Tensor norm_squared(Shape{}, device);
    const uint64_t before = emulator::stats().launches;
    {
      Tape tape;
      tape.backward(scale(sum(model.losses(tokens, tokens, 8, {})), real(0.5)));
    }
    optimizer.update(Config(), 0, norm_squared.data());
    return emulator::stats().launches - before;
  };
  for (const Precision precision : {Precision::kFp32, Precision::kBf16})
    for (const int64_t blocks : {1, 12}) {
      CudaBackend device;
      device.set_precision(precision);
      const uint64_t launches = step(device, blocks);
      std::cout << (precision == Precision::kBf16 ? "bf16, " : "fp32, ") << blocks
                << " blocks: " << launches << " launches, " << (device.peak_bytes() >> 20)
                << " MiB\n";
      device.pool().trim();
    }
}

}  // namespace farsight
