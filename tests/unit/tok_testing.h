/* SPDX-License-Identifier: Apache-2.0
 * For the tests of the tokenizer: loading tokenizer.json texts, comparing ids. */
#ifndef TOK_TESTING_H
#define TOK_TESTING_H

#include "base_testing.h"

#include <stdio.h>

#include "base/json.h"
#include "base/mapfile.h"
#include "base/runtime_impl.h"
#include "tokenizers/tok_impl.h"
#include "tok_spec.h"

#define TOK_GOLDEN LFM2_TEST_DIR "/oracle/golden/text"

static inline int tok_load(lfm2_runtime *rt, const tok_spec *spec, lfm2_tokenizer **out)
{
    lfm2__str s;
    int rc;

    lfm2__str_init(&s, rt);
    tok_write(&s, spec);
    assert_int_equal(s.status, 0);
    rc = lfm2__tokenizer_from_json(rt, "tokenizer.json", s.data, s.n, out);
    lfm2__str_fini(&s);
    return rc;
}

/* Encode a NUL-terminated text and compare with the ids that follow, -1 behind the last. */
static inline void tok_check(const lfm2_tokenizer *tok, const char *text, unsigned flags, ...)
{
    int32_t ids[256];
    size_t n = 0, i;
    va_list args;

    assert_int_equal(lfm2_tokenizer_encode(tok, text, strlen(text), flags, ids, LFM2__COUNT_OF(ids), &n), 0);
    va_start(args, flags);
    for (i = 0; i < n; i++) assert_int_equal(ids[i], va_arg(args, int));
    assert_int_equal(va_arg(args, int), -1);
    va_end(args);
}

/* A whole file in memory of the C library, NUL behind it. */
static inline char *tok_slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    long size;
    char *data;

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size = ftell(f);
    assert_true(size >= 0);
    rewind(f);
    data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, f), (size_t)size);
    fclose(f);
    data[size] = '\0';
    *n = (size_t)size;
    return data;
}

#endif
