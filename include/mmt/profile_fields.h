// The one list of the fields of summaries, profiles and provenance: name, unit, meaning and member.
//
// It drives the journal's JSON, the columns of SQLite and CSV, and Python's dictionaries; a field that is added here
// appears in all of them.
//
//   for_each_field<Summary>([&](const auto& field) { row[field.name] = field.get(summary); });
//
// A field's type is an integer, a floating-point number, bool, std::string, Layout, KernelRole, std::vector<int>, a
// structure with fields of its own (Summary), or a vector of such structures.
#pragma once

#include <functional>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "mmt/profile.h"

namespace mmt {

/// `Access` is a pointer to member, or a generic callable from an object to a reference into it.
template <class Access>
struct Field {
  std::string_view name;  ///< Unique within its structure; ends with the unit where it has one.
  std::string_view unit;  ///< "us", "MiB", "bytes", "MFLOP", "" for none.
  std::string_view meaning;
  Access access;

  /// Reference to the field of `object` (const where that is const).
  template <class Object>
  constexpr decltype(auto) get(Object& object) const {
    return std::invoke(access, object);
  }
};
template <class Access>
Field(std::string_view, std::string_view, std::string_view, Access) -> Field<Access>;

/// The fields of a structure: `FieldList<T>::fields` is a tuple of Field. Only specialised structures have one.
template <class T>
struct FieldList;

template <>
struct FieldList<Summary> {
  static constexpr auto fields = std::make_tuple(
      Field{"count", "", "number of samples", &Summary::count}, Field{"mean_us", "us", "average", &Summary::mean_us},
      Field{"min_us", "us", "smallest sample", &Summary::min_us},
      Field{"max_us", "us", "largest sample", &Summary::max_us},
      Field{"median_us", "us", "median", &Summary::median_us},
      Field{"expected_us", "us", "mean of the samples, each held within 10 % of the median", &Summary::expected_us},
      Field{"ci_low_us", "us", "lower end of the median's 95 % confidence interval", &Summary::ci_low_us},
      Field{"ci_high_us", "us", "upper end of the median's 95 % confidence interval", &Summary::ci_high_us},
      Field{"p05_us", "us", "5th percentile", &Summary::p05_us},
      Field{"p25_us", "us", "25th percentile", &Summary::p25_us},
      Field{"p75_us", "us", "75th percentile", &Summary::p75_us},
      Field{"p95_us", "us", "95th percentile", &Summary::p95_us},
      Field{"noisy", "", "the interval stayed wide or the samples have two modes", &Summary::noisy});
};

template <>
struct FieldList<PortDesc> {
  static constexpr auto fields = std::make_tuple(
      Field{"shape", "", "logical shape, batch first", &PortDesc::shape},
      Field{"dtype", "", "element type", &PortDesc::dtype},
      Field{"layout", "", "layout that the body wants (input) or makes (output)", &PortDesc::layout},
      Field{"edge_kind", "", "what makes the output, or reads the input first", &PortDesc::edge_kind},
      Field{"has_activation", "", "the making kernel carries a fused activation", &PortDesc::has_activation},
      Field{"through", "", "a bare input or a view of it", &PortDesc::through});
};

template <>
struct FieldList<KernelProfile> {
  static constexpr auto fields = std::make_tuple(
      Field{"key", "", "identity of the kernel", [](auto& k) -> decltype(auto) { return (k.kernel.signature.key); }},
      Field{"type", "", "the engine's type name", [](auto& k) -> decltype(auto) { return (k.kernel.signature.type); }},
      Field{"attributes", "", "what else decides its time",
            [](auto& k) -> decltype(auto) { return (k.kernel.signature.attributes); }},
      Field{"text", "", "the signature for people",
            [](auto& k) -> decltype(auto) { return (k.kernel.signature.text); }},
      Field{"weight_bytes", "bytes", "constants read",
            [](auto& k) -> decltype(auto) { return (k.kernel.signature.weight_bytes); }},
      Field{"input_bytes", "bytes", "activations read",
            [](auto& k) -> decltype(auto) { return (k.kernel.signature.input_bytes); }},
      Field{"output_bytes", "bytes", "activations written",
            [](auto& k) -> decltype(auto) { return (k.kernel.signature.output_bytes); }},
      Field{"role", "", "part of the kernel in the model", [](auto& k) -> decltype(auto) { return (k.kernel.role); }},
      Field{"port", "", "input or output that a conversion belongs to, -1 for none",
            [](auto& k) -> decltype(auto) { return (k.kernel.port); }},
      Field{"tensors", "", "numbers of the tensors that it reads and writes",
            [](auto& k) -> decltype(auto) { return (k.kernel.tensors); }},
      Field{"cold", "", "first runs after other models' runs", &KernelProfile::cold},
      Field{"hot", "", "runs after others of the same model, settled", &KernelProfile::hot});
};

template <>
struct FieldList<ModelProfile> {
  static constexpr auto fields = std::make_tuple(
      Field{"fingerprint", "", "identity of the operator or model", &ModelProfile::fingerprint},
      Field{"context", "", "plain or packed", &ModelProfile::context},
      Field{"status", "", "ok or failed", &ModelProfile::status},
      Field{"reason", "", "why it failed", &ModelProfile::reason},
      Field{"cold", "", "whole run, first after other models' runs", &ModelProfile::cold},
      Field{"hot", "", "whole run after others of the same model, settled", &ModelProfile::hot},
      Field{"memory_mib", "MiB", "session memory, the engine's figure", &ModelProfile::memory_mib},
      Field{"resident_mib", "MiB", "growth of the process by opening and first run", &ModelProfile::resident_mib},
      Field{"peak_mib", "MiB", "growth of the process's peak by opening and first run", &ModelProfile::peak_mib},
      Field{"mflops", "MFLOP", "the engine's estimate of the work", &ModelProfile::mflops},
      Field{"file_bytes", "bytes", "size of the model file", &ModelProfile::file_bytes},
      Field{"file_sha256", "", "hash of the model file", &ModelProfile::file_sha256},
      Field{"weight_bytes", "bytes", "constants of the model", &ModelProfile::weight_bytes},
      Field{"flags", "", "noise flags, joined by commas", &ModelProfile::flags},
      Field{"rounds", "", "rounds that the model took part in", &ModelProfile::rounds},
      Field{"reference_us", "us", "median of the reference model in these rounds", &ModelProfile::reference_us},
      Field{"measured_at", "", "UTC, ISO 8601", &ModelProfile::measured_at},
      Field{"inputs", "", "ports", &ModelProfile::inputs}, Field{"outputs", "", "ports", &ModelProfile::outputs},
      Field{"kernels", "", "in execution order", &ModelProfile::kernels});
};

template <>
struct FieldList<Provenance> {
  static constexpr auto fields = std::make_tuple(
      Field{"device", "", "host or device name", &Provenance::device}, Field{"cpu", "", "CPU model", &Provenance::cpu},
      Field{"os", "", "operating system", &Provenance::os},
      Field{"cpus_online", "", "processors in use by the system", &Provenance::cpus_online},
      Field{"l1d_bytes", "bytes", "level-1 data cache", &Provenance::l1d_bytes},
      Field{"l2_bytes", "bytes", "level-2 cache", &Provenance::l2_bytes},
      Field{"l3_bytes", "bytes", "level-3 cache", &Provenance::l3_bytes},
      Field{"governor", "", "frequency governor, empty where unreadable", &Provenance::governor},
      Field{"engine", "", "engine", [](auto& p) -> decltype(auto) { return (p.facts.name); }},
      Field{"engine_version", "", "engine version", [](auto& p) -> decltype(auto) { return (p.facts.version); }},
      Field{"engine_build", "", "engine build", [](auto& p) -> decltype(auto) { return (p.facts.build); }},
      Field{"backend", "", "effective backend", [](auto& p) -> decltype(auto) { return (p.facts.backend); }},
      Field{"threads", "", "effective number of threads", [](auto& p) -> decltype(auto) { return (p.facts.threads); }},
      Field{"per_kernel", "", "the engine gives times per kernel",
            [](auto& p) -> decltype(auto) { return (p.facts.per_kernel); }},
      Field{"asked_backend", "", "backend asked for", [](auto& p) -> decltype(auto) { return (p.config.backend); }},
      Field{"asked_threads", "", "threads asked for", [](auto& p) -> decltype(auto) { return (p.config.threads); }},
      Field{"precision", "", "precision mode", [](auto& p) -> decltype(auto) { return (p.config.precision); }},
      Field{"memory", "", "memory mode", [](auto& p) -> decltype(auto) { return (p.config.memory); }},
      Field{"power", "", "power mode", [](auto& p) -> decltype(auto) { return (p.config.power); }},
      Field{"cpus", "", "processors that the engine was bound to",
            [](auto& p) -> decltype(auto) { return (p.config.cpus); }},
      Field{"mmt_version", "", "version of the program that measured", &Provenance::mmt_version},
      Field{"started_at", "", "UTC, ISO 8601", &Provenance::started_at},
      Field{"seed", "", "seed of orders and inputs", &Provenance::seed},
      Field{"displace_bytes", "bytes", "other memory read before each run; 0: none", &Provenance::displace_bytes},
      Field{"protocol", "", "of measuring operators; grows where their rows change", &Provenance::protocol});
};

/// Calls `visit(field)` for every field of T, in the list's order.
template <class T, class Visit>
constexpr void for_each_field(Visit&& visit) {
  std::apply([&](const auto&... field) { (visit(field), ...); }, FieldList<T>::fields);
}

template <class T>
concept HasFields = requires {
  FieldList<std::remove_cv_t<T>>::fields;
};

}  // namespace mmt
