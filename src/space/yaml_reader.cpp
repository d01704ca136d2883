// YAML text to tree, over yaml-cpp's events. Its own node tree would drop duplicate keys silently.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "mmt/error.h"
#include "space/node.h"

namespace mmt::space {
namespace {

constexpr const char* kMergeKey = "<<";
constexpr const char* kTextTag = "tag:yaml.org,2002:str";

/// The text behind the events, for what yaml-cpp does not tell.
class SourceText {
 public:
  explicit SourceText(std::string_view text) : text_(text) {
    starts_.push_back(text.starts_with("\xEF\xBB\xBF") ? 3 : 0);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') starts_.push_back(i + 1);
    }
  }

  /// yaml-cpp counts bytes; a column is a character. Marks mostly come in order, so the count goes on from the last
  /// one.
  SourcePlace place(const YAML::Mark& mark) {
    if (mark.is_null()) return {};
    const std::size_t end = offset(mark);
    if (mark.line != last_.line || end < last_offset_) {
      last_ = {mark.line, 0};
      last_offset_ = starts_[line_index(mark)];
    }
    for (; last_offset_ < end; ++last_offset_) {
      if ((static_cast<unsigned char>(text_[last_offset_]) & 0xC0) != 0x80) ++last_.column;
    }
    return {last_.line + 1, last_.column + 1};
  }

  /// `key: null` and `key:` with nothing behind are the same event.
  bool null_written_at(const YAML::Mark& mark) const {
    const std::string_view rest = text_.substr(offset(mark));
    return rest.starts_with("~") || rest.starts_with("null") || rest.starts_with("Null") || rest.starts_with("NULL");
  }

  /// A quoted scalar that never ends is the same event as one that ends with the file.
  bool quote_is_closed(const YAML::Mark& mark) const {
    const std::string_view rest = text_.substr(offset(mark));
    if (rest.empty() || (rest[0] != '"' && rest[0] != '\'')) return true;
    const bool escapes = rest[0] == '"';
    for (std::size_t i = 1; i < rest.size(); ++i) {
      if (escapes && rest[i] == '\\') {
        ++i;
      } else if (rest[i] == rest[0]) {
        if (escapes || i + 1 >= rest.size() || rest[i + 1] != '\'') return true;
        ++i;  // '' is a quote inside the text.
      }
    }
    return false;
  }

 private:
  std::size_t line_index(const YAML::Mark& mark) const {
    return std::min(static_cast<std::size_t>(std::max(mark.line, 0)), starts_.size() - 1);
  }

  std::size_t offset(const YAML::Mark& mark) const {
    return std::min(starts_[line_index(mark)] + static_cast<std::size_t>(std::max(mark.column, 0)), text_.size());
  }

  std::string_view text_;
  std::vector<std::size_t> starts_;  ///< Offset of each line.
  SourcePlace last_{-1, 0};          ///< From 0, as yaml-cpp counts lines.
  std::size_t last_offset_ = 0;
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(const Reporter& reporter, SourceText& text) : reporter_(reporter), text_(text) {}

  NodePtr take_root() { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto node = std::make_shared<Node>();
    node->place = text_.place(mark);
    if (text_.null_written_at(mark)) type_plain_scalar(reporter_, "null", *node);
    finish(node, anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = std::make_shared<Node>();
    node->place = text_.place(mark);
    node->text = value;
    if (tag == "?" && !awaits_key()) {
      type_plain_scalar(reporter_, value, *node);
    } else {
      if (tag != "?" && tag != "!" && tag != kTextTag) refuse_tag(node->place, tag);
      if (!text_.quote_is_closed(mark)) {
        reporter_.fail(node->place, pending_key(), path(),
                       "broken YAML, a quoted text that does not end; close the quote");
      }
      node->kind = NodeKind::kString;
      node->json = quoted_json(value);
    }
    finish(node, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      reporter_.fail(text_.place(mark), pending_key(), path(),
                     "this alias (*) stands inside the value that it refers to; write the value out");
    }
    place_value(found->second, text_.place(mark));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, NodeKind::kList);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, NodeKind::kMap);
  }
  void OnMapEnd() override {
    resolve_merges(*frames_.back().node);
    close();
  }

 private:
  struct Frame {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor = YAML::NullAnchor;
    bool has_key = false;  ///< Maps: a key was read, its value is next.
    std::string key;
    SourcePlace key_place;
    std::unordered_map<std::string, SourcePlace> seen;
  };

  bool awaits_key() const {
    return !frames_.empty() && frames_.back().node->kind == NodeKind::kMap && !frames_.back().has_key;
  }

  std::string pending_key() const { return frames_.empty() ? "" : frames_.back().key; }

  /// Keys around the innermost map: "torch.nn.Conv2d".
  std::string path() const {
    std::string joined;
    for (std::size_t i = 0; i + 1 < frames_.size(); ++i) {
      if (frames_[i].node->kind == NodeKind::kMap) joined += (joined.empty() ? "" : ".") + frames_[i].key;
    }
    return joined;
  }

  [[noreturn]] void refuse_tag(SourcePlace place, const std::string& tag) const {
    reporter_.fail(place, pending_key(), path(), "the tag " + tag + " is not used here; write the plain value");
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, NodeKind kind) {
    const SourcePlace place = text_.place(mark);
    if (awaits_key()) reporter_.fail(place, "", path(), "a key must be a name, not a list or a mapping");
    if (!tag.empty() && tag != "?" && tag != "!") refuse_tag(place, tag);
    Frame frame;
    frame.node = std::make_shared<Node>();
    frame.node->kind = kind;
    frame.node->place = place;
    frame.anchor = anchor;
    frames_.push_back(std::move(frame));
  }

  void close() {
    const Frame frame = std::move(frames_.back());
    frames_.pop_back();
    finish(frame.node, frame.anchor);
  }

  void finish(const std::shared_ptr<Node>& node, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    place_value(node, node->place);
  }

  void place_value(const NodePtr& node, SourcePlace place) {
    if (frames_.empty()) {
      root_ = node;
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node->kind == NodeKind::kList) {
      frame.node->items.push_back(node);
    } else if (!frame.has_key) {
      take_key(frame, *node, place);
    } else {
      frame.node->pairs.push_back({frame.key, frame.key_place, node});
      frame.has_key = false;
    }
  }

  void take_key(Frame& frame, const Node& node, SourcePlace place) {
    if (!node.is_scalar() || node.kind == NodeKind::kNull) {
      reporter_.fail(place, "", path(), "a key must be a name, not " + describe(node));
    }
    const auto [earlier, fresh] = frame.seen.emplace(node.text, place);
    if (!fresh) {
      reporter_.fail(place, node.text, path(),
                     "duplicate key, it stands already on line " + std::to_string(earlier->second.line) +
                         "; merge the two, or write several groups of one class as a list (- first, - second)");
    }
    frame.key = node.text;
    frame.key_place = place;
    frame.has_key = true;
  }

  /// Replaces each merge key by the pairs that it brings and that the map does not state itself.
  void resolve_merges(Node& map) {
    const Frame& frame = frames_.back();
    if (!frame.seen.contains(kMergeKey)) return;
    std::vector<MapItem> merged;
    std::unordered_set<std::string> taken;
    for (const auto& [key, place] : frame.seen) taken.insert(key);
    const auto bring = [&](const NodePtr& source, SourcePlace place) {
      if (source->kind != NodeKind::kMap) {
        reporter_.fail(place, kMergeKey, path(),
                       "a merge key takes a mapping or a list of mappings, not " + describe(*source));
      }
      for (const MapItem& item : source->pairs) {
        if (taken.insert(item.key).second) merged.push_back(item);
      }
    };
    for (MapItem& item : map.pairs) {
      if (item.key != kMergeKey) {
        merged.push_back(std::move(item));
      } else if (item.value->kind == NodeKind::kList) {
        for (const NodePtr& source : item.value->items) bring(source, item.place);
      } else {
        bring(item.value, item.place);
      }
    }
    map.pairs = std::move(merged);
  }

  const Reporter& reporter_;
  SourceText& text_;
  std::vector<Frame> frames_;
  std::unordered_map<YAML::anchor_t, NodePtr> anchors_;
  NodePtr root_;
};

std::string cure_for(const std::string& message) {
  if (message.find("flow") != std::string::npos) return "; close every [ with ] and every { with }, commas between";
  if (message.find("anchor") != std::string::npos) return "; define it with & before using it with *";
  if (message.find("quote") != std::string::npos || message.find("EOF in scalar") != std::string::npos) {
    return "; close the quoted text";
  }
  return "; check the indentation (two more spaces for each level, keys of one level in one column) and that every "
         "key is followed by ': '";
}

}  // namespace

NodePtr read_yaml(const Reporter& reporter, std::string_view text) {
  check_text(reporter, text);
  SourceText source(text);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(reporter, source);
    if (!parser.HandleNextDocument(builder)) return std::make_shared<Node>();
    NodePtr root = builder.take_root();
    TreeBuilder more(reporter, source);
    if (parser.HandleNextDocument(more)) {
      const NodePtr second = more.take_root();
      reporter.fail(second ? second->place : SourcePlace{}, "", "",
                    "a second document (---) begins; a space is one document, remove the --- between");
    }
    return root ? root : std::make_shared<Node>();
  } catch (const YAML::Exception& error) {
    reporter.fail(source.place(error.mark), "", "", "broken YAML, " + error.msg + cure_for(error.msg));
  }
}

}  // namespace mmt::space
