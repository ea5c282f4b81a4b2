/* SPDX-License-Identifier: Apache-2.0
 * What generation needs to know about a sampler. */
#ifndef LFM2__SAMPLER_IMPL_H
#define LFM2__SAMPLER_IMPL_H

#include "lfm2/sampler.h"

int32_t lfm2__sampler_n_vocab(const lfm2_sampler *s);

#endif
