#include "table/builder.h"

#include <cstring>
#include <utility>
#include <vector>

#include "mmt/error.h"
#include "table/cells.h"
#include "table/overhead.h"
#include "table/packed.h"
#include "table/reader.h"
#include "table/schema.h"

namespace mmt::table {
namespace {

/// Opens a fresh file for bulk writing: nothing reads it before it is finished, so no rollback and no waiting for the
/// disk.
Database& prepared(Database& database) {
  database.execute(
      "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -65536; PRAGMA temp_store = FILE;");
  database.execute(tables_sql());
  database.execute("BEGIN");
  return database;
}

/// On backends that tell no times of kernels an operator is one kernel: its whole run, which is nothing but itself.
std::vector<KernelProfile> kernels_of(const ModelProfile& profile, const Provenance& run) {
  if (run.facts.per_kernel || profile.status != "ok" || profile.context != "plain") return profile.kernels;
  KernelProfile whole;
  KernelSignature& signature = whole.kernel.signature;
  signature.key = profile.fingerprint;
  signature.type = kWholeRun;
  signature.text = std::string(kWholeRun) + " " + profile.fingerprint;
  signature.weight_bytes = profile.weight_bytes;
  whole.hot = profile.hot.count > 0 ? profile.hot : profile.cold;
  whole.cold = whole.hot;  // What makes a first run longer there is the backend's own, not a cache that a model shares.
  return {whole};
}

}  // namespace

std::size_t Builder::BlobHash::operator()(const Blob16& blob) const noexcept {
  std::size_t hash = 0;  // Identities are hashes already.
  std::memcpy(&hash, blob.data(), sizeof(hash));
  return hash;
}

Builder::Builder(const std::string& path)
    : database_(path, OpenMode::kCreate),
      insert_operator_(prepared(database_), insert_operator_sql()),
      insert_measurement_(database_, insert_measurement_sql()),
      insert_kernel_(database_, insert_kernel_sql()),
      insert_operator_kernel_(database_, insert_operator_kernel_sql()),
      insert_operator_kernel_time_(database_, insert_operator_kernel_time_sql()),
      insert_port_(database_, insert_port_sql()),
      insert_cost_(database_, insert_cost_sql()) {}

void Builder::set(const std::string& name, const std::string& value) {
  Statement(database_, "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)").bind(name).bind(value).run();
}

void Builder::add(const OperatorEntry& entry) {
  has_manifest_ = true;
  const auto found = blob_from_hex(entry.fingerprint);
  if (!found) {
    throw Error(ErrorCode::kParse, "the manifest's fingerprint \"" + entry.fingerprint +
                                       "\" is not 32 hexadecimal digits; run `mmt generate` again");
  }
  const Blob16& fingerprint = *found;
  const auto [place, fresh] = operators_.try_emplace(fingerprint, static_cast<std::int64_t>(operators_.size()) + 1);
  static_cast<void>(fresh);  // An operator that the manifest names twice is described by the later entry.
  OperatorRow row;
  row.kind = entry.kind;
  row.class_name = entry.class_name;
  row.parameters_json = entry.parameters_json;
  for (const OperatorInput& input : entry.inputs) {
    row.input_shapes.push_back(input.shape);
    row.input_dtypes.push_back(input.dtype);
  }
  row.output_shapes = entry.output_shapes;
  row.output_dtypes = entry.output_dtypes;
  row.parameter_count = entry.parameter_count;
  row.flops = entry.flops;
  insert_operator_.start().bind(place->second).bind(fingerprint);
  bind_cells(insert_operator_, kOperatorIdentityFields, row);
  insert_operator_.bind(entry.error).run();
}

int Builder::config_number(const JournalEntry& entry) {
  const std::string id = entry.config_id.empty() ? entry.run.config_id() : entry.config_id;
  const int number = config_numbers_.try_emplace(id, static_cast<int>(config_numbers_.size()) + 1).first->second;
  configs_[number] = {id, entry.run};  // The latest run describes the configuration.
  return number;
}

std::int64_t Builder::operator_number(const Blob16& fingerprint) {
  const auto [place, fresh] = operators_.try_emplace(fingerprint, static_cast<std::int64_t>(operators_.size()) + 1);
  if (fresh) {
    OperatorRow row;
    row.kind = has_manifest_ ? "unlisted" : "";
    insert_operator_.start().bind(place->second).bind(fingerprint);
    bind_cells(insert_operator_, kOperatorIdentityFields, row);
    insert_operator_.bind("").run();
  }
  return place->second;
}

std::int64_t Builder::kernel_number(const Blob16& key, const KernelSignature& signature) {
  const auto [place, fresh] = kernels_.try_emplace(key, static_cast<std::int64_t>(kernels_.size()) + 1);
  if (fresh) {
    insert_kernel_.start().bind(place->second).bind(key);
    bind_cells(insert_kernel_, kKernelIdentityFields, signature);
    insert_kernel_.run();
  }
  return place->second;
}

bool Builder::make_room(int config, std::int64_t operator_no, const ModelProfile& profile) {
  const auto [place, fresh] = measured_.try_emplace({config, operator_no, profile.context}, is_final(profile));
  if (fresh) return true;
  if (place->second && !is_final(profile)) return false;
  place->second = is_final(profile);
  for (const char* table : {"operator_kernel", "operator_kernel_time", "port"}) {
    Statement(database_,
              std::string("DELETE FROM ") + table + " WHERE config_no = ? AND operator_no = ? AND context = ?")
        .bind(config)
        .bind(operator_no)
        .bind(profile.context)
        .run();
  }
  return true;
}

bool Builder::add(const JournalEntry& entry) {
  const ModelProfile& profile = entry.profile;
  const auto fingerprint = blob_from_hex(profile.fingerprint);
  const std::vector<KernelProfile> kernels = kernels_of(profile, entry.run);
  std::vector<Blob16> keys;
  for (const KernelProfile& kernel : kernels) {
    const auto key = blob_from_hex(kernel.kernel.signature.key);
    if (key) keys.push_back(*key);
  }
  if (!fingerprint || keys.size() != kernels.size()) return false;
  const int config = config_number(entry);
  const std::int64_t operator_no = operator_number(*fingerprint);
  if (!make_room(config, operator_no, profile)) return true;

  insert_measurement_.start().bind(config).bind(operator_no);
  bind_cells(insert_measurement_, kMeasurementFields, profile);
  insert_measurement_.run();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::int64_t kernel_no = kernel_number(keys[i], kernels[i].kernel.signature);
    insert_operator_kernel_.start().bind(config).bind(operator_no).bind(profile.context);
    insert_operator_kernel_.bind(static_cast<std::int64_t>(i)).bind(kernel_no);
    bind_cells(insert_operator_kernel_, kOperatorKernelFields, kernels[i]);
    insert_operator_kernel_.run();
    insert_operator_kernel_time_.start().bind(config).bind(operator_no).bind(profile.context);
    insert_operator_kernel_time_.bind(static_cast<std::int64_t>(i));
    bind_cells(insert_operator_kernel_time_, kOperatorKernelTimeFields, kernels[i]);
    insert_operator_kernel_time_.run();
  }
  add_ports(config, operator_no, profile.context, "input", profile.inputs);
  add_ports(config, operator_no, profile.context, "output", profile.outputs);
  return true;
}

void Builder::add(const JournalCache& cache) {
  caches_[cache.config_id.empty() ? cache.run.config_id() : cache.config_id].add_later(cache.curve);
}

void Builder::add_ports(int config, std::int64_t operator_no, const std::string& context, const char* direction,
                        const std::vector<PortDesc>& ports) {
  int position = 0;
  for (const PortDesc& port : ports) {
    insert_port_.start().bind(config).bind(operator_no).bind(context).bind(direction).bind(position++);
    bind_cells(insert_port_, FieldList<PortDesc>::fields, port);
    insert_port_.run();
  }
}

void Builder::drop_superseded() {
  std::set<std::string> superseded;
  for (const auto& [number, state] : configs_) {
    if (state.run.displace_bytes == 0) continue;
    Provenance earlier = state.run;
    while (--earlier.protocol > 0) superseded.insert(earlier.config_id());
    earlier.displace_bytes = 0;
    superseded.insert(earlier.config_id());
  }
  for (auto state = configs_.begin(); state != configs_.end();) {
    if (!superseded.contains(state->second.id)) {
      ++state;
      continue;
    }
    for (const char* table : {"measurement", "operator_kernel", "operator_kernel_time", "port"}) {
      Statement(database_, std::string("DELETE FROM ") + table + " WHERE config_no = ?").bind(state->first).run();
    }
    state = configs_.erase(state);
  }
}

void Builder::pack_operators() {
  Reader reader(database_);
  Statement insert(database_, insert_packed_sql());
  Statement measured(database_,
                     "SELECT DISTINCT m.config_no, o.operator_no, o.fingerprint FROM measurement m "
                     "CROSS JOIN operator o ON o.operator_no = m.operator_no WHERE m.status = 'ok'");
  while (measured.step()) {
    const int config = measured.next<int>();
    const auto operator_no = measured.next<std::int64_t>();
    reader.use(config);
    KernelRows kernels;
    const auto row = reader.unpacked_op(measured.next<Blob16>(), &kernels);
    insert.start().bind(operator_no).bind(config).bind_bytes(pack(row.value(), kernels)).run();
  }
  set(kPackedLayout, packed_layout());
}

TableBuildReport Builder::finish() {
  drop_superseded();
  database_.execute("CREATE INDEX operator_kernel_by_kernel ON operator_kernel (config_no, kernel_no)");
  pool_kernels();
  TableBuildReport report;
  Statement insert_config(database_, insert_config_sql());
  for (const auto& [number, state] : configs_) {
    ConfigRow row;
    row.config_id = state.id;
    row.run = state.run;
    if (const auto cache = caches_.find(state.id); cache != caches_.end()) row.cache = cache->second;
    fit_overheads(number, row);
    row.cold_us_per_mib = cold_us_per_mib(number, row.run);
    const std::string where = " WHERE config_no = " + std::to_string(number);
    row.operators =
        database_.integer("SELECT COUNT(DISTINCT operator_no) FROM measurement" + where + " AND status = 'ok'");
    row.kernels = database_.integer("SELECT COUNT(*) FROM kernel_cost" + where);
    insert_config.start().bind(number).bind(row.config_id);
    bind_cells(insert_config, FieldList<Provenance>::fields, row.run);
    bind_cells(insert_config, kConfigFitFields, row);
    insert_config.run();
    report.configs.push_back(state.id);
  }
  pack_operators();
  report.operators = database_.integer("SELECT COUNT(*) FROM operator");
  report.kernels = database_.integer("SELECT COUNT(*) FROM kernel");
  report.failed = database_.integer("SELECT COUNT(*) FROM measurement WHERE status <> 'ok'") +
                  database_.integer("SELECT COUNT(*) FROM operator WHERE error <> ''");
  database_.execute(indexes_sql());
  database_.execute(views_sql());
  set("schema", schema_identity());
  // Last: a file without these is unfinished.
  database_.execute("PRAGMA application_id = " + std::to_string(kApplicationId) +
                    "; PRAGMA user_version = " + std::to_string(kSchemaVersion) + "; COMMIT");
  return report;
}

}  // namespace mmt::table
