/*
 * Round-trip times, log-linear: 128 steps to each power of two, so that a time read back is less than 1 % off. The same idea as
 * HdrHistogram.
 */
#pragma once
#include <stdint.h>

enum { STEP_BITS = 7, STEPS = 1 << STEP_BITS, BUCKETS = (64 - STEP_BITS + 1) * STEPS };

struct histogram {
  uint64_t counts[BUCKETS], count, least, most;
  double sum;
};

static void histogram_record(struct histogram *h, uint64_t value) {
  int shift = value < STEPS ? 0 : 63 - __builtin_clzll(value) - STEP_BITS;
  h->counts[shift * STEPS + (value >> shift)]++;
  if (h->count++ == 0 || value < h->least) h->least = value;
  if (value > h->most) h->most = value;
  h->sum += value;
}

/* The value that `percent` of all do not exceed: the middle of its step. */
static uint64_t histogram_percentile(const struct histogram *h, double percent) {
  double wanted = h->count * percent / 100;
  uint64_t seen = 0;
  for (int i = 0; i < BUCKETS; i++) {
    seen += h->counts[i];
    if (h->counts[i] == 0 || seen < wanted) continue;
    int shift = i < 2 * STEPS ? 0 : i / STEPS - 1;
    uint64_t value = ((uint64_t)(i - shift * STEPS) << shift) + ((1ull << shift) >> 1);
    return value > h->most ? h->most : value;
  }
  return 0;
}
