// The state of a composition: what is known of every tensor while the trace is walked once, in order.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mmt/plan.h"
#include "plan/writers.h"

namespace mmt {

struct ValueState {
  Layout layout = Layout::kNchw;
  std::string edge_kind = "other";  ///< What made it (PortDesc::edge_kind).
  bool has_activation = false;
  int maker = -1;                  ///< Plan node.
  std::vector<int> maker_kernels;  ///< Plan kernels that computed it; an activation may be folded into them.
  int pending_copy = -1;           ///< Plan kernel that a following copy would replace.
  bool born_packed = false;        ///< That copy writes it in NCHW only because its operator ends there.
  int copied_value = -1;           ///< What that copy was given, where it is a node of its own.
  int uses = 0;                    ///< How many nodes read it; outputs of the model count as a use.
  bool converted = false;          ///< Its other layout exists already.
  int writer = -1;                 ///< Plan kernel that wrote it last, -1: an input of the model.
  int converter = -1;              ///< The one that wrote it in its other layout.
  std::string convert_key;         ///< Kernel that gives it back in NCHW; empty: unknown.
};

/// Kernels that an activation may be folded into.
struct FoldTarget {
  std::string edge_kind;
  bool has_activation = false;
  std::vector<int> kernels;
};

/// Where a node's kernels come from.
struct Found {
  std::shared_ptr<const OperatorRow> row;
  const ContextRow* context = nullptr;
};

class Composer {
 public:
  Composer(const Trace& trace, LatencyTable& table);
  ModelPlan run();

 private:
  void add_node(int index);
  bool try_fold(const TraceNode& node, int plan_node, const OperatorRow* row);
  /// An activation behind a reshape is computed before it.
  bool try_move(const TraceNode& node, int plan_node, const OperatorRow& row);
  /// What computed the value, seen through a copy that is still pending; nullopt where that has other readers.
  std::optional<FoldTarget> fold_target(const ValueState& source) const;
  void add_operator(const TraceNode& node, int plan_node, const std::shared_ptr<const OperatorRow>& row);
  void add_unknown(const TraceNode& node, int plan_node, double mflops);
  void finish_outputs();

  const ContextRow* choose_context(const TraceNode& node, const OperatorRow& row, bool* mixed) const;
  /// What a node finds at its input ports.
  struct Arrivals {
    std::vector<int> writers;  ///< By port: the plan kernel that wrote what the node reads.
    std::vector<int> copies;   ///< By port: the dropped copy that the node's own copy takes in; -1 for none.
  };
  Arrivals arrive(const TraceNode& node, int plan_node, const OperatorRow& row, const ContextRow& context);
  /// The key of kernel `index` of the context, merged with a copy before it where the table has such a kernel.
  std::string merged_key(const ContextRow& context, std::size_t index, const std::vector<int>& copies) const;
  /// The first of these texts that is a kernel of the table: its key, or `otherwise`.
  std::string known_key(const std::vector<std::string>& texts, const std::string& otherwise) const;
  std::shared_ptr<const KernelRow> row_of(int kernel) const;  ///< Null where the table has none, and for -1.
  void leave(const TraceNode& node, int plan_node, const ContextRow& context, int last_kernel, const Writers& writers);
  /// Of `leave`: what a copy wrote, which one that follows may replace.
  void leave_copy(const TraceNode& node, const ContextRow& context, ValueState& state, int last_kernel);
  void doubt_packed(int plan_node);
  void convert_to_packed(int value, const OperatorRow& row, int port, int plan_node);
  void convert_to_plain(int value, int plan_node);
  int add_kernel(const std::string& key, int plan_node);
  /// A kernel that writes the value in its other layout.
  void add_conversion(ValueState& state, const std::string& key, int plan_node);
  /// Drops what was dropped, and puts what is read from it in its place.
  void keep_kernels();
  std::vector<int> group_kernels(int plan_node) const;
  void drop_kernel(int index);
  void fold_activation(int kernel, const std::string& attribute);

  const Trace& trace_;
  LatencyTable& table_;
  bool whole_runs_;  ///< The table holds operators as they run alone, with their copies at both ends.
  std::vector<ValueState> values_;
  std::vector<bool> dropped_;
  ModelPlan plan_;
};

/// The first kernel of `context` with this role and port, "" for none.
std::string find_role(const ContextRow& context, KernelRole role, int port);
const ContextRow* find_context(const OperatorRow& row, const std::string& context);

/// The text of the convolution or binary kernel `row` with one more attribute ("relu=1"), in the file format's order.
std::string with_attribute(const KernelRow& row, const std::string& attribute);

}  // namespace mmt
