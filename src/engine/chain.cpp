// What all chains have in common, and chains on engines that know no better way than single runs.
#include <algorithm>
#include <string>
#include <utility>

#include "mmt/engine.h"
#include "mmt/error.h"

namespace mmt {

ChainSamples Engine::run_chain(std::span<Session* const> sessions, int times) {
  if (times < 1 || sessions.empty()) throw Error(ErrorCode::kInvalidArgument, "a chain holds sessions and is run");
  ChainSamples samples = do_run_chain(sessions, times);
  std::size_t kernels = 0;
  for (const Session* session : sessions) kernels += session->desc().kernels.size();
  kernels *= static_cast<std::size_t>(times);
  if (samples.kernel_us.size() != kernels) {
    throw Error(ErrorCode::kEngine, "the engine gave " + std::to_string(samples.kernel_us.size()) +
                                        " kernel times of a chain instead of " + std::to_string(kernels));
  }
  return samples;
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
