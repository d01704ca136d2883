// Field lists of the table's rows (see mmt/profile_fields.h): they drive the columns of the database, the exports and
// Python's dictionaries.
#pragma once

#include "mmt/profile_fields.h"
#include "mmt/table.h"

namespace mmt {

/// What a kernel is. For every structure with these members (KernelSignature, KernelRow).
inline constexpr auto kKernelIdentityFields = std::make_tuple(
    Field{"type", "", "the engine's type name", [](auto& k) -> decltype(auto) { return (k.type); }},
    Field{"attributes", "", "what else decides its time", [](auto& k) -> decltype(auto) { return (k.attributes); }},
    Field{"text", "", "the signature for people", [](auto& k) -> decltype(auto) { return (k.text); }},
    Field{"weight_bytes", "bytes", "constants read", [](auto& k) -> decltype(auto) { return (k.weight_bytes); }},
    Field{"input_bytes", "bytes", "activations read", [](auto& k) -> decltype(auto) { return (k.input_bytes); }},
    Field{"output_bytes", "bytes", "activations written", [](auto& k) -> decltype(auto) { return (k.output_bytes); }});

/// What a kernel costs under one configuration.
inline constexpr auto kKernelCostFields = std::make_tuple(
    Field{"cold_us", "us", "pooled expected time of first runs after other models' runs", &KernelRow::cold_us},
    Field{"cold_se_us", "us", "its standard error", &KernelRow::cold_se_us},
    Field{"cold_spread_us", "us", "deviation between its sources", &KernelRow::cold_spread_us},
    Field{"hot_us", "us", "pooled expected time of runs after others of the same model, settled", &KernelRow::hot_us},
    Field{"hot_se_us", "us", "its standard error", &KernelRow::hot_se_us},
    Field{"hot_spread_us", "us", "deviation between its sources", &KernelRow::hot_spread_us},
    Field{"sources", "", "number of operator kernels that were pooled", &KernelRow::sources},
    Field{"flags", "", "noise flags, joined by commas", &KernelRow::flags});

/// What an operator is, as the manifest says it.
inline constexpr auto kOperatorIdentityFields =
    std::make_tuple(Field{"kind", "", "module, function or model", &OperatorRow::kind},
                    Field{"class_name", "", "class or function", &OperatorRow::class_name},
                    Field{"parameters", "", "constructor parameters or arguments, JSON", &OperatorRow::parameters_json},
                    Field{"input_shapes", "", "one list per input", &OperatorRow::input_shapes},
                    Field{"input_dtypes", "", "element types of the inputs", &OperatorRow::input_dtypes},
                    Field{"output_shapes", "", "one list per output", &OperatorRow::output_shapes},
                    Field{"output_dtypes", "", "element types of the outputs", &OperatorRow::output_dtypes},
                    Field{"parameter_count", "", "trainable and constant numbers", &OperatorRow::parameter_count},
                    Field{"flops", "", "operations of one run, a multiply-add counts as two", &OperatorRow::flops});

/// What was fitted to a configuration's measurements, and how many there are.
inline constexpr auto kConfigFitFields = std::make_tuple(
    Field{"run_overhead_us", "us", "cost of a run beside its kernels", &ConfigRow::run_overhead_us},
    Field{"kernel_overhead_us", "us", "cost of each kernel beside its own time", &ConfigRow::kernel_overhead_us},
    Field{"cold_run_overhead_us", "us", "cost of a cold run beside its kernels", &ConfigRow::cold_run_overhead_us},
    Field{"cold_kernel_overhead_us", "us", "cost of each cold kernel beside its own time",
          &ConfigRow::cold_kernel_overhead_us},
    Field{"overhead_residual", "", "median relative residual of that fit", &ConfigRow::overhead_residual},
    Field{"cold_us_per_mib", "us", "what a MiB of weights that has left the caches costs", &ConfigRow::cold_us_per_mib},
    Field{"cache_bytes", "bytes", "touched by chains of operators, by point",
          [](auto& row) -> decltype(auto) { return (row.cache.bytes); }},
    Field{"cache_loop_us", "us", "time that a loop of such a chain takes, by point",
          [](auto& row) -> decltype(auto) { return (row.cache.loop_us); }},
    Field{"cache_extra_us", "us", "what chained runs took beyond hot ones, by point",
          [](auto& row) -> decltype(auto) { return (row.cache.extra_us); }},
    Field{"cache_cold_extra_us", "us", "what cold runs of the same kernels take beyond hot ones, by point",
          [](auto& row) -> decltype(auto) { return (row.cache.cold_extra_us); }},
    Field{"cache_reread_extra_us", "us", "as cache_extra_us, of kernels that read weights several times",
          [](auto& row) -> decltype(auto) { return (row.cache.reread_extra_us); }},
    Field{"cache_reread_cold_extra_us", "us", "as cache_cold_extra_us, of those kernels",
          [](auto& row) -> decltype(auto) { return (row.cache.reread_cold_extra_us); }},
    Field{"operators", "", "measured operators", &ConfigRow::operators},
    Field{"kernels", "", "kernels with a cost", &ConfigRow::kernels});

template <>
struct FieldList<KernelRow> {
  static constexpr auto fields =
      std::tuple_cat(std::make_tuple(Field{"key", "", "identity of the kernel", &KernelRow::key}),
                     kKernelIdentityFields, kKernelCostFields);
};

template <>
struct FieldList<ContextRow> {
  static constexpr auto fields = std::make_tuple(
      Field{"context", "", "plain or packed", &ContextRow::context},
      Field{"cold", "", "whole run, first after other models' runs", &ContextRow::cold},
      Field{"hot", "", "whole run after others of the same model, settled", &ContextRow::hot},
      Field{"kernel_keys", "", "in execution order", &ContextRow::kernel_keys},
      Field{"roles", "", "of each kernel", &ContextRow::roles},
      Field{"ports", "", "of each kernel, -1 for none", &ContextRow::ports},
      Field{"tensors", "", "of each kernel: numbers of the tensors that it reads and writes", &ContextRow::tensors},
      Field{"inputs", "", "ports", &ContextRow::inputs}, Field{"outputs", "", "ports", &ContextRow::outputs},
      Field{"memory_mib", "MiB", "session memory, the engine's figure", &ContextRow::memory_mib},
      Field{"resident_mib", "MiB", "growth of the process by opening and first run", &ContextRow::resident_mib},
      Field{"peak_mib", "MiB", "growth of the process's peak by opening and first run", &ContextRow::peak_mib},
      Field{"mflops", "MFLOP", "the engine's estimate of the work", &ContextRow::mflops},
      Field{"file_bytes", "bytes", "size of the model file", &ContextRow::file_bytes},
      Field{"weight_bytes", "bytes", "constants of the model", &ContextRow::weight_bytes},
      Field{"flags", "", "noise flags, joined by commas", &ContextRow::flags});
};

template <>
struct FieldList<OperatorRow> {
  static constexpr auto fields =
      std::tuple_cat(std::make_tuple(Field{"fingerprint", "", "identity of the operator", &OperatorRow::fingerprint}),
                     kOperatorIdentityFields,
                     std::make_tuple(Field{"status", "", "ok, failed or unmeasured", &OperatorRow::status},
                                     Field{"reason", "", "why it failed", &OperatorRow::reason},
                                     Field{"contexts", "", "the measured ones", &OperatorRow::contexts}));
};

template <>
struct FieldList<ConfigRow> {
  static constexpr auto fields = std::tuple_cat(
      std::make_tuple(Field{"config_id", "", "identity of device, engine and settings", &ConfigRow::config_id},
                      Field{"run", "", "provenance of the latest run", &ConfigRow::run}),
      kConfigFitFields);
};

/// Calls `visit(field)` for every field of a list, in order.
template <class Fields, class Visit>
constexpr void for_each_in(const Fields& fields, Visit&& visit) {
  std::apply([&](const auto&... field) { (visit(field), ...); }, fields);
}

}  // namespace mmt
