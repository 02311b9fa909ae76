// The two heavy operations of the supernet, for CPUs: the mixture of convolutions, and the moments of patches.
//
// The mathematics stands in torch_ops.py, which computes the same with plain PyTorch; here it runs tile by tile, so that
// nothing larger than a tile is ever written to memory. A tile is a few samples side by side on one time axis, with
// zeros between them:
//
//     [halo | sample 0 | gap | sample 1 | gap | ... | slack]
//
// so that one convolution over the tile is the padded convolution of every sample. Outputs that fall into a gap are
// computed and thrown away.
//
// Letters: B samples, C channels, L time steps, E edges out of a node, O convolutional operations, K taps (odd),
// P = K / 2, rows = E * C output channels of one operation.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <type_traits>
#include <vector>

#include "vectors.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

// ------------------------------------------------------------------------------------------------------------ tiles

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <typename T>
struct Tiling {
  int64_t batch, length, gap, period, samples, tiles, vectors, halo, width;

  // `channels` rows of a tile shall stay in the caches, and a tile be long enough to be worth its own costs; a small batch
  // still gives work to several threads. The number of threads has no say: signs of one pass are read in another.
  Tiling(int64_t batch, int64_t length, int64_t gap, int64_t channels)
      : batch(batch), length(length), gap(gap), period(length + gap) {
    const int64_t steps = std::clamp<int64_t>(32768 / std::max<int64_t>(channels, 1), 512, 1024);
    samples = std::max<int64_t>(1, (steps + period / 2) / period);
    samples = std::min(samples, ceil_div(batch, 8));
    tiles = ceil_div(batch, samples);
    vectors = ceil_div(samples * period, kLanes<T>);
    halo = ceil_div(gap, kLanes<T>) * kLanes<T>;
    width = halo + vectors * kLanes<T> + halo + kLanes<T>;
  }

  int64_t first(int64_t tile) const { return tile * samples; }
  int64_t count(int64_t tile) const { return std::min(samples, batch - tile * samples); }

  // One row of a tile: samples [count] that lie `stride` apart, into a zeroed row of `width`.
  void gather(const T* from, int64_t stride, int64_t count, T* row) const {
    std::fill(row, row + width, T(0));
    for (int64_t s = 0; s < count; ++s)
      std::memcpy(row + halo + s * period, from + s * stride, length * sizeof(T));
  }

  void scatter(const T* row, int64_t stride, int64_t count, T* to) const {
    for (int64_t s = 0; s < count; ++s)
      std::memcpy(to + s * stride, row + halo + s * period, length * sizeof(T));
  }

  void scatter_add(const T* row, int64_t stride, int64_t count, T* to) const {
    for (int64_t s = 0; s < count; ++s)
      for (int64_t t = 0; t < length; ++t) to[s * stride + t] += row[halo + s * period + t];
  }
};

// Runs job(tile, thread) for all tiles; which thread runs which tile depends on nothing but their numbers.
template <typename Job>
void for_tiles(int64_t tiles, int threads, Job job) {
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
  {
    const int thread = omp_get_thread_num(), team = omp_get_num_threads();
    for (int64_t tile = tiles * thread / team; tile < tiles * (thread + 1) / team; ++tile) job(tile, thread);
  }
#else
  for (int64_t tile = 0; tile < tiles; ++tile) job(tile, 0);
#endif
}

// Threads for so many multiplications: starting them takes longer than a few.
int threads_for(int64_t work, int threads) { return work < 1 << 16 ? 1 : threads; }

// Sums, of which each thread holds its part.
template <typename S>
struct PerThread {
  size_t size;
  std::vector<std::vector<S>> parts;
  PerThread(int threads, size_t size) : size(size), parts(threads) {}
  S* of(int thread) {
    if (parts[thread].empty()) parts[thread].assign(size, S(0));
    return parts[thread].data();
  }
  S operator[](size_t i) const {
    S total(0);
    for (const auto& part : parts)
      if (!part.empty()) total += part[i];
    return total;
  }
};

// ---------------------------------------------------------------------------------------------------- inner kernels

// done(row, vector, sum over c and k of w[row][c][k] * in[c][t + k]) for `rows` rows and `vectors` vectors of t.
// R * N sums, N values and a weight shall fit into 16 registers with some to spare; with none, half of the speed is lost.
template <typename T, int R, int N, typename Done>
inline void convolve_block(const T* in, int64_t in_stride, int64_t channels, const T* w, int64_t w_row, int taps, int lo,
                           int hi, int64_t row, int64_t vector, Done& done) {
  Vec<T> sum[R][N] = {};
  for (int64_t c = 0; c < channels; ++c) {
    const T* x = in + c * in_stride + vector * kLanes<T>;
    const T* wc = w + c * taps;
    for (int k = lo; k <= hi; ++k) {
      Vec<T> value[N];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) value[n] = hold<T>(load(x + k + n * kLanes<T>));
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Vec<T> weight = broadcast<T>(wc[r * w_row + k]);
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) sum[r][n] += weight * value[n];
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) done(row + r, vector + n, sum[r][n]);
}

template <typename T, int R, int N, typename Done>
void convolve_strip(const T* in, int64_t in_stride, int64_t channels, const T* w, int64_t w_row, int taps, int lo, int hi,
                    int64_t row, int64_t vectors, Done& done) {
  int64_t v = 0;
  for (; v + N <= vectors; v += N)
    convolve_block<T, R, N>(in, in_stride, channels, w, w_row, taps, lo, hi, row, v, done);
  for (; v < vectors; ++v) convolve_block<T, R, 1>(in, in_stride, channels, w, w_row, taps, lo, hi, row, v, done);
}

template <typename T, typename Done>
void convolve(const T* in, int64_t in_stride, int64_t channels, const T* w, int taps, int lo, int hi, int64_t rows,
              int64_t vectors, Done done) {
  const int64_t w_row = channels * taps;
  int64_t r = 0;
  for (; rows - r >= 6 && rows - r != 8; r += 6)  // 8 are better off as 4 and 4
    convolve_strip<T, 6, 2>(in, in_stride, channels, w + r * w_row, w_row, taps, lo, hi, r, vectors, done);
  for (; r + 4 <= rows; r += 4)
    convolve_strip<T, 4, 2>(in, in_stride, channels, w + r * w_row, w_row, taps, lo, hi, r, vectors, done);
  const T* rest = w + r * w_row;
  if (rows - r == 3) convolve_strip<T, 3, 3>(in, in_stride, channels, rest, w_row, taps, lo, hi, r, vectors, done);
  if (rows - r == 2) convolve_strip<T, 2, 4>(in, in_stride, channels, rest, w_row, taps, lo, hi, r, vectors, done);
  if (rows - r == 1) convolve_strip<T, 1, 8>(in, in_stride, channels, rest, w_row, taps, lo, hi, r, vectors, done);
}

// done(row, n, sum over t of a[row][t] * b[n][t]) for R rows and N others.
template <typename T, int R, int N, typename Done>
inline void correlate_block(const T* a, int64_t a_stride, const T* const (&b)[N], int64_t vectors, Done done) {
  Vec<T> sum[R][N] = {};
  for (int64_t v = 0; v < vectors; ++v) {
    Vec<T> left[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) left[r] = hold<T>(load(a + r * a_stride + v * kLanes<T>));
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      const Vec<T> right = hold<T>(load(b[n] + v * kLanes<T>));
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sum[r][n] += left[r] * right;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) done(r, n, sum_lanes<T>(sum[r][n]));
}

template <typename T, int R, typename Done>
void correlate_strip(const T* a, int64_t a_stride, const T* b, int64_t b_stride, int64_t channels, int lo, int hi,
                     int64_t vectors, int64_t row, Done& done) {
  int64_t left = channels * (hi - lo + 1), c = 0;  // pairs of a channel and a tap
  int k = lo;
  const auto block = [&](auto size) {
    constexpr int N = decltype(size)::value;
    const T* from[N];
    int64_t channel[N];
    int tap[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      channel[n] = c, tap[n] = k;
      from[n] = b + c * b_stride + k;
      if (++k > hi) k = lo, ++c;
    }
    correlate_block<T, R, N>(a, a_stride, from, vectors,
                             [&](int r, int n, T sum) { done(row + r, channel[n], tap[n], sum); });
    left -= N;
  };
  while (left > 6 || left == 4) block(std::integral_constant<int, 4>{});
  while (left >= 3) block(std::integral_constant<int, 3>{});
  if (left == 2) block(std::integral_constant<int, 2>{});
  if (left == 1) block(std::integral_constant<int, 1>{});
}

// done(row, channel, k, sum over t of a[row][t] * b[channel][t + k]) for k = lo .. hi.
template <typename T, typename Done>
void correlate(const T* a, int64_t a_stride, int64_t rows, const T* b, int64_t b_stride, int64_t channels, int lo, int hi,
               int64_t vectors, Done done) {
  int64_t r = 0;
  for (; r + 3 <= rows; r += 3)
    correlate_strip<T, 3>(a + r * a_stride, a_stride, b, b_stride, channels, lo, hi, vectors, r, done);
  const T* rest = a + r * a_stride;
  if (rows - r == 2) correlate_strip<T, 2>(rest, a_stride, b, b_stride, channels, lo, hi, vectors, r, done);
  if (rows - r == 1) correlate_strip<T, 1>(rest, a_stride, b, b_stride, channels, lo, hi, vectors, r, done);
}

// ------------------------------------------------------------------------------------------------------------ pools

// The identity, average pool and maximum pool (width 3) within each sample. `select` decides which element is the largest,
// `value` is pooled; they differ only where the derivative of a pool is taken.
template <typename T>
struct Pools {
  using I = typename Lanes<T>::I;
  const Tiling<T>& tiling;
  std::vector<T> share, no_left, no_right;  // 1 / number of neighbours; -inf where there is no neighbour

  explicit Pools(const Tiling<T>& tiling)
      : tiling(tiling), share(tiling.width, T(0)), no_left(tiling.width, T(0)), no_right(tiling.width, T(0)) {
    for (int64_t s = 0; s < tiling.samples; ++s)
      for (int64_t t = 0; t < tiling.length; ++t) {
        const int64_t i = tiling.halo + s * tiling.period + t;
        const bool first = t == 0, last = t == tiling.length - 1;
        share[i] = T(1) / (3 - first - last);
        if (first) no_left[i] = -std::numeric_limits<T>::infinity();
        if (last) no_right[i] = -std::numeric_limits<T>::infinity();
      }
  }

  // Masks of where the first largest of left, middle and right is the left, and the middle.
  void choose(const T* select, int64_t i, I& left, I& middle) const {
    const Vec<T> l = load(select + i - 1) + load(&no_left[i]), m = load(select + i),
                 r = load(select + i + 1) + load(&no_right[i]);
    left = (l >= m) & (l >= r);
    middle = ~left & (m >= r);
  }

  void pool(const T* value, const T* select, int64_t i, Vec<T> pooled[3]) const {
    I left, middle;
    choose(select, i, left, middle);
    const Vec<T> l = load(value + i - 1), m = load(value + i), r = load(value + i + 1);
    pooled[0] = m;
    pooled[1] = (l + m + r) * load(&share[i]);
    pooled[2] = left ? l : (middle ? m : r);
  }

  // out[e] += mix[e] . pools for rows that lie `stride` apart
  void forward(const T* value, const T* select, const T* mix, int64_t edges, T* out, int64_t stride) const {
    for (int64_t v = 0; v < tiling.vectors; ++v) {
      const int64_t i = tiling.halo + v * kLanes<T>;
      Vec<T> pooled[3];
      pool(value, select, i, pooled);
      for (int64_t e = 0; e < edges; ++e) {
        const T* w = mix + e * 3;
        T* to = out + e * stride + i;
        store(to, load(to) + w[0] * pooled[0] + w[1] * pooled[1] + w[2] * pooled[2]);
      }
    }
  }

  // d_mix[e] += pools . grad[e], and out += the gradient of value; scratch is 3 rows.
  void backward(const T* value, const T* select, const T* mix, int64_t edges, const T* grad, int64_t stride, T* scratch,
                double* d_mix, T* out) const {
    T *to_left = scratch, *to_middle = scratch + tiling.width, *to_right = scratch + 2 * tiling.width;
    std::fill(scratch, scratch + 3 * tiling.width, T(0));
    std::vector<Vec<T>> sums(3 * edges, Vec<T>{});
    for (int64_t v = 0; v < tiling.vectors; ++v) {
      const int64_t i = tiling.halo + v * kLanes<T>;
      Vec<T> pooled[3], identity{}, average{}, largest{};
      pool(value, select, i, pooled);
      for (int64_t e = 0; e < edges; ++e) {
        const Vec<T> g = load(grad + e * stride + i);
        for (int p = 0; p < 3; ++p) sums[e * 3 + p] += g * pooled[p];
        identity += mix[e * 3] * g;
        average += mix[e * 3 + 1] * g;
        largest += mix[e * 3 + 2] * g;
      }
      I left, middle;
      choose(select, i, left, middle);
      average *= load(&share[i]);
      store(to_left + i, average + (left ? largest : Vec<T>{}));
      store(to_middle + i, identity + average + (middle ? largest : Vec<T>{}));
      store(to_right + i, average + (left | middle ? Vec<T>{} : largest));
    }
    for (int64_t k = 0; k < 3 * edges; ++k) d_mix[k] += sum_lanes<T>(sums[k]);
    for (int64_t v = 0; v < tiling.vectors; ++v) {
      const int64_t i = tiling.halo + v * kLanes<T>;
      store(out + i, load(out + i) + load(to_left + i + 1) + load(to_middle + i) + load(to_right + i - 1));
    }
  }
};

// ---------------------------------------------------------------------------------------------------------- mixture

struct MixtureShape {
  int64_t batch, in_channels, channels, length, edges, ops;
  int32_t taps, has_pools;
  const int32_t *lo, *hi;  // first and last tap of each operation that is not zero
  int64_t rows() const { return edges * channels; }
};

template <typename T>
Tiling<T> tiling_of(const MixtureShape& s) {
  return Tiling<T>(s.batch, s.length, std::max(s.taps / 2, 1), s.in_channels + s.rows());
}

// kernels [E, O, C, in, K] as [O][E * C][in][K]
template <typename T>
std::vector<T> by_operation(const T* kernels, const MixtureShape& s, int64_t per_row) {
  std::vector<T> out(s.edges * s.ops * s.channels * per_row);
  const int64_t block = s.channels * per_row;
  for (int64_t e = 0; e < s.edges; ++e)
    for (int64_t o = 0; o < s.ops; ++o)
      std::copy_n(kernels + (e * s.ops + o) * block, block, &out[(o * s.edges + e) * block]);
  return out;
}

// y [E] of [B, C, L] = acc + sum over o of mix * relu(conv(x) + bias) + pools; signs of the convolutions go to `masks`.
// With `tangent` the input has twice the channels (tangent of x, then x), the signs are read, and relu and mix are left
// out: kernels and bias then hold the tangents of both.
template <typename T>
void mixture_forward(const MixtureShape& s, const T* x, const T* tangent, const T* const* acc, const T* kernels,
                     const T* bias, const T* mix, const T* pool_mix, uint8_t* masks, T* const* y, int threads) {
  const int half = s.taps / 2;
  const Tiling<T> tiling = tiling_of<T>(s);
  const int64_t inputs = s.in_channels * (tangent ? 2 : 1), rows = s.rows(), width = tiling.width;
  const std::vector<T> w = by_operation(kernels, s, inputs * s.taps), b = by_operation(bias, s, 1);
  std::vector<T> row_mix(s.ops * rows, T(1));
  if (mix)
    for (int64_t o = 0; o < s.ops; ++o)
      for (int64_t r = 0; r < rows; ++r) row_mix[o * rows + r] = mix[r / s.channels * s.ops + o];
  const int64_t sample_in = s.in_channels * s.length, sample_out = s.channels * s.length;
  const Pools<T> pools(tiling);
  std::vector<std::unique_ptr<T[]>> scratch(threads);
  for_tiles(tiling.tiles, threads, [&](int64_t tile, int thread) {
    if (!scratch[thread]) scratch[thread] = std::make_unique<T[]>((inputs + rows) * width);
    T *in = scratch[thread].get(), *out = in + inputs * width;
    const int64_t first = tiling.first(tile), count = tiling.count(tile);
    for (int64_t c = 0; c < inputs; ++c) {
      const T* from = !tangent ? x + c * s.length
                      : c < s.in_channels ? tangent + c * s.length
                                          : x + (c - s.in_channels) * s.length;
      tiling.gather(from + first * sample_in, sample_in, count, in + c * width);
    }
    for (int64_t e = 0; e < s.edges; ++e)
      for (int64_t c = 0; c < s.channels; ++c) {
        T* row = out + (e * s.channels + c) * width;
        if (acc)
          tiling.gather(acc[e] + (first * s.channels + c) * s.length, sample_out, count, row);
        else
          std::fill(row, row + width, T(0));
      }
    for (int64_t c = 0; s.has_pools && c < s.channels; ++c)
      pools.forward(in + c * width, in + (tangent ? c + s.in_channels : c) * width, pool_mix, s.edges, out + c * width,
                    s.channels * width);
    for (int64_t o = 0; o < s.ops; ++o) {
      uint8_t* signs = masks + (tile * s.ops + o) * rows * tiling.vectors;
      const T *bias_o = &b[o * rows], *mix_o = &row_mix[o * rows];
      convolve(in + tiling.halo - half, width, inputs, &w[o * rows * inputs * s.taps], s.taps, s.lo[o], s.hi[o], rows,
               tiling.vectors, [&](int64_t r, int64_t v, Vec<T> z) {
                 z += bias_o[r];
                 T* to = out + r * width + tiling.halo + v * kLanes<T>;
                 uint8_t& sign = signs[r * tiling.vectors + v];
                 if (tangent) {
                   store(to, load(to) + keep_bits<T>(z, sign));
                 } else {
                   sign = positive_bits<T>(z);
                   store(to, load(to) + mix_o[r] * (z > 0 ? z : Vec<T>{}));
                 }
               });
    }
    for (int64_t e = 0; e < s.edges; ++e)
      for (int64_t c = 0; c < s.channels; ++c)
        tiling.scatter(out + (e * s.channels + c) * width, sample_out, count,
                       y[e] + (first * s.channels + c) * s.length);
  });
}

// From the gradients of y those of x, kernels, bias, mix and pool mix; `mix` null stands for ones. d_kernels, d_bias and
// d_mix may be null. unit_kernels [E, O, C, in, K] and unit_bias [E, O, C] are the gradients for a mix of one: as a ReLU
// scales with its input, the gradient of mix is kernels . unit_kernels + bias . unit_bias.
template <typename T>
void mixture_backward(const MixtureShape& s, const T* x, const T* select, const T* kernels, const T* bias, const T* mix,
                      const T* pool_mix, const T* const* grad_y, const uint8_t* masks, T* d_x, T* d_kernels, T* d_bias,
                      T* d_mix, T* d_pool_mix, T* unit_kernels, T* unit_bias, int threads) {
  constexpr int64_t kRows = 32;  // rows of one operation that are worked on at a time
  const int half = s.taps / 2;
  const Tiling<T> tiling = tiling_of<T>(s);
  const int64_t inputs = s.in_channels, rows = s.rows(), width = tiling.width, block = std::min(rows, kRows);
  const int64_t per_row = inputs * s.taps, sample_in = inputs * s.length, sample_out = s.channels * s.length;
  // [O][row blocks][in][rows of the block][K reversed]: the transposed convolution
  std::vector<T> transposed(s.ops * rows * per_row);
  {
    const std::vector<T> w = by_operation(kernels, s, per_row);
    const int64_t blocks = ceil_div(rows, block);
    for_tiles(s.ops * blocks, threads_for(w.size(), threads), [&](int64_t tile, int) {
      const int64_t o = tile / blocks, r0 = tile % blocks * block, n = std::min(block, rows - r0);
      T* to = &transposed[(o * rows + r0) * per_row];
      for (int64_t c = 0; c < inputs; ++c)
        for (int64_t r = 0; r < n; ++r) {
          const T scale = mix ? mix[(r0 + r) / s.channels * s.ops + o] : T(1);
          const T* from = &w[(o * rows + r0 + r) * per_row + c * s.taps];
          for (int k = s.taps - 1; k >= 0; --k) *to++ = scale * from[k];
        }
    });
  }
  const Pools<T> pools(tiling);
  std::vector<std::unique_ptr<T[]>> scratch(threads);
  PerThread<double> kernel_sums(threads, s.ops * rows * per_row), bias_sums(threads, s.ops * rows),
      pool_sums(threads, s.edges * 3);
  for_tiles(tiling.tiles, threads, [&](int64_t tile, int thread) {
    if (!scratch[thread]) scratch[thread] = std::make_unique<T[]>((2 * inputs + rows + block + 4) * width);
    T *in = scratch[thread].get(), *out = in + inputs * width, *grad = out + inputs * width, *q = grad + rows * width,
      *chosen = q + block * width, *spare = chosen + width;
    double *d_w = kernel_sums.of(thread), *d_b = bias_sums.of(thread), *d_p = pool_sums.of(thread);
    const int64_t first = tiling.first(tile), count = tiling.count(tile);
    for (int64_t c = 0; c < inputs; ++c)
      tiling.gather(x + first * sample_in + c * s.length, sample_in, count, in + c * width);
    for (int64_t e = 0; e < s.edges; ++e)
      for (int64_t c = 0; c < s.channels; ++c)
        tiling.gather(grad_y[e] + (first * s.channels + c) * s.length, sample_out, count,
                      grad + (e * s.channels + c) * width);
    std::fill(out, out + inputs * width, T(0));
    for (int64_t c = 0; s.has_pools && c < s.channels; ++c) {
      if (select != x) tiling.gather(select + first * sample_in + c * s.length, sample_in, count, chosen);
      const T* selected = select == x ? in + c * width : chosen;
      pools.backward(in + c * width, selected, pool_mix, s.edges, grad + c * width, s.channels * width, spare, d_p,
                     out + c * width);
    }
    std::fill(q, q + block * width, T(0));
    for (int64_t o = 0; o < s.ops; ++o)
      for (int64_t r0 = 0; r0 < rows; r0 += block) {
        const int64_t n = std::min(block, rows - r0);
        const uint8_t* signs = masks + ((tile * s.ops + o) * rows + r0) * tiling.vectors;
        for (int64_t r = 0; r < n; ++r) {
          Vec<T> sum{};
          for (int64_t v = 0; v < tiling.vectors; ++v) {
            const int64_t i = tiling.halo + v * kLanes<T>;
            const Vec<T> kept = keep_bits<T>(load(grad + (r0 + r) * width + i), signs[r * tiling.vectors + v]);
            sum += kept;
            store(q + r * width + i, kept);
          }
          d_b[o * rows + r0 + r] += sum_lanes<T>(sum);
        }
        correlate(q + tiling.halo, width, n, in + tiling.halo - half, width, inputs, s.lo[o], s.hi[o], tiling.vectors,
                  [&](int64_t r, int64_t c, int k, T sum) {
                    d_w[(o * rows + r0 + r) * per_row + c * s.taps + k] += sum;
                  });
        convolve(q + tiling.halo - half, width, n, &transposed[(o * rows + r0) * per_row], s.taps,
                 s.taps - 1 - s.hi[o], s.taps - 1 - s.lo[o], inputs, tiling.vectors,
                 [&](int64_t c, int64_t v, Vec<T> sum) {
                   T* to = out + c * width + tiling.halo + v * kLanes<T>;
                   store(to, load(to) + sum);
                 });
      }
    for (int64_t c = 0; c < inputs; ++c)
      tiling.scatter(out + c * width, sample_in, count, d_x + first * sample_in + c * s.length);
  });
  for_tiles(s.ops * s.edges, threads_for(s.ops * rows * per_row, threads), [&](int64_t tile, int) {
    const int64_t o = tile / s.edges, e = tile % s.edges, n = s.channels * per_row, to = e * s.ops + o;
    double sum = 0;
    const auto finish = [&](const PerThread<double>& sums, int64_t size, const T* parameters, T* unit, T* scaled) {
      for (int64_t i = 0; i < size; ++i) {
        const double value = sums[tile * size + i];
        unit[to * size + i] = value;
        if (!d_mix) continue;
        sum += parameters[to * size + i] * value;
        scaled[to * size + i] = mix[to] * T(value);
      }
    };
    finish(kernel_sums, n, kernels, unit_kernels, d_kernels);
    finish(bias_sums, s.channels, bias, unit_bias, d_bias);
    if (d_mix) d_mix[to] = sum;
  });
  for (int64_t i = 0; i < s.edges * 3; ++i) d_pool_mix[i] = pool_sums[i];
}

// ---------------------------------------------------------------------------------------------------------- moments

// The first and the last `edge` steps of sample n of a tile, counted from its ends: [2][edge][C].
template <typename T>
void gather_ends(const Tiling<T>& tiling, const T* rows, int64_t channels, int64_t n, int64_t edge, T* ends) {
  const int64_t start = tiling.halo + n * tiling.period, last = start + tiling.length - 1;
  for (int64_t i = 0; i < edge; ++i)
    for (int64_t c = 0; c < channels; ++c) {
      ends[i * channels + c] = rows[c * tiling.width + start + i];
      ends[(edge + i) * channels + c] = rows[c * tiling.width + last - i];
    }
}

// sums [C, K] = sum of patches of x1; products [C, K, C, K] = sum of patches of x1 times patches of x2.
//
// A product depends on the difference of the two taps alone, but for the positions that the padding cuts off; so the
// sums over lags are taken once, and the few cut products, which lie within K / 2 of an end, are taken off again.
template <typename T>
void cross_moments(int64_t batch, int64_t channels, int64_t length, int taps, const T* x1, const T* x2, double* sums,
                   double* products, int threads) {
  const int half = taps / 2, lags = 2 * taps - 1, zero = taps - 1, edge = std::min<int64_t>(half, length);
  const bool same = x1 == x2;
  const Tiling<T> tiling(batch, length, std::max(taps - 1, 1), 2 * channels);
  const int64_t width = tiling.width, sample = channels * length, square = channels * channels;
  PerThread<double> lag_sums(threads, square * lags), edge_sums(threads, 2 * edge * edge * square),
      totals(threads, channels), edge_totals(threads, 2 * edge * channels);
  std::vector<std::unique_ptr<T[]>> scratch(threads);
  for_tiles(tiling.tiles, threads, [&](int64_t tile, int thread) {
    if (!scratch[thread]) scratch[thread] = std::make_unique<T[]>(2 * channels * width);
    T *a = scratch[thread].get(), *b = same ? a : a + channels * width;
    double *lag = lag_sums.of(thread), *cut = edge_sums.of(thread), *total = totals.of(thread),
           *cut_total = edge_totals.of(thread);
    const int64_t first = tiling.first(tile), count = tiling.count(tile);
    for (int64_t c = 0; c < channels; ++c) {
      tiling.gather(x1 + first * sample + c * length, sample, count, a + c * width);
      if (!same) tiling.gather(x2 + first * sample + c * length, sample, count, b + c * width);
      Vec<T> sum{};
      for (int64_t v = 0; v < tiling.vectors; ++v) sum += load(a + c * width + tiling.halo + v * kLanes<T>);
      total[c] += sum_lanes<T>(sum);
    }
    correlate(a + tiling.halo, width, channels, b + tiling.halo - zero, width, channels, same ? zero : 0, lags - 1,
              tiling.vectors,
              [&](int64_t c1, int64_t c2, int k, T sum) { lag[(c1 * channels + c2) * lags + k] += sum; });
    std::vector<T> ends_a(2 * edge * channels), ends_b(2 * edge * channels);
    for (int64_t n = 0; n < count; ++n) {
      gather_ends(tiling, a, channels, n, edge, ends_a.data());
      gather_ends(tiling, b, channels, n, edge, ends_b.data());
      for (int64_t i = 0; i < 2 * edge * channels; ++i) cut_total[i] += ends_a[i];
      for (int64_t i = 0; i < 2 * edge; ++i)
        for (int64_t j = 0; j < edge; ++j) {
          const T *ai = &ends_a[i * channels], *bj = &ends_b[(i / edge * edge + j) * channels];
          double* to = cut + (i * edge + j) * square;
          for (int64_t c1 = 0; c1 < channels; ++c1)
            for (int64_t c2 = 0; c2 < channels; ++c2) to[c1 * channels + c2] += ai[c1] * bj[c2];
        }
    }
  });
  for_tiles(channels, threads_for(square * taps * taps, threads), [&](int64_t c1, int) {
    for (int k1 = 0; k1 < taps; ++k1) {
      const int o1 = k1 - half, side = o1 < 0, reach1 = std::min(std::abs(o1), edge);
      double sum = totals[c1];
      for (int i = 0; i < reach1; ++i) sum -= edge_totals[(side * edge + i) * channels + c1];
      sums[c1 * taps + k1] = sum;
      for (int64_t c2 = 0; c2 < channels; ++c2)
        for (int k2 = 0; k2 < taps; ++k2) {
          const int o2 = k2 - half, d = o2 - o1, step = side ? -d : d;
          double value = same && d < 0 ? lag_sums[(c2 * channels + c1) * lags + zero - d]
                                       : lag_sums[(c1 * channels + c2) * lags + zero + d];
          if (int64_t(o1) * o2 > 0)
            for (int i = 0; i < reach1; ++i) {
              const int j = i + step;
              if (j >= 0 && j < std::min(std::abs(o2), edge))
                value -= edge_sums[((side * edge + i) * edge + j) * square + c1 * channels + c2];
            }
          products[((c1 * taps + k1) * channels + c2) * taps + k2] = value;
        }
    }
  });
}

// The transposed map of patches, of weighted patches: out [B, C, L] at t is the sum over the taps k whose patch exists of
// shift[c][k] + sum over c', k' of weights[c][k][c'][k'] * patch of x; or it is added to `out`.
template <typename T>
void weigh_patches(int64_t batch, int64_t channels, int64_t length, int taps, const T* weights, const T* shift, const T* x,
                   T* out, bool add, int threads) {
  const int half = taps / 2, lags = 2 * taps - 1, zero = taps - 1, edge = std::min<int64_t>(half, length);
  const Tiling<T> tiling(batch, length, std::max(taps - 1, 1), 2 * channels);
  const int64_t width = tiling.width, sample = channels * length, square = channels * channels;
  auto weight = [&](int64_t c1, int o1, int64_t c2, int o2) -> double {
    return weights[((c1 * taps + o1 + half) * channels + c2) * taps + o2 + half];
  };
  std::vector<T> by_lag(square * lags, T(0)), whole(channels, T(0));
  std::vector<T> cut(2 * edge * edge * square, T(0)), cut_shift(2 * edge * channels, T(0));
  for_tiles(channels, threads_for(square * taps * taps, threads), [&](int64_t c1, int) {
    for (int k = 0; k < taps; ++k) whole[c1] += shift[c1 * taps + k];
    for (int side = 0; side < 2; ++side)
      for (int i = 0; i < edge; ++i)
        for (int o = i + 1; o <= half; ++o) {
          const int sign = side ? -1 : 1;
          cut_shift[(side * edge + i) * channels + c1] += shift[c1 * taps + sign * o + half];
          for (int64_t c2 = 0; c2 < channels; ++c2)
            for (int j = 0; j < edge; ++j)
              if (const int o2 = j - i + o; o2 >= -half && o2 <= half)
                cut[((side * edge + i) * edge + j) * square + c2 * channels + c1] += weight(c1, sign * o, c2, sign * o2);
        }
    for (int64_t c2 = 0; c2 < channels; ++c2)
      for (int o1 = -half; o1 <= half; ++o1)
        for (int o2 = -half; o2 <= half; ++o2)
          by_lag[(c1 * channels + c2) * lags + zero + o2 - o1] += weight(c1, o1, c2, o2);
  });
  std::vector<std::unique_ptr<T[]>> scratch(threads);
  for_tiles(tiling.tiles, threads, [&](int64_t tile, int thread) {
    if (!scratch[thread]) scratch[thread] = std::make_unique<T[]>(2 * channels * width);
    T *in = scratch[thread].get(), *to = in + channels * width;
    const int64_t first = tiling.first(tile), count = tiling.count(tile);
    for (int64_t c = 0; c < channels; ++c) tiling.gather(x + first * sample + c * length, sample, count, in + c * width);
    convolve(in + tiling.halo - zero, width, channels, by_lag.data(), lags, 0, lags - 1, channels, tiling.vectors,
             [&](int64_t c, int64_t v, Vec<T> sum) {
               store(to + c * width + tiling.halo + v * kLanes<T>, sum + whole[c]);
             });
    std::vector<T> ends(2 * edge * channels), off(channels);
    for (int64_t n = 0; n < count; ++n) {
      gather_ends(tiling, in, channels, n, edge, ends.data());
      for (int64_t i = 0; i < 2 * edge; ++i) {
        std::copy_n(&cut_shift[i * channels], channels, off.data());
        for (int64_t j = 0; j < edge; ++j) {
          const T *from = &ends[(i / edge * edge + j) * channels], *w = &cut[(i * edge + j) * square];
          for (int64_t c2 = 0; c2 < channels; ++c2)
            for (int64_t c1 = 0; c1 < channels; ++c1) off[c1] += w[c2 * channels + c1] * from[c2];
        }
        const int64_t start = tiling.halo + n * tiling.period, k = i % edge;
        T* at = to + (i < edge ? start + k : start + length - 1 - k);
        for (int64_t c = 0; c < channels; ++c) at[c * width] -= off[c];
      }
    }
    for (int64_t c = 0; c < channels; ++c) {
      T* target = out + first * sample + c * length;
      if (add)
        tiling.scatter_add(to + c * width, sample, count, target);
      else
        tiling.scatter(to + c * width, sample, count, target);
    }
  });
}

// ------------------------------------------------------------------------------------- folding of batch normalisation

// With m and S the mean and covariance of the patches of x, a convolution w has mean w . m and variance v = w . S w, and
// its folded kernel and bias are s w and -s mean, where s = (v + eps) ^ -1/2. What follows is that, its gradient, and the
// gradient of the gradient. Kernels are rows [rows, size] with size = C * K.

// Matrices of whole vectors in a row, with zeros behind what is given.
template <typename T>
struct Matrix {
  int64_t rows, columns, stride;
  std::vector<T> values;
  Matrix(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), stride(ceil_div(columns, kLanes<T>) * kLanes<T>), values(rows * stride, T(0)) {}
  Matrix(const T* from, int64_t rows, int64_t columns) : Matrix(rows, columns) {
    for (int64_t r = 0; r < rows; ++r) std::copy_n(from + r * columns, columns, (*this)[r]);
  }
  T* operator[](int64_t row) { return &values[row * stride]; }
  const T* operator[](int64_t row) const { return &values[row * stride]; }
};

// a [rows, b.rows] times b.
template <typename T>
Matrix<T> multiply(const T* a, int64_t rows, const Matrix<T>& b, int threads) {
  constexpr int64_t kRows = 16;
  Matrix<T> out(rows, b.columns);
  for_tiles(ceil_div(rows, kRows), threads_for(rows * b.rows * b.stride, threads), [&](int64_t tile, int) {
    const int64_t first = tile * kRows;
    convolve(b[0], b.stride, b.rows, a + first * b.rows, 1, 0, 0, std::min(kRows, rows - first), b.stride / kLanes<T>,
             [&](int64_t r, int64_t v, Vec<T> sum) { store(out[first + r] + v * kLanes<T>, sum); });
  });
  return out;
}

template <typename T>
double dot(const T* a, const T* b, int64_t size) {
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += double(a[i]) * b[i];
  return sum;
}

struct FoldShape {
  int64_t batch, channels, length, rows;
  int32_t taps;
  double eps;
  int64_t size() const { return channels * taps; }
  double count() const { return double(batch) * length; }
  double scale(double variance) const { return 1 / std::sqrt(variance + eps); }
};

// The gradient of x from those of the mean m of its patches and of their covariance, halved: added to g_x or put there.
template <typename T>
void moments_backward(const FoldShape& s, const T* x, const T* m, const T* g_m, const Matrix<T>& half_g_covariance, T* g_x,
                      bool add, int threads) {
  const int64_t size = s.size();
  std::vector<T> weights(size * size), shift(size);
  for_tiles(size, threads_for(size * size, threads), [&](int64_t i, int) {
    T sum = g_m ? g_m[i] : T(0);
    for (int64_t j = 0; j < size; ++j) {
      const T weight = 2 * half_g_covariance[i][j];
      weights[i * size + j] = weight / T(s.count());
      sum -= weight * m[j];
    }
    shift[i] = sum / T(s.count());
  });
  weigh_patches<T>(s.batch, s.channels, s.length, s.taps, weights.data(), shift.data(), x, g_x, add, threads);
}

// m [size] and covariance [size, size] are kept for the gradient; mean and variance [rows].
template <typename T>
void fold_forward(const FoldShape& s, const T* x, const T* kernels, T* m, T* covariance, T* mean, T* variance, T* folded,
                  T* bias, int threads) {
  const int64_t size = s.size(), rows = s.rows;
  const double count = s.count();
  std::vector<double> sums(size), products(size * size);
  cross_moments<T>(s.batch, s.channels, s.length, s.taps, x, x, sums.data(), products.data(), threads);
  for_tiles(size, threads_for(size * size, threads), [&](int64_t i, int) {
    m[i] = sums[i] / count;
    for (int64_t j = 0; j < size; ++j)
      covariance[i * size + j] = products[i * size + j] / count - sums[i] / count * (sums[j] / count);
  });
  const Matrix<T> w_s = multiply(kernels, rows, Matrix<T>(covariance, size, size), threads);
  for_tiles(rows, threads_for(rows * size, threads), [&](int64_t r, int) {
    const T* w = kernels + r * size;
    const double first = dot(w, m, size), second = dot(w, w_s[r], size), scale = s.scale(second);
    mean[r] = first;
    variance[r] = second;
    bias[r] = -first * scale;
    for (int64_t i = 0; i < size; ++i) folded[r * size + i] = w[i] * T(scale);
  });
}

// Gradients of x and kernels from those of the folded kernels and the bias.
template <typename T>
void fold_backward(const FoldShape& s, const T* x, const T* kernels, const T* m, const T* covariance, const T* mean,
                   const T* variance, const T* g_folded, const T* g_bias, T* g_x, T* g_kernels, int threads) {
  const int64_t size = s.size(), rows = s.rows;
  const Matrix<T> w_s = multiply(kernels, rows, Matrix<T>(covariance, size, size), threads);
  std::vector<T> left((size + 1) * rows);  // [size, rows] for the covariance, and a row for m
  for_tiles(rows, threads_for(rows * size, threads), [&](int64_t r, int) {
    const T *w = kernels + r * size, *g = g_folded + r * size;
    const double scale = s.scale(variance[r]), g_scale = dot(g, w, size) - double(mean[r]) * g_bias[r];
    const T g_mean = T(-scale * g_bias[r]), g_variance = T(-0.5 * scale * scale * scale * g_scale);
    for (int64_t i = 0; i < size; ++i) {
      g_kernels[r * size + i] = T(scale) * g[i] + g_mean * m[i] + 2 * g_variance * w_s[r][i];
      left[i * rows + r] = g_variance * w[i];
    }
    left[size * rows + r] = g_mean;
  });
  const Matrix<T> g_moments = multiply(left.data(), size + 1, Matrix<T>(kernels, rows, size), threads);
  moments_backward(s, x, m, g_moments[size], g_moments, g_x, false, threads);
}

// The gradient of fold_backward. It is the gradient of <g_folded, folded'> + <g_bias, bias'>, where a dash is the derivative
// along u_x and u_kernels: m' is the mean of the patches of u_x, S' = C + C^T with C = mean of (patch of u_x)(patch of x)^T
// less the product of the means, mean' = u . m + w . m', v' = 2 u . S w + w . S' w and s' = -1/2 s^3 v'.
template <typename T>
void fold_double_backward(const FoldShape& s, const T* x, const T* kernels, const T* m, const T* covariance, const T* mean,
                          const T* variance, const T* g_folded, const T* g_bias, const T* u_x, const T* u_kernels, T* g_x,
                          T* g_kernels, T* g_g_folded, T* g_g_bias, int threads) {
  const int64_t size = s.size(), rows = s.rows;
  const double count = s.count();
  std::vector<double> sums(size), products(size * size);
  cross_moments<T>(s.batch, s.channels, s.length, s.taps, u_x, x, sums.data(), products.data(), threads);
  std::vector<T> m_dash(size);
  for (int64_t i = 0; i < size; ++i) m_dash[i] = sums[i] / count;
  Matrix<T> s_dash(size, size);
  for_tiles(size, threads_for(size * size, threads), [&](int64_t i, int) {
    for (int64_t j = 0; j < size; ++j)
      s_dash[i][j] = (products[i * size + j] + products[j * size + i] - sums[i] * m[j] - sums[j] * m[i]) / count;
  });
  const Matrix<T> s_padded(covariance, size, size), w_s = multiply(kernels, rows, s_padded, threads),
                  u_s = multiply(u_kernels, rows, s_padded, threads), w_s_dash = multiply(kernels, rows, s_dash, threads);
  // The gradient of S, halved, is left [size, 2 rows] times the kernels and u below each other; that of m is one more row.
  std::vector<T> left((size + 1) * 2 * rows), left_dash(size * rows);
  for_tiles(rows, threads_for(rows * size, threads), [&](int64_t r, int) {
    const T *w = kernels + r * size, *u = u_kernels + r * size, *g = g_folded + r * size;
    const double scale = s.scale(variance[r]), cube = -0.5 * scale * scale * scale;
    const double mean_dash = dot(u, m, size) + dot(w, m_dash.data(), size);
    const double variance_dash = 2 * dot(u, w_s[r], size) + dot(w, w_s_dash[r], size), scale_dash = cube * variance_dash;
    const double g_scale = dot(g, w, size) - double(mean[r]) * g_bias[r];  // of s', too
    const double g_variance_dash = cube * g_scale, g_mean_dash = -scale * g_bias[r], g_mean = -scale_dash * g_bias[r];
    const double g_variance =
        cube * (dot(g, u, size) - mean_dash * g_bias[r] - 1.5 * scale * scale * variance_dash * g_scale);
    g_g_bias[r] = -mean_dash * scale - mean[r] * scale_dash;
    for (int64_t i = 0; i < size; ++i) {
      g_g_folded[r * size + i] = scale * u[i] + scale_dash * w[i];
      g_kernels[r * size + i] = scale_dash * g[i] + g_mean * m[i] + g_mean_dash * m_dash[i] +
                                2 * (g_variance * w_s[r][i] + g_variance_dash * (u_s[r][i] + w_s_dash[r][i]));
      left[i * 2 * rows + r] = g_variance * w[i] + g_variance_dash * u[i];
      left[i * 2 * rows + rows + r] = left_dash[i * rows + r] = g_variance_dash * w[i];
    }
    left[size * 2 * rows + r] = g_mean;
    left[size * 2 * rows + rows + r] = g_mean_dash;
  });
  const Matrix<T> w(kernels, rows, size);
  Matrix<T> both(2 * rows, size);
  for (int64_t r = 0; r < rows; ++r) {
    std::copy_n(kernels + r * size, size, both[r]);
    std::copy_n(u_kernels + r * size, size, both[rows + r]);
  }
  const Matrix<T> g_moments = multiply(left.data(), size + 1, both, threads),
                  g_s_dash = multiply(left_dash.data(), size, w, threads);
  moments_backward(s, x, m, g_moments[size], g_moments, g_x, false, threads);
  moments_backward<T>(s, u_x, m_dash.data(), nullptr, g_s_dash, g_x, true, threads);
}

template <typename T>
int64_t mask_bytes(const MixtureShape& s) {
  const Tiling<T> tiling = tiling_of<T>(s);
  return tiling.tiles * s.ops * s.rows() * tiling.vectors;
}

}  // namespace

// ------------------------------------------------------------------------------------------- what Python calls by name

// NAS_SCALAR is float or double: one library for each, so that a search does not wait for what only tests use.
using Scalar = NAS_SCALAR;

extern "C" {

int64_t mask_bytes(const MixtureShape* s) { return mask_bytes<Scalar>(*s); }

void mixture_forward(const MixtureShape* s, const Scalar* x, const Scalar* tangent, const Scalar* const* acc,
                     const Scalar* kernels, const Scalar* bias, const Scalar* mix, const Scalar* pool_mix,
                     uint8_t* masks, Scalar* const* y, int threads) {
  mixture_forward<Scalar>(*s, x, tangent, acc, kernels, bias, mix, pool_mix, masks, y, threads);
}

void mixture_backward(const MixtureShape* s, const Scalar* x, const Scalar* select, const Scalar* kernels,
                      const Scalar* bias, const Scalar* mix, const Scalar* pool_mix, const Scalar* const* grad_y,
                      const uint8_t* masks, Scalar* d_x, Scalar* d_kernels, Scalar* d_bias, Scalar* d_mix,
                      Scalar* d_pool_mix, Scalar* unit_kernels, Scalar* unit_bias, int threads) {
  mixture_backward<Scalar>(*s, x, select, kernels, bias, mix, pool_mix, grad_y, masks, d_x, d_kernels, d_bias, d_mix,
                           d_pool_mix, unit_kernels, unit_bias, threads);
}

void fold_forward(const FoldShape* s, const Scalar* x, const Scalar* kernels, Scalar* m, Scalar* covariance, Scalar* mean,
                  Scalar* variance, Scalar* folded, Scalar* bias, int threads) {
  fold_forward<Scalar>(*s, x, kernels, m, covariance, mean, variance, folded, bias, threads);
}

void fold_backward(const FoldShape* s, const Scalar* x, const Scalar* kernels, const Scalar* m, const Scalar* covariance,
                   const Scalar* mean, const Scalar* variance, const Scalar* g_folded, const Scalar* g_bias, Scalar* g_x,
                   Scalar* g_kernels, int threads) {
  fold_backward<Scalar>(*s, x, kernels, m, covariance, mean, variance, g_folded, g_bias, g_x, g_kernels, threads);
}

void fold_double_backward(const FoldShape* s, const Scalar* x, const Scalar* kernels, const Scalar* m,
                          const Scalar* covariance, const Scalar* mean, const Scalar* variance, const Scalar* g_folded,
                          const Scalar* g_bias, const Scalar* u_x, const Scalar* u_kernels, Scalar* g_x,
                          Scalar* g_kernels, Scalar* g_g_folded, Scalar* g_g_bias, int threads) {
  fold_double_backward<Scalar>(*s, x, kernels, m, covariance, mean, variance, g_folded, g_bias, u_x, u_kernels, g_x,
                               g_kernels, g_g_folded, g_g_bias, threads);
}

}  // extern "C"
