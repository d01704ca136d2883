// Where memory lies physically. Caches before the last one are found by physical addresses: of pages a few hundred KiB
// apart only as many fit as a set has ways, and the system hands out such pages when larger processes before have left
// it nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <future>

namespace mmt {

/// Puts memory into pieces that are physically contiguous, as a machine whose memory is not fragmented hands them out.
/// A windowed convolution over 128 channels took 8.2 ms where its scratch memory lay like that, and 10 to 12 ms in half
/// of the sessions that were opened after larger processes had ended. Linux with transparent huge pages only (set to
/// `always` or `madvise`); elsewhere memory stays where it is.
class PagePlacement {
 public:
  PagePlacement() = default;
  ~PagePlacement();
  PagePlacement(const PagePlacement&) = delete;
  PagePlacement& operator=(const PagePlacement&) = delete;

  /// Takes memory from the system, where little is left, in a thread of its own while the caller does something else: a
  /// virtual machine may first have to get it from its host, which takes milliseconds.
  void prepare();
  /// Gives all pages that lie within this memory other places; addresses and contents stay. Nobody else may use the
  /// memory meanwhile. The processor goes on to see pages of the usual size, as in the process of a user.
  void gather(std::uintptr_t begin, std::uintptr_t end);
  /// Taken from the system and not given to anybody yet. Waits for what is being prepared.
  std::size_t spare_bytes() const;

 private:
  bool take_block();  ///< When nothing is left of the last one.
  std::size_t rest_bytes() const { return block_end_ - next_; }

  std::uintptr_t next_ = 0, block_end_ = 0;      ///< Of a huge page: what is left of it.
  std::shared_future<std::uintptr_t> prepared_;  ///< The next huge page, 0: there was none.
  bool is_refused_ = false;                      ///< The system had none the last time.
};

}  // namespace mmt
