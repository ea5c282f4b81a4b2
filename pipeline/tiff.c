/* SPDX-License-Identifier: Apache-2.0
 * Pages of a TIFF file. A page's tags and pixels lie anywhere in the file: they are read and put together as a TIFF file of one
 * page, so that memory does not grow with the number of pages. */
#include <stdio.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/frames_impl.h"

enum { ENTRY_BYTES = 12, HEADER_BYTES = 8, MAX_ENTRIES = 1024, MAX_PIECES = 1 << 20 };
enum { TYPE_SHORT = 3, TYPE_LONG = 4 };
enum { STRIP_OFFSETS = 273, STRIP_BYTES = 279, TILE_OFFSETS = 324, TILE_BYTES = 325 };

struct lfm2__tiff_pages {
    lfm2_runtime *rt;
    lfm2__infile *file;
    const lfm2_image_params *params;
    int is_big_endian;
    uint32_t next;         /* offset of the next page's directory */
    int64_t n_left;        /* pages */
    int32_t page;          /* the one given last */
};

/* The file of one page while it is made. */
typedef struct one_page {
    unsigned char *data;
    size_t n, cap;
    int is_cut; /* some of it is not in the file */
} one_page;

static uint32_t number(const lfm2__tiff_pages *t, const unsigned char *p, size_t n_bytes)
{
    return t->is_big_endian ? lfm2__be(p, n_bytes) : lfm2__le(p, n_bytes);
}

static void put_number(const lfm2__tiff_pages *t, unsigned char *p, uint32_t v, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++, v >>= 8) p[t->is_big_endian ? n_bytes - 1 - i : i] = (unsigned char)v;
}

static int fail(const lfm2__tiff_pages *t, int status, const char *what)
{
    return lfm2__fail(t->rt, status, "%s: tiff: page %d: %s", lfm2__infile_name(t->file), (int)t->page + 1, what);
}

/* --- reading --- */

/* Up to n bytes at an offset; *got < n at the end of the file. */
static int read_at(const lfm2__tiff_pages *t, uint64_t offset, void *out, size_t n, size_t *got)
{
    *got = 0;
    const int64_t n_bytes = lfm2__infile_bytes(t->file);
    if (n_bytes < 0 || offset >= (uint64_t)n_bytes) return 0;
    if (lfm2__infile_seek(t->file, (int64_t)offset) < 0) return fail(t, LFM2_ERR_IO, "cannot be sought");
    while (*got < n) {
        size_t more = 0;
        const int rc = lfm2__infile_read(t->file, (unsigned char *)out + *got, n - *got, &more);
        if (rc == LFM2_EOF) break;
        if (rc < 0) return rc;
        *got += more;
    }
    return 0;
}

/* Offset of the directory behind the one at `offset`; 0: none. */
static int next_directory(const lfm2__tiff_pages *t, uint32_t offset, uint32_t *next)
{
    unsigned char p[4];
    size_t got;
    *next = 0;
    int rc = read_at(t, offset, p, 2, &got);
    if (rc < 0 || got < 2) return rc;
    rc = read_at(t, (uint64_t)offset + 2 + (uint64_t)number(t, p, 2) * ENTRY_BYTES, p, 4, &got);
    if (rc == 0 && got == 4) *next = number(t, p, 4);
    return rc;
}

/* Count pages until the last one or the limit; of a ring (Brent's way to find one) those before a page comes again. */
static int count_pages(lfm2__tiff_pages *t, int64_t max_pages)
{
    uint32_t slow = t->next, fast = t->next;
    int64_t n = 0, power = 1, ring = 0;
    int rc = 0;
    do {
        n++;
        if (ring == power) {
            slow = fast;
            power *= 2;
            ring = 0;
        }
        rc = next_directory(t, fast, &fast);
        ring++;
    } while (rc == 0 && fast != 0 && fast != slow && n / 4 < max_pages);
    t->n_left = n < max_pages ? n : max_pages;
    if (rc < 0 || fast == 0 || fast != slow) return rc;
    slow = fast = t->next;
    for (int64_t i = 0; rc == 0 && i < ring; i++) rc = next_directory(t, fast, &fast);
    for (n = ring; rc == 0 && slow != fast; n++) {
        rc = next_directory(t, slow, &slow);
        if (rc == 0) rc = next_directory(t, fast, &fast);
    }
    if (n < max_pages) {
        t->n_left = n;
        lfm2__log(t->rt, LFM2_LOG_WARN, "%s: tiff: its pages form a ring", lfm2__infile_name(t->file));
    }
    return rc;
}

/* --- one page --- */

static int grow(const lfm2__tiff_pages *t, one_page *p, size_t n)
{
    if (n > t->params->max_bytes || p->n > t->params->max_bytes - n || p->n + n > UINT32_MAX) {
        return fail(t, LFM2_ERR_LIMIT, "over the limit of bytes");
    }
    if (p->n + n > p->cap) {
        const size_t cap = 2 * p->cap > p->n + n ? 2 * p->cap : p->n + n;
        unsigned char *data = lfm2__grow(t->rt, p->data, p->n, cap);
        if (data == NULL) return fail(t, LFM2_ERR_NOMEM, "out of memory");
        p->data = data;
        p->cap = cap;
    }
    memset(p->data + p->n, 0, n);
    p->n += n;
    return 0;
}

/* Append n bytes of the file, as far as it has them; *at: where they are. */
static int copy(const lfm2__tiff_pages *t, one_page *p, uint64_t offset, size_t n, size_t *at, size_t *got)
{
    const int64_t n_bytes = lfm2__infile_bytes(t->file);
    const uint64_t left = n_bytes >= 0 && offset < (uint64_t)n_bytes ? (uint64_t)n_bytes - offset : 0;
    const size_t n_there = left < n ? (size_t)left : n;
    *at = p->n;
    int rc = grow(t, p, n_there + (n_there & 1)); /* offsets are even */
    if (rc == 0) rc = read_at(t, offset, p->data + *at, n_there, got);
    if (rc == 0 && *got < n) p->is_cut = 1;
    return rc;
}

static size_t type_bytes(uint32_t type)
{
    static const unsigned char sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};
    return type < sizeof sizes ? sizes[type] : 0;
}

/* Element i of an entry of the page's own directory: SHORT or LONG. */
static size_t element_at(const lfm2__tiff_pages *t, const one_page *p, size_t entry, size_t i)
{
    const uint32_t type = number(t, p->data + entry + 2, 2), count = number(t, p->data + entry + 4, 4);
    const size_t size = type_bytes(type);
    return size * count <= 4 ? entry + 8 + i * size : number(t, p->data + entry + 8, 4) + i * size;
}

static uint32_t element(const lfm2__tiff_pages *t, const one_page *p, size_t entry, size_t i)
{
    return number(t, p->data + element_at(t, p, entry, i), type_bytes(number(t, p->data + entry + 2, 2)));
}

static int is_list(const lfm2__tiff_pages *t, const one_page *p, size_t entry)
{
    const uint32_t type = number(t, p->data + entry + 2, 2), count = number(t, p->data + entry + 4, 4);
    return (type == TYPE_SHORT || type == TYPE_LONG) && count >= 1 && count <= MAX_PIECES;
}

/* Copy the values that entries refer to. */
static int copy_values(const lfm2__tiff_pages *t, one_page *p, size_t n_entries)
{
    for (size_t i = 0; i < n_entries; i++) {
        const size_t entry = HEADER_BYTES + 2 + i * ENTRY_BYTES;
        const uint64_t size = (uint64_t)type_bytes(number(t, p->data + entry + 2, 2)) * number(t, p->data + entry + 4, 4);
        size_t at, got;
        if (size <= 4) continue;
        if (size > t->params->max_bytes) return fail(t, LFM2_ERR_LIMIT, "a tag over the limit of bytes");
        const int rc = copy(t, p, number(t, p->data + entry + 8, 4), (size_t)size, &at, &got);
        if (rc < 0) return rc;
        if (got < size) { /* its array is not all there: none of it */
            put_number(t, p->data + entry + 4, 0, 4);
            put_number(t, p->data + entry + 8, 0, 4);
        } else {
            put_number(t, p->data + entry + 8, (uint32_t)at, 4);
        }
    }
    return 0;
}

static size_t find_entry(const lfm2__tiff_pages *t, const one_page *p, size_t n_entries, unsigned tag)
{
    for (size_t i = 0; i < n_entries; i++) {
        const size_t entry = HEADER_BYTES + 2 + i * ENTRY_BYTES;
        if (number(t, p->data + entry, 2) == tag) return entry;
    }
    return 0;
}

/* Copy strips or tiles; their offsets become the new ones, as LONG. */
static int copy_pieces(const lfm2__tiff_pages *t, one_page *p, size_t n_entries, unsigned offsets_tag, unsigned bytes_tag)
{
    const size_t offsets = find_entry(t, p, n_entries, offsets_tag), bytes = find_entry(t, p, n_entries, bytes_tag);
    if (offsets == 0 || !is_list(t, p, offsets)) return 0;
    const uint32_t n = number(t, p->data + offsets + 4, 4);
    if (bytes != 0 && (!is_list(t, p, bytes) || number(t, p->data + bytes + 4, 4) != n)) {
        return fail(t, LFM2_ERR_FORMAT, "strips without their lengths");
    }
    if (bytes == 0 && n > 1) return fail(t, LFM2_ERR_FORMAT, "strips without their lengths");
    size_t list = offsets + 8;
    if (n > 1) {
        list = p->n;
        const int rc = grow(t, p, 4 * (size_t)n);
        if (rc < 0) return rc;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t offset = element(t, p, offsets, i);
        const int64_t n_bytes = lfm2__infile_bytes(t->file);
        const uint64_t rest = n_bytes > (int64_t)offset ? (uint64_t)n_bytes - offset : 0;
        const uint64_t size = bytes != 0 ? element(t, p, bytes, i) : rest;
        size_t at, got;
        if (size > t->params->max_bytes) return fail(t, LFM2_ERR_LIMIT, "a strip over the limit of bytes");
        const int rc = copy(t, p, offset, (size_t)size, &at, &got);
        if (rc < 0) return rc;
        if (n == 1) list = offsets + 8;
        put_number(t, p->data + list + 4 * (n == 1 ? 0 : (size_t)i), (uint32_t)at, 4);
        if (bytes != 0 && got < size) put_number(t, p->data + element_at(t, p, bytes, i), (uint32_t)got,
                                                 type_bytes(number(t, p->data + bytes + 2, 2)));
    }
    put_number(t, p->data + offsets + 2, TYPE_LONG, 2);
    if (n > 1) put_number(t, p->data + offsets + 8, (uint32_t)list, 4);
    return 0;
}

/* Leave out tags that point to other directories. Returns how many are left. */
static size_t drop_pointers(const lfm2__tiff_pages *t, one_page *p, size_t n_entries)
{
    static const unsigned pointers[] = {330, 34665, 34853, 40965}; /* SubIFDs, EXIF, GPS, interoperability */
    size_t n_kept = 0;
    for (size_t i = 0; i < n_entries; i++) {
        unsigned char *entry = p->data + HEADER_BYTES + 2 + i * ENTRY_BYTES;
        int is_pointer = 0;
        for (size_t k = 0; k < LFM2__COUNT_OF(pointers); k++) is_pointer |= number(t, entry, 2) == pointers[k];
        if (!is_pointer) memmove(p->data + HEADER_BYTES + 2 + n_kept++ * ENTRY_BYTES, entry, ENTRY_BYTES);
    }
    memset(p->data + HEADER_BYTES + 2 + n_kept * ENTRY_BYTES, 0, (n_entries - n_kept) * ENTRY_BYTES);
    put_number(t, p->data + HEADER_BYTES, (uint32_t)n_kept, 2);
    return n_kept;
}

/* The page whose directory lies at an offset, as a file of its own. */
static int make_page(const lfm2__tiff_pages *t, uint32_t offset, one_page *p)
{
    unsigned char count[2];
    size_t got;
    int rc = read_at(t, offset, count, 2, &got);
    if (rc < 0) return rc;
    size_t n_entries = got == 2 ? number(t, count, 2) : 0;
    if (n_entries == 0) return fail(t, LFM2_ERR_FORMAT, "no directory");
    if (n_entries > MAX_ENTRIES) return fail(t, LFM2_ERR_LIMIT, "over 1024 tags");
    const size_t n = HEADER_BYTES + 2 + n_entries * ENTRY_BYTES + 4;
    rc = grow(t, p, n + (n & 1));
    if (rc < 0) return rc;
    memcpy(p->data, t->is_big_endian ? "MM\0*" : "II*\0", 4);
    put_number(t, p->data + 4, HEADER_BYTES, 4);
    rc = read_at(t, (uint64_t)offset + 2, p->data + HEADER_BYTES + 2, n_entries * ENTRY_BYTES, &got);
    if (rc == 0 && got < n_entries * ENTRY_BYTES) rc = fail(t, LFM2_ERR_FORMAT, "a directory that is cut short");
    if (rc < 0) return rc;
    n_entries = drop_pointers(t, p, n_entries);
    rc = copy_values(t, p, n_entries);
    if (rc == 0) rc = copy_pieces(t, p, n_entries, STRIP_OFFSETS, STRIP_BYTES);
    if (rc == 0) rc = copy_pieces(t, p, n_entries, TILE_OFFSETS, TILE_BYTES);
    return rc;
}

/* --- pages --- */

int lfm2__tiff_open(lfm2_runtime *rt, lfm2__infile *file, const lfm2_image_params *params, int64_t max_pages,
                    lfm2__tiff_pages **out)
{
    unsigned char header[HEADER_BYTES];
    size_t got = 0;
    lfm2__tiff_pages t = {.rt = rt, .file = file, .params = params, .page = -1};
    int rc = read_at(&t, 0, header, sizeof header, &got);
    if (rc == 0 && got < sizeof header) rc = lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: tiff: cut short", lfm2__infile_name(file));
    if (rc < 0) return rc;
    t.is_big_endian = header[0] == 'M';
    t.next = number(&t, header + 4, 4);
    rc = count_pages(&t, max_pages);
    if (rc < 0) return rc;
    lfm2__tiff_pages *kept = lfm2__calloc(rt, 1, sizeof *kept);
    if (kept == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: tiff: out of memory", lfm2__infile_name(file));
    *kept = t;
    *out = kept;
    return 0;
}

void lfm2__tiff_close(lfm2__tiff_pages *t)
{
    if (t != NULL) lfm2__free(t->rt, t);
}

int32_t lfm2__tiff_page(const lfm2__tiff_pages *t)
{
    return t->page;
}

int lfm2__tiff_next(lfm2__tiff_pages *t, lfm2_image *out)
{
    one_page p = {0};
    char name[512];
    if (t->n_left == 0) return LFM2_EOF;
    t->n_left--;
    t->page++;
    (void)snprintf(name, sizeof name, "%s: page %d", lfm2__infile_name(t->file), (int)t->page + 1);
    const uint32_t offset = t->next;
    int rc = next_directory(t, offset, &t->next);
    if (rc == 0) rc = make_page(t, offset, &p);
    if (rc == 0) rc = lfm2_image_decode_bytes(t->rt, p.data, p.n, name, t->params, out);
    if (rc == 0 && p.is_cut) out->partial = 1;
    lfm2__free(t->rt, p.data);
    return rc;
}
