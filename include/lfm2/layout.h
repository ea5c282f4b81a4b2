/* SPDX-License-Identifier: Apache-2.0
 * Finding the lines of text on a page. */
#ifndef LFM2_LAYOUT_H
#define LFM2_LAYOUT_H

#include "lfm2/image.h"

LFM2_BEGIN_DECLS

typedef struct lfm2_layout_params {
    int32_t min_line_px;  /* lower lines are dirt; >= 1 */
    int32_t max_lines;    /* more are LFM2_ERR_LIMIT; >= 1 */
    double max_skew_deg;  /* how far a page may be turned and still be set straight; 0..45 */
} lfm2_layout_params;

LFM2_API lfm2_layout_params lfm2_layout_params_default(void); /* 5 px, 5,000 lines, 10 degrees */

typedef struct lfm2_text_box {
    int32_t x, y, w, h; /* px of the page as given: the upright box around the line */
    int32_t block;      /* paragraph or column, 0.., in reading order */
} lfm2_text_box;

typedef struct lfm2_layout lfm2_layout;

/* Find the lines, in reading order (columns from left to right). Light on dark is seen as such. page: borrowed for the call.
 * A page without text gives 0 lines. Returns 0; LFM2_ERR_ARG; LFM2_ERR_LIMIT; LFM2_ERR_UNSUPPORTED (built without leptonica);
 * LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. */
LFM2_API int lfm2_layout_find(lfm2_runtime *rt, const lfm2_image *page, const lfm2_layout_params *params, lfm2_layout **out);
LFM2_API void lfm2_layout_destroy(lfm2_layout *l); /* NULL is allowed */

LFM2_API int32_t lfm2_layout_n_lines(const lfm2_layout *l);
LFM2_API const lfm2_text_box *lfm2_layout_box(const lfm2_layout *l, int32_t line); /* NULL beyond the end */
LFM2_API double lfm2_layout_skew_deg(const lfm2_layout *l); /* of the page, counter-clockwise */

/* The picture of one line, set straight, with a little of its surroundings, cut from the colours of the page. *out: release with
 * lfm2_image_fini(). Returns 0; LFM2_ERR_ARG; LFM2_ERR_NOMEM. */
LFM2_API int lfm2_layout_line_image(const lfm2_layout *l, int32_t line, lfm2_image *out);

LFM2_END_DECLS

#endif
