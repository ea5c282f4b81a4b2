/* SPDX-License-Identifier: Apache-2.0
 * What the first bytes of a file say of its size: demuxers read what is there and do not tell that there should be more. */
#include <string.h>

#include "pipeline/audio_impl.h"

static uint64_t number(const unsigned char *p, int n_bytes, int is_big)
{
    uint64_t v = 0;
    for (int i = 0; i < n_bytes; i++) v = v << 8 | p[is_big ? i : n_bytes - 1 - i];
    return v;
}

/* Bytes that the file should have; 0: it does not say. */
static uint64_t claim(const unsigned char *head)
{
    static const unsigned char w64[] = {'r', 'i', 'f', 'f', 0x2e, 0x91, 0xcf, 0x11};
    const uint64_t riff = number(head + 4, 4, 0), form = number(head + 4, 4, 1), au = number(head + 8, 4, 1);
    if (memcmp(head, "RIFF", 4) == 0) return riff == UINT32_MAX || riff == 0 ? 0 : riff + 8;
    if (memcmp(head, "RF64", 4) == 0 && memcmp(head + 12, "ds64", 4) == 0) return number(head + 20, 8, 0) + 8;
    if (memcmp(head, "FORM", 4) == 0) return form == UINT32_MAX || form == 0 ? 0 : form + 8;
    if (memcmp(head, w64, sizeof w64) == 0) return number(head + 16, 8, 0);
    if (memcmp(head, ".snd", 4) == 0 && au != UINT32_MAX) return number(head + 4, 4, 1) + au;
    return 0;
}

int lfm2__audio_is_cut(lfm2__infile *file)
{
    unsigned char head[28];
    const int64_t n_bytes = lfm2__infile_bytes(file);
    size_t n = 0;
    if (n_bytes < 0 || lfm2__infile_seek(file, 0) < 0) return 0;
    while (n < sizeof head) {
        size_t n_got = 0;
        if (lfm2__infile_read(file, head + n, sizeof head - n, &n_got) != 0) return 0;
        n += n_got;
    }
    const uint64_t claimed = claim(head);
    return claimed > (uint64_t)n_bytes + 1; /* some count the padding of an odd length that they did not write */
}
