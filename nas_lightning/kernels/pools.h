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

// What a pool makes of a window around step `centre`; it may be cut off at the ends of a sample.
template <typename T>
T pool_one(bool is_maximum, const T* in, int64_t length, int64_t centre) {
  const int64_t first = std::max<int64_t>(centre - 1, 0), last = std::min(centre + 1, length - 1);
  T found = in[first];
  for (int64_t i = first + 1; i <= last; ++i) found = is_maximum ? std::max(found, in[i]) : found + in[i];
  return is_maximum ? found : found / (last - first + 1);
}

// Its gradient; of equal values the first is the maximum, as in PyTorch.
template <typename T>
void pool_one_backward(bool is_maximum, const T* in, int64_t length, int64_t centre, T g, T* d) {
  const int64_t first = std::max<int64_t>(centre - 1, 0), last = std::min(centre + 1, length - 1);
  if (is_maximum) {
    d[std::max_element(in + first, in + last + 1) - in] += g;
  } else {
    for (int64_t i = first; i <= last; ++i) d[i] += g / (last - first + 1);
  }
}

template <typename T>
NAS_ALONE void pool_forward(const Program& program, const Pool& pool, bool is_maximum, T* values) {
  for (int64_t c = 0; c < pool.channels; ++c) {
    const Plane<T> in = plane_of(program, values, pool.ins[c]), out = plane_of(program, values, pool.outs[c]);
    for (int64_t b = 0; b < in.batch; ++b) {
      const T* __restrict x = in.sample(b);
      T* __restrict y = out.sample(b);
      const int64_t whole = (in.length - 2) / pool.stride;  // the last window that is not cut off
      for (int64_t t = 0; t < out.length; t += t == 0 && whole > 0 ? whole : 1)
        y[t] = pool_one(is_maximum, x, in.length, t * pool.stride);
      const int64_t step = pool.stride;
      if (is_maximum) {
        for (int64_t t = 1; t < whole; ++t) y[t] = std::max(std::max(x[t * step - 1], x[t * step]), x[t * step + 1]);
      } else {
        for (int64_t t = 1; t < whole; ++t) y[t] = (x[t * step - 1] + x[t * step] + x[t * step + 1]) / 3;
      }
    }
    out.fill_gaps(0);
  }
}

// Windows from..to of a sample, none of which is cut off; without a branch, for nobody can tell which value is largest.
template <typename T>
void maximum_backward(const T* __restrict x, const T* __restrict g, T* __restrict d, int64_t step, int64_t from,
                      int64_t to) {
  for (int64_t t = from; t < to; ++t) {
    const T left = x[t * step - 1], centre = x[t * step], right = x[t * step + 1];
    const bool is_right = std::max(left, centre) < right, is_centre = left < centre && !is_right;
    d[t * step - 1] += is_right || is_centre ? T(0) : g[t];
    d[t * step] += is_centre ? g[t] : T(0);
    d[t * step + 1] += is_right ? g[t] : T(0);
  }
}

template <typename T>
void average_backward(const T* __restrict g, T* __restrict d, int64_t step, int64_t from, int64_t to) {
  for (int64_t t = from; t < to; ++t) {
    const T each = g[t] / 3;
    for (int64_t i = -1; i <= 1; ++i) d[t * step + i] += each;
  }
}

// At stride 1 each step collects what its three windows give it, in the order of time: no step waits for the one before.
// Steps 2..length - 3, whose windows are not cut off.
template <typename T>
void maximum_backward_each(const T* __restrict x, const T* __restrict g, T* __restrict d, int64_t length) {
  for (int64_t i = 2; i < length - 2; ++i) {
    const bool left_less = x[i - 1] < x[i], right_more = x[i] < x[i + 1], far_more = x[i] < x[i + 2];
    T sum = d[i] + (std::max(x[i - 2], x[i - 1]) < x[i] ? g[i - 1] : T(0));
    sum += left_less & !right_more ? g[i] : T(0);
    sum += right_more | far_more ? T(0) : g[i + 1];
    d[i] = sum;
  }
}

template <typename T>
void average_backward_each(const T* __restrict g, T* __restrict d, int64_t length) {
  for (int64_t i = 2; i < length - 2; ++i) d[i] = ((d[i] + g[i - 1] / 3) + g[i] / 3) + g[i + 1] / 3;
}

// The same for one step of a sample.
template <typename T>
void collect_one(bool is_maximum, const T* x, const T* g, int64_t length, int64_t i, T* d) {
  for (int64_t t = std::max<int64_t>(i - 1, 0); t <= std::min(i + 1, length - 1); ++t) {
    const int64_t first = std::max<int64_t>(t - 1, 0), last = std::min(t + 1, length - 1);
    if (!is_maximum) d[i] += g[t] / (last - first + 1);
    if (is_maximum && std::max_element(x + first, x + last + 1) - x == i) d[i] += g[t];
  }
}

template <typename T>
void pool_backward_each(bool is_maximum, const T* x, const T* g, int64_t length, T* d) {
  if (is_maximum) {
    maximum_backward_each(x, g, d, length);
  } else {
    average_backward_each(g, d, length);
  }
  for (int64_t i = 0; i < std::min<int64_t>(2, length); ++i) collect_one(is_maximum, x, g, length, i, d);
  for (int64_t i = std::max<int64_t>(2, length - 2); i < length; ++i) collect_one(is_maximum, x, g, length, i, d);
}

template <typename T>
NAS_ALONE void pool_backward(const Program& program, const Pool& pool, bool is_maximum, T* values, T* grads) {
  for (int64_t c = 0; c < pool.channels; ++c) {
    const Plane<T> in = plane_of(program, values, pool.ins[c]), d = plane_of(program, grads, pool.ins[c]);
    const Plane<T> g = plane_of(program, grads, pool.outs[c]);
    for (int64_t b = 0; b < d.batch; ++b) {
      if (pool.stride == 1) {
        pool_backward_each(is_maximum, in.sample(b), g.sample(b), in.length, d.sample(b));
        continue;
      }
      const int64_t whole = std::max<int64_t>((in.length - 2) / pool.stride, 1);
      const auto one = [&](int64_t t) {
        pool_one_backward(is_maximum, in.sample(b), in.length, t * pool.stride, g.sample(b)[t], d.sample(b));
      };
      one(0);  // in the order of time, in which the sums of a step are to be made
      if (is_maximum) {
        maximum_backward(in.sample(b), g.sample(b), d.sample(b), pool.stride, 1, whole);
      } else {
        average_backward(g.sample(b), d.sample(b), pool.stride, 1, whole);
      }
      for (int64_t t = whole; t < g.length; ++t) one(t);
    }
  }
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
