#include "table/reader.h"

#include <algorithm>
#include <set>

#include "table/cells.h"
#include "table/schema.h"

namespace mmt::table {

Reader::Reader(const std::string& path)
    : database_(path, OpenMode::kFrozen),
      operator_(database_, select_operator_sql()),
      measurements_(database_, select_measurements_sql()),
      operator_kernels_(database_, select_operator_kernels_sql()),
      ports_(database_, select_ports_sql()),
      kernel_(database_, select_kernel_sql()),
      same_attributes_(database_, select_same_attributes_sql()),
      below_(database_, select_attributes_below_sql()),
      above_(database_, select_attributes_above_sql()),
      same_shapes_(database_, select_same_shapes_sql()),
      same_parameters_(database_, select_same_parameters_sql()),
      same_class_(database_, select_same_class_sql()) {}

std::vector<NumberedConfig> Reader::configs() {
  Statement statement(database_, select_configs_sql());
  std::vector<NumberedConfig> list;
  while (statement.step()) {
    NumberedConfig& config = list.emplace_back();
    statement.read(config.number);
    statement.read(config.row.config_id);
    read_cells(statement, FieldList<Provenance>::fields, config.row.run);
    read_cells(statement, kConfigFitFields, config.row);
  }
  return list;
}

std::string Reader::build_id() { return database_.value("SELECT value FROM meta WHERE name = 'build_id'"); }

KernelRow Reader::read_kernel(Statement& statement) {
  KernelRow row;
  row.key = hex_from_blob(statement.next<Blob16>());
  read_cells(statement, kKernelIdentityFields, row);
  read_cells(statement, kKernelCostFields, row);
  return row;
}

std::optional<KernelRow> Reader::kernel(const Blob16& key) {
  kernel_.start().bind(config_).bind(key);
  if (!kernel_.step()) return std::nullopt;
  KernelRow row = read_kernel(kernel_);
  kernel_.start();  // An open row would keep the file locked.
  return row;
}

std::int64_t Reader::read_operator(Statement& statement, OperatorRow& row) {
  const auto number = statement.next<std::int64_t>();
  row.fingerprint = hex_from_blob(statement.next<Blob16>());
  read_cells(statement, kOperatorIdentityFields, row);
  row.reason = statement.next<std::string>();
  row.status = row.reason.empty() ? "unmeasured" : "failed";
  return number;
}

std::optional<OperatorRow> Reader::op(const Blob16& fingerprint, std::vector<KernelRow>* kernels) {
  operator_.start().bind(fingerprint);
  if (!operator_.step()) return std::nullopt;
  OperatorRow row;
  const std::int64_t number = read_operator(operator_, row);
  operator_.start();
  add_contexts(number, row, kernels);
  return row;
}

void Reader::add_contexts(std::int64_t operator_no, OperatorRow& row, std::vector<KernelRow>* kernels) {
  measurements_.start().bind(config_).bind(operator_no);
  while (measurements_.step()) {
    ModelProfile profile;
    read_cells(measurements_, kMeasurementFields, profile);
    if (profile.status != "ok") {
      if (row.status != "ok") row.status = "failed";
      if (row.reason.empty()) row.reason = profile.reason;
      continue;
    }
    row.status = "ok";
    ContextRow& context = row.contexts.emplace_back();
    context.context = profile.context;
    context.cold = profile.cold;
    context.hot = profile.hot;
    context.memory_mib = profile.memory_mib;
    context.resident_mib = profile.resident_mib;
    context.mflops = profile.mflops;
    context.file_bytes = profile.file_bytes;
    context.weight_bytes = profile.weight_bytes;
    context.flags = profile.flags;
  }
  measurements_.start();
  for (ContextRow& context : row.contexts) {
    operator_kernels_.start().bind(config_).bind(operator_no).bind(context.context);
    while (operator_kernels_.step()) {
      read_cell(operator_kernels_, context.roles.emplace_back());
      operator_kernels_.read(context.ports.emplace_back());
      operator_kernels_.read(context.tensors.emplace_back());
      const bool has_cost = operator_kernels_.next<bool>();
      if (has_cost && kernels != nullptr) {
        kernels->push_back(read_kernel(operator_kernels_));
        context.kernel_keys.push_back(kernels->back().key);
      } else {
        context.kernel_keys.push_back(hex_from_blob(operator_kernels_.next<Blob16>()));
      }
    }
    operator_kernels_.start();
    ports_.start().bind(config_).bind(operator_no).bind(context.context);
    while (ports_.step()) {
      const bool input = ports_.next<std::string>() == "input";
      read_cells(ports_, FieldList<PortDesc>::fields, (input ? context.inputs : context.outputs).emplace_back());
    }
    ports_.start();
  }
}

std::vector<KernelRow> Reader::similar(const std::string& type, const std::string& attributes, int limit) {
  std::vector<KernelRow> rows;
  const auto wanted = [&] { return limit - static_cast<int>(rows.size()); };
  const auto take = [&](Statement& statement, int count) {
    if (count <= 0) return;
    statement.start().bind(config_).bind(type).bind(attributes).bind(count);
    while (statement.step()) rows.push_back(read_kernel(statement));
    statement.start();
  };
  take(same_attributes_, wanted());
  // Attributes are sorted texts: their neighbours in the alphabet share the most of them.
  const int left = wanted();
  take(below_, (left + 1) / 2);
  take(above_, wanted());
  return rows;
}

std::vector<OperatorRow> Reader::candidates(const std::string& class_name, const std::string& input_shapes,
                                            const std::string& parameters, int limit) {
  std::vector<OperatorRow> rows;
  std::set<std::int64_t> seen;
  const auto take = [&](Statement& statement) {
    while (statement.step()) {
      OperatorRow row;
      if (seen.insert(read_operator(statement, row)).second) rows.push_back(std::move(row));
    }
    statement.start();
  };
  take(same_shapes_.start().bind(class_name).bind(input_shapes).bind(limit));
  take(same_parameters_.start().bind(class_name).bind(parameters).bind(limit));
  take(same_class_.start().bind(class_name).bind(limit));
  return rows;
}

std::vector<KernelRow> Reader::all_kernels() {
  Statement statement(database_, select_all_kernels_sql());
  statement.start().bind(config_);
  std::vector<KernelRow> rows;
  while (statement.step()) rows.push_back(read_kernel(statement));
  return rows;
}

std::vector<std::string> Reader::all_fingerprints() {
  Statement statement(database_, "SELECT fingerprint FROM operator ORDER BY operator_no");
  std::vector<std::string> list;
  while (statement.step()) list.push_back(hex_from_blob(statement.next<Blob16>()));
  return list;
}

}  // namespace mmt::table
