// Planes: one channel of all samples of a batch, with zeros between them.
//
//     [gap | sample 0 | gap | sample 1 | gap | ... | long gap]
//
// No tap of a convolution is further away than the gap is long, so that a tap is one multiplication of a shifted plane.
// What a layer writes into a gap is set to zero behind it. Planes of one length have gaps of one length.

#pragma once

#include <algorithm>
#include <cstdint>

#include "vectors.h"

namespace {

constexpr int64_t kUnit = 8;  // steps; gaps and planes are multiples of it, so that they are made of whole vectors

enum Kind : int64_t { kConv, kNorm, kAverage, kMaximum, kPhases, kMix, kReadout };  // of a layer, see network.cpp

struct Program {
  int64_t batch, in_channels, planes, code_size, features;
  const int64_t* lengths;  // [planes], time steps of a sample
  const int64_t* gaps;     // [planes], zeros on each side of a sample
  const int64_t* offsets;  // [planes], where a plane begins in a workspace
  const int64_t* code;
};

// A plane without the gap before its first sample.
template <typename T>
struct Plane {
  T* data;
  int64_t batch, length, gap;

  int64_t pitch() const { return length + gap; }
  T* sample(int64_t b) const { return data + b * pitch(); }
  // What layers compute: whole vectors, the last of which may end in the last gap.
  int64_t size() const { return (batch * pitch() + kUnit - 1) / kUnit * kUnit; }

  void fill_gaps(T value) const {
    for (int64_t b = 0; b + 1 < batch; ++b) std::fill_n(sample(b) + length, gap, value);
    std::fill(sample(batch - 1) + length, data + size() + gap, value);
  }
};

template <typename T>
Plane<T> plane_of(const Program& program, T* workspace, int64_t index) {
  const int64_t gap = program.gaps[index];
  return {workspace + program.offsets[index] + gap, program.batch, program.lengths[index], gap};
}

// Gaps before the first samples: nothing writes there, but taps read them.
template <typename T>
void clear_first_gaps(const Program& program, T* workspace) {
  for (int64_t p = 0; p < program.planes; ++p) std::fill_n(workspace + program.offsets[p], program.gaps[p], T(0));
}

// Samples [batch, channels, steps] to planes; `planes` is null for the first ones.
template <typename T>
void read_samples(const Program& program, const T* x, int64_t channels, const int64_t* planes, T* workspace) {
  for (int64_t c = 0; c < channels; ++c) {
    const Plane<T> plane = plane_of(program, workspace, planes == nullptr ? c : planes[c]);
    for (int64_t b = 0; b < program.batch; ++b)
      std::copy_n(x + (b * channels + c) * plane.length, plane.length, plane.sample(b));
    plane.fill_gaps(0);
  }
}

template <typename T>
void write_samples(const Program& program, T* workspace, int64_t channels, const int64_t* planes, T* x) {
  for (int64_t c = 0; c < channels; ++c) {
    const Plane<T> plane = plane_of(program, workspace, planes == nullptr ? c : planes[c]);
    for (int64_t b = 0; b < program.batch; ++b)
      std::copy_n(plane.sample(b), plane.length, x + (b * channels + c) * plane.length);
  }
}

}  // namespace
