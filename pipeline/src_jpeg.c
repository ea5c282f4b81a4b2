/* SPDX-License-Identifier: Apache-2.0
 * JPEG through the libjpeg interface of libjpeg-turbo. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "base/runtime_impl.h"
#include "pipeline/image_impl.h"

#define APP1 (JPEG_APP0 + 1)
#define MARKER_BYTES 65533 /* most that one can hold */

/* All that lives across a longjmp. */
typedef struct jpeg_reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf on_failure;
    const lfm2__image_src *src;
    lfm2__raster raster;   /* pixels NULL: not begun */
    unsigned char *cmyk;   /* one row */
    int32_t n_rows;        /* decoded */
    int is_damaged;
    int status;            /* what to return if libjpeg gives up */
} jpeg_reader;

static void give_up(jpeg_reader *r, int status)
{
    r->status = status;
    longjmp(r->on_failure, 1);
}

static void on_error(j_common_ptr jpeg)
{
    jpeg_reader *r = jpeg->client_data;
    char message[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, message);
    const int status = jpeg->err->msg_code == JERR_OUT_OF_MEMORY ? LFM2_ERR_NOMEM
                       : jpeg->err->msg_code == JERR_IMAGE_TOO_BIG ? LFM2_ERR_LIMIT
                                                                   : LFM2_ERR_FORMAT;
    give_up(r, lfm2__fail(r->src->rt, status, "%s: jpeg: %s", r->src->name, message));
}

/* Level -1 is a warning; those about missing or broken image data mean that pixels were made up. */
static void on_message(j_common_ptr jpeg, int level)
{
    jpeg_reader *r = jpeg->client_data;
    if (level >= 0) return;
    switch (jpeg->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC: r->is_damaged = 1; break;
    default: break;
    }
}

static void on_text(j_common_ptr jpeg)
{
    (void)jpeg;
}

/* Called for each row of blocks, also of the scans of a progressive image. */
static void on_progress(j_common_ptr jpeg)
{
    jpeg_reader *r = jpeg->client_data;
    if (lfm2__aborted(r->src->rt)) give_up(r, LFM2_ERR_ABORTED);
    if (r->jpeg.input_scan_number > r->src->params->max_scans) {
        give_up(r, lfm2__fail(r->src->rt, LFM2_ERR_LIMIT, "%s: jpeg: over %d scans", r->src->name, (int)r->src->params->max_scans));
    }
}

/* Each block of a Huffman-coded image takes a bit at least: memory is asked for only if the file has as many. */
static void check_blocks(jpeg_reader *r)
{
    uint64_t n_blocks = 0;
    if (r->jpeg.arith_code) return;
    for (int i = 0; i < r->jpeg.num_components; i++) {
        n_blocks += (uint64_t)r->jpeg.comp_info[i].width_in_blocks * r->jpeg.comp_info[i].height_in_blocks;
    }
    if (n_blocks / 8 > r->src->n) {
        give_up(r, lfm2__fail(r->src->rt, LFM2_ERR_FORMAT, "%s: jpeg: too few bytes for an image of its size", r->src->name));
    }
}

static int32_t orientation(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m != NULL; m = m->next) {
        if (m->marker == APP1 && m->data_length >= 6 && memcmp(m->data, "Exif\0\0", 6) == 0) {
            return lfm2__exif_orientation(m->data, m->data_length);
        }
    }
    return 1;
}

static void read_header(jpeg_reader *r)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    jpeg_save_markers(jpeg, APP1, MARKER_BYTES);
    jpeg_read_header(jpeg, TRUE);
    int rc = lfm2__image_check_size(r->src, jpeg->image_width, jpeg->image_height);
    if (rc < 0) give_up(r, rc);
    check_blocks(r);
    const int is_cmyk = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
    rc = lfm2__raster_create(r->src, jpeg->image_width, jpeg->image_height, 3, &r->raster);
    if (rc < 0) give_up(r, rc);
    r->raster.orientation = orientation(jpeg);
    if (is_cmyk) {
        r->cmyk = lfm2__calloc(r->src->rt, jpeg->image_width, 4);
        if (r->cmyk == NULL) give_up(r, lfm2__fail(r->src->rt, LFM2_ERR_NOMEM, "%s: jpeg: out of memory", r->src->name));
    }
}

/* Inks are stored inverted, as Adobe began it and all that write such files do: 255 is no ink. */
static void cmyk_to_rgb(const unsigned char *cmyk, int32_t width, unsigned char *rgb)
{
    for (int32_t x = 0; x < width; x++, cmyk += 4, rgb += 3) {
        const unsigned k = cmyk[3];
        for (int c = 0; c < 3; c++) rgb[c] = (unsigned char)(k - ((255u - cmyk[c]) * k + 127) / 255);
    }
}

static void read_rows(jpeg_reader *r)
{
    while (r->n_rows < r->raster.height) {
        if (lfm2__aborted(r->src->rt)) give_up(r, LFM2_ERR_ABORTED);
        unsigned char *row = (unsigned char *)lfm2_buf_data(r->raster.pixels) + (size_t)r->n_rows * (size_t)r->raster.width * 3;
        JSAMPROW rows[1] = {r->cmyk != NULL ? r->cmyk : row};
        if (jpeg_read_scanlines(&r->jpeg, rows, 1) != 1) give_up(r, LFM2_ERR_FORMAT);
        if (r->cmyk != NULL) cmyk_to_rgb(r->cmyk, r->raster.width, row);
        r->n_rows++;
    }
}

/* Returns 0, or r->status where libjpeg gave up. */
static int read_image(jpeg_reader *r)
{
    if (setjmp(r->on_failure)) return r->status;
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.progress = &r->progress;
    jpeg_mem_src(&r->jpeg, r->src->data, r->src->n);
    read_header(r);
    jpeg_start_decompress(&r->jpeg);
    read_rows(r);
    jpeg_finish_decompress(&r->jpeg);
    return 0;
}

int lfm2__jpeg_decode(const lfm2__image_src *src, lfm2__raster *out)
{
    jpeg_reader r = {.src = src, .progress = {.progress_monitor = on_progress}};
    r.jpeg.err = jpeg_std_error(&r.errors);
    r.jpeg.client_data = &r;
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    r.errors.output_message = on_text;
    int rc = read_image(&r);
    jpeg_destroy_decompress(&r.jpeg);
    lfm2__free(src->rt, r.cmyk);
    if (rc == LFM2_ERR_FORMAT && r.n_rows > 0) { /* what there is, marked */
        lfm2__raster_clear_from(&r.raster, r.n_rows);
        r.is_damaged = 1;
        rc = 0;
    }
    if (rc < 0) {
        lfm2_buf_unref(&r.raster.pixels);
        return rc;
    }
    r.raster.partial = r.is_damaged;
    *out = r.raster;
    return 0;
}
