/* SPDX-License-Identifier: Apache-2.0
 * Single numbers out of the first directory of a TIFF structure: the EXIF orientation, the size of a TIFF image. */
#include <string.h>

#include "pipeline/image_impl.h"

enum { TIFF_SHORT = 3, TIFF_LONG = 4, TAG_ORIENTATION = 0x112, ENTRY_BYTES = 12 };

static uint32_t number(const unsigned char *p, size_t n_bytes, int is_big_endian)
{
    return is_big_endian ? lfm2__be(p, n_bytes) : lfm2__le(p, n_bytes);
}

uint32_t lfm2__tiff_tag(const unsigned char *tiff, size_t n, unsigned tag, uint32_t otherwise)
{
    if (n < 8 || (memcmp(tiff, "II*\0", 4) != 0 && memcmp(tiff, "MM\0*", 4) != 0)) return otherwise;
    const int big = tiff[0] == 'M';
    const size_t dir = number(tiff + 4, 4, big);
    if (dir > n - 2) return otherwise;
    const size_t n_entries = number(tiff + dir, 2, big), room = (n - dir - 2) / ENTRY_BYTES;
    for (size_t i = 0; i < n_entries && i < room; i++) {
        const unsigned char *entry = tiff + dir + 2 + i * ENTRY_BYTES;
        if (number(entry, 2, big) != tag) continue;
        const uint32_t type = number(entry + 2, 2, big);
        if (number(entry + 4, 4, big) != 1 || (type != TIFF_SHORT && type != TIFF_LONG)) return otherwise;
        return number(entry + 8, type == TIFF_SHORT ? 2 : 4, big);
    }
    return otherwise;
}

int32_t lfm2__exif_orientation(const unsigned char *exif, size_t n)
{
    if (n >= 6 && memcmp(exif, "Exif\0\0", 6) == 0) {
        exif += 6;
        n -= 6;
    }
    const uint32_t v = lfm2__tiff_tag(exif, n, TAG_ORIENTATION, 1);
    return v >= 1 && v <= 8 ? (int32_t)v : 1;
}
