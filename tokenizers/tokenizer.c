/* SPDX-License-Identifier: Apache-2.0
 * The tokenizer object: life, lookups, encoding of texts, decoding of ids. */
#include <string.h>

#include "base/mathsafe.h"
#include "base/runtime_impl.h"
#include "base/str.h"
#include "tokenizers/chat.h"
#include "tokenizers/tok_impl.h"
#include "tokenizers/utf8.h"
#include "weights/weights_impl.h"

#define MAX_TEXT_BYTES ((size_t)1 << 30)

static const lfm2__json_limits json_limits = {.max_bytes = (size_t)64 << 20, .max_depth = 32, .max_values = (size_t)16 << 20};

int lfm2__tok_create(lfm2_runtime *rt, const char *label, lfm2_tokenizer **out)
{
    lfm2_tokenizer *tok = lfm2__calloc(rt, 1, sizeof(*tok));

    if (tok == NULL) return LFM2_ERR_NOMEM;
    tok->rt = rt;
    tok->bos = tok->eos = tok->pad = -1;
    tok->adds_bos = 1;
    tok->label = lfm2__strndup(rt, label, strlen(label));
    if (tok->label == NULL) {
        lfm2_tokenizer_unload(tok);
        return LFM2_ERR_NOMEM;
    }
    *out = tok;
    return 0;
}

void lfm2_tokenizer_unload(lfm2_tokenizer *tok)
{
    if (tok == NULL) return;
    lfm2__vocab_fini(&tok->vocab);
    lfm2__bpe_fini(&tok->bpe);
    lfm2__special_fini(&tok->special);
    lfm2__pretok_destroy(tok->pretok);
    lfm2__free(tok->rt, tok->chat_template);
    lfm2__free(tok->rt, tok->label);
    lfm2__free(tok->rt, tok);
}

int lfm2__tok_add_end_id(lfm2_tokenizer *tok, int32_t id)
{
    size_t i;

    if (lfm2__vocab_kind(&tok->vocab, id) == LFM2__TOK_NONE) return 0;
    for (i = 0; i < tok->n_end_ids; i++)
        if (tok->end_ids[i] == id) return 0;
    if (tok->n_end_ids == LFM2__TOK_MAX_END_IDS)
        return lfm2__fail(tok->rt, LFM2_ERR_LIMIT, "%s: more than %d end tokens", tok->label, LFM2__TOK_MAX_END_IDS);
    tok->end_ids[tok->n_end_ids++] = id;
    return 0;
}

static int32_t find_added(const lfm2_tokenizer *tok, const char *text)
{
    return lfm2__vocab_find_added(&tok->vocab, text, strlen(text));
}

int lfm2__tok_finish(lfm2_tokenizer *tok)
{
    static const char *const history[] = {"<think>", "</think>", "<|tool_call_start|>", "<|tool_call_end|>"};
    int rc, missing = 0;
    size_t i;

    rc = lfm2__bpe_finish(&tok->bpe, &tok->vocab, &missing);
    if (rc < 0) return lfm2__fail(tok->rt, rc, "%s: vocabulary: no token for byte 0x%02X", tok->label, (unsigned)missing);
    rc = lfm2__special_init(&tok->special, tok->rt, &tok->vocab);
    if (rc < 0) return rc;
    for (i = 0; i < LFM2__COUNT_OF(history); i++) tok->history_ids[i] = find_added(tok, history[i]);
    if (tok->bos < 0) tok->bos = find_added(tok, "<|startoftext|>");
    if (tok->eos < 0) tok->eos = find_added(tok, "<|im_end|>");
    if (tok->pad < 0) tok->pad = find_added(tok, "<|pad|>");
    rc = lfm2__tok_add_end_id(tok, tok->eos);
    if (rc == 0) rc = lfm2__tok_add_end_id(tok, find_added(tok, "<|endoftext|>"));
    if (rc < 0) return rc;
    lfm2__chat_detect(tok);
    return 0;
}

/* Folder part of a path, slash included. */
static size_t folder_n(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

/* The end of every way to load. rc: what came before; tok may be NULL after an error. */
static int finish(lfm2_tokenizer *tok, int rc, lfm2_tokenizer **out)
{
    if (rc == 0) rc = lfm2__tok_finish(tok);
    if (rc < 0) {
        lfm2_tokenizer_unload(tok);
        return rc;
    }
    *out = tok;
    return 0;
}

/* dir: folder of the files beside it, NULL = look at none. */
static int from_doc(lfm2_runtime *rt, const char *label, const lfm2__json_doc *doc, const char *dir, lfm2_tokenizer **out)
{
    lfm2_tokenizer *tok = NULL;
    int rc = lfm2__tok_create(rt, label, &tok);

    if (rc == 0) rc = lfm2__tok_read_json(tok, lfm2__json_root(doc));
    if (rc == 0 && dir != NULL) rc = lfm2__tok_read_siblings(tok, dir);
    return finish(tok, rc, out);
}

static int load_json(lfm2_runtime *rt, const char *path, lfm2_tokenizer **out)
{
    lfm2__json_doc *doc = NULL;
    char *dir = lfm2__strndup(rt, path, folder_n(path));
    int rc = LFM2_ERR_NOMEM;

    if (dir != NULL) rc = lfm2__json_load(rt, path, &json_limits, &doc);
    if (rc == 0) rc = from_doc(rt, path, doc, dir, out);
    lfm2__json_free(doc);
    lfm2__free(rt, dir);
    return rc;
}

int lfm2__tokenizer_from_json(lfm2_runtime *rt, const char *label, const char *text, size_t n, lfm2_tokenizer **out)
{
    lfm2__json_doc *doc = NULL;
    int rc = lfm2__json_parse(rt, label, text, n, &json_limits, &doc);

    if (rc == 0) rc = from_doc(rt, label, doc, NULL, out);
    lfm2__json_free(doc);
    return rc;
}

int lfm2_tokenizer_load_json(lfm2_runtime *rt, const char *path, lfm2_tokenizer **out)
{
    if (rt == NULL || path == NULL || out == NULL) return LFM2_ERR_ARG;
    return load_json(rt, path, out);
}

static int load_gguf(lfm2_runtime *rt, const lfm2_weights *w, lfm2_tokenizer **out)
{
    lfm2_tokenizer *tok = NULL;
    int rc = lfm2__tok_create(rt, lfm2_weights_path(w), &tok);

    if (rc == 0) rc = lfm2__tok_read_gguf(tok, w);
    return finish(tok, rc, out);
}

int lfm2_tokenizer_load(lfm2_runtime *rt, const lfm2_weights *w, lfm2_tokenizer **out)
{
    char *path = NULL;
    int rc;

    if (rt == NULL || w == NULL || out == NULL) return LFM2_ERR_ARG;
    if (lfm2_weights_container(w) == LFM2_CONTAINER_GGUF) return load_gguf(rt, w, out);
    rc = lfm2__weights_sibling(w, "tokenizer.json", &path);
    if (rc < 0) return rc;
    rc = load_json(rt, path, out);
    lfm2__free(rt, path);
    return rc;
}

int32_t lfm2_tokenizer_n_ids(const lfm2_tokenizer *tok)
{
    return tok->vocab.n_ids;
}

int32_t lfm2_tokenizer_find(const lfm2_tokenizer *tok, const char *text)
{
    int32_t id = find_added(tok, text);

    return id >= 0 ? id : lfm2__vocab_find_merged(&tok->vocab, text, strlen(text));
}

int32_t lfm2_tokenizer_bos(const lfm2_tokenizer *tok)
{
    return tok->bos;
}

int32_t lfm2_tokenizer_eos(const lfm2_tokenizer *tok)
{
    return tok->eos;
}

int lfm2_tokenizer_adds_bos(const lfm2_tokenizer *tok)
{
    return tok->adds_bos && tok->bos >= 0;
}

const int32_t *lfm2_tokenizer_end_ids(const lfm2_tokenizer *tok, size_t *n)
{
    *n = tok->n_end_ids;
    return tok->end_ids;
}

int lfm2_tokenizer_is_defined(const lfm2_tokenizer *tok, int32_t id)
{
    return lfm2__vocab_kind(&tok->vocab, id) != LFM2__TOK_NONE;
}

const char *lfm2_tokenizer_bytes(const lfm2_tokenizer *tok, int32_t id, size_t *n)
{
    return lfm2__vocab_bytes(&tok->vocab, id, n);
}

int lfm2_tokenizer_is_special(const lfm2_tokenizer *tok, int32_t id)
{
    return lfm2__vocab_kind(&tok->vocab, id) == LFM2__TOK_CONTROL;
}

/* One encoding call. */
typedef struct encoder {
    const lfm2_tokenizer *tok;
    lfm2__pretok_match *match;
    lfm2__id_sink sink;
    lfm2__trust trust; /* at the present position, up to trust_n bytes from it */
    size_t trust_n;
} encoder;

static int encode_piece(void *ctx, const char *piece, size_t n)
{
    encoder *e = ctx;
    int32_t id;
    int rc;

    if (e->tok->ignore_merges) {
        id = lfm2__vocab_find_merged(&e->tok->vocab, piece, n);
        if (id >= 0) {
            lfm2__id_sink_put(&e->sink, id);
            return 0;
        }
    }
    rc = lfm2__bpe_encode(&e->tok->bpe, piece, n, &e->sink);
    if (rc == LFM2_ERR_LIMIT)
        return lfm2__fail(e->tok->rt, rc, "tokenizer: a run of %zu bytes without a break, allowed are %d", n,
                          LFM2__MAX_PIECE_BYTES);
    return rc;
}

/* Special tokens count only where they lie wholly in trusted text; user-defined ones everywhere. */
static int may_match(void *ctx, int32_t id, size_t n)
{
    const encoder *e = ctx;
    size_t i;

    if (lfm2__vocab_kind(&e->tok->vocab, id) == LFM2__TOK_USER) return 1;
    if (e->trust == LFM2__TRUST_NONE || n > e->trust_n) return 0;
    if (e->trust == LFM2__TRUST_ALL) return 1;
    for (i = 0; i < LFM2__COUNT_OF(e->tok->history_ids); i++)
        if (e->tok->history_ids[i] == id) return 1;
    return 0;
}

static int encode_run(encoder *e, const char *text, size_t n)
{
    return n > 0 ? lfm2__pretok_split(e->tok->pretok, e->match, text, n, encode_piece, e) : 0;
}

static int encode_all(encoder *e, const char *text, size_t n, const lfm2__trust_range *ranges, size_t n_ranges)
{
    const lfm2__special *special = &e->tok->special;
    size_t run = 0, at = 0, r = 0, len = 0;
    int32_t id;
    int rc;

    while (at < n) {
        if (special->first[(unsigned char)text[at]] == 0) {
            at++;
            continue;
        }
        while (r < n_ranges && ranges[r].end <= at) r++;
        e->trust = r < n_ranges && ranges[r].begin <= at ? ranges[r].trust : LFM2__TRUST_NONE;
        e->trust_n = e->trust != LFM2__TRUST_NONE ? ranges[r].end - at : 0;
        id = lfm2__special_match(special, text + at, n - at, may_match, e, &len);
        if (id < 0) {
            at++;
            continue;
        }
        rc = encode_run(e, text + run, at - run);
        if (rc < 0) return rc;
        lfm2__id_sink_put(&e->sink, id);
        at += len;
        run = at;
    }
    return encode_run(e, text + run, n - run);
}

int lfm2__tok_encode_ranges(const lfm2_tokenizer *tok, const char *text, size_t n, const lfm2__trust_range *ranges, size_t n_ranges,
                            int32_t *ids, size_t cap, size_t *n_ids)
{
    encoder e = {.tok = tok, .sink = {ids, ids != NULL ? cap : 0, 0}};
    size_t valid_n;
    int rc;

    if (n > MAX_TEXT_BYTES) return lfm2__fail(tok->rt, LFM2_ERR_LIMIT, "tokenizer: a text of %zu bytes, allowed are 2^30", n);
    valid_n = lfm2__utf8_valid_n(text, n);
    if (valid_n != n) return lfm2__fail(tok->rt, LFM2_ERR_UTF8, "tokenizer: the text is not valid UTF-8 at byte %zu", valid_n);
    if (n == 0) text = ""; /* may be NULL, which is no pointer to add to */
    rc = lfm2__pretok_match_create(tok->pretok, n, &e.match);
    if (rc < 0) return rc;
    rc = encode_all(&e, text, n, ranges, n_ranges);
    lfm2__pretok_match_destroy(e.match);
    if (rc < 0) return rc;
    *n_ids = e.sink.n;
    return e.sink.n > e.sink.cap ? LFM2_ERR_RANGE : 0;
}

int lfm2_tokenizer_encode(const lfm2_tokenizer *tok, const char *text, size_t n, unsigned flags, int32_t *ids, size_t cap,
                          size_t *n_ids)
{
    const lfm2__trust_range all = {0, n, LFM2__TRUST_ALL};

    if (tok == NULL || (text == NULL && n > 0) || n_ids == NULL || (flags & ~LFM2_ENCODE_SPECIAL) != 0) return LFM2_ERR_ARG;
    return lfm2__tok_encode_ranges(tok, text, n, &all, flags & LFM2_ENCODE_SPECIAL ? 1 : 0, ids, cap, n_ids);
}

int lfm2_tokenizer_decode(const lfm2_tokenizer *tok, const int32_t *ids, size_t n_ids, unsigned flags, char **text, size_t *n)
{
    char chunk[3 * LFM2__MAX_TOKEN_BYTES + 12];
    lfm2_utf8_stream stream = {{0}, 0};
    lfm2__str out;
    size_t i, bytes_n = 0, chunk_n = 0;

    if (tok == NULL || (ids == NULL && n_ids > 0) || text == NULL || (flags & ~LFM2_DECODE_SPECIAL) != 0) return LFM2_ERR_ARG;
    lfm2__str_init(&out, tok->rt);
    for (i = 0; i < n_ids; i++) {
        const char *bytes = lfm2__vocab_bytes(&tok->vocab, ids[i], &bytes_n);

        if (bytes == NULL) {
            lfm2__str_fini(&out);
            return lfm2__fail(tok->rt, LFM2_ERR_RANGE, "tokenizer: ids[%zu] is %d, which is not defined", i, (int)ids[i]);
        }
        if (lfm2_tokenizer_is_special(tok, ids[i]) && !(flags & LFM2_DECODE_SPECIAL)) continue;
        lfm2_utf8_push(&stream, bytes, bytes_n, chunk, &chunk_n);
        lfm2__str_put(&out, chunk, chunk_n);
    }
    lfm2_utf8_finish(&stream, chunk, &chunk_n);
    lfm2__str_put(&out, chunk, chunk_n);
    if (out.status < 0) {
        lfm2__str_fini(&out);
        return LFM2_ERR_NOMEM;
    }
    return lfm2__str_take(&out, text, n);
}

void lfm2_tokenizer_free_text(const lfm2_tokenizer *tok, char *text)
{
    if (tok != NULL) lfm2__free(tok->rt, text);
}
