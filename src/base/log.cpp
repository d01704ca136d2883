#include "mmt/log.h"

#include <memory>
#include <mutex>
#include <utility>

namespace mmt {
namespace {

struct HookSlot {
  std::mutex mutex;
  std::shared_ptr<const LogHook> hook;
};

// Never destroyed: threads may still log while the process shuts down.
HookSlot& slot() {
  static auto* instance = new HookSlot;
  return *instance;
}

}  // namespace

LogHook set_log_hook(LogHook hook) {
  auto next = hook ? std::make_shared<const LogHook>(std::move(hook)) : nullptr;
  {
    const std::lock_guard<std::mutex> lock(slot().mutex);
    slot().hook.swap(next);
  }
  return next ? *next : LogHook{};
}

void log(LogLevel level, const std::string& line) {
  std::shared_ptr<const LogHook> hook;
  {
    const std::lock_guard<std::mutex> lock(slot().mutex);
    hook = slot().hook;
  }
  // Called without the lock, so that the hook may itself log or replace the hook.
  if (hook) (*hook)(level, line);
}

}  // namespace mmt
