/* SPDX-License-Identifier: Apache-2.0
 * From tokens to text and words: words are what stands between blanks, and belong to the tokens that their characters came from. */
#include <string.h>

#include "pipeline/hear_impl.h"

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A segment with its runtime. */
typedef struct outcome {
    lfm2_segment s;
    lfm2_runtime *rt;
} outcome;

/* Where a word begins and ends in the text, and what its tokens were worth. */
typedef struct piece {
    size_t first, n;
    double sum_logprob;
    int32_t n_tok;
} piece;

typedef struct builder {
    lfm2_runtime *rt;
    lfm2__str text;
    lfm2_utf8_stream utf8;
    piece *pieces;
    int32_t n_pieces, cap_pieces;
    int in_word;
} builder;

static int begin_word(builder *b, size_t first)
{
    if (b->n_pieces == b->cap_pieces) {
        const int32_t cap = b->cap_pieces > 0 ? 2 * b->cap_pieces : 64;
        piece *grown = lfm2__grow(b->rt, b->pieces, (size_t)b->cap_pieces * sizeof(piece), (size_t)cap * sizeof(piece));
        if (!grown) return LFM2_ERR_NOMEM;
        b->pieces = grown;
        b->cap_pieces = cap;
    }
    b->pieces[b->n_pieces++] = (piece){.first = first};
    b->in_word = 1;
    return 0;
}

/* Text that came of a token: the word of its first character that is no blank is the token's. */
static int put_text(builder *b, const char *text, size_t n, int32_t *word)
{
    *word = -1;
    for (size_t i = 0; i < n; i++) {
        if (is_blank(text[i])) {
            b->in_word = 0;
            if (b->text.n == 0) continue; /* none at the beginning */
        } else {
            int rc = b->in_word ? 0 : begin_word(b, b->text.n);
            if (rc < 0) return rc;
            b->pieces[b->n_pieces - 1].n++;
            if (*word < 0) *word = b->n_pieces - 1;
        }
        lfm2__str_put(&b->text, &text[i], 1);
    }
    return b->text.status;
}

static int put_token(builder *b, const lfm2_tokenizer *tok, const lfm2__hear_token *token, int32_t *word)
{
    char out[256];
    size_t n = 0, n_out = 0;
    *word = -1;
    const char *bytes = lfm2_tokenizer_is_special(tok, token->id) ? NULL : lfm2_tokenizer_bytes(tok, token->id, &n);
    int rc = 0;
    for (size_t i = 0; bytes && rc == 0 && i < n;) { /* a token may be long: in pieces that fit */
        const size_t part = n - i < 64 ? n - i : 64;
        int32_t first = -1;
        lfm2_utf8_push(&b->utf8, bytes + i, part, out, &n_out);
        rc = put_text(b, out, n_out, &first);
        if (*word < 0) *word = first;
        i += part;
    }
    if (rc < 0 || !bytes) return rc;
    if (*word < 0 && b->utf8.n_held > 0 && b->in_word) *word = b->n_pieces - 1; /* half a character of that word */
    if (*word < 0) return 0;
    b->pieces[*word].sum_logprob += (double)token->logprob;
    b->pieces[*word].n_tok++;
    return 0;
}

static int put_tokens(builder *b, const lfm2_hear *h, const lfm2__hear_token *tokens, int32_t n_tok, int32_t *word_of_tok)
{
    char out[12];
    size_t n_out = 0;
    int32_t word = -1;
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < n_tok; i++) {
        rc = put_token(b, h->tok, &tokens[i], &word);
        if (word_of_tok) word_of_tok[i] = word;
    }
    if (rc == 0) {
        lfm2_utf8_finish(&b->utf8, out, &n_out);
        rc = put_text(b, out, n_out, &word);
    }
    while (b->text.n > 0 && is_blank(b->text.data[b->text.n - 1])) b->text.data[--b->text.n] = '\0';
    return rc;
}

static void builder_fini(builder *b)
{
    lfm2__str_fini(&b->text);
    lfm2__free(b->rt, b->pieces);
}

int lfm2__hear_text(const lfm2_hear *h, const lfm2__hear_token *tokens, int32_t n_tok, lfm2__str *out)
{
    builder b = {.rt = h->rt};
    lfm2__str_init(&b.text, h->rt);
    int rc = put_tokens(&b, h, tokens, n_tok, NULL);
    out->n = 0;
    if (rc == 0) {
        lfm2__str_put(out, b.text.data ? b.text.data : "", b.text.n);
        rc = out->status;
    }
    builder_fini(&b);
    return rc;
}

static int copy_words(lfm2_hear *h, const builder *b, outcome *o)
{
    if (b->n_pieces == 0) return 0;
    o->s.words = lfm2__calloc(o->rt, (size_t)b->n_pieces, sizeof(*o->s.words));
    if (!o->s.words) return LFM2_ERR_NOMEM;
    for (int32_t i = 0; i < b->n_pieces; i++) {
        const piece *p = &b->pieces[i];
        lfm2_word *w = &o->s.words[i];
        w->text = lfm2__strndup(o->rt, b->text.data + p->first, p->n);
        if (!w->text) return LFM2_ERR_NOMEM;
        o->s.n_words = i + 1;
        w->start_us = w->end_us = -1;
        w->confidence = lfm2__confidence_of(&h->confidence, p->sum_logprob, p->n_tok);
    }
    return 0;
}

int lfm2__hear_segment_create(lfm2_hear *h, const lfm2__hear_take *take, int32_t *word_of_tok, lfm2_segment **out)
{
    builder b = {.rt = h->rt};
    double sum = 0;
    lfm2__str_init(&b.text, h->rt);
    outcome *o = lfm2__calloc(h->rt, 1, sizeof(*o));
    if (!o) return LFM2_ERR_NOMEM;
    o->rt = h->rt;
    int rc = put_tokens(&b, h, take->tokens, take->n_tok, word_of_tok);
    if (rc == 0) rc = copy_words(h, &b, o);
    if (rc == 0) rc = lfm2__str_take(&b.text, &o->s.text, NULL);
    builder_fini(&b);
    if (rc < 0) {
        lfm2_segment_destroy(&o->s);
        return rc;
    }
    for (int32_t i = 0; i < take->n_tok; i++) sum += (double)take->tokens[i].logprob;
    o->s.channel = take->channel;
    o->s.start_us = lfm2__hear_us(take->start_sample);
    o->s.end_us = lfm2__hear_us(take->end_sample);
    o->s.stop = take->stop;
    o->s.n_tok = take->n_tok;
    o->s.avg_logprob = take->n_tok > 0 ? sum / take->n_tok : 0;
    o->s.confidence = take->n_tok > 0 ? lfm2__confidence_of(&h->confidence, sum, take->n_tok) : 0;
    for (int32_t i = 0; i < o->s.n_words; i++) { /* a word that shares its token with the one before */
        if (o->s.words[i].confidence < 0) o->s.words[i].confidence = o->s.confidence;
    }
    *out = &o->s;
    return 0;
}

void lfm2_segment_destroy(lfm2_segment *s)
{
    outcome *o = (outcome *)(void *)s; /* its first member */
    if (!s) return;
    for (int32_t i = 0; i < s->n_words; i++) lfm2__free(o->rt, s->words[i].text);
    lfm2__free(o->rt, s->words);
    lfm2__free(o->rt, s->text);
    lfm2__free(o->rt, o);
}
