// A network or a supernet in training, for CPUs: from samples to the means that its linear head takes, and back.
//
// Small networks spend their time in the calls of a framework, not in arithmetic; here a whole pass is one call. A
// network is a list of layers over planes. A plane is one channel of all samples of a batch:
//
//     [gap | sample 0 | gap | sample 1 | gap | ... | long gap]
//
// with zeros in the gaps, so that a tap of a convolution is one multiplication of a shifted plane. What a layer writes
// into a gap is set to zero behind it. A convolution of stride 2 runs at stride 1 on two planes of half the length, the
// even and the odd steps.
//
// Layers are numbers, in `code` (network_ops.py writes them; p is a plane):
//
//     kConv, weight, outs, ins, groups, taps, phases, (phase, shift) per tap, p of outs, p of ins * phases
//     kNorm, gamma (beta is the next parameter; -1: 1 and 0), running mean (the variance is next), channels, relu,
//         p of raw, p of outs
//     kAverage | kMaximum, channels, stride, p of ins, p of outs
//     kPhases, channels, p of ins, p of outs * 2
//     kMix, channels, terms, p of outs, (op weight, p of ins) per term
//     kMean, channels, p of ins

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "vectors.h"

namespace {

enum Kind : int64_t { kConv, kNorm, kAverage, kMaximum, kPhases, kMix, kMean };

constexpr int64_t kGap = 8;      // zeros on each side of a sample; no tap is further away
constexpr int64_t kChunk = 512;  // steps of a plane that stay in the first cache
constexpr int kStreams = 8;      // shifted planes that are summed at once

struct Program {
  int64_t batch, in_channels, planes, code_size;
  const int64_t* lengths;  // [planes], time steps of a sample
  const int64_t* offsets;  // [planes], where a plane begins in a workspace
  const int64_t* code;
};

// A plane without the gap before its first sample.
template <typename T>
struct Plane {
  T* data;
  int64_t batch, length, pitch;

  T* sample(int64_t b) const { return data + b * pitch; }
  // What layers compute: whole vectors, the last of which may end in the last gap.
  int64_t size() const { return (batch * pitch + kGap - 1) / kGap * kGap; }

  void fill_gaps(T value) const {
    for (int64_t b = 0; b + 1 < batch; ++b) std::fill_n(sample(b) + length, pitch - length, value);
    std::fill(sample(batch - 1) + length, data + size() + kGap, value);
  }
};

template <typename T>
Plane<T> plane_of(const Program& program, T* workspace, int64_t index) {
  const int64_t length = program.lengths[index];
  return {workspace + program.offsets[index] + kGap, program.batch, length, length + kGap};
}

// ------------------------------------------------------------------------------------------------------- convolutions

template <typename T>
struct Stream {
  const T* source;  // a plane, shifted by a tap
  T weight;
};

template <int N, typename T>
void add_streams(T* out, const Stream<T>* streams, int64_t count) {
  Vec<T> weights[N];
  for (int j = 0; j < N; ++j) weights[j] = broadcast(streams[j].weight);
  int64_t n = 0;
  for (; n + kLanes<T> <= count; n += kLanes<T>) {
    Vec<T> sum = load(out + n);
    for (int j = 0; j < N; ++j) sum += weights[j] * load(streams[j].source + n);
    store(out + n, sum);
  }
  for (; n < count; ++n)
    for (int j = 0; j < N; ++j) out[n] += streams[j].weight * streams[j].source[n];
}

// out[n] += sum of weight * source[n]
template <typename T>
void add_all(T* out, std::vector<Stream<T>>& streams, int64_t count) {
  for (int64_t from = 0; from < count; from += kChunk) {
    const int64_t size = std::min(kChunk, count - from);
    size_t j = 0;
    for (; j + kStreams <= streams.size(); j += kStreams) add_streams<kStreams>(out + from, &streams[j], size);
    switch (streams.size() - j) {
      case 7: add_streams<7>(out + from, &streams[j], size); break;
      case 6: add_streams<6>(out + from, &streams[j], size); break;
      case 5: add_streams<5>(out + from, &streams[j], size); break;
      case 4: add_streams<4>(out + from, &streams[j], size); break;
      case 3: add_streams<3>(out + from, &streams[j], size); break;
      case 2: add_streams<2>(out + from, &streams[j], size); break;
      case 1: add_streams<1>(out + from, &streams[j], size); break;
      default: break;
    }
    for (auto& stream : streams) stream.source += size;
  }
}

template <typename T>
void set_to_sum(const Plane<T>& out, std::vector<Stream<T>>& streams) {
  std::fill_n(out.data, out.size(), T(0));
  add_all(out.data, streams, out.size());
  out.fill_gaps(0);
}

template <int N, typename T>
void dot_streams(const T* g, const T* const* sources, T* const* sums, int64_t count) {
  Vec<T> partial[N] = {};
  int64_t n = 0;
  for (; n + kLanes<T> <= count; n += kLanes<T>) {
    const Vec<T> value = load(g + n);
    for (int j = 0; j < N; ++j) partial[j] += value * load(sources[j] + n);
  }
  for (int j = 0; j < N; ++j) {
    T sum = sum_lanes<T>(partial[j]);
    for (int64_t rest = n; rest < count; ++rest) sum += g[rest] * sources[j][rest];
    *sums[j] += sum;
  }
}

// *sums[j] += sum over n of g[n] * sources[j][n]
template <typename T>
void dot_all(const T* g, const std::vector<const T*>& sources, const std::vector<T*>& sums, int64_t count) {
  for (size_t j = 0; j < sources.size(); j += kStreams) {
    switch (std::min<size_t>(kStreams, sources.size() - j)) {
      case 8: dot_streams<8>(g, &sources[j], &sums[j], count); break;
      case 7: dot_streams<7>(g, &sources[j], &sums[j], count); break;
      case 6: dot_streams<6>(g, &sources[j], &sums[j], count); break;
      case 5: dot_streams<5>(g, &sources[j], &sums[j], count); break;
      case 4: dot_streams<4>(g, &sources[j], &sums[j], count); break;
      case 3: dot_streams<3>(g, &sources[j], &sums[j], count); break;
      case 2: dot_streams<2>(g, &sources[j], &sums[j], count); break;
      case 1: dot_streams<1>(g, &sources[j], &sums[j], count); break;
      default: break;
    }
  }
}

struct Conv {
  int64_t weight, outs, ins, groups, taps, phases;
  const int64_t *tap, *out_planes, *in_planes;

  explicit Conv(const int64_t* c)
      : weight(c[1]), outs(c[2]), ins(c[3]), groups(c[4]), taps(c[5]), phases(c[6]), tap(c + 7),
        out_planes(tap + 2 * taps), in_planes(out_planes + outs) {}

  int64_t phase(int64_t k) const { return tap[2 * k]; }
  int64_t shift(int64_t k) const { return tap[2 * k + 1]; }
  int64_t ins_each() const { return ins / groups; }
  int64_t first_in(int64_t out) const { return out / (outs / groups) * ins_each(); }
  // Of tap k from input i of those that output o reads; weights are [outs, ins / groups, taps].
  int64_t place(int64_t o, int64_t i, int64_t k) const { return (o * ins_each() + i) * taps + k; }
  int64_t in_plane(int64_t o, int64_t i, int64_t k) const { return in_planes[(first_in(o) + i) * phases + phase(k)]; }
  const int64_t* end() const { return in_planes + ins * phases; }
};

template <typename T>
void conv_forward(const Program& program, const Conv& conv, const T* weights, T* values) {
  std::vector<Stream<T>> streams;
  for (int64_t o = 0; o < conv.outs; ++o) {
    streams.clear();
    for (int64_t i = 0; i < conv.ins_each(); ++i)
      for (int64_t k = 0; k < conv.taps; ++k)
        streams.push_back({plane_of(program, values, conv.in_plane(o, i, k)).data + conv.shift(k),
                           weights[conv.place(o, i, k)]});
    const Plane<T> out = plane_of(program, values, conv.out_planes[o]);
    set_to_sum(out, streams);
  }
}

// d_weights is null if nobody wants it.
template <typename T>
void conv_backward(const Program& program, const Conv& conv, const T* weights, T* values, T* grads, T* d_weights) {
  std::vector<const T*> sources;
  std::vector<T*> sums;
  for (int64_t o = 0; o < (d_weights == nullptr ? 0 : conv.outs); ++o) {
    sources.clear(), sums.clear();
    const Plane<T> g = plane_of(program, grads, conv.out_planes[o]);
    for (int64_t i = 0; i < conv.ins_each(); ++i)
      for (int64_t k = 0; k < conv.taps; ++k) {
        sources.push_back(plane_of(program, values, conv.in_plane(o, i, k)).data + conv.shift(k));
        sums.push_back(d_weights + conv.place(o, i, k));
      }
    dot_all(g.data, sources, sums, g.size());
  }
  std::vector<Stream<T>> streams;
  const int64_t outs_each = conv.outs / conv.groups;
  for (int64_t in = 0; in < conv.ins; ++in) {
    const int64_t group = in / conv.ins_each(), i = in % conv.ins_each();
    for (int64_t phase = 0; phase < conv.phases; ++phase) {
      streams.clear();
      for (int64_t o = group * outs_each; o < (group + 1) * outs_each; ++o)
        for (int64_t k = 0; k < conv.taps; ++k)
          if (conv.phase(k) == phase)
            streams.push_back({plane_of(program, grads, conv.out_planes[o]).data - conv.shift(k),
                               weights[conv.place(o, i, k)]});
      const Plane<T> d = plane_of(program, grads, conv.in_planes[in * conv.phases + phase]);
      add_all(d.data, streams, d.size());
      d.fill_gaps(0);
    }
  }
}

// --------------------------------------------------------------------------------------------------- BatchNorm, ReLU

struct Norm {
  int64_t gamma, mean, channels, relu;
  const int64_t *raw, *outs;

  explicit Norm(const int64_t* c) : gamma(c[1]), mean(c[2]), channels(c[3]), relu(c[4]), raw(c + 5), outs(raw + channels) {}
  const int64_t* end() const { return outs + channels; }
};

// Sums of one or two functions of n over a plane.
template <int N, typename T, typename F>
void sums_over(int64_t count, T* sums, F&& terms) {
  Vec<T> partial[N] = {};
  for (int64_t n = 0; n < count; n += kLanes<T>) terms(n, partial);
  for (int j = 0; j < N; ++j) sums[j] = sum_lanes<T>(partial[j]);
}

// The raw plane becomes (raw - mean) / deviation, and zero in the gaps; without gamma and beta they are 1 and 0.
template <typename T>
void norm_forward(const Program& program, const Norm& norm, const T* gamma, const T* beta, T* running_mean,
                  T* running_variance, double eps, double momentum, T* values, T* inverse) {
  for (int64_t c = 0; c < norm.channels; ++c) {
    const Plane<T> raw = plane_of(program, values, norm.raw[c]), out = plane_of(program, values, norm.outs[c]);
    const int64_t count = raw.batch * raw.length, size = raw.size();
    T sum[1], squares[1];
    sums_over<1>(size, sum, [&](int64_t n, Vec<T>* s) { s[0] += load(raw.data + n); });
    const T mean = sum[0] / count;
    raw.fill_gaps(mean);
    const Vec<T> means = broadcast(mean);
    sums_over<1>(size, squares, [&](int64_t n, Vec<T>* s) {
      const Vec<T> d = load(raw.data + n) - means;
      s[0] += d * d;
    });
    const double variance = double(squares[0]) / count;
    inverse[c] = T(1 / std::sqrt(variance + eps));
    const Vec<T> factors = broadcast(inverse[c]), gammas = broadcast(gamma == nullptr ? T(1) : gamma[c]),
                 betas = broadcast(beta == nullptr ? T(0) : beta[c]);
    for (int64_t n = 0; n < size; n += kLanes<T>) {
      const Vec<T> x = (load(raw.data + n) - means) * factors;
      Vec<T> y = gammas * x + betas;
      if (norm.relu) y = y > 0 ? y : Vec<T>{};
      store(raw.data + n, x);
      store(out.data + n, y);
    }
    out.fill_gaps(0);
    running_mean[c] += T(momentum * (double(mean) - running_mean[c]));
    running_variance[c] += T(momentum * (variance * count / (count - 1) - running_variance[c]));
  }
}

template <typename T>
void norm_backward(const Program& program, const Norm& norm, const T* gamma, T* values, T* grads, const T* inverse,
                   T* d_gamma, T* d_beta) {
  for (int64_t c = 0; c < norm.channels; ++c) {
    const Plane<T> x = plane_of(program, values, norm.raw[c]), out = plane_of(program, values, norm.outs[c]);
    const Plane<T> g = plane_of(program, grads, norm.outs[c]), d = plane_of(program, grads, norm.raw[c]);
    const int64_t count = x.batch * x.length, size = x.size();
    T sums[2];
    sums_over<2>(size, sums, [&](int64_t n, Vec<T>* s) {
      Vec<T> value = load(g.data + n);
      if (norm.relu) {
        value = load(out.data + n) > 0 ? value : Vec<T>{};
        store(g.data + n, value);
      }
      s[0] += value;
      s[1] += value * load(x.data + n);
    });
    if (d_gamma != nullptr) d_beta[c] += sums[0], d_gamma[c] += sums[1];
    const Vec<T> factor = broadcast(gamma == nullptr ? inverse[c] : gamma[c] * inverse[c]), mean = broadcast(T(sums[0] / count)),
                 slope = broadcast(T(sums[1] / count));
    for (int64_t n = 0; n < size; n += kLanes<T>)
      store(d.data + n, factor * (load(g.data + n) - mean - load(x.data + n) * slope));
    d.fill_gaps(0);
  }
}

// ------------------------------------------------------------------------------------------------------------ mixtures

struct Mix {
  int64_t channels, terms;
  const int64_t *outs, *term;

  explicit Mix(const int64_t* c) : channels(c[1]), terms(c[2]), outs(c + 3), term(outs + channels) {}
  int64_t weight(int64_t j) const { return term[j * (channels + 1)]; }
  int64_t plane(int64_t j, int64_t c) const { return term[j * (channels + 1) + 1 + c]; }
  const int64_t* end() const { return term + terms * (channels + 1); }
};

template <typename T>
void mix_forward(const Program& program, const Mix& mix, const T* op_weights, T* values) {
  std::vector<Stream<T>> streams;
  for (int64_t c = 0; c < mix.channels; ++c) {
    streams.clear();
    for (int64_t j = 0; j < mix.terms; ++j)
      streams.push_back({plane_of(program, values, mix.plane(j, c)).data, op_weights[mix.weight(j)]});
    const Plane<T> out = plane_of(program, values, mix.outs[c]);
    set_to_sum(out, streams);
  }
}

// d_op_weights is null if nobody wants it.
template <typename T>
void mix_backward(const Program& program, const Mix& mix, const T* op_weights, T* values, T* grads, T* d_op_weights) {
  std::vector<const T*> sources;
  std::vector<T*> sums;
  for (int64_t c = 0; c < mix.channels; ++c) {
    const Plane<T> g = plane_of(program, grads, mix.outs[c]);
    sources.clear(), sums.clear();
    for (int64_t j = 0; j < mix.terms; ++j) {
      const Plane<T> d = plane_of(program, grads, mix.plane(j, c));
      const Stream<T> stream{g.data, op_weights[mix.weight(j)]};
      add_streams<1>(d.data, &stream, d.size());
      sources.push_back(plane_of(program, values, mix.plane(j, c)).data);
      sums.push_back(d_op_weights + mix.weight(j));
    }
    if (d_op_weights != nullptr) dot_all(g.data, sources, sums, g.size());
  }
}

// -------------------------------------------------------------------------------------------- pools, phases and means

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
void pool_forward(const Program& program, const Pool& pool, bool is_maximum, T* values) {
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
void pool_backward(const Program& program, const Pool& pool, bool is_maximum, T* values, T* grads) {
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
  int64_t channels;
  const int64_t *ins, *outs;

  explicit Phases(const int64_t* c) : channels(c[1]), ins(c + 2), outs(ins + channels) {}
  const int64_t* end() const { return outs + 2 * channels; }
};

template <typename T>
void phases_forward(const Program& program, const Phases& phases, T* values) {
  for (int64_t j = 0; j < 2 * phases.channels; ++j) {
    const Plane<T> in = plane_of(program, values, phases.ins[j / 2]), out = plane_of(program, values, phases.outs[j]);
    for (int64_t b = 0; b < in.batch; ++b)  // the last odd step of a sample may be the first of its gap
      for (int64_t t = 0; t < out.length; ++t) out.sample(b)[t] = in.sample(b)[2 * t + j % 2];
    out.fill_gaps(0);
  }
}

template <typename T>
void phases_backward(const Program& program, const Phases& phases, T* grads) {
  for (int64_t j = 0; j < 2 * phases.channels; ++j) {
    const Plane<T> d = plane_of(program, grads, phases.ins[j / 2]), g = plane_of(program, grads, phases.outs[j]);
    for (int64_t b = 0; b < d.batch; ++b)
      for (int64_t t = 0; 2 * t + j % 2 < d.length; ++t) d.sample(b)[2 * t + j % 2] += g.sample(b)[t];
  }
}

template <typename T>
void mean_forward(const Program& program, const int64_t* code, T* values, T* features) {
  for (int64_t c = 0; c < code[1]; ++c) {
    const Plane<T> in = plane_of(program, values, code[2 + c]);
    for (int64_t b = 0; b < in.batch; ++b) {
      T sum = 0;
      for (int64_t t = 0; t < in.length; ++t) sum += in.sample(b)[t];
      features[b * code[1] + c] = sum / in.length;
    }
  }
}

template <typename T>
void mean_backward(const Program& program, const int64_t* code, const T* g_features, T* grads) {
  for (int64_t c = 0; c < code[1]; ++c) {
    const Plane<T> d = plane_of(program, grads, code[2 + c]);
    for (int64_t b = 0; b < d.batch; ++b)
      for (int64_t t = 0; t < d.length; ++t) d.sample(b)[t] += g_features[b * code[1] + c] / d.length;
  }
}

// ------------------------------------------------------------------------------------------------------------- passes

const int64_t* end_of(const int64_t* c) {
  switch (c[0]) {
    case kConv: return Conv(c).end();
    case kNorm: return Norm(c).end();
    case kPhases: return Phases(c).end();
    case kMix: return Mix(c).end();
    case kMean: return c + 2 + c[1];
    default: return Pool(c).end();
  }
}

template <typename T>
void read_samples(const Program& program, const T* x, T* values) {
  for (int64_t c = 0; c < program.in_channels; ++c) {
    const Plane<T> plane = plane_of(program, values, c);
    for (int64_t b = 0; b < program.batch; ++b)
      std::copy_n(x + (b * program.in_channels + c) * plane.length, plane.length, plane.sample(b));
    plane.fill_gaps(0);
  }
}

// Gaps before the first samples: nothing writes there, but taps read them.
template <typename T>
void clear_first_gaps(const Program& program, T* workspace) {
  for (int64_t p = 0; p < program.planes; ++p) std::fill_n(workspace + program.offsets[p], kGap, T(0));
}

// A pointer of a list, or null for a place or a list that is not there.
template <typename P>
P at(P const* list, int64_t place) {
  return list == nullptr || place < 0 ? nullptr : list[place];
}

template <typename T>
void forward(const Program& program, const T* x, const T* const* params, const T* op_weights, T* const* buffers,
             double eps, double momentum, T* values, T* inverse, T* features) {
  clear_first_gaps(program, values);
  read_samples(program, x, values);
  const int64_t* end = program.code + program.code_size;
  for (const int64_t* c = program.code; c < end; c = end_of(c)) {
    switch (c[0]) {
      case kConv: conv_forward(program, Conv(c), params[c[1]], values); break;
      case kNorm: {
        const Norm norm(c);
        norm_forward(program, norm, at(params, norm.gamma), at(params, norm.gamma + (norm.gamma >= 0)),
                     buffers[norm.mean], buffers[norm.mean + 1], eps, momentum, values, inverse);
        inverse += norm.channels;
        break;
      }
      case kPhases: phases_forward(program, Phases(c), values); break;
      case kMix: mix_forward(program, Mix(c), op_weights, values); break;
      case kMean: mean_forward(program, c, values, features); break;
      default: pool_forward(program, Pool(c), c[0] == kMaximum, values);
    }
  }
}

template <typename T>
void backward(const Program& program, const T* const* params, const T* op_weights, T* values, const T* inverse,
              const T* g_features, T* grads, T* const* d_params, T* d_op_weights) {
  std::vector<const int64_t*> layers;
  std::vector<const T*> inverses;
  const int64_t* end = program.code + program.code_size;
  for (const int64_t* c = program.code; c < end; c = end_of(c)) {
    layers.push_back(c);
    inverses.push_back(inverse);
    if (c[0] == kNorm) inverse += Norm(c).channels;
  }
  for (size_t i = layers.size(); i-- > 0;) {
    const int64_t* c = layers[i];
    switch (c[0]) {
      case kConv: conv_backward(program, Conv(c), params[c[1]], values, grads, at(d_params, c[1])); break;
      case kNorm: {
        const Norm norm(c);
        norm_backward(program, norm, at(params, norm.gamma), values, grads, inverses[i], at(d_params, norm.gamma),
                      at(d_params, norm.gamma + (norm.gamma >= 0)));
        break;
      }
      case kPhases: phases_backward(program, Phases(c), grads); break;
      case kMix: mix_backward(program, Mix(c), op_weights, values, grads, d_op_weights); break;
      case kMean: mean_backward(program, c, g_features, grads); break;
      default: pool_backward(program, Pool(c), c[0] == kMaximum, values, grads);
    }
  }
}

}  // namespace

using Scalar = NAS_SCALAR;

extern "C" {

void network_forward(const Program* program, const Scalar* x, const Scalar* const* params, const Scalar* op_weights,
                     Scalar* const* buffers, double eps, double momentum, Scalar* values, Scalar* inverse,
                     Scalar* features) {
  forward<Scalar>(*program, x, params, op_weights, buffers, eps, momentum, values, inverse, features);
}

// `grads`, `d_params` and `d_op_weights` are zero at the start; the last two are null if nobody wants them.
void network_backward(const Program* program, const Scalar* const* params, const Scalar* op_weights, Scalar* values,
                      const Scalar* inverse, const Scalar* g_features, Scalar* grads, Scalar* const* d_params,
                      Scalar* d_op_weights) {
  backward<Scalar>(*program, params, op_weights, values, inverse, g_features, grads, d_params, d_op_weights);
}

}  // extern "C"
