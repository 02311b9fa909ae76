// A network or a supernet in training, for CPUs: from samples to the features that its linear head takes, and back.
//
// Small networks spend their time in the calls of a framework, not in arithmetic; here a whole pass is one call. A
// network is a list of layers over planes (planes.h).
//
// Layers are numbers, in `code` (network_ops.py writes them; p is a plane):
//
//     kConv, weight, outs, ins, groups, taps, used taps, phases, (tap, phase, shift) per used tap, p of outs,
//         p of ins * phases
//     kNorm, gamma (beta is the next parameter; -1: 1 and 0), running mean (the variance is next), channels, relu,
//         p of raw, p of outs
//     kAverage | kMaximum, channels, stride, p of ins, p of outs
//     kPhases, stride, channels, p of ins, p of outs * stride
//     kMix, channels, terms, p of outs, (op weight, p of ins) per term
//     kReadout, measure, segments, first column of the features, channels, p of ins

#include <algorithm>
#include <cstdint>
#include <vector>

#include "alone.h"
#include "convolution.h"
#include "norm.h"
#include "planes.h"
#include "pools.h"
#include "products.h"
#include "readouts.h"

namespace {

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
NAS_ALONE void mix_forward(const Program& program, const Mix& mix, const T* op_weights, T* values) {
  for (int64_t c = 0; c < mix.channels; ++c) {
    const Plane<T> out = plane_of(program, values, mix.outs[c]);
    std::vector<const T*> sources;
    for (int64_t j = 0; j < mix.terms; ++j) sources.push_back(plane_of(program, values, mix.plane(j, c)).data);
    const auto weight = [&](int64_t, int64_t j) { return op_weights[mix.weight(j)]; };
    add_products<false, T>({out.data}, sources, weight, out.size(), mix.terms);
    out.fill_gaps(0);
  }
}

// d_op_weights is null if nobody wants it.
template <typename T>
NAS_ALONE void mix_backward(const Program& program, const Mix& mix, const T* op_weights, T* values, T* grads, T* d_op_weights) {
  for (int64_t c = 0; c < mix.channels; ++c) {
    const Plane<T> g = plane_of(program, grads, mix.outs[c]);
    std::vector<const T*> sources;
    for (int64_t j = 0; j < mix.terms; ++j) {
      const T weight = op_weights[mix.weight(j)];
      T* d = plane_of(program, grads, mix.plane(j, c)).data;
      const T* const source = g.data;
      add_piece<1, 8, true>(&d, &source, &weight, 1, 0, g.size());
      sources.push_back(plane_of(program, values, mix.plane(j, c)).data);
    }
    if (d_op_weights == nullptr) continue;
    const auto target = [&](int64_t, int64_t j) { return d_op_weights + mix.weight(j); };
    dot_products<T>({g.data}, sources, target, g.size(), mix.terms + 1);
  }
}

// ------------------------------------------------------------------------------------------------------------- passes

const int64_t* end_of(const int64_t* c) {
  switch (c[0]) {
    case kConv: return Conv(c).end();
    case kNorm: return Norm(c).end();
    case kPhases: return Phases(c).end();
    case kMix: return Mix(c).end();
    case kReadout: return Readout(c).end();
    default: return Pool(c).end();
  }
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
  read_samples(program, x, program.in_channels, nullptr, values);
  const int64_t* end = program.code + program.code_size;
  for (const int64_t* c = program.code; c < end; c = end_of(c)) {
    switch (c[0]) {
      case kConv: conv_forward(program, Conv(c), params[c[1]], values); break;
      case kNorm: {
        const Norm norm(c);
        const NormValues<T> with{at(params, norm.gamma), at(params, norm.gamma + (norm.gamma >= 0)),
                                 buffers[norm.mean], buffers[norm.mean + 1], eps, momentum};
        norm_forward(program, norm, with, values, inverse);
        inverse += norm.channels;
        break;
      }
      case kPhases: phases_forward(program, Phases(c), values); break;
      case kMix: mix_forward(program, Mix(c), op_weights, values); break;
      case kReadout: readout_forward(program, Readout(c), values, features); break;
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
      case kConv:
        if (d_params != nullptr) conv_to_weights(program, Conv(c), values, grads, d_params[c[1]]);
        conv_to_inputs(program, Conv(c), params[c[1]], grads);
        break;
      case kNorm: {
        const Norm norm(c);
        norm_backward(program, norm, at(params, norm.gamma), values, grads, inverses[i], at(d_params, norm.gamma),
                      at(d_params, norm.gamma + (norm.gamma >= 0)));
        break;
      }
      case kPhases: phases_backward(program, Phases(c), grads); break;
      case kMix: mix_backward(program, Mix(c), op_weights, values, grads, d_op_weights); break;
      case kReadout: readout_backward(program, Readout(c), values, g_features, grads); break;
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

void convolution_forward(const Program* program, const Scalar* x, const Scalar* weights, Scalar* values, Scalar* y) {
  alone_forward(*program, x, weights, values, y);
}

void convolution_to_inputs(const Program* program, const Scalar* g, const Scalar* weights, Scalar* grads, Scalar* d_x) {
  alone_to_inputs(*program, g, weights, grads, d_x);
}

void convolution_to_weights(const Program* program, const Scalar* x, const Scalar* g, Scalar* values, Scalar* grads,
                            Scalar* d_weights) {
  alone_to_weights(*program, x, g, values, grads, d_weights);
}

}  // extern "C"
