// How the engine's CPU backend hands out memory: one pool that is laid out before a run and used again and again for
// activations and scratch, and one heap for what stays (weights). Only sizes are followed here.
#pragma once

#include <cstdint>
#include <list>
#include <set>
#include <vector>

namespace mmt::memory {

/// Activations: blocks side by side. The smallest free block that is large enough is taken and split; where none is,
/// the largest free one grows; freed neighbours are joined. The pool is as large as its blocks together.
class ActivationPool {
 public:
  struct Block {
    std::int64_t bytes = 0;
    bool used = false;
  };
  using Handle = std::list<Block>::iterator;

  /// `apart`: in a block of its own behind all others, as inputs of a model are.
  Handle take(std::int64_t bytes, bool apart = false);
  void give_back(Handle block);
  std::int64_t bytes() const;

 private:
  std::list<Block> blocks_;
};

/// Weights: every request is its own allocation unless a freed piece is large enough. At the end, allocations of which
/// nothing is in use are returned to the system.
class WeightHeap {
 public:
  using Handle = std::size_t;

  Handle take(std::int64_t bytes);
  void give_back(Handle piece);
  /// Bytes that stay allocated.
  std::int64_t bytes() const;
  /// Bytes that are allocated now: given back pieces stay until the model is loaded.
  std::int64_t held() const { return held_; }

 private:
  struct Piece {
    std::int64_t bytes = 0;
    std::size_t root = 0;
    bool used = false;
  };
  struct Root {
    std::int64_t bytes = 0;
    int used = 0;
  };
  std::vector<Piece> pieces_;
  std::vector<Root> roots_;
  std::int64_t held_ = 0;
};

/// What the process keeps of memory that was freed while a model was loaded, as the C library of Linux servers (glibc)
/// does it: large pieces are mapped apart and go back at once, but each of them raises the size from which that is
/// done, up to 32 MiB; smaller ones leave holes between their neighbours, which later requests fill.
class ProcessHeap {
 public:
  /// True where the piece lies among others and will leave a hole.
  bool take(std::int64_t bytes);
  void give_back(std::int64_t bytes, bool among_others);
  std::int64_t holes() const { return holes_; }

 private:
  std::int64_t apart_from_ = 128 * 1024;
  std::multiset<std::int64_t> free_;
  std::int64_t holes_ = 0;
};

}  // namespace mmt::memory
