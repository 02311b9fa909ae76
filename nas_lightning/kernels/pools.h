// Pools over 3 steps, and the phases of a plane: every S-th step of it.

#pragma once

#include <algorithm>
#include <cstdint>

#include "planes.h"

namespace {

struct Pool {
  int64_t channels, stride;
  const int64_t *ins, *outs;

  explicit Pool(const int64_t* c) : channels(c[1]), stride(c[2]), ins(c + 3), outs(ins + channels) {}
  const int64_t* end() const { return outs + channels; }
};

// f(input of a sample, output of it, first, last and place of a window of 3) for all windows
template <typename T, typename F>
void for_windows(const Program& program, const Pool& pool, T* ins, T* outs, F&& f) {
  for (int64_t c = 0; c < pool.channels; ++c) {
    const Plane<T> in = plane_of(program, ins, pool.ins[c]), out = plane_of(program, outs, pool.outs[c]);
    for (int64_t b = 0; b < in.batch; ++b)
      for (int64_t t = 0; t < out.length; ++t) {
        const int64_t centre = t * pool.stride;
        f(c, b, std::max<int64_t>(centre - 1, 0), std::min(centre + 1, in.length - 1), t);
      }
  }
}

template <typename T>
NAS_ALONE void pool_forward(const Program& program, const Pool& pool, bool is_maximum, T* values) {
  for_windows(program, pool, values, values, [&](int64_t c, int64_t b, int64_t first, int64_t last, int64_t t) {
    const T* in = plane_of(program, values, pool.ins[c]).sample(b);
    T found = in[first];
    for (int64_t i = first + 1; i <= last; ++i) found = is_maximum ? std::max(found, in[i]) : found + in[i];
    plane_of(program, values, pool.outs[c]).sample(b)[t] = is_maximum ? found : found / (last - first + 1);
  });
  for (int64_t c = 0; c < pool.channels; ++c) plane_of(program, values, pool.outs[c]).fill_gaps(0);
}

// Of equal values the first is the maximum, as in PyTorch.
template <typename T>
NAS_ALONE void pool_backward(const Program& program, const Pool& pool, bool is_maximum, T* values, T* grads) {
  for_windows(program, pool, grads, grads, [&](int64_t c, int64_t b, int64_t first, int64_t last, int64_t t) {
    const T* in = plane_of(program, values, pool.ins[c]).sample(b);
    T* d = plane_of(program, grads, pool.ins[c]).sample(b);
    const T g = plane_of(program, grads, pool.outs[c]).sample(b)[t];
    if (is_maximum) {
      d[std::max_element(in + first, in + last + 1) - in] += g;
    } else {
      for (int64_t i = first; i <= last; ++i) d[i] += g / (last - first + 1);
    }
  });
}

struct Phases {
  int64_t stride, channels;
  const int64_t *ins, *outs;

  explicit Phases(const int64_t* c) : stride(c[1]), channels(c[2]), ins(c + 3), outs(ins + channels) {}
  const int64_t* end() const { return outs + stride * channels; }
};

template <typename T>
NAS_ALONE void phases_forward(const Program& program, const Phases& phases, T* values) {
  const int64_t stride = phases.stride;
  for (int64_t j = 0; j < stride * phases.channels; ++j) {
    const Plane<T> in = plane_of(program, values, phases.ins[j / stride]), out = plane_of(program, values, phases.outs[j]);
    for (int64_t b = 0; b < in.batch; ++b) {  // the last steps of a sample may be the first of its gap
      const T* from = in.sample(b) + j % stride;
      T* to = out.sample(b);
      for (int64_t t = 0; t < out.length; ++t) to[t] = from[stride * t];
    }
    out.fill_gaps(0);
  }
}

template <typename T>
NAS_ALONE void phases_backward(const Program& program, const Phases& phases, T* grads) {
  const int64_t stride = phases.stride;
  for (int64_t j = 0; j < stride * phases.channels; ++j) {
    const Plane<T> d = plane_of(program, grads, phases.ins[j / stride]), g = plane_of(program, grads, phases.outs[j]);
    for (int64_t b = 0; b < d.batch; ++b) {
      const T* from = g.sample(b);
      T* to = d.sample(b) + j % stride;
      for (int64_t t = 0; stride * t + j % stride < d.length; ++t) to[stride * t] += from[t];
    }
  }
}

}  // namespace
