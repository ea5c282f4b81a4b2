/* SPDX-License-Identifier: Apache-2.0
 * From a rendered prompt to ids: the texts between its slots one by one, each with what may be recognised in it. */
#include "base/runtime_impl.h"
#include "tokenizers/chat.h"

/* Where a prompt is being written to. */
typedef struct id_list {
    int32_t *ids;
    size_t cap, n; /* n counts on beyond cap */
} id_list;

static void put_id(id_list *out, int32_t id)
{
    if (out->n < out->cap) out->ids[out->n] = id;
    out->n++;
}

/* Ranges of p within begin..end, as seen from begin. *next: the first that can still matter, moved on. */
static size_t clip_ranges(const lfm2__prompt *p, size_t begin, size_t end, size_t *next, lfm2__trust_range *out)
{
    size_t n = 0, i;

    while (*next < p->n_ranges && p->ranges[*next].end <= begin) (*next)++;
    for (i = *next; i < p->n_ranges && p->ranges[i].begin < end; i++) {
        const lfm2__trust_range *r = &p->ranges[i];
        const size_t b = r->begin > begin ? r->begin : begin, e = r->end < end ? r->end : end;

        if (b < e) out[n++] = (lfm2__trust_range){b - begin, e - begin, r->trust};
    }
    return n;
}

static int put_text(const lfm2_tokenizer *tok, const char *text, size_t n, const lfm2__trust_range *ranges, size_t n_ranges,
                    id_list *out)
{
    const size_t done = out->n < out->cap ? out->n : out->cap;
    size_t n_ids = 0;
    int rc;

    rc = lfm2__tok_encode_ranges(tok, text, n, ranges, n_ranges, out->cap > done ? out->ids + done : NULL, out->cap - done, &n_ids);
    if (rc < 0 && rc != LFM2_ERR_RANGE) return rc;
    out->n += n_ids;
    return 0;
}

int lfm2__prompt_encode(const lfm2_tokenizer *tok, const lfm2__prompt *p, int trust_all, int32_t *ids, size_t cap, size_t *n_ids)
{
    id_list out = {ids, ids != NULL ? cap : 0, 0};
    lfm2__trust_range *ranges = lfm2__calloc(tok->rt, p->n_ranges + 1, sizeof(*ranges));
    size_t i, begin = 0, next = 0;
    int rc = ranges == NULL ? LFM2_ERR_NOMEM : 0;

    for (i = 0; rc == 0 && i <= p->n_slots; i++) {
        const size_t end = i < p->n_slots ? p->slots[i].at : p->text.n;
        size_t n_ranges = 1;

        if (trust_all) ranges[0] = (lfm2__trust_range){0, end - begin, LFM2__TRUST_ALL};
        else n_ranges = clip_ranges(p, begin, end, &next, ranges);
        if (end > begin) rc = put_text(tok, p->text.data + begin, end - begin, ranges, n_ranges, &out);
        if (i < p->n_slots) put_id(&out, p->slots[i].id);
        begin = end;
    }
    lfm2__free(tok->rt, ranges);
    if (rc < 0) return rc;
    *n_ids = out.n;
    return out.n > out.cap ? LFM2_ERR_RANGE : 0;
}
