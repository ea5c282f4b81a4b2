/* SPDX-License-Identifier: Apache-2.0
 * What the writers of lfm2_see results share. */
#ifndef LFM2__WRITE_SEE_IMPL_H
#define LFM2__WRITE_SEE_IMPL_H

#include "lfm2/see.h"
#include "pipeline/write_impl.h"

/* A document on its way out. */
typedef struct lfm2__see_doc {
    lfm2__sink sink;
    const lfm2_see_item *items;
    int32_t n_items;
} lfm2__see_doc;

/* How a format begins, writes item i, ends. Each appends to doc->sink.s. */
typedef void lfm2__see_doc_fn(lfm2__see_doc *doc);
typedef void lfm2__see_item_fn(lfm2__see_doc *doc, int32_t i);

lfm2__see_doc_fn lfm2__hocr_begin, lfm2__hocr_end, lfm2__alto_begin, lfm2__alto_end, lfm2__tsv_begin;
lfm2__see_item_fn lfm2__hocr_item, lfm2__alto_item, lfm2__tsv_item;

/* 1 if any of its images was cut short or damaged. */
int lfm2__see_is_partial(const lfm2_see_result *r);

/* Walking the lines of an item for the formats with boxes. Without layout lines they are those of its text, and all have the page
 * as their box. Zeroed to start. */
typedef struct lfm2__see_cursor {
    int32_t line; /* number of the next one, from 0 */
    size_t at;    /* byte of the text it begins at */
} lfm2__see_cursor;

typedef struct lfm2__see_place {
    const char *text;
    size_t n;
    lfm2_text_box box, block_box; /* within the page; of the line, and of the block that begins with it */
    int opens_block;
    float confidence;
    lfm2_stop stop;
} lfm2__see_place;

/* The next line; 0 when there is none left. */
int lfm2__see_next(const lfm2_see_item *item, lfm2__see_cursor *cursor, lfm2__see_place *out);

/* 0, 0, width, height. */
lfm2_text_box lfm2__see_page_box(const lfm2_see_item *item);

#endif
