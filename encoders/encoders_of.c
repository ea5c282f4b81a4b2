/* SPDX-License-Identifier: Apache-2.0
 * Which encoders a checkpoint holds, by the last tensor of each. */
#include "lfm2/encoders.h"

#include <stddef.h>

static int has_any(const lfm2_weights *w, const char *const *names)
{
    for (; *names; names++) {
        if (lfm2_weights_find(w, *names)) return 1;
    }
    return 0;
}

unsigned lfm2_encoders_of(const lfm2_weights *w)
{
    static const char *const sees[] = { "model.multi_modal_projector.linear_2.weight", "multi_modal_projector.linear_2.weight",
                                        "mm.2.weight", NULL };
    static const char *const hears[] = { "audio_adapter.model.3.weight", "mm.a.mlp.3.weight", NULL };
    if (!w) return 0;
    return (has_any(w, sees) ? LFM2_ENCODER_VISION : 0) | (has_any(w, hears) ? LFM2_ENCODER_AUDIO : 0);
}
