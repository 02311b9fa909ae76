// A convolution alone, and the two linear maps that are its gradients: what can be differentiated any number of times,
// because the derivatives of each of the three are the others (convolutions.py).
//
// The program has the planes of x, their phases if there are several, the planes of y, and one layer kConv behind at most
// one layer kPhases.

#pragma once

#include "convolution.h"
#include "planes.h"
#include "pools.h"

namespace {

struct Layers {
  const int64_t *phases, *conv;  // phases: null at stride 1

  explicit Layers(const Program& program) : phases(nullptr), conv(program.code) {
    if (conv[0] != kPhases) return;
    phases = conv;
    conv = Phases(phases).end();
  }
};

template <typename T>
void read_input(const Program& program, const Layers& layers, const T* x, T* values) {
  clear_first_gaps(program, values);
  read_samples(program, x, program.in_channels, nullptr, values);
  if (layers.phases != nullptr) phases_forward(program, Phases(layers.phases), values);
}

template <typename T>
void alone_forward(const Program& program, const T* x, const T* weights, T* values, T* y) {
  const Layers layers(program);
  const Conv conv(layers.conv);
  read_input(program, layers, x, values);
  conv_forward(program, conv, weights, values);
  write_samples(program, values, conv.outs, conv.out_planes, y);
}

// `grads` is zero at the start.
template <typename T>
void alone_to_inputs(const Program& program, const T* g, const T* weights, T* grads, T* d_x) {
  const Layers layers(program);
  const Conv conv(layers.conv);
  read_samples(program, g, conv.outs, conv.out_planes, grads);
  conv_to_inputs(program, conv, weights, grads);
  if (layers.phases != nullptr) phases_backward(program, Phases(layers.phases), grads);
  write_samples(program, grads, program.in_channels, nullptr, d_x);
}

// `d_weights` is zero at the start.
template <typename T>
void alone_to_weights(const Program& program, const T* x, const T* g, T* values, T* grads, T* d_weights) {
  const Layers layers(program);
  const Conv conv(layers.conv);
  read_input(program, layers, x, values);
  read_samples(program, g, conv.outs, conv.out_planes, grads);
  conv_to_weights(program, conv, values, grads, d_weights);
}

}  // namespace
