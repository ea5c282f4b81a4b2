/* SPDX-License-Identifier: Apache-2.0
 * Configurations of audio encoders: any config.json, and any GGUF encoder file as a whole, with its tensors. What is accepted keeps
 * the promises on which every later size rests. */
#include "encoders/conformer_impl.h"
#include "fuzz/weights_fuzzing.h"

static void check_config(const lfm2_audio_config *c, const uint32_t *alphabet)
{
    CHECK(c->n_mels >= 1 && c->n_mels <= 256 && c->n_layers >= 1 && c->n_layers <= LFM2_AUDIO_MAX_LAYERS);
    CHECK(c->d_model >= 2 && c->d_model <= 16384 && c->n_heads >= 1 && c->n_heads <= 1024);
    CHECK(c->d_ff >= 1 && c->d_ff <= 1 << 20 && c->n_taps >= 1 && c->n_taps <= LFM2__AUDIO_MAX_TAPS);
    CHECK(c->n_channels >= 1 && c->n_channels <= 4096);
    CHECK((c->n_ctc_classes == 0) == (c->ctc_upsample == 0) && (c->n_ctc_classes == 0) == (alphabet == NULL));
    CHECK(c->n_ctc_classes != 1 && c->n_ctc_classes <= LFM2__AUDIO_MAX_CLASSES && c->ctc_upsample <= LFM2__AUDIO_MAX_UPSAMPLE);
    for (int32_t i = 0; i < c->n_ctc_classes; i++) CHECK((alphabet[i] == 0) == (i == 0) && alphabet[i] < 0x110000);
}

static int from_json(lfm2_runtime *rt, const uint8_t *data, size_t n)
{
    const lfm2__json_limits limits = { .max_bytes = 1 << 16, .max_depth = 16, .max_values = 1 << 12 };
    lfm2_audio_config cfg = { 0 };
    uint32_t *alphabet = NULL;
    lfm2__json_doc *doc = NULL;
    int rc = lfm2__json_parse(rt, "fuzz", (const char *)data, n, &limits, &doc);
    if (rc < 0) return rc;
    rc = lfm2__audio_config_from_value(rt, "fuzz", lfm2__json_root(doc), &cfg, &alphabet);
    if (rc == 0) check_config(&cfg, alphabet);
    lfm2__json_free(doc);
    lfm2__free(rt, alphabet);
    return rc;
}

static int from_gguf(lfm2_runtime *rt, const uint8_t *data, size_t n)
{
    lfm2_weights *w = NULL;
    lfm2_audio_encoder *enc = NULL;
    int rc = lfm2__weights_open_bytes(rt, "fuzz", data, n, &w);
    if (rc == 0) rc = lfm2__audio_encoder_of_weights(w, &enc);
    if (rc < 0) return rc;
    const lfm2_audio_config *c = lfm2_audio_encoder_config(enc);
    check_config(c, lfm2_audio_ctc_alphabet(enc));
    CHECK(c->d_model % 2 == 0 && c->d_model % c->n_heads == 0 && c->n_taps % 2 == 1);
    CHECK(c->d_adapter >= 1 && c->d_adapter <= 16384 && c->d_out >= 1 && c->d_out <= 16384);
    lfm2_audio_encoder_unload(enc);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    lfm2_runtime *rt = fuzz_runtime(0);
    n_lines = 0;
    int rc = lfm2__is_gguf(data, n) ? from_gguf(rt, data, n) : from_json(rt, data, n);
    CHECK(rc == 0 || rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UNSUPPORTED || rc == LFM2_ERR_NONFINITE);
    CHECK(n_lines == (rc < 0));
    return 0;
}
