// SHA-256 blocks with the processor's own instructions, where it has them: fingerprints hash many short texts.
#include "base/sha256_x86.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

namespace mmt {

bool has_sha_instructions() {
  static const bool kHas = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & (1U << 29)) != 0 && __builtin_cpu_supports("sse4.1");
  }();
  return kHas;
}

__attribute__((target("sha,sse4.1"))) void process_block_with_instructions(std::uint32_t* state,
                                                                           const unsigned char* block,
                                                                           const std::uint32_t* constants) {
  const auto load = [](const void* from) __attribute__((target("sha,sse4.1"))) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
  };
  const __m128i swap_bytes = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  // The instructions want the state as (a b e f) and (c d g h), highest first.
  const __m128i abcd = _mm_shuffle_epi32(load(state), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(load(state + 4), 0x1b);
  const __m128i abef_before = _mm_alignr_epi8(abcd, efgh, 8);
  const __m128i cdgh_before = _mm_blend_epi16(efgh, abcd, 0xf0);
  __m128i abef = abef_before, cdgh = cdgh_before;
  __m128i words[4];  // the last sixteen of the schedule, four at a time, in turn
  for (int group = 0; group < 16; ++group) {
    __m128i& next = words[group % 4];
    if (group < 4) {
      next = _mm_shuffle_epi8(load(block + 16 * group), swap_bytes);
    } else {
      const __m128i last = words[(group + 3) % 4];
      const __m128i seven_before = _mm_alignr_epi8(last, words[(group + 2) % 4], 4);
      next = _mm_add_epi32(_mm_sha256msg1_epu32(next, words[(group + 1) % 4]), seven_before);
      next = _mm_sha256msg2_epu32(next, last);
    }
    const __m128i keyed = _mm_add_epi32(next, load(constants + 4 * group));
    cdgh = _mm_sha256rnds2_epu32(cdgh, abef, keyed);
    abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(keyed, 0x0e));
  }
  abef = _mm_shuffle_epi32(_mm_add_epi32(abef, abef_before), 0x1b);
  cdgh = _mm_shuffle_epi32(_mm_add_epi32(cdgh, cdgh_before), 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state), _mm_blend_epi16(abef, cdgh, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4), _mm_alignr_epi8(cdgh, abef, 8));
}

}  // namespace mmt

#else

namespace mmt {

bool has_sha_instructions() { return false; }
void process_block_with_instructions(std::uint32_t*, const unsigned char*, const std::uint32_t*) {}

}  // namespace mmt

#endif
