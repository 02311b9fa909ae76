// Weighted sums of planes and inner products of planes: where a network spends its time.
//
// Several results are computed at once and stay in registers over all terms, and long planes are worked on piece by
// piece, so that what is read stays in a cache. The terms of one result are added in the order of the list, however
// the work is cut: the numbers do not depend on it.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "vectors.h"

namespace {

constexpr int64_t kCacheBytes = 64 * 1024;
constexpr int64_t kLeastPiece = 192;  // steps

// How many steps of so many planes fit into the second cache; with few steps sums go in and out of registers too often.
template <typename T>
int64_t piece_of(int64_t planes) {
  return std::max(kLeastPiece, kCacheBytes / int64_t(sizeof(T)) / planes / 192 * 192);
}

// V vectors of O sums.
template <int O, int V, bool kAdds, typename T>
inline void add_tile(T* const* outs, const T* const* sources, const T* weights, int64_t count, int64_t n) {
  Vec<T> sums[O][V];
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sums[o][v] = kAdds ? load(outs[o] + n + v * kLanes<T>) : Vec<T>{};
  for (int64_t s = 0; s < count; ++s, weights += O) {
    Vec<T> values[V];
    for (int v = 0; v < V; ++v) values[v] = load(sources[s] + n + v * kLanes<T>);
    if (O > 1)
      for (int v = 0; v < V; ++v) values[v] = hold<T>(values[v]);
    for (int o = 0; o < O; ++o) {
      const Vec<T> weight = broadcast(weights[o]);
      for (int v = 0; v < V; ++v) sums[o][v] += weight * values[v];
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) store(outs[o] + n + v * kLanes<T>, sums[o][v]);
}

template <int O, int V, bool kAdds, typename T>
NAS_ALONE void add_piece(T* const* outs, const T* const* sources, const T* weights, int64_t count, int64_t from, int64_t to) {
  int64_t n = from;
  for (; n + V * kLanes<T> <= to; n += V * kLanes<T>) add_tile<O, V, kAdds>(outs, sources, weights, count, n);
  for (; n < to; n += kLanes<T>) add_tile<O, 1, kAdds>(outs, sources, weights, count, n);
}

inline int64_t outs_at_once(int64_t left) { return left >= 4 ? 4 : left >= 2 ? 2 : 1; }

// outs[o][n] = (outs[o][n] if `kAdds`) + sum over s of weight(o, s) * sources[s][n], for n below `size`, a multiple of kUnit
template <bool kAdds, typename T, typename W>
void add_products(const std::vector<T*>& outs, const std::vector<const T*>& sources, W&& weight, int64_t size,
                  int64_t source_planes) {
  const int64_t num_outs = outs.size(), count = sources.size();
  std::vector<T> weights(num_outs * count);  // [outs at once][s][o]
  for (int64_t first = 0, at = 0; first < num_outs; first += outs_at_once(num_outs - first))
    for (int64_t s = 0; s < count; ++s)
      for (int64_t o = 0; o < outs_at_once(num_outs - first); ++o) weights[at++] = weight(first + o, s);
  const int64_t piece = piece_of<T>(source_planes);
  for (int64_t from = 0; from < size; from += piece) {
    const int64_t to = std::min(from + piece, size);
    for (int64_t first = 0; first < num_outs; first += outs_at_once(num_outs - first)) {
      T* const* some = &outs[first];
      const T* own = weights.data() + first * count;
      switch (outs_at_once(num_outs - first)) {
        case 4: add_piece<4, 3, kAdds>(some, sources.data(), own, count, from, to); break;
        case 2: add_piece<2, 4, kAdds>(some, sources.data(), own, count, from, to); break;
        default: add_piece<1, 8, kAdds>(some, sources.data(), own, count, from, to);
      }
    }
  }
}

// S products of each of O planes; partial sums, one vector each, lie at sums[o * row + s * kLanes].
template <int O, int S, typename T>
NAS_ALONE void dot_piece(const T* const* gs, const T* const* sources, T* sums, int64_t row, int64_t from, int64_t to) {
  Vec<T> partial[O][S];
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 8
    for (int s = 0; s < S; ++s) partial[o][s] = load(sums + o * row + s * kLanes<T>);
  for (int64_t n = from; n < to; n += kLanes<T>) {
    Vec<T> g[O];
    for (int o = 0; o < O; ++o) g[o] = load(gs[o] + n);
    for (int s = 0; s < S; ++s) {
      Vec<T> value = load(sources[s] + n);
      if (O > 1) value = hold<T>(value);
      for (int o = 0; o < O; ++o) partial[o][s] += g[o] * value;
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 8
    for (int s = 0; s < S; ++s) store(sums + o * row + s * kLanes<T>, partial[o][s]);
}

template <int O, typename T>
void dot_some(int64_t width, const T* const* gs, const T* const* sources, T* sums, int64_t row, int64_t from,
              int64_t to) {
  switch (width) {
    case 8: if constexpr (O == 1) dot_piece<O, 8>(gs, sources, sums, row, from, to); break;
    case 7: if constexpr (O == 1) dot_piece<O, 7>(gs, sources, sums, row, from, to); break;
    case 6: dot_piece<O, 6>(gs, sources, sums, row, from, to); break;
    case 5: dot_piece<O, 5>(gs, sources, sums, row, from, to); break;
    case 4: dot_piece<O, 4>(gs, sources, sums, row, from, to); break;
    case 3: dot_piece<O, 3>(gs, sources, sums, row, from, to); break;
    case 2: dot_piece<O, 2>(gs, sources, sums, row, from, to); break;
    default: dot_piece<O, 1>(gs, sources, sums, row, from, to);
  }
}

// *target(o, s) += sum over n below `size`, a multiple of kUnit, of gs[o][n] * sources[s][n]
template <typename T, typename D>
void dot_products(const std::vector<const T*>& gs, const std::vector<const T*>& sources, D&& target, int64_t size,
                  int64_t planes) {
  const int64_t num_gs = gs.size(), count = sources.size(), row = count * kLanes<T>;
  std::vector<T> sums(num_gs * row);
  const int64_t piece = piece_of<T>(planes), most = num_gs == 1 ? 8 : 6;
  const int64_t width = (count + (count + most - 1) / most - 1) / ((count + most - 1) / most);  // about equal parts
  for (int64_t from = 0; from < size; from += piece) {
    const int64_t to = std::min(from + piece, size);
    for (int64_t o = 0; o < num_gs; o += 2)
      for (int64_t s = 0; s < count; s += width) {
        T* own = sums.data() + o * row + s * kLanes<T>;
        const int64_t some = std::min(width, count - s);
        if (o + 1 < num_gs) {
          dot_some<2>(some, &gs[o], &sources[s], own, row, from, to);
        } else {
          dot_some<1>(some, &gs[o], &sources[s], own, row, from, to);
        }
      }
  }
  for (int64_t o = 0; o < num_gs; ++o)
    for (int64_t s = 0; s < count; ++s) *target(o, s) += sum_lanes<T>(load(sums.data() + o * row + s * kLanes<T>));
}

}  // namespace
