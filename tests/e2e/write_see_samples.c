/* SPDX-License-Identifier: Apache-2.0
 * Writes results of seeing into a folder, in every format, for test_see_formats.py: ordinary ones and random ones that mean harm.
 * usage: write_see_samples FOLDER */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lfm2/lfm2.h"

enum { MAX_ITEMS = 4, MAX_LINES = 12, N_DOCUMENTS = 40 };

static const char *const format_names[] = {
#define NAME(name, text) text,
    LFM2_SEE_FORMAT_MAP(NAME)
#undef NAME
};

static unsigned next(unsigned *state, unsigned n)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % n;
}

/* Pieces that some format might trip over, and random bytes. */
static char *make_text(unsigned *r, int has_breaks, int is_plain)
{
    static const char *const pieces[] = {
        "word", " ", "Straße", "<", ">", "&", "\"", "'", "]]>", "<!--", "-->", "\t", "&amp;", "&#0;", "\\", "\xE2\x80\xAE",
        "\xEF\xBF\xBF", "\x01", "\x1b[31m", "\xFF", "\xC3", "\xED\xA0\x80", "\xF0\x9F\x98\x80", "bbox 1 2 3 4;", "%s%n", "\r",
        "\x0c", "\xC2\x85", "\xE2\x80\xA8", "</span>", "{\"a\":[", "\x7f", "\xEF\xBB\xBF",
    };
    char *text = calloc(1, 600);
    if (text == NULL) exit(1);
    for (unsigned k = next(r, 12); k > 0; k--) {
        strcat(text, pieces[next(r, is_plain ? 3 : sizeof pieces / sizeof *pieces)]);
        if (has_breaks && next(r, 4) == 0) strcat(text, "\n");
    }
    return text;
}

static int on_write(void *ctx, const char *bytes, size_t n)
{
    return fwrite(bytes, 1, n, ctx) != n;
}

static void write_all(lfm2_runtime *rt, const char *folder, int number, const lfm2_see_item *items, int32_t n_items)
{
    for (int format = 0; format <= LFM2_SEE_FORMAT_TSV; format++) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%d.%s", folder, number, format_names[format]);
        FILE *f = fopen(path, "wb");
        if (f == NULL || lfm2_see_write(rt, (lfm2_see_format)format, items, n_items, on_write, f) != 0 || fclose(f) != 0) {
            fprintf(stderr, "%s: not written\n", path);
            exit(1);
        }
    }
}

static void make_document(lfm2_runtime *rt, const char *folder, int number)
{
    unsigned r = (unsigned)number * 77u + 5u;
    lfm2_see_item items[MAX_ITEMS];
    lfm2_see_result results[MAX_ITEMS];
    lfm2_see_line lines[MAX_ITEMS][MAX_LINES];
    lfm2_see_image_info images[MAX_ITEMS];
    const int is_plain = number < 8;
    const int32_t n_items = number == 0 ? 0 : 1 + (int32_t)next(&r, MAX_ITEMS);
    memset(lines, 0, sizeof lines);
    for (int32_t i = 0; i < n_items; i++) {
        const int has_lines = next(&r, 3) > 0;
        const int32_t w = 100 + (int32_t)next(&r, 2000), h = 50 + (int32_t)next(&r, 2000);
        images[i] = (lfm2_see_image_info){w, h, 1, 1, 9, 1, 0, next(&r, 5) == 0};
        results[i] = (lfm2_see_result){.task = LFM2_SEE_OCR, .layout = has_lines ? LFM2_SEE_LINES : LFM2_SEE_PAGE,
                                       .text = make_text(&r, 1, is_plain), .stop = (lfm2_stop)next(&r, LFM2_STOP_ABORT + 1),
                                       .confidence = (float)next(&r, 1001) / 1000, .lines = lines[i], .images = &images[i],
                                       .n_images = 1};
        results[i].blank = results[i].text[0] == '\0';
        results[i].n_lines = has_lines ? (int32_t)next(&r, MAX_LINES + 1) : 0;
        for (int32_t k = 0, block = 0; k < results[i].n_lines; k++) {
            block += next(&r, 3) == 0;
            lines[i][k] = (lfm2_see_line){make_text(&r, 0, is_plain), {0, 0, 0, 0, block}, (float)next(&r, 1001) / 1000,
                                          (lfm2_stop)next(&r, LFM2_STOP_ABORT + 1), 3};
            lfm2_text_box *b = &lines[i][k].box;
            b->x = (int32_t)next(&r, 2200) - (is_plain ? 0 : 100), b->y = (int32_t)next(&r, 2200) - (is_plain ? 0 : 100);
            b->w = (int32_t)next(&r, 900), b->h = (int32_t)next(&r, 90);
        }
        items[i] = (lfm2_see_item){make_text(&r, 0, is_plain), next(&r, 2) ? (int32_t)next(&r, 90) : -1, -1, &results[i], 5, -1};
    }
    write_all(rt, folder, number, items, n_items);
    for (int32_t i = 0; i < n_items; i++) {
        for (int32_t k = 0; k < results[i].n_lines; k++) free(lines[i][k].text);
        free(results[i].text);
        free((char *)(uintptr_t)items[i].file);
    }
}

int main(int argc, char **argv)
{
    lfm2_runtime *rt = NULL;
    if (argc != 2 || lfm2_runtime_create(NULL, &rt) != 0) return 1;
    for (int number = 0; number < N_DOCUMENTS; number++) make_document(rt, argv[1], number);
    lfm2_runtime_destroy(rt);
    return 0;
}
