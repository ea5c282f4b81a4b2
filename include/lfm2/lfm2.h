/* SPDX-License-Identifier: Apache-2.0
 * Umbrella header of the library. */
#ifndef LFM2_LFM2_H
#define LFM2_LFM2_H

#include "lfm2/audio.h"
#include "lfm2/audio_encoder.h"
#include "lfm2/batch.h"
#include "lfm2/constrain.h"
#include "lfm2/convert.h"
#include "lfm2/encoders.h"
#include "lfm2/frames.h"
#include "lfm2/hear.h"
#include "lfm2/image.h"
#include "lfm2/layout.h"
#include "lfm2/live.h"
#include "lfm2/media.h"
#include "lfm2/model.h"
#include "lfm2/prompt.h"
#include "lfm2/runtime.h"
#include "lfm2/sampler.h"
#include "lfm2/see.h"
#include "lfm2/sha256.h"
#include "lfm2/status.h"
#include "lfm2/tokenizer.h"
#include "lfm2/vad.h"
#include "lfm2/weights.h"

LFM2_BEGIN_DECLS

#define LFM2_VERSION_MAJOR 0
#define LFM2_VERSION_MINOR 1
#define LFM2_VERSION_PATCH 0

/* Version of the library that is linked, e.g. "0.1.0". Static storage. */
LFM2_API const char *lfm2_version(void);

LFM2_END_DECLS

#endif
