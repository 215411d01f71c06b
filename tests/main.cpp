// The entry point of the test programs, for Catch2 version 2 and 3. Ends with a line that
// tests/run.sh adds up, "cases: N passed, N failed", also where a test case crashed.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Listener = Catch::EventListenerBase;
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
using Listener = Catch::TestEventListenerBase;
#endif

#include <iostream>

namespace {

class Totals : public Listener {
 public:
  using Listener::Listener;

  void testRunEnded(const Catch::TestRunStats& run) override {
    const Catch::Counts& cases = run.totals.testCases;
    std::cout << "cases: " << cases.passed + cases.failedButOk << " passed, " << cases.failed
              << " failed" << std::endl;
  }
};

CATCH_REGISTER_LISTENER(Totals)

}  // namespace

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
