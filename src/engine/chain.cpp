// What all chains have in common, and chains on engines that know no better way than single runs.
#include <algorithm>

#include "mmt/engine.h"

namespace mmt {

ChainSamples Engine::run_chain(std::span<Session* const> sessions, int times) {
  if (times < 1 || sessions.empty()) throw Error(ErrorCode::kInvalidArgument, "a chain holds sessions and is run");
  return do_run_chain(sessions, times);
}

ChainSamples Engine::do_run_chain(std::span<Session* const> sessions, int times) {
  ChainSamples chain;
  for (int time = 0; time < times; ++time) {
    for (Session* session : sessions) {
      const RunSamples samples = session->run({1, true});
      chain.kernel_us.insert(chain.kernel_us.end(), samples.kernel_us.begin(), samples.kernel_us.end());
      chain.timed_us += samples.timed_us;
      chain.overhead_us += samples.overhead_us;
      chain.steal_share = std::max(chain.steal_share, samples.steal_share);
    }
  }
  return chain;
}

}  // namespace mmt
