// BatchNorm and ReLU of planes, with running statistics.

#pragma once

#include <cmath>
#include <cstdint>

#include "planes.h"

namespace {

struct Norm {
  int64_t gamma, mean, channels, relu;
  const int64_t *raw, *outs;

  explicit Norm(const int64_t* c) : gamma(c[1]), mean(c[2]), channels(c[3]), relu(c[4]), raw(c + 5), outs(raw + channels) {}
  const int64_t* end() const { return outs + channels; }
};

// N sums side by side, for one alone waits for each of its additions.
template <int N, typename T, typename F>
void sums_over(int64_t count, T* sums, F&& terms) {
  Vec<T> partial[N] = {};
  for (int64_t n = 0; n < count; n += kLanes<T>) terms(n, partial);
  for (int j = 0; j < N; ++j) sums[j] = sum_lanes<T>(partial[j]);
}

template <typename T>
struct NormValues {
  const T *gamma, *beta;  // null: 1 and 0
  T *running_mean, *running_variance;
  double eps, momentum;
};

// The raw plane becomes (raw - mean) / deviation, and zero in the gaps.
template <typename T>
void normalise(const Norm& norm, const Plane<T>& raw, const Plane<T>& out, T mean, T factor, T gamma, T beta) {
  const Vec<T> means = broadcast(mean), factors = broadcast(factor), gammas = broadcast(gamma), betas = broadcast(beta);
  for (int64_t n = 0; n < raw.size(); n += kLanes<T>) {
    const Vec<T> x = (load(raw.data + n) - means) * factors;
    Vec<T> y = gammas * x + betas;
    if (norm.relu) y = y > 0 ? y : Vec<T>{};
    store(raw.data + n, x);
    store(out.data + n, y);
  }
  out.fill_gaps(0);
}

template <int K, typename T>
void norm_some(const Program& program, const Norm& norm, int64_t c, const NormValues<T>& with, T* values, T* inverse) {
  Plane<T> raw[K];
  for (int k = 0; k < K; ++k) raw[k] = plane_of(program, values, norm.raw[c + k]);
  const int64_t count = raw[0].batch * raw[0].length, size = raw[0].size();
  T means[K], squares[K];
  sums_over<K>(size, means, [&](int64_t n, Vec<T>* s) {
    for (int k = 0; k < K; ++k) s[k] += load(raw[k].data + n);
  });
  for (int k = 0; k < K; ++k) raw[k].fill_gaps(means[k] /= count);
  sums_over<K>(size, squares, [&](int64_t n, Vec<T>* s) {
    for (int k = 0; k < K; ++k) {
      const Vec<T> d = load(raw[k].data + n) - broadcast(means[k]);
      s[k] += d * d;
    }
  });
  for (int64_t k = 0; k < K; ++k) {
    const double variance = double(squares[k]) / count;
    inverse[c + k] = T(1 / std::sqrt(variance + with.eps));
    const T gamma = with.gamma == nullptr ? T(1) : with.gamma[c + k], beta = with.beta == nullptr ? T(0) : with.beta[c + k];
    normalise(norm, raw[k], plane_of(program, values, norm.outs[c + k]), means[k], inverse[c + k], gamma, beta);
    T &mean = with.running_mean[c + k], &running = with.running_variance[c + k];
    mean += T(with.momentum * (double(means[k]) - mean));
    running += T(with.momentum * (variance * count / (count - 1) - running));
  }
}

template <typename T>
NAS_ALONE void norm_forward(const Program& program, const Norm& norm, const NormValues<T>& with, T* values, T* inverse) {
  int64_t c = 0;
  for (; c + 4 <= norm.channels; c += 4) norm_some<4>(program, norm, c, with, values, inverse);
  for (; c < norm.channels; ++c) norm_some<1>(program, norm, c, with, values, inverse);
}

template <int K, typename T>
void norm_back_some(const Program& program, const Norm& norm, int64_t c, const T* gamma, T* values, T* grads,
                    const T* inverse, T* d_gamma, T* d_beta) {
  Plane<T> x[K], out[K], g[K], d[K];
  for (int k = 0; k < K; ++k) {
    x[k] = plane_of(program, values, norm.raw[c + k]), out[k] = plane_of(program, values, norm.outs[c + k]);
    g[k] = plane_of(program, grads, norm.outs[c + k]), d[k] = plane_of(program, grads, norm.raw[c + k]);
  }
  const int64_t count = x[0].batch * x[0].length, size = x[0].size();
  T sums[2 * K];
  sums_over<2 * K>(size, sums, [&](int64_t n, Vec<T>* s) {
    for (int k = 0; k < K; ++k) {
      Vec<T> value = load(g[k].data + n);
      if (norm.relu) {
        value = load(out[k].data + n) > 0 ? value : Vec<T>{};
        store(g[k].data + n, value);
      }
      s[2 * k] += value;
      s[2 * k + 1] += value * load(x[k].data + n);
    }
  });
  for (int k = 0; k < K; ++k) {
    if (d_gamma != nullptr) d_beta[c + k] += sums[2 * k], d_gamma[c + k] += sums[2 * k + 1];
    const Vec<T> factor = broadcast(gamma == nullptr ? inverse[c + k] : gamma[c + k] * inverse[c + k]),
                 mean = broadcast(T(sums[2 * k] / count)), slope = broadcast(T(sums[2 * k + 1] / count));
    for (int64_t n = 0; n < size; n += kLanes<T>)
      store(d[k].data + n, factor * (load(g[k].data + n) - mean - load(x[k].data + n) * slope));
    d[k].fill_gaps(0);
  }
}

template <typename T>
NAS_ALONE void norm_backward(const Program& program, const Norm& norm, const T* gamma, T* values, T* grads, const T* inverse,
                   T* d_gamma, T* d_beta) {
  int64_t c = 0;
  for (; c + 4 <= norm.channels; c += 4)
    norm_back_some<4>(program, norm, c, gamma, values, grads, inverse, d_gamma, d_beta);
  for (; c < norm.channels; ++c) norm_back_some<1>(program, norm, c, gamma, values, grads, inverse, d_gamma, d_beta);
}

}  // namespace
