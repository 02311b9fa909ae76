// Readouts: what of the last planes the linear head sees. Each writes some columns of the features [B, F].
//
//     kLargest, kPositiveShare, kPositiveMean: a column a channel
//     kSegments: `segments` columns a channel, the means of as many parts of ceil(length / segments) steps, of which the
//                last may be shorter; 1 is the mean over all

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "planes.h"

namespace {

enum Measure : int64_t { kSegments, kLargest, kPositiveShare, kPositiveMean };

struct Readout {
  int64_t measure, segments, first, channels;
  const int64_t* planes;

  explicit Readout(const int64_t* c) : measure(c[1]), segments(c[2]), first(c[3]), channels(c[4]), planes(c + 5) {}
  const int64_t* end() const { return planes + channels; }
  int64_t column(int64_t c, int64_t segment) const { return first + c * segments + segment; }
  // The first step of a segment, and the one behind its last.
  int64_t steps(int64_t length) const { return (length + segments - 1) / segments; }
  int64_t from(int64_t segment, int64_t length) const { return segment * steps(length); }
  int64_t to(int64_t segment, int64_t length) const { return std::min(length, (segment + 1) * steps(length)); }
};

// Sums over the same steps of N samples side by side, for one alone waits for each of its additions.
template <int N, typename T, typename F>
void sums_of_samples(const Plane<T>& plane, int64_t b, int64_t from, int64_t to, T* sums, F&& term) {
  T found[N] = {};
  for (int64_t t = from; t < to; ++t)
    for (int j = 0; j < N; ++j) found[j] += term(plane.sample(b + j)[t]);
  std::copy_n(found, N, sums);
}

// set(b, sum of the terms of sample b)
template <typename T, typename F, typename S>
void for_sums(const Plane<T>& plane, int64_t from, int64_t to, F&& term, S&& set) {
  T sums[8];
  int64_t b = 0;
  for (; b + 8 <= plane.batch; b += 8) {
    sums_of_samples<8>(plane, b, from, to, sums, term);
    for (int j = 0; j < 8; ++j) set(b + j, sums[j]);
  }
  for (; b < plane.batch; ++b) {
    sums_of_samples<1>(plane, b, from, to, sums, term);
    set(b, sums[0]);
  }
}

template <typename T>
int64_t count_positive(const T* values, int64_t count) {
  int32_t found = 0;
  for (int64_t t = 0; t < count; ++t) found += values[t] > 0;
  return found;
}

template <typename T>
T value_of(const Readout& readout, const T* values, int64_t length) {
  if (readout.measure == kLargest) return *std::max_element(values, values + length);
  const int64_t positive = count_positive(values, length);
  if (readout.measure == kPositiveShare) return T(positive) / T(length);
  T sum = 0;
  for (int64_t t = 0; t < length; ++t) sum += values[t] > 0 ? values[t] : T(0);
  return sum / T(std::max<int64_t>(positive, 1));
}

template <typename T>
NAS_ALONE void readout_forward(const Program& program, const Readout& readout, T* values, T* features) {
  for (int64_t c = 0; c < readout.channels; ++c) {
    const Plane<T> in = plane_of(program, values, readout.planes[c]);
    if (readout.measure != kSegments) {
      for (int64_t b = 0; b < in.batch; ++b)
        features[b * program.features + readout.column(c, 0)] = value_of(readout, in.sample(b), in.length);
      continue;
    }
    for (int64_t segment = 0; segment < readout.segments; ++segment) {
      const int64_t from = readout.from(segment, in.length), to = readout.to(segment, in.length);
      T* column = features + readout.column(c, segment);
      for_sums(in, from, to, [](T value) { return value; },
               [&](int64_t b, T sum) { column[b * program.features] = sum / (to - from); });
    }
  }
}

// Of the share of positive values the gradient is that of the mean of (x + 1) / 2, cut off at 0 and 1.
template <typename T>
void add_gradient(const Readout& readout, const T* values, int64_t length, T g, T* d) {
  switch (readout.measure) {
    case kLargest: d[std::max_element(values, values + length) - values] += g; break;
    case kPositiveShare:
      g /= 2 * length;
      for (int64_t t = 0; t < length; ++t) d[t] += std::abs(values[t]) < 1 ? g : T(0);
      break;
    default:
      g /= std::max<int64_t>(count_positive(values, length), 1);
      for (int64_t t = 0; t < length; ++t) d[t] += values[t] > 0 ? g : T(0);
  }
}

template <typename T>
NAS_ALONE void readout_backward(const Program& program, const Readout& readout, T* values, const T* g_features, T* grads) {
  for (int64_t c = 0; c < readout.channels; ++c) {
    const Plane<T> in = plane_of(program, values, readout.planes[c]), d = plane_of(program, grads, readout.planes[c]);
    for (int64_t b = 0; b < d.batch; ++b)
      for (int64_t segment = 0; segment < readout.segments; ++segment) {
        const T g = g_features[b * program.features + readout.column(c, segment)];
        if (readout.measure != kSegments) {
          add_gradient(readout, in.sample(b), in.length, g, d.sample(b));
          continue;
        }
        const int64_t from = readout.from(segment, d.length), to = readout.to(segment, d.length);
        const T each = g / (to - from);
        for (int64_t t = from; t < to; ++t) d.sample(b)[t] += each;
      }
  }
}

}  // namespace
