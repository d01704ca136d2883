// Random tables: what goes in comes out, whatever the texts and numbers are.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "fixture.h"
#include "mmt/table.h"
#include "table/build.h"
#include "table/builder.h"
#include "table/cache.h"
#include "table/distance.h"
#include "table/sql.h"

namespace mmt {
namespace {

using test::make_kernel;
using test::make_profile;
using test::make_run;
using test::make_signature;

class PropertyTest : public test::FolderTest {};

std::string random_text(std::mt19937& random) {
  static const std::vector<std::string> kPieces = {"a",  "'", "\"", ";",    "--", "é", "漢", "\n",
                                                   "\t", "%", "0",  "NULL", "\\", "{", ","};
  std::string text;
  for (std::size_t i = random() % 12; i > 0; --i) text += kPieces[random() % kPieces.size()];
  return text;
}

TEST_F(PropertyTest, RowsSurviveTheTable) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 10; ++trial) {
    std::vector<KernelSignature> kernels;
    for (int i = 0; i < 8; ++i)
      kernels.push_back(make_signature(random_text(random), random_text(random), std::to_string(i)));
    std::map<std::string, OperatorEntry> operators;
    std::map<std::pair<std::string, std::string>, ModelProfile> latest;
    std::map<std::string, std::set<std::string>> users;
    std::filesystem::remove(file("latency.db"));
    table::build(folder_, [&](table::Builder& builder) -> std::int64_t {
      for (int i = 0; i < 10; ++i) {
        OperatorEntry entry = test::make_operator(std::to_string(i));
        entry.class_name = random_text(random);
        entry.parameters_json = "{\"p\":" + std::to_string(random() % 100) + "}";
        entry.inputs.resize(random() % 3, {{1, static_cast<int>(random() % 64)}, "int64", 0, 9});
        operators[entry.fingerprint] = entry;
        builder.add(entry);
      }
      for (int i = 0; i < 40; ++i) {
        std::vector<KernelProfile> used;
        for (std::size_t k = random() % 5; k > 0; --k) {
          used.push_back(make_kernel(kernels[random() % kernels.size()], 1.0 + random() % 50, 1.0 + random() % 50,
                                     static_cast<KernelRole>(random() % 4), static_cast<int>(random() % 3) - 1));
        }
        ModelProfile profile =
            make_profile(std::to_string(random() % 10), used, 1, random() % 2 == 0 ? "plain" : "packed");
        profile.flags = random() % 2 == 0 ? "" : "steal";
        latest[{profile.fingerprint, profile.context}] = profile;
        JournalEntry line;
        line.run = make_run();
        line.profile = profile;
        builder.add(line);
      }
      return 0;
    });
    const auto table = LatencyTable::open(folder_);
    for (const auto& [fingerprint, entry] : operators) {
      const auto row = table->find_operator(fingerprint);
      ASSERT_NE(row, nullptr);
      EXPECT_EQ(row->class_name, entry.class_name);
      EXPECT_EQ(row->parameters_json, entry.parameters_json);
      EXPECT_EQ(row->input_shapes.size(), entry.inputs.size());
      std::size_t contexts = 0;
      for (const ContextRow& context : row->contexts) {
        const ModelProfile& profile = latest.at({fingerprint, context.context});
        ++contexts;
        ASSERT_EQ(context.kernel_keys.size(), profile.kernels.size());
        for (std::size_t k = 0; k < profile.kernels.size(); ++k) {
          EXPECT_EQ(context.kernel_keys[k], profile.kernels[k].kernel.signature.key);
          EXPECT_EQ(context.roles[k], profile.kernels[k].kernel.role);
          EXPECT_EQ(context.ports[k], profile.kernels[k].kernel.port);
        }
        EXPECT_EQ(context.hot.median_us, profile.hot.median_us);
        EXPECT_EQ(context.cold.p95_us, profile.cold.p95_us);
        EXPECT_EQ(context.flags, profile.flags);
      }
      EXPECT_EQ(contexts, latest.count({fingerprint, "plain"}) + latest.count({fingerprint, "packed"}));
    }
    for (const KernelSignature& signature : kernels) {
      double low = 1e9, high = -1;
      int uses = 0;
      for (const auto& [key, profile] : latest) {
        for (const KernelProfile& kernel : profile.kernels) {
          if (kernel.kernel.signature.key != signature.key) continue;
          ++uses;
          low = std::min(low, kernel.hot.median_us);
          high = std::max(high, kernel.hot.median_us);
        }
      }
      const auto row = table->find_kernel(signature.key);
      ASSERT_EQ(row != nullptr, uses > 0);
      if (row == nullptr) continue;
      EXPECT_EQ(row->sources, uses);
      EXPECT_EQ(row->text, signature.text);
      EXPECT_GE(row->hot_us, low - 1e-9);
      EXPECT_LE(row->hot_us, high + 1e-9);
    }
  }
}

TEST_F(PropertyTest, TheSameFilesGiveTheSameTable) {
  std::vector<ModelProfile> profiles;
  for (int i = 0; i < 20; ++i) {
    profiles.push_back(make_profile("op" + std::to_string(i),
                                    {make_kernel(make_signature("K", "", std::to_string(i % 5)), 3.0 + i, 2.0 + i)}));
  }
  write_journal(profiles, make_run());
  build_table(folder_);
  const std::string first = test::slurp(file("latency.db"));
  build_table(folder_);
  EXPECT_EQ(test::slurp(file("latency.db")), first);
}

TEST(Identity, HexAndBytesAreOne) {
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    table::Blob16 blob;
    for (unsigned char& byte : blob) byte = static_cast<unsigned char>(random());
    EXPECT_EQ(table::blob_from_hex(table::hex_from_blob(blob)), blob);
  }
  EXPECT_FALSE(table::blob_from_hex("abc"));
  EXPECT_FALSE(table::blob_from_hex(std::string(32, 'g')));
  EXPECT_TRUE(table::blob_from_hex(std::string(32, 'F')));
}

TEST(Distance, IsZeroForEqualsAndSymmetric) {
  const std::vector<std::string> texts = {R"({})", R"({"a":1})", R"({"a":[1,1],"b":true})", R"({"a":64,"b":"x"})",
                                          "no json"};
  const std::vector<std::vector<std::vector<int>>> shapes = {{}, {{1, 2}}, {{1, 2, 3}}, {{4, 2}, {1}}};
  for (const auto& a : texts) {
    for (const auto& b : texts) {
      for (const auto& s : shapes) {
        for (const auto& t : shapes) {
          const double there = table::description_distance(a, s, b, t);
          EXPECT_DOUBLE_EQ(there, table::description_distance(b, t, a, s));
          if (a == b && s == t) {
            EXPECT_EQ(there, 0);
          }
        }
      }
    }
  }
  EXPECT_LT(table::description_distance(R"({"k":3})", {}, R"({"k":5})", {}),
            table::description_distance(R"({"k":3})", {}, R"({"k":7})", {}));
}

TEST(RowCache, StaysWithinItsBounds) {
  table::RowCache<int> cache(64);
  for (int i = 0; i < 10000; ++i) cache.put(std::to_string(i), std::make_shared<const int>(i));
  EXPECT_LE(cache.size(), 96u);
  ASSERT_TRUE(cache.find("9999"));
  EXPECT_EQ(**cache.find("9999"), 9999);
  EXPECT_FALSE(cache.find("0"));
  cache.put("absent", nullptr);
  ASSERT_TRUE(cache.find("absent"));
  EXPECT_EQ(*cache.find("absent"), nullptr);
}

}  // namespace
}  // namespace mmt
