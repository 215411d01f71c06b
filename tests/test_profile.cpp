// Profiles: that time, operations and bytes go to the op that they belong to.
#include "core/attention.h"
#include "core/ops.h"
#include "core/tape.h"
#include "tests/catch.h"
#include "tests/op_cases.h"
#include "tests/small_model.h"
#include "train/profile_table.h"

namespace farsight {

TEST_CASE("a profile counts the operations of each op, forward and backward") {
  Backend& cpu = cpu_backend();
  const Tensor x = random_tensor({5, 3}, cpu), w = random_tensor({4, 3}, cpu);
  const auto step = [&] {
    Tape tape;
    tape.backward(sum(gelu(linear(x, w))));
  };
  step();  // not measured
  Profile profile;
  {
    const Profile::Scope measured(profile, cpu);
    step();
    Profile::lap("the rest", Profile::Pass::kForward, 8);
  }
  step();  // not measured
  const Profile::Op& op = profile.ops().at("linear");
  CHECK(op.forward.calls == 1);
  CHECK(op.forward.flops == 2 * 5 * 3 * 4);
  CHECK(op.forward.bytes == sizeof(real) * (5 * 3 + 4 * 3 + 5 * 4));
  CHECK(op.backward.calls == 1);
  CHECK(op.backward.flops == 2 * op.forward.flops);
  CHECK(op.backward.bytes == sizeof(real) * (5 * 4 + 2 * (5 * 3 + 4 * 3)));
  CHECK(profile.ops().at("gelu").forward.flops == 0);
  CHECK(profile.ops().at("the rest").forward.bytes == 8);
  CHECK(profile.seconds() > 0);
  CHECK_FALSE(Profile::active());
  const std::string table = profile_table(profile, {1e9, 1e9});
  for (const std::string part : {"linear", "backward", "the rest", "GFLOP/s"})
    CHECK(contains(table, part));
}

TEST_CASE("a profile counts what attention computes: a triangle, or what windows leave of it") {
  Backend& cpu = cpu_backend();
  const int64_t B = 2, T = 10, H = 3, D = 4;
  const Tensor q = random_tensor({B, T, H, D}, cpu);
  const auto flops = [&](const std::vector<int32_t>& windows) {
    Profile profile;
    const Profile::Scope measured(profile, cpu);
    const Tape tape;
    attention(q, q, q, {}, windows.empty() ? Ids() : Ids(windows, cpu));
    return profile.ops().at("attention").forward.flops;
  };
  CHECK(flops({}) == 2 * 2 * B * H * D * (T * (T + 1) / 2));
  CHECK(flops({1, 2, 0}) == 2 * 2 * B * D * (T + (2 * T - 1) + T * (T + 1) / 2));
}

}  // namespace farsight
