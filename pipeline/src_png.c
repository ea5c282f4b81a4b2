/* SPDX-License-Identifier: Apache-2.0
 * PNG through libpng's classic interface. Of its chunks only those that change pixels or orientation are looked at. */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "base/runtime_impl.h"
#include "pipeline/image_impl.h"

#define MAX_CHUNK_BYTES (8u << 20) /* of one that libpng keeps: PLTE, tRNS, eXIf */
#define MAX_PIXEL_BYTES 8
#define MAX_KEPT_CHUNKS 16
#define MAX_DEFLATE_RATIO 1032 /* no deflate stream grows by more */

/* All that lives across a longjmp. */
typedef struct png_reader {
    const lfm2__image_src *src;
    size_t at; /* next byte of src->data */
    png_structp png;
    png_infop info;
    lfm2__raster raster; /* pixels NULL: not begun */
    int32_t n_rows;      /* whole rows of the last pass that is begun; of the first if it has not ended */
    int has_pass;        /* a pass over the whole image is complete */
    int status;          /* what to return if libpng gives up */
} png_reader;

static void on_error(png_structp png, png_const_charp message)
{
    png_reader *r = png_get_error_ptr(png);
    if (r->status == LFM2_ERR_FORMAT) (void)lfm2__fail(r->src->rt, r->status, "%s: png: %s", r->src->name, message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    png_reader *r = png_get_error_ptr(png);
    lfm2__log(r->src->rt, LFM2_LOG_DEBUG, "%s: png: %s", r->src->name, message);
}

/* Leave libpng with a status of our own, already in the log. */
static void give_up(png_reader *r, int status)
{
    r->status = status;
    png_error(r->png, "given up");
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t n_bytes)
{
    png_reader *r = png_get_mem_ptr(png);
    /* libpng only warns of a chunk over its limit, and asks for as many bytes as the chunk claims to have. */
    if (n_bytes > MAX_CHUNK_BYTES + (png_alloc_size_t)2 * MAX_PIXEL_BYTES * (png_alloc_size_t)r->src->params->max_side) return NULL;
    void *p = lfm2__alloc(r->src->rt, n_bytes);
    if (p == NULL) r->status = lfm2__fail(r->src->rt, LFM2_ERR_NOMEM, "%s: png: out of memory", r->src->name);
    return p;
}

static void on_free(png_structp png, png_voidp p)
{
    const png_reader *r = png_get_mem_ptr(png);
    lfm2__free(r->src->rt, p);
}

static void on_read(png_structp png, png_bytep out, size_t n)
{
    png_reader *r = png_get_io_ptr(png);
    if (n > r->src->n - r->at) png_error(png, "is cut short");
    memcpy(out, r->src->data + r->at, n);
    r->at += n;
}

static void set_limits(png_structp png)
{
    static const png_byte skipped[] = "bKGD\0cHRM\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0"
                                      "pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0tEXt\0tIME\0zTXt";
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours are stricter, and say so */
    png_set_chunk_malloc_max(png, MAX_CHUNK_BYTES);
    png_set_chunk_cache_max(png, MAX_KEPT_CHUNKS);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, skipped, (int)(sizeof skipped / 5));
}

/* Everything to 8 bits of RGB or RGBA. Of 16 bits the upper 8 are taken, as the reference does. */
static void set_transforms(png_structp png, png_infop info)
{
    const int color = png_get_color_type(png, info);
    png_set_expand(png);
    png_set_strip_16(png);
    if (!(color & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
}

static void read_header(png_reader *r)
{
    png_read_info(r->png, r->info);
    const png_uint_32 width = png_get_image_width(r->png, r->info), height = png_get_image_height(r->png, r->info);
    int rc = lfm2__image_check_size(r->src, width, height);
    if (rc < 0) give_up(r, rc);
    if ((uint64_t)png_get_rowbytes(r->png, r->info) * height / MAX_DEFLATE_RATIO > r->src->n) {
        png_error(r->png, "too few bytes for an image of its size");
    }
    const int has_alpha = (png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_ALPHA) != 0;
    const int n_channels = has_alpha || png_get_valid(r->png, r->info, PNG_INFO_tRNS) ? 4 : 3;
    set_transforms(r->png, r->info);
    const int n_passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) != (size_t)width * (size_t)n_channels) png_error(r->png, "rows of an unexpected length");
    rc = lfm2__raster_create(r->src, width, height, n_channels, &r->raster);
    if (rc < 0) give_up(r, rc);
    if (n_passes > 1) lfm2__raster_clear_from(&r->raster, 0);
}

static void read_rows(png_reader *r)
{
    const int n_passes = png_get_interlace_type(r->png, r->info) == PNG_INTERLACE_NONE ? 1 : PNG_INTERLACE_ADAM7_PASSES;
    const size_t row_bytes = png_get_rowbytes(r->png, r->info);
    for (int pass = 0; pass < n_passes; pass++) {
        for (int32_t y = 0; y < r->raster.height; y++) {
            if (lfm2__aborted(r->src->rt)) give_up(r, LFM2_ERR_ABORTED);
            unsigned char *row = (unsigned char *)lfm2_buf_data(r->raster.pixels) + row_bytes * (size_t)y;
            png_read_row(r->png, row, NULL);
            if (!r->has_pass) r->n_rows = y + 1;
        }
        r->has_pass = 1;
    }
}

static void read_orientation(png_reader *r)
{
    png_bytep exif = NULL;
    png_uint_32 n = 0;
    if (png_get_eXIf_1(r->png, r->info, &n, &exif) != 0) r->raster.orientation = lfm2__exif_orientation(exif, n);
}

/* Returns 0, or r->status where libpng gave up. */
static int read_image(png_reader *r)
{
    if (setjmp(png_jmpbuf(r->png))) return r->status;
    r->info = png_create_info_struct(r->png);
    if (r->info == NULL) return LFM2_ERR_NOMEM;
    set_limits(r->png);
    png_set_read_fn(r->png, r, on_read);
    read_header(r);
    read_orientation(r);
    read_rows(r);
    png_read_end(r->png, r->info);
    read_orientation(r);
    return 0;
}

int lfm2__png_decode(const lfm2__image_src *src, lfm2__raster *out)
{
    png_reader r = {.src = src, .status = LFM2_ERR_FORMAT};
    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning, &r, on_alloc, on_free);
    if (r.png == NULL) return lfm2__fail(src->rt, LFM2_ERR_NOMEM, "%s: png: no reader", src->name);
    int rc = read_image(&r);
    if (rc == 0 && r.status == LFM2_ERR_NOMEM) rc = r.status; /* libpng leaves chunks out for which it has no memory */
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (rc == LFM2_ERR_FORMAT && r.n_rows > 0) { /* what there is, marked */
        if (!r.has_pass) lfm2__raster_clear_from(&r.raster, r.n_rows);
        r.raster.partial = 1;
        rc = 0;
    }
    if (rc < 0) {
        lfm2_buf_unref(&r.raster.pixels);
        return rc;
    }
    *out = r.raster;
    return 0;
}
