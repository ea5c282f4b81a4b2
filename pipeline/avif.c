/* SPDX-License-Identifier: Apache-2.0
 * What the boxes of an AVIF file say of its picture: size, orientation, and whether it is put together of several, which libav
 * does not do and does not say. */
#include <string.h>

#include "pipeline/image_impl.h"

static const char ALPHA[] = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha";

typedef struct box {
    const unsigned char *name, *data;
    size_t n;
} box;

/* The box at *at of d, which moves behind it; 0 at the end or at one that does not fit. */
static int next_box(const unsigned char *d, size_t n, size_t *at, box *b)
{
    if (*at > n || n - *at < 8) return 0;
    const size_t size = lfm2__be(d + *at, 4);
    if (size < 8 || size > n - *at) return 0;
    *b = (box){d + *at + 4, d + *at + 8, size - 8};
    *at += size;
    return 1;
}

/* The first box of that name behind the first `skip` bytes. */
static int find_box(const unsigned char *d, size_t n, size_t skip, const char *name, box *b)
{
    while (next_box(d, n, &skip, b)) {
        if (memcmp(b->name, name, 4) == 0) return 1;
    }
    return 0;
}

/* Kind of an item, 4 bytes, by the entries of iinf; NULL if it is not there. */
static const unsigned char *item_type(const box *iinf, uint32_t item)
{
    box entry;
    if (iinf->n < 8) return NULL;
    for (size_t at = iinf->data[0] == 0 ? 6 : 8; next_box(iinf->data, iinf->n, &at, &entry);) {
        const size_t id_bytes = entry.n > 0 && entry.data[0] >= 3 ? 4 : 2;
        if (entry.n < 4 + id_bytes + 6 || memcmp(entry.name, "infe", 4) != 0) continue;
        if (lfm2__be(entry.data + 4, id_bytes) == item) return entry.data + 4 + id_bytes + 2;
    }
    return NULL;
}

/* EXIF's number for a turn by so many right angles against the clock, and a mirror behind it (0: none, 1: top and bottom change
 * places, 2: left and right). */
static int32_t orientation_of(unsigned turn, unsigned mirror)
{
    static const unsigned char numbers[4][3] = {{1, 4, 2}, {8, 5, 7}, {3, 2, 4}, {6, 7, 5}};
    return numbers[turn & 3][mirror];
}

/* The property of that index among the children of ipco. */
static int property(const box *ipco, uint32_t index, box *b)
{
    size_t at = 0;
    for (uint32_t i = 1; next_box(ipco->data, ipco->n, &at, b); i++) {
        if (i == index) return 1;
    }
    return 0;
}

/* Take over what the properties of an item say; ipma lists them for each. */
static void read_properties(const box *ipco, const box *ipma, uint32_t item, lfm2__avif_info *info)
{
    unsigned turn = 0, mirror = 0;
    if (ipma->n < 8) return;
    const size_t id_bytes = ipma->data[0] == 0 ? 2 : 4, index_bytes = ipma->data[3] & 1 ? 2 : 1;
    size_t at = 8;
    for (uint32_t left = lfm2__be(ipma->data + 4, 4); left > 0 && ipma->n - at >= id_bytes + 1; left--) {
        const int is_ours = lfm2__be(ipma->data + at, id_bytes) == item;
        const size_t n = ipma->data[at + id_bytes];
        at += id_bytes + 1;
        if (n * index_bytes > ipma->n - at) return;
        for (size_t i = 0; i < n && is_ours; i++) {
            box b;
            const uint32_t index = lfm2__be(ipma->data + at + i * index_bytes, index_bytes) & (index_bytes == 2 ? 0x7fffu : 0x7fu);
            if (!property(ipco, index, &b)) continue;
            if (memcmp(b.name, "ispe", 4) == 0 && b.n >= 12) {
                info->width = lfm2__be(b.data + 4, 4);
                info->height = lfm2__be(b.data + 8, 4);
            }
            if (memcmp(b.name, "irot", 4) == 0 && b.n >= 1) turn = b.data[0] & 3u;
            if (memcmp(b.name, "imir", 4) == 0 && b.n >= 1) mirror = 1 + (b.data[0] & 1u);
        }
        at += n * index_bytes;
    }
    info->orientation = orientation_of(turn, mirror);
}

void lfm2__avif_read(const unsigned char *d, size_t n, lfm2__avif_info *info)
{
    box meta, pitm, iinf, iprp, ipco, ipma;
    *info = (lfm2__avif_info){.width = 1, .height = 1, .orientation = 1};
    if (!find_box(d, n, 0, "meta", &meta) || !find_box(meta.data, meta.n, 4, "pitm", &pitm) || pitm.n < 6) return;
    const uint32_t item = pitm.data[0] == 0 ? lfm2__be(pitm.data + 4, 2) : pitm.n >= 8 ? lfm2__be(pitm.data + 4, 4) : 0;
    if (find_box(meta.data, meta.n, 4, "iinf", &iinf)) {
        const unsigned char *type = item_type(&iinf, item);
        info->is_composed = type != NULL && memcmp(type, "av01", 4) != 0;
    }
    if (!find_box(meta.data, meta.n, 4, "iprp", &iprp) || !find_box(iprp.data, iprp.n, 0, "ipco", &ipco)) return;
    box b;
    for (size_t at = 0; next_box(ipco.data, ipco.n, &at, &b);) {
        const int is_auxiliary = memcmp(b.name, "auxC", 4) == 0 && b.n >= 4 + sizeof ALPHA;
        info->has_alpha |= is_auxiliary && memcmp(b.data + 4, ALPHA, sizeof ALPHA) == 0;
    }
    if (find_box(iprp.data, iprp.n, 0, "ipma", &ipma)) read_properties(&ipco, &ipma, item, info);
}
