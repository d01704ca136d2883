// What only moves or renames elements.
#include <limits>

#include "onnx/lowering.h"

namespace mmt::onnx {
namespace {

constexpr std::int64_t kToEnd = std::numeric_limits<std::int64_t>::max();

std::string reshaped(Call& c, const std::string& x, const Shape& shape) {
  return c.step("Reshape", {x, c.ints(shape)}, {{"allowzero", 0}});
}

void reshape(Call& c) { c.emit("Reshape", {c.in(0), c.ints(c.list("shape"))}, {{"allowzero", 0}}); }
void permute(Call& c) { c.emit("Transpose", {c.in(0)}, {{"perm", c.list("order")}}); }
void squeeze(Call& c) { c.emit("Squeeze", {c.in(0), c.ints(c.list("axes"))}); }
void unsqueeze(Call& c) { c.emit("Unsqueeze", {c.in(0), c.ints(c.list("axes"))}); }
void expand(Call& c) { c.emit("Expand", {c.in(0), c.ints(c.list("shape"))}); }

void repeat(Call& c) {
  const Shape times = c.list("times");
  std::string x = c.in(0);
  if (static_cast<std::int64_t>(times.size()) > c.rank()) {
    Shape shape(times.size() - static_cast<std::size_t>(c.rank()), 1);
    shape.insert(shape.end(), c.shape().begin(), c.shape().end());
    x = reshaped(c, x, shape);
  }
  c.emit("Tile", {x, c.ints(times)});
}

void cat(Call& c) {
  if (c.input_count() == 1) {
    c.emit("Identity", {c.in(0)});
    return;
  }
  c.emit("Concat", c.all_inputs(), {{"axis", c.integer("axis")}});
}

void stack(Call& c) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < c.input_count(); ++i)
    parts.push_back(c.step("Unsqueeze", {c.in(i), c.ints({c.integer("axis")})}));
  c.emit("Concat", parts, {{"axis", c.integer("axis")}});
}

void split(Call& c) { c.emit("Split", {c.in(0), c.ints(c.list("sizes"))}, {{"axis", c.integer("axis")}}); }

/// PyTorch's exporter cuts chunks out one by one, which gives other kernels than a split.
void chunk(Call& c) {
  const Shape sizes = c.list("sizes");
  std::int64_t start = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::int64_t stop = start + sizes[i];
    if (c.output_used(i)) {
      c.emit_to(i, "Slice", {c.in(0), c.ints({start}), c.ints({stop}), c.ints({c.integer("axis")})});
    }
    start = stop;
  }
}

void unbind(Call& c) {
  const std::int64_t axis = c.integer("axis");
  if (c.output_count() == 1) {
    c.emit("Squeeze", {c.in(0), c.ints({axis})});
    return;
  }
  const std::vector<std::string> parts =
      c.steps("Split", {c.in(0), c.ints(Shape(c.output_count(), 1))}, c.output_count(), {{"axis", axis}});
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (c.output_used(i)) c.emit_to(i, "Squeeze", {parts[i], c.ints({axis})});
  }
}

void slice(Call& c) {
  const std::int64_t axis = c.integer("axis");
  const std::int64_t stop = c.integer("stop");
  const bool to_end = stop >= c.shape()[static_cast<std::size_t>(axis)];
  c.emit("Slice", {c.in(0), c.ints({c.integer("start")}), c.ints({to_end ? kToEnd : stop}), c.ints({axis}),
                   c.ints({c.integer("step")})});
}

void select(Call& c) {
  c.emit("Gather", {c.in(0), c.lowering().int_scalar(c.integer("index"))}, {{"axis", c.integer("axis")}});
}

void index_select(Call& c) { c.emit("Gather", {c.in(0), c.in(1)}, {{"axis", c.integer("axis")}}); }
void gather(Call& c) { c.emit("GatherElements", {c.in(0), c.in(1)}, {{"axis", c.integer("axis")}}); }

void flip(Call& c) {
  const Shape axes = c.list("axes");
  const std::size_t n = axes.size();
  c.emit("Slice", {c.in(0), c.ints(Shape(n, -1)), c.ints(Shape(n, -kToEnd)), c.ints(axes), c.ints(Shape(n, -1))});
}

void roll(Call& c) {
  const Shape shifts = c.list("shifts");
  const Shape axes = c.list("axes");
  std::string x = c.in(0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t length = c.shape()[static_cast<std::size_t>(axes[i])];
    const std::int64_t shift = ((shifts[i] % length) + length) % length;
    const bool last = i + 1 == axes.size();
    if (shift == 0) {
      if (last) c.emit("Identity", {x});
      continue;
    }
    const std::string back = c.step("Slice", {x, c.ints({length - shift}), c.ints({kToEnd}), c.ints({axes[i]})});
    const std::string front = c.step("Slice", {x, c.ints({0}), c.ints({length - shift}), c.ints({axes[i]})});
    const std::vector<Attribute> attributes{{"axis", axes[i]}};
    if (last) {
      c.emit("Concat", {back, front}, attributes);
    } else {
      x = c.step("Concat", {back, front}, attributes);
    }
  }
}

void pad(Call& c) {
  const std::string mode = c.text("mode");
  const std::string pads = c.ints(c.list("padding"));
  if (mode == "constant") {
    const double value = c.real("value");
    c.emit("Pad", {c.in(0), pads, value == 0.0 ? "" : c.scalar(value)}, {{"mode", "constant"}});
  } else if (mode == "reflect" || mode == "replicate") {
    c.emit("Pad", {c.in(0), pads}, {{"mode", mode == "reflect" ? "reflect" : "edge"}});
  } else {
    c.unsupported("mode " + mode);
  }
}

void pixel_shuffle(Call& c) {
  if (c.rank() != 4) c.unsupported("its input is not of rank 4");
  c.emit("DepthToSpace", {c.in(0)}, {{"blocksize", c.integer("factor")}, {"mode", "CRD"}});
}

void pixel_unshuffle(Call& c) {
  if (c.rank() != 4) c.unsupported("its input is not of rank 4");
  const std::int64_t f = c.integer("factor");
  const Shape& s = c.shape();
  const std::string cut = reshaped(c, c.in(0), {s[0], s[1], s[2] / f, f, s[3] / f, f});
  const std::string moved = c.step("Transpose", {cut}, {{"perm", Shape{0, 1, 3, 5, 2, 4}}});
  c.emit("Reshape", {moved, c.ints(c.out_shape())}, {{"allowzero", 0}});
}

void channel_shuffle(Call& c) {
  const std::int64_t groups = c.integer("groups");
  Shape cut{c.shape()[0], groups, c.shape()[1] / groups};
  cut.insert(cut.end(), c.shape().begin() + 2, c.shape().end());
  Shape order{0, 2, 1};
  for (std::int64_t i = 3; i < static_cast<std::int64_t>(cut.size()); ++i) order.push_back(i);
  const std::string moved = c.step("Transpose", {reshaped(c, c.in(0), cut)}, {{"perm", order}});
  c.emit("Reshape", {moved, c.ints(c.shape())}, {{"allowzero", 0}});
}

}  // namespace

void add_shapes(LowerTable& t) {
  t["reshape"] = reshape;
  t["permute"] = permute;
  t["squeeze"] = squeeze;
  t["unsqueeze"] = unsqueeze;
  t["expand"] = expand;
  t["repeat"] = repeat;
  t["cat"] = cat;
  t["stack"] = stack;
  t["split"] = split;
  t["chunk"] = chunk;
  t["unbind"] = unbind;
  t["slice"] = slice;
  t["select"] = select;
  t["index_select"] = index_select;
  t["gather"] = gather;
  t["flip"] = flip;
  t["roll"] = roll;
  t["pad"] = pad;
  t["pixel_shuffle"] = pixel_shuffle;
  t["pixel_unshuffle"] = pixel_unshuffle;
  t["channel_shuffle"] = channel_shuffle;
}

}  // namespace mmt::onnx
