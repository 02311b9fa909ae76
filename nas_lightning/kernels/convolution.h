// Convolutions of planes: any number of taps, dilation, stride and groups.
//
// A convolution of stride S runs at stride 1 on S phases of its input: planes of every S-th step. Taps that meet nothing
// but zeros are left out; they have no gradient.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "planes.h"
#include "products.h"

namespace {

struct Conv {
  int64_t weight, outs, ins, groups, taps, used, phases;
  const int64_t *tap, *out_planes, *in_planes;

  explicit Conv(const int64_t* c)
      : weight(c[1]), outs(c[2]), ins(c[3]), groups(c[4]), taps(c[5]), used(c[6]), phases(c[7]), tap(c + 8),
        out_planes(tap + 3 * used), in_planes(out_planes + outs) {}

  int64_t number(int64_t k) const { return tap[3 * k]; }
  int64_t phase(int64_t k) const { return tap[3 * k + 1]; }
  int64_t shift(int64_t k) const { return tap[3 * k + 2]; }
  int64_t ins_each() const { return ins / groups; }
  int64_t outs_each() const { return outs / groups; }
  int64_t out_plane(int64_t group, int64_t o) const { return out_planes[group * outs_each() + o]; }
  int64_t in_plane(int64_t group, int64_t i, int64_t phase) const {
    return in_planes[(group * ins_each() + i) * phases + phase];
  }
  // Weights are [outs, ins / groups, taps].
  int64_t place(int64_t group, int64_t o, int64_t i, int64_t k) const {
    return ((group * outs_each() + o) * ins_each() + i) * taps + number(k);
  }
  const int64_t* end() const { return in_planes + ins * phases; }
};

template <typename T>
std::vector<T*> out_data(const Program& program, const Conv& conv, int64_t group, T* workspace) {
  std::vector<T*> found;
  for (int64_t o = 0; o < conv.outs_each(); ++o)
    found.push_back(plane_of(program, workspace, conv.out_plane(group, o)).data);
  return found;
}

// What the taps of a group read: [inputs][used taps].
template <typename T>
std::vector<const T*> taps_of(const Program& program, const Conv& conv, int64_t group, T* values) {
  std::vector<const T*> found;
  for (int64_t i = 0; i < conv.ins_each(); ++i)
    for (int64_t k = 0; k < conv.used; ++k)
      found.push_back(plane_of(program, values, conv.in_plane(group, i, conv.phase(k))).data + conv.shift(k));
  return found;
}

template <typename T>
NAS_ALONE void conv_forward(const Program& program, const Conv& conv, const T* weights, T* values) {
  const int64_t size = plane_of(program, values, conv.out_planes[0]).size();
  for (int64_t group = 0; group < conv.groups; ++group) {
    const auto weight = [&](int64_t o, int64_t s) { return weights[conv.place(group, o, s / conv.used, s % conv.used)]; };
    add_products<false, T>(out_data(program, conv, group, values), taps_of(program, conv, group, values), weight, size,
                           conv.ins_each() * conv.phases);
  }
  for (int64_t o = 0; o < conv.outs; ++o) plane_of(program, values, conv.out_planes[o]).fill_gaps(0);
}

template <typename T>
NAS_ALONE void conv_to_weights(const Program& program, const Conv& conv, T* values, T* grads, T* d_weights) {
  const int64_t size = plane_of(program, grads, conv.out_planes[0]).size();
  for (int64_t group = 0; group < conv.groups; ++group) {
    const std::vector<T*> outs = out_data(program, conv, group, grads);
    const auto target = [&](int64_t o, int64_t s) { return d_weights + conv.place(group, o, s / conv.used, s % conv.used); };
    dot_products<T>({outs.begin(), outs.end()}, taps_of(program, conv, group, values), target, size,
                    conv.outs_each() + conv.ins_each() * conv.phases);
  }
}

// A concatenation may name a plane twice; what is computed at once would overwrite it.
template <typename T>
bool are_distinct(std::vector<T*> planes) {
  std::sort(planes.begin(), planes.end());
  return std::adjacent_find(planes.begin(), planes.end()) == planes.end();
}

// Adds to the gradients of the inputs.
template <typename T>
NAS_ALONE void conv_to_inputs(const Program& program, const Conv& conv, const T* weights, T* grads) {
  for (int64_t group = 0; group < conv.groups; ++group)
    for (int64_t phase = 0; phase < conv.phases; ++phase) {
      std::vector<T*> ins;
      std::vector<const T*> sources;
      std::vector<int64_t> places;  // of a source's weight, for the first input
      for (int64_t i = 0; i < conv.ins_each(); ++i)
        ins.push_back(plane_of(program, grads, conv.in_plane(group, i, phase)).data);
      for (int64_t o = 0; o < conv.outs_each(); ++o)
        for (int64_t k = 0; k < conv.used; ++k)
          if (conv.phase(k) == phase) {
            sources.push_back(plane_of(program, grads, conv.out_plane(group, o)).data - conv.shift(k));
            places.push_back(conv.place(group, o, 0, k));
          }
      const int64_t size = plane_of(program, grads, conv.in_plane(group, 0, phase)).size();
      const int64_t at_once = are_distinct(ins) ? ins.size() : 1;
      for (int64_t first = 0; first < int64_t(ins.size()); first += at_once) {
        const auto weight = [&](int64_t i, int64_t s) { return weights[places[s] + (first + i) * conv.taps]; };
        const std::vector<T*> some(ins.begin() + first, ins.begin() + first + at_once);
        add_products<true, T>(some, sources, weight, size, conv.outs_each());
      }
    }
  for (int64_t j = 0; j < conv.ins * conv.phases; ++j) plane_of(program, grads, conv.in_planes[j]).fill_gaps(0);
}

}  // namespace
