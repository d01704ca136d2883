// What all chains have in common, and chains on engines that know no better way than single runs.
#include <algorithm>

#include "mmt/engine.h"

namespace mmt {

ChainSamples Engine::run_chain(std::span<Session* const> sessions, const ChainRequest& request) {
  if (request.times < 1 || sessions.empty() || !(request.stretch >= 0))
    throw Error(ErrorCode::kInvalidArgument, "a chain holds sessions, is run, and waits no negative time");
  return do_run_chain(sessions, request);
}

ChainSamples Engine::do_run_chain(std::span<Session* const> sessions, const ChainRequest& request) {
  ChainSamples chain;
  for (int time = 0; time < request.times; ++time) {
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
