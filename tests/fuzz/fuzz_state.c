/* SPDX-License-Identifier: Apache-2.0
 * Saved sequences: any bytes, as they are and behind a right header; what is accepted is continued, shortened and saved again. */
#include <unistd.h>

#include "fuzz/fuzzing.h"
#include "model/model_impl.h"

enum { CAP_TOK = 24, SHAPE_BYTES = 8 + 4 + 13 * 4 + 32, HEADER_BYTES = SHAPE_BYTES + 16 };

static const char CONFIG[] = "{\"model_type\": \"lfm2\", \"hidden_size\": 8, \"num_hidden_layers\": 3, \"num_attention_heads\": 2, "
                             "\"num_key_value_heads\": 1, \"intermediate_size\": 8, \"block_auto_adjust_ff_dim\": false, "
                             "\"vocab_size\": 11, \"full_attn_idxs\": [1]}";

static unsigned char shape[HEADER_BYTES];

static lfm2_session *make_session(void)
{
    char path[] = "/tmp/lfm2-fuzz-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, CONFIG, sizeof(CONFIG) - 1) == (ssize_t)sizeof(CONFIG) - 1 && close(fd) == 0);
    lfm2_model *m = NULL;
    lfm2_session *s = NULL;
    CHECK(lfm2_model_create_random(fuzz_runtime(1000), path, LFM2_DTYPE_F32, 1, &m) == 0 && unlink(path) == 0);
    const lfm2_session_params p = { .n_seqs = 2, .cap_tok = CAP_TOK, .cap_batch = 4, .cap_rewind = 3 };
    CHECK(lfm2_session_create(m, &p, &s) == 0);
    size_t n = 0;
    CHECK(lfm2_session_save(s, 0, shape, sizeof(shape), &n) == 0 && n == HEADER_BYTES);
    return s;
}

static void restore(lfm2_session *s, const uint8_t *data, size_t n)
{
    static unsigned char again[1 << 14];
    static float logits[11];
    const int32_t id = 3, before = lfm2_session_n_tok(s, 0);
    size_t n_again = 0;
    int rc = lfm2_session_restore(s, 0, data, n);
    CHECK(rc == 0 || rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_RANGE);
    CHECK(rc == 0 || lfm2_session_n_tok(s, 0) == before);
    if (rc < 0) return;
    int32_t n_tok = lfm2_session_n_tok(s, 0);
    CHECK(n_tok >= 0 && n_tok <= CAP_TOK);
    CHECK(lfm2_session_save(s, 0, again, sizeof(again), &n_again) == 0 && n_again <= n);
    CHECK(lfm2_session_restore(s, 1, again, n_again) == 0 && lfm2_session_n_tok(s, 1) == n_tok);
    (void)lfm2_session_truncate(s, 0, n_tok / 2);
    (void)lfm2_session_truncate(s, 1, n_tok - 1);
    (void)lfm2_session_clone(s, 1, 0);
    const lfm2_span span = { .seq = 0, .n_tok = 1, .ids = &id, .logits = LFM2_LOGITS_LAST };
    rc = lfm2_session_forward(s, &span, 1, logits, 1);
    CHECK(rc == 0 || rc == LFM2_ERR_NONFINITE || (rc == LFM2_ERR_RANGE && n_tok == CAP_TOK));
}

/* The first two bytes say how many tokens and convolution inputs there are; floats follow, and are repeated as needed. */
static void with_right_header(lfm2_session *s, const uint8_t *data, size_t n)
{
    static unsigned char state[HEADER_BYTES + 4 * (2 * 256 * 4 + 2 * 256 * 8)];
    if (n < 3) return;
    const uint64_t payload = 4 * (2 * (uint64_t)data[0] * 4 + 2 * (uint64_t)data[1] * 8);
    memcpy(state, shape, SHAPE_BYTES);
    memset(state + SHAPE_BYTES, 0, 16);
    state[SHAPE_BYTES] = data[0];
    state[SHAPE_BYTES + 4] = data[1];
    for (size_t i = 0; i < 8; i++) state[SHAPE_BYTES + 8 + i] = (unsigned char)(payload >> (8 * i));
    for (size_t i = 0; i < payload; i++) state[HEADER_BYTES + i] = data[2 + i % (n - 2)];
    restore(s, state, HEADER_BYTES + (size_t)payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static lfm2_session *s;
    if (!s) s = make_session();
    restore(s, data, n);
    with_right_header(s, data, n);
    return 0;
}
