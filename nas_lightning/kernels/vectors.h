// Vectors of 32 bytes: 8 float or 4 double.

#pragma once

#include <cstdint>
#include <cstring>
#ifdef __AVX__
#include <immintrin.h>
#endif

// A function that stays one: within a larger one its sums would not get a register each, nor its loops their inner calls
// inlined.
#define NAS_ALONE __attribute__((noinline))

namespace {

constexpr int kBytes = 32;

template <typename T>
struct Lanes;
template <>
struct Lanes<float> {
  typedef float V __attribute__((vector_size(kBytes)));
  typedef int32_t I __attribute__((vector_size(kBytes)));
  static constexpr I bit = {1, 2, 4, 8, 16, 32, 64, 128};
};
template <>
struct Lanes<double> {
  typedef double V __attribute__((vector_size(kBytes)));
  typedef int64_t I __attribute__((vector_size(kBytes)));
  static constexpr I bit = {1, 2, 4, 8};
};
template <typename T>
using Vec = typename Lanes<T>::V;
template <typename T>
constexpr int kLanes = kBytes / sizeof(T);

template <typename T>
inline Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, kBytes);
  return v;
}

template <typename T>
inline void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, kBytes);
}

template <typename T>
inline Vec<T> broadcast(T value) {
#ifdef __AVX__
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm256_set1_ps(value);
  if constexpr (sizeof(T) == 8) return (Vec<T>)_mm256_set1_pd(value);
#endif
  return Vec<T>{} + value;  // an addition, because -0 + 0 is not -0
}

// A vector that is to stay in a register: compilers would rather load it again for each use, and half of the loads at odd
// offsets cross a cache line.
template <typename T>
inline Vec<T> hold(Vec<T> v) {
#ifdef __AVX__
  asm("" : "+x"(v));
#endif
  return v;
}

template <typename T>
inline T sum_lanes(Vec<T> v) {
#ifdef __AVX__
  if constexpr (sizeof(T) == 4) {
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
  }
#endif
  T sum = 0;
  for (int i = 0; i < kLanes<T>; ++i) sum += v[i];
  return sum;
}

template <typename T>
inline uint8_t positive_bits(Vec<T> v) {
#ifdef __AVX__
  if constexpr (sizeof(T) == 4) return _mm256_movemask_ps((__m256)(v > 0));
  if constexpr (sizeof(T) == 8) return _mm256_movemask_pd((__m256d)(v > 0));
#endif
  uint8_t bits = 0;
  for (int i = 0; i < kLanes<T>; ++i) bits |= uint8_t(v[i] > 0) << i;
  return bits;
}

template <typename T>
inline Vec<T> keep_bits(Vec<T> v, uint8_t bits) {
  using I = typename Lanes<T>::I;
  const I chosen = ((I{} + bits) & Lanes<T>::bit) != 0;
  return (Vec<T>)((I)v & chosen);
}

}  // namespace
