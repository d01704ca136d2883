// Which models a round visits, in which order.
#pragma once

#include <random>
#include <span>
#include <vector>

#include "meter/item.h"

namespace mmt::metering {

struct Visit {
  int item = 0;
  Part part = kPlain;
};

bool wants_plain(const ItemState& state, const Precision& precision);
bool wants_profile(const ItemState& state, const KernelPool& pool, const Precision& precision);
/// Whether a visit needs more than its first run.
bool wants_hot(const ItemState& state, Part part, const KernelPool& pool, const Precision& precision);

/// Uniform order; the same generator state gives the same order with every standard library.
void shuffle(std::vector<Visit>& visits, std::mt19937_64& random);

/// Every open item that needs whole-run times gets a plain visit. Profiled visits go to as many items as it takes to
/// meet every wanted kernel once: kernels that several models share are measured in another one of them each round.
/// Marks the kernels as covered in `round`.
std::vector<Visit> choose_round(std::vector<ItemState>& items, std::span<const int> batch, KernelPool& pool,
                                const Precision& precision, int round, std::mt19937_64& random);

/// For a budget: keeps the visits that are worth most for their time, at least a quarter of them.
/// Worth: how much the squared error of all wanted quantities falls by one more visit.
void keep_most_useful(std::vector<Visit>& visits, const std::vector<ItemState>& items, const KernelPool& pool,
                      const Precision& precision, double affordable_us);

/// Estimated wall time that the batch still needs.
double time_left_us(const std::vector<ItemState>& items, std::span<const int> batch, const KernelPool& pool,
                    const Precision& precision, const MeterOptions& options);

/// Median half-width of the wanted quantities' intervals, as a share; 0 where none is known yet.
double current_noise(const std::vector<ItemState>& items, std::span<const int> batch, const KernelPool& pool,
                     const Precision& precision);

}  // namespace mmt::metering
