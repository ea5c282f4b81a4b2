/* SPDX-License-Identifier: Apache-2.0
 * Audio encoder: the CTC head, which says for each moment what character is heard. Optional; only word times need it. */
#include <math.h>

#include "base/utf8.h"
#include "encoders/conformer_impl.h"

int lfm2__audio_alphabet(lfm2_runtime *rt, const char *path, const char *text, size_t n, uint32_t **out, int32_t *n_classes)
{
    uint32_t *alphabet = NULL, cp = 0;
    int32_t count = 1; /* class 0 is the blank */
    int rc = LFM2_ERR_FORMAT;
    if (n == 0 || n > 4 * (size_t)LFM2__AUDIO_MAX_CLASSES)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: ctc alphabet: empty or too long", path);
    alphabet = lfm2__calloc(rt, n + 1, sizeof(*alphabet));
    if (!alphabet) return LFM2_ERR_NOMEM;
    for (size_t i = 0, length; i < n; i += length) {
        length = lfm2__utf8_decode(text + i, n - i, &cp);
        if (length == 0 || cp == 0) {
            rc = lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: ctc alphabet: not valid UTF-8", path);
            goto fail;
        }
        for (int32_t j = 1; j < count; j++) {
            if (alphabet[j] != cp) continue;
            rc = lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: ctc alphabet: class %d is the same as %d", path, (int)count, (int)j);
            goto fail;
        }
        if (count == LFM2__AUDIO_MAX_CLASSES) {
            rc = lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: ctc alphabet: more than %d classes", path, LFM2__AUDIO_MAX_CLASSES);
            goto fail;
        }
        alphabet[count++] = cp;
    }
    *out = alphabet;
    *n_classes = count;
    return 0;
fail:
    lfm2__free(rt, alphabet);
    return rc;
}

const uint32_t *lfm2_audio_ctc_alphabet(const lfm2_audio_encoder *enc)
{
    return enc ? enc->alphabet : NULL;
}

typedef struct ctc_job {
    float *rows; /* [n_rows, n_classes] */
    int32_t n_rows, n_classes;
} ctc_job;

enum { ROWS_PER_TASK = 32 };

static void log_softmax_rows(void *ctx, int32_t task, int32_t worker)
{
    const ctc_job *job = ctx;
    int32_t end = (task + 1) * ROWS_PER_TASK;
    if (end > job->n_rows) end = job->n_rows;
    (void)worker;
    for (int32_t r = task * ROWS_PER_TASK; r < end; r++) {
        float *row = job->rows + (size_t)r * (size_t)job->n_classes;
        double max = (double)row[0], sum = 0;
        for (int32_t c = 1; c < job->n_classes; c++) max = (double)row[c] > max ? (double)row[c] : max;
        for (int32_t c = 0; c < job->n_classes; c++) sum += exp((double)row[c] - max);
        const double shift = max + log(sum);
        for (int32_t c = 0; c < job->n_classes; c++) row[c] = (float)((double)row[c] - shift);
    }
}

int lfm2__audio_ctc(const lfm2_audio_encoder *enc, const float *x, int32_t n_tok, float *ctc)
{
    const lfm2_audio_config *c = &enc->cfg;
    ctc_job job = { .rows = ctc, .n_rows = n_tok * c->ctc_upsample, .n_classes = c->n_ctc_classes };
    /* [n_tok, upsample * classes]: rows already */
    int rc = lfm2__linear_run(&enc->k, enc->rt, ctc, x, n_tok, &enc->ctc, LFM2__ACT_NONE);
    if (rc < 0) return rc;
    lfm2__pool_run(lfm2__runtime_pool(enc->rt), log_softmax_rows, &job, (job.n_rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
    for (size_t i = 0; i < (size_t)job.n_rows * (size_t)job.n_classes; i++) {
        if (!isfinite(ctc[i])) return lfm2__fail(enc->rt, LFM2_ERR_NONFINITE, "the CTC head's probabilities are not finite");
    }
    return 0;
}
