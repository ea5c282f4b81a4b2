/* SPDX-License-Identifier: Apache-2.0
 * Writing down what was seen: text, Markdown, JSON. */
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/write_see_impl.h"

static const char *task_name(lfm2_see_task task)
{
    static const char *const names[] = {"caption", "ocr", "ask"};
    return names[task];
}

static int is_complete(const lfm2_see_result *r)
{
    return r->stop == LFM2_STOP_EOS;
}

int lfm2__see_is_partial(const lfm2_see_result *r)
{
    for (int32_t i = 0; i < r->n_images; i++) {
        if (r->images[i].partial) return 1;
    }
    return 0;
}

/* --- text --- */

static void text_item(lfm2__see_doc *doc, int32_t i)
{
    lfm2__str *s = &doc->sink.s;
    const lfm2_see_result *r = doc->items[i].result;
    if (i > 0 && r->task == LFM2_SEE_OCR) lfm2__str_puts(s, "\f");
    const size_t n = strlen(r->text);
    lfm2__put_plain(s, r->text, n);
    if (n > 0 && r->text[n - 1] != '\n') lfm2__str_puts(s, "\n");
}

/* --- Markdown --- */

/* Bytes at the begin of a line that would make it a heading, a list, a quotation and the like; the last of them wants a
 * backslash. */
static size_t block_mark(const char *text, size_t n)
{
    size_t i = 0;
    while (i < n && text[i] >= '0' && text[i] <= '9') i++;
    if (i > 0) return i < n && (text[i] == '.' || text[i] == ')') ? i + 1 : 0;
    return n > 0 && strchr("#+->=:", text[0]) != NULL ? 1 : 0;
}

/* One line of plain text as Markdown that shows it as it is. */
static void put_literal(lfm2__str *s, const char *text, size_t n)
{
    const size_t blanks = strspn(text, " "); /* four of them would make it code */
    const size_t mark = block_mark(text + blanks, n - blanks);
    for (size_t i = blanks; i < n; i++) {
        if (i + 1 == blanks + mark || strchr("\\`*_[]<&~$", text[i]) != NULL) lfm2__str_puts(s, "\\");
        lfm2__str_put(s, text + i, 1);
    }
}

static void put_literal_cell(lfm2__str *s, const char *text)
{
    lfm2__str safe;
    lfm2__str_init(&safe, s->rt);
    lfm2__put_cell(&safe, text, strlen(text));
    if (safe.status < 0) s->status = safe.status;
    if (safe.n > 0) put_literal(s, safe.data, safe.n);
    lfm2__str_fini(&safe);
}

/* The model's own Markdown, which may hold what a picture told it to write: no HTML, and no image that a viewer would fetch. */
static void put_markdown(lfm2__str *s, const char *text)
{
    lfm2__str safe;
    lfm2__str_init(&safe, s->rt);
    lfm2__put_plain(&safe, text, strlen(text));
    if (safe.status < 0) s->status = safe.status;
    for (size_t i = 0; i < safe.n; i++) {
        const char c = safe.data[i];
        if (c == '<') {
            lfm2__str_puts(s, "&lt;");
            continue;
        }
        if (c == '!' && i + 1 < safe.n && safe.data[i + 1] == '[') lfm2__str_puts(s, "\\");
        lfm2__str_put(s, &c, 1);
    }
    if (safe.n > 0 && safe.data[safe.n - 1] != '\n') lfm2__str_puts(s, "\n");
    lfm2__str_fini(&safe);
}

static void md_heading(lfm2__str *s, const lfm2_see_item *item)
{
    lfm2__str_puts(s, "## ");
    put_literal_cell(s, item->file);
    if (item->page >= 0) lfm2__str_printf(s, ", page %lld", (long long)item->page + 1);
    if (item->pts_us >= 0) {
        lfm2__str_puts(s, ", at ");
        lfm2__str_put_fixed(s, item->pts_us / 1000, 3);
        lfm2__str_puts(s, " s");
    }
    lfm2__str_puts(s, "\n\n");
}

static void md_item(lfm2__see_doc *doc, int32_t i)
{
    lfm2__str *s = &doc->sink.s;
    const lfm2_see_result *r = doc->items[i].result;
    if (i > 0) lfm2__str_puts(s, "\n");
    if (doc->n_items > 1) md_heading(s, &doc->items[i]);
    if (r->layout == LFM2_SEE_LINES) {
        for (int32_t k = 0; k < r->n_lines; k++) {
            const int ends_block = k + 1 == r->n_lines || r->lines[k + 1].box.block != r->lines[k].box.block;
            put_literal_cell(s, r->lines[k].text);
            lfm2__str_puts(s, ends_block ? "\n" : "\\\n"); /* a backslash before the end keeps the line break */
            if (ends_block && k + 1 < r->n_lines) lfm2__str_puts(s, "\n");
        }
    } else {
        put_markdown(s, r->text);
    }
    const char *gap = r->text[0] != '\0' ? "\n" : "";
    if (r->blank) {
        lfm2__str_printf(s, "%s> No text was found.\n", gap);
        gap = "\n";
    }
    if (!is_complete(r)) {
        lfm2__str_printf(s, "%s> Incomplete: stopped by %s.\n", gap, lfm2_stop_name(r->stop));
        gap = "\n";
    }
    if (lfm2__see_is_partial(r)) lfm2__str_printf(s, "%s> The image file is cut short or damaged.\n", gap);
}

/* --- JSON --- */

static void json_confidence(lfm2__str *s, float confidence)
{
    lfm2__member_fixed(s, "confidence", lfm2__confidence_fixed(confidence, 4), 4);
}

static void json_tiles(lfm2__str *s, const lfm2_see_image_info *image)
{
    lfm2__member(s, "tiles");
    lfm2__str_printf(s, "[%d,%d]", image->tile_cols, image->tile_rows);
}

static void json_lines(lfm2__str *s, const lfm2_see_result *r)
{
    lfm2__member(s, "lines");
    lfm2__str_puts(s, "[");
    for (int32_t i = 0; i < r->n_lines; i++) {
        const lfm2_see_line *line = &r->lines[i];
        lfm2__str_puts(s, i > 0 ? ",{" : "{");
        lfm2__member_text(s, "text", line->text);
        lfm2__member(s, "box");
        lfm2__str_printf(s, "[%d,%d,%d,%d]", line->box.x, line->box.y, line->box.w, line->box.h);
        json_confidence(s, line->confidence);
        if (line->stop != LFM2_STOP_EOS) lfm2__member_text(s, "stop", lfm2_stop_name(line->stop));
        lfm2__str_puts(s, "}");
    }
    lfm2__str_puts(s, "]");
}

static void json_images(lfm2__str *s, const lfm2_see_result *r)
{
    lfm2__member(s, "images");
    lfm2__str_puts(s, "[");
    for (int32_t i = 0; i < r->n_images; i++) {
        const lfm2_see_image_info *image = &r->images[i];
        lfm2__str_puts(s, i > 0 ? ",{" : "{");
        lfm2__member_int(s, "width", image->width);
        lfm2__member_int(s, "height", image->height);
        json_tiles(s, image);
        lfm2__member_int(s, "tokens", image->n_tok);
        lfm2__member_int(s, "inputs", image->n_inputs);
        lfm2__member_int(s, "cached", image->n_cached);
        if (image->partial) lfm2__member_true(s, "partial");
        lfm2__str_puts(s, "}");
    }
    lfm2__str_puts(s, "]");
}

static void json_timing(lfm2__str *s, const lfm2_see_item *item)
{
    const lfm2_see_result *r = item->result;
    lfm2__member(s, "timing_ms");
    lfm2__str_puts(s, "{");
    lfm2__member_fixed(s, "load", item->load_us, 3);
    lfm2__member_fixed(s, "decode", item->decode_us, 3);
    lfm2__member_fixed(s, "preprocess", r->preprocess_us, 3);
    lfm2__member_fixed(s, "encode", r->encode_us, 3);
    lfm2__member_fixed(s, "prefill", r->prefill_us, 3);
    lfm2__member_fixed(s, "generate", r->generate_us, 3);
    lfm2__str_puts(s, "}");
}

static void json_object(lfm2__str *s, const lfm2_see_item *item)
{
    static const lfm2_see_image_info none = {0};
    const lfm2_see_result *r = item->result;
    lfm2__str_puts(s, "{\"schema_version\":1");
    lfm2__member_text(s, "file", item->file);
    if (item->page >= 0) lfm2__member_int(s, "page", (int64_t)item->page + 1);
    if (item->pts_us >= 0) lfm2__member_fixed(s, "time_ms", item->pts_us, 3);
    lfm2__member_text(s, "task", task_name(r->task));
    lfm2__member_text(s, "text", r->text);
    if (r->blank) lfm2__member_true(s, "blank");
    lfm2__member_text(s, "stop", lfm2_stop_name(r->stop));
    lfm2__member(s, "tokens");
    lfm2__str_puts(s, "{");
    lfm2__member_int(s, "image", r->n_image_tok);
    json_tiles(s, r->n_images > 0 ? &r->images[0] : &none);
    lfm2__member_int(s, "prompt", r->n_prompt_tok);
    lfm2__member_int(s, "output", r->n_output_tok);
    lfm2__str_puts(s, "}");
    json_confidence(s, r->confidence);
    json_lines(s, r);
    json_images(s, r);
    json_timing(s, item);
    lfm2__str_puts(s, "}");
}

static void json_begin(lfm2__see_doc *doc)
{
    if (doc->n_items != 1) lfm2__str_puts(&doc->sink.s, "[");
}

static void json_item(lfm2__see_doc *doc, int32_t i)
{
    if (i > 0) lfm2__str_puts(&doc->sink.s, ",\n");
    json_object(&doc->sink.s, &doc->items[i]);
}

static void json_end(lfm2__see_doc *doc)
{
    lfm2__str_puts(&doc->sink.s, doc->n_items != 1 ? "]\n" : "\n");
}

static void jsonl_item(lfm2__see_doc *doc, int32_t i)
{
    json_object(&doc->sink.s, &doc->items[i]);
    lfm2__str_puts(&doc->sink.s, "\n");
}

/* --- all of them --- */

typedef struct see_format {
    lfm2__see_doc_fn *begin;
    lfm2__see_item_fn *item;
    lfm2__see_doc_fn *end;
} see_format;

static const see_format formats[] = {
    [LFM2_SEE_FORMAT_TEXT] = {NULL, text_item, NULL},
    [LFM2_SEE_FORMAT_JSON] = {json_begin, json_item, json_end},
    [LFM2_SEE_FORMAT_JSONL] = {NULL, jsonl_item, NULL},
    [LFM2_SEE_FORMAT_MD] = {NULL, md_item, NULL},
    [LFM2_SEE_FORMAT_HOCR] = {lfm2__hocr_begin, lfm2__hocr_item, lfm2__hocr_end},
    [LFM2_SEE_FORMAT_ALTO] = {lfm2__alto_begin, lfm2__alto_item, lfm2__alto_end},
    [LFM2_SEE_FORMAT_TSV] = {lfm2__tsv_begin, lfm2__tsv_item, NULL},
};

static int is_valid(const lfm2_see_item *item)
{
    const lfm2_see_result *r = item->result;
    if (item->file == NULL || r == NULL || r->text == NULL) return 0;
    if ((unsigned)r->task > LFM2_SEE_ASK || (unsigned)r->stop > LFM2_STOP_ABORT || r->n_lines < 0 || r->n_images < 0) return 0;
    if ((r->n_lines > 0 && r->lines == NULL) || (r->n_images > 0 && r->images == NULL)) return 0;
    for (int32_t i = 0; i < r->n_lines; i++) {
        if (r->lines[i].text == NULL || (unsigned)r->lines[i].stop > LFM2_STOP_ABORT) return 0;
    }
    return 1;
}

int lfm2_see_write(lfm2_runtime *rt, lfm2_see_format format, const lfm2_see_item *items, int32_t n_items,
                   int (*write)(void *ctx, const char *bytes, size_t n), void *ctx)
{
    if (rt == NULL || write == NULL || n_items < 0 || (n_items > 0 && items == NULL)) return LFM2_ERR_ARG;
    if ((size_t)format >= LFM2__COUNT_OF(formats)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "see: format %d does not exist", (int)format);
    }
    for (int32_t i = 0; i < n_items; i++) {
        if (!is_valid(&items[i])) return lfm2__fail(rt, LFM2_ERR_ARG, "see: result %d cannot be written: a part is missing", i);
    }
    const see_format *f = &formats[format];
    lfm2__see_doc doc = {.items = items, .n_items = n_items};
    lfm2__sink_init(&doc.sink, rt, write, ctx);
    if (f->begin != NULL) f->begin(&doc);
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < n_items; i++) {
        f->item(&doc, i);
        rc = lfm2__sink_flush(&doc.sink);
    }
    if (rc == 0 && f->end != NULL) f->end(&doc);
    if (rc == 0) rc = lfm2__sink_flush(&doc.sink);
    lfm2__sink_fini(&doc.sink);
    return rc;
}
