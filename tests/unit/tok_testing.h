/* SPDX-License-Identifier: Apache-2.0
 * For the tests of the tokenizer: loading tokenizer.json texts, comparing ids. */
#ifndef TOK_TESTING_H
#define TOK_TESTING_H

#include "base_testing.h"
#include "file_testing.h"

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

/* A fixture with a tokenizer in it. */
typedef struct tok_fixture {
    watched x;
    lfm2_tokenizer *tok;
} tok_fixture;

static inline tok_fixture *tok_begin(void **state)
{
    tok_fixture *f = test_calloc(1, sizeof *f);

    watch_begin(&f->x);
    *state = f;
    return f;
}

static inline int tok_end(void **state)
{
    tok_fixture *f = *state;

    lfm2_tokenizer_unload(f->tok);
    watch_end(&f->x);
    test_free(f);
    return 0;
}

typedef int tok_loader(lfm2_runtime *rt, const void *source, lfm2_tokenizer **out);

/* Loads with each allocation failing in turn: it is out of memory, or what failed can be done without. Returns how many it cannot
 * be done without. */
static inline long tok_fail_each_allocation(watched *x, tok_loader *load, const void *source)
{
    long k = 0, n_ok = 0;
    int rc = LFM2_ERR_NOMEM;

    while (test_fail_next(&x->heap, &k)) {
        lfm2_tokenizer *tok = NULL;

        rc = load(x->rt, source, &tok);
        assert_true(rc == 0 ? tok != NULL : rc == LFM2_ERR_NOMEM && tok == NULL);
        n_ok += rc == 0;
        lfm2_tokenizer_unload(tok);
    }
    assert_int_equal(rc, 0);
    return k - n_ok;
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

#endif
