/* SPDX-License-Identifier: Apache-2.0
 * Sound files that lie, end early, jump in time, or are none; samples that are no sound. */
#include "sound_testing.h"

#define MOST_BYTES ((size_t)64 << 20) /* of the runtime's heap */

static void expect_read(lfm2_runtime *rt, const bytes *b, int64_t n_samples, sound *s)
{
    const int rc = sound_read_memory(rt, b->data, b->n, NULL, s);
    if (rc != 0) fail_msg("%s", lfm2_err_name(rc));
    assert_int_equal(s->n, n_samples);
}

/* --- lengths, rates, channels --- */

static void few_samples(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    for (int n = 0; n <= 3; n++) {
        for (int rate_hz = 8000; rate_hz <= 16000; rate_hz += 8000) {
            bytes b = {0};
            sound s;
            put_wav_header(&b, WAV_PCM, 1, rate_hz, 16, (uint64_t)n * 2);
            for (int i = 0; i < n; i++) put_le(&b, 0x4000, 2);
            expect_read(x->rt, &b, n * 16000 / rate_hz, &s);
            assert_undamaged(&s);
            if (rate_hz == 16000 && n > 0) assert_true(s.samples[n - 1] == 0.5f);
            sound_free(&s);
            free(b.data);
        }
    }
}

static void rates(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const struct {
        int64_t rate_hz;
        int status;
    } cases[] = {{0, LFM2_ERR_FORMAT}, {1, LFM2_ERR_LIMIT},  {999, LFM2_ERR_LIMIT},    {1000, 0},
                 {8000, 0},            {384000, 0},          {384001, LFM2_ERR_LIMIT}, {2147483647, LFM2_ERR_LIMIT},
                 {4294967295, LFM2_ERR_FORMAT}};
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        bytes b = {0};
        sound s;
        put_wav_header(&b, WAV_PCM, 1, cases[i].rate_hz, 16, 2000);
        for (int k = 0; k < 1000; k++) put_le(&b, 0x2000, 2);
        const int rc = sound_read_memory(x->rt, b.data, b.n, NULL, &s);
        if (rc != cases[i].status) fail_msg("%lld Hz: %s", (long long)cases[i].rate_hz, lfm2_err_name(rc));
        if (rc == 0) {
            assert_int_equal(s.n, llround(1000 * 16000.0 / (double)cases[i].rate_hz));
            assert_undamaged(&s);
            sound_free(&s);
        }
        free(b.data);
    }
}

static void channels(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const struct {
        int n_channels, status;
    } cases[] = {{0, LFM2_ERR_FORMAT}, {1, 0}, {2, 0}, {6, 0}, {64, 0}, {65, LFM2_ERR_LIMIT}, {255, LFM2_ERR_LIMIT},
                 {513, LFM2_ERR_FORMAT}, {65535, LFM2_ERR_FORMAT}};
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        bytes b = {0};
        sound s;
        const int n_channels = cases[i].n_channels;
        put_wav_header(&b, WAV_PCM, n_channels, 16000, 16, (uint64_t)n_channels * 200);
        for (int k = 0; k < n_channels * 100 && k < 100000; k++) put_le(&b, 0x2000, 2);
        const int rc = sound_read_memory(x->rt, b.data, b.n, NULL, &s);
        if ((rc < 0) != (cases[i].status < 0) || (rc != cases[i].status && n_channels != 0 && n_channels < 512)) {
            fail_msg("%d channels: %s", n_channels, lfm2_err_name(rc));
        }
        assert_true(rc == 0 || rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UNSUPPORTED);
        if (rc == 0) {
            assert_int_equal(s.n, 100);
            assert_int_equal(s.info.n_channels, n_channels);
            sound_free(&s);
        }
        free(b.data);
    }
}

/* --- WAV headers --- */

/* 1,000 samples of data behind headers that do not say so. */
static void wav_sizes(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const struct {
        uint64_t said_bytes;
        int64_t n; /* as FFmpeg's own command reads it */
        int truncated;
    } cases[] = {{2000, 1000, 0}, {0, 1000, 0}, {0xffffffff, 1000, 0}, {1999, 999, 0}, {1000, 500, 0}, {40000, 1000, 1}};
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        bytes b = {0};
        sound s;
        put_wav_header(&b, WAV_PCM, 1, 16000, 16, cases[i].said_bytes);
        for (int k = 0; k < 1000; k++) put_le(&b, (uint64_t)k, 2);
        expect_read(x->rt, &b, cases[i].n, &s);
        for (int64_t k = 0; k < s.n; k++) assert_true(s.samples[k] == (float)k / 32768);
        assert_int_equal(s.damage.truncated, cases[i].truncated);
        sound_free(&s);
        free(b.data);
    }
}

static void put_chunk(bytes *b, const char *name, const void *data, size_t n)
{
    put_text(b, name);
    put_le(b, n, 4);
    put_bytes(b, data, n);
    if (n % 2) put_le(b, 0, 1);
}

/* Other chunks before, between and behind; two of samples, of which the first counts; a block size that is none. */
static void wav_chunks(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const unsigned char format[16] = {1, 0, 1, 0, 0x80, 0x3e, 0, 0, 0, 0x7d, 0, 0, 2, 0, 16, 0};
    unsigned char wrong[16], samples[2000];
    memcpy(wrong, format, sizeof format);
    wrong[12] = 77;
    for (size_t i = 0; i < sizeof samples; i++) samples[i] = (unsigned char)(i / 2 % 100);
    for (int which = 0; which < 3; which++) {
        bytes b = {0};
        sound s;
        put_text(&b, "RIFF");
        put_le(&b, 9999, 4);
        put_text(&b, "WAVE");
        put_chunk(&b, "LIST", "INFOISFT\x05\0\0\0Mine", 17);
        put_chunk(&b, "junk", samples, 777);
        put_chunk(&b, "fmt ", which == 2 ? wrong : format, 16);
        put_chunk(&b, "bext", samples, 603);
        put_chunk(&b, "data", samples, 2000);
        put_chunk(&b, "LIST", "INFO", 4);
        if (which == 1) put_chunk(&b, "data", samples, 2000);
        const int rc = sound_read_memory(x->rt, b.data, b.n, NULL, &s);
        assert_int_equal(rc, 0);
        assert_true(s.n >= 1000 || which == 2);
        if (which < 2) {
            for (int64_t k = 0; k < 1000; k++) assert_true(s.samples[k] == (float)(samples[2 * k] * 257) / 32768);
        }
        sound_free(&s);
        free(b.data);
    }
}

/* --- samples that are none --- */

static void wild_samples(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const float wild[] = {NAN, -NAN, INFINITY, -INFINITY, 1e38f, -1e38f, 17, -16.5f, 1e-40f, 1.5f, -16, 16, 0.25f};
    static const float clean[] = {0, 0, 1, -1, 1, -1, 1, -1, 1e-40f, 1, -1, 1, 0.25f};
    for (int rate_hz = 8000; rate_hz <= 16000; rate_hz += 8000) {
        for (int n_bits = 32; n_bits <= 64; n_bits += 32) {
            bytes b = {0};
            sound s;
            put_wav_header(&b, WAV_FLOAT, 1, rate_hz, n_bits, (uint64_t)(1300 * n_bits / 8));
            for (size_t i = 0; i < 1300; i++) {
                const double wide = (double)wild[i % 13];
                uint64_t bits;
                memcpy(&bits, &wide, sizeof bits);
                if (n_bits == 32) put_f32(&b, wild[i % 13]);
                else put_le(&b, bits, 8);
            }
            expect_read(x->rt, &b, 1300 * 16000 / rate_hz, &s);
            assert_int_equal(s.damage.n_bad_samples, 800);
            for (int64_t i = 0; i < s.n; i++) {
                assert_true(s.samples[i] >= -1 && s.samples[i] <= 1);
                if (rate_hz == 16000 && n_bits == 32) assert_true(s.samples[i] == clean[i % 13]);
            }
            assert_non_null(strstr(x->log.line, "800 samples not finite"));
            sound_free(&s);
            free(b.data);
        }
    }
}

/* --- time stamps: Matroska made here, PCM in blocks of 20 ms, of which block k is a constant (k + 1) / 1000 --- */

#define BLOCK 320

static void put_element(bytes *b, uint32_t id, const void *data, size_t n)
{
    for (int i = 3; i >= 0; i--) {
        if (id >> (8 * i) != 0) put_le(b, id >> (8 * i), 1);
    }
    for (int i = 7; i >= 0; i--) put_le(b, ((uint64_t)1 << 56 | n) >> (8 * i), 1);
    put_bytes(b, data, n);
}

static void put_number(bytes *b, uint32_t id, uint64_t v)
{
    unsigned char big[8];
    for (int i = 0; i < 8; i++) big[i] = (unsigned char)(v >> (56 - 8 * i));
    put_element(b, id, big, sizeof big);
}

static void put_matroska_begin(bytes *b)
{
    static const unsigned char unknown_size[] = {0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    bytes ebml = {0}, info = {0}, sound_of = {0}, track = {0}, tracks = {0};
    const double rate_hz = 16000;
    uint64_t bits;
    unsigned char big[8];
    memcpy(&bits, &rate_hz, sizeof bits);
    for (int i = 0; i < 8; i++) big[i] = (unsigned char)(bits >> (56 - 8 * i));
    put_element(&ebml, 0x4282, "matroska", 8);
    put_element(b, 0x1a45dfa3, ebml.data, ebml.n);
    put_bytes(b, unknown_size, sizeof unknown_size);
    put_number(&info, 0x2ad7b1, 1000000);
    put_element(b, 0x1549a966, info.data, info.n);
    put_element(&sound_of, 0xb5, big, sizeof big);
    put_number(&sound_of, 0x9f, 1);
    put_number(&sound_of, 0x6264, 16);
    put_number(&track, 0xd7, 1);
    put_number(&track, 0x73c5, 1);
    put_number(&track, 0x83, 2);
    put_element(&track, 0x86, "A_PCM/INT/LIT", 13);
    put_element(&track, 0xe1, sound_of.data, sound_of.n);
    put_element(&tracks, 0xae, track.data, track.n);
    put_element(b, 0x1654ae6b, tracks.data, tracks.n);
    free(ebml.data), free(info.data), free(sound_of.data), free(track.data), free(tracks.data);
}

static void put_block(bytes *b, int k, int64_t time_ms)
{
    bytes cluster = {0}, block = {0};
    static const unsigned char head[] = {0x81, 0, 0, 0x80};
    put_bytes(&block, head, sizeof head);
    for (int i = 0; i < BLOCK; i++) put_le(&block, (uint64_t)llround((k + 1) * 32.768), 2);
    put_number(&cluster, 0xe7, (uint64_t)time_ms);
    put_element(&cluster, 0xa3, block.data, block.n);
    put_element(b, 0x1f43b675, cluster.data, cluster.n);
    free(block.data), free(cluster.data);
}

/* Where block k begins, by looking at the samples; -1: not there whole. */
static int64_t find_block(const sound *s, int k)
{
    for (int64_t i = 0; i + BLOCK <= s->n; i++) {
        if (llround((double)s->samples[i] * 1000) != k + 1) continue;
        return llround((double)s->samples[i + BLOCK - 1] * 1000) == k + 1 ? i : -1;
    }
    return -1;
}

/* 40 blocks; time_ms(k) is the stamp of block k. */
static void read_blocks(lfm2_runtime *rt, int64_t (*time_ms)(int k), int64_t max_gap_us, sound *s)
{
    bytes b = {0};
    lfm2_audio_params params = lfm2_audio_params_default();
    params.max_gap_us = max_gap_us;
    put_matroska_begin(&b);
    for (int k = 0; k < 40; k++) put_block(&b, k, time_ms(k));
    assert_int_equal(sound_read_memory(rt, b.data, b.n, &params, s), 0);
    assert_string_equal(s->info.container, "matroska");
    free(b.data);
}

static int64_t regular_ms(int k) { return k * 20; }
static int64_t hour_gap_ms(int k) { return k * 20 + (k >= 20 ? 3600000 : 0); }
static int64_t gap_ms(int k) { return k * 20 + (k >= 20 ? 500 : 0); }
static int64_t one_wild_ms(int k) { return k == 20 ? 7200000 : k * 20; }
static int64_t one_back_ms(int k) { return k == 20 ? 0 : k * 20; }
static int64_t jitter_ms(int k) { return k * 20 + (k * 7 % 13) * 2; }
static int64_t restart_ms(int k) { return k < 20 ? 3600000 + k * 20 : (k - 20) * 20; }
static int64_t lost_ms(int k) { return k * 20 + k / 10 * 100; }
static int64_t late_ms(int k) { return 5000 + k * 20; }

static void time_stamps(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const struct {
        const char *name;
        int64_t (*time_ms)(int k);
        int64_t max_gap_us;
        int64_t n_gaps, gap_us, n_backwards;
        int64_t at_19, at_20, at_39, n; /* where blocks begin, in samples, and how many there are */
    } cases[] = {
        {"regular", regular_ms, 1000000, 0, 0, 0, 19 * BLOCK, 20 * BLOCK, 39 * BLOCK, 40 * BLOCK},
        {"an hour", hour_gap_ms, 7200000000, 1, 3600000000, 0, 19 * BLOCK, 57606400, 57612480, 57612800},
        {"shortened", hour_gap_ms, 1000000, 1, 1000000, 0, 19 * BLOCK, 22400, 28480, 28800},
        {"half a second", gap_ms, 1000000, 1, 500000, 0, 19 * BLOCK, 14400, 20480, 20800},
        {"one wild stamp", one_wild_ms, 7200000000, 0, 0, 1, 19 * BLOCK, 20 * BLOCK, 39 * BLOCK, 40 * BLOCK},
        {"one of the past", one_back_ms, 7200000000, 0, 0, 1, 19 * BLOCK, 20 * BLOCK, 39 * BLOCK, 40 * BLOCK},
        {"jitter", jitter_ms, 7200000000, 0, 0, 0, 19 * BLOCK, 20 * BLOCK, 39 * BLOCK, 40 * BLOCK},
        {"set back", restart_ms, 7200000000, 0, 0, 1, 19 * BLOCK, 20 * BLOCK, 39 * BLOCK, 40 * BLOCK},
        {"three holes", lost_ms, 7200000000, 3, 300000, 0, 19 * BLOCK + 1600, 20 * BLOCK + 3200, 39 * BLOCK + 4800,
         40 * BLOCK + 4800},
        {"begins late", late_ms, 7200000000, 0, 0, 0, 19 * BLOCK, 20 * BLOCK, 39 * BLOCK, 40 * BLOCK},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        sound s;
        read_blocks(x->rt, cases[i].time_ms, cases[i].max_gap_us, &s);
        if (s.n != cases[i].n || find_block(&s, 19) != cases[i].at_19 || find_block(&s, 20) != cases[i].at_20
            || find_block(&s, 39) != cases[i].at_39 || s.damage.n_gaps != cases[i].n_gaps || s.damage.gap_us != cases[i].gap_us
            || s.damage.n_backwards != cases[i].n_backwards) {
            fail_msg("%s: %lld samples, blocks at %lld %lld %lld, %lld gaps of %lld us, %lld backwards", cases[i].name,
                     (long long)s.n, (long long)find_block(&s, 19), (long long)find_block(&s, 20), (long long)find_block(&s, 39),
                     (long long)s.damage.n_gaps, (long long)s.damage.gap_us, (long long)s.damage.n_backwards);
        }
        assert_int_equal(s.rc, LFM2_EOF);
        sound_free(&s);
    }
}

/* --- rates and channels that change on the way --- */

static void changing(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    size_t n_a, n_b;
    char *a = read_file(SOUNDS "/mp3-plain.mp3", &n_a), *b = read_file(SOUNDS "/mp3-stereo.mp3", &n_b);
    for (int turn = 0; turn < 2; turn++) { /* 16 kHz mono, then 22.05 kHz stereo, and the other way round */
        bytes all = {0};
        sound s;
        put_bytes(&all, turn == 0 ? a : b, turn == 0 ? n_a : n_b);
        put_bytes(&all, turn == 0 ? b : a, turn == 0 ? n_b : n_a);
        put_bytes(&all, turn == 0 ? a : b, turn == 0 ? n_a : n_b);
        assert_int_equal(sound_read_memory(x->rt, all.data, all.n, NULL, &s), 0);
        assert_int_equal(s.info.n_channels, turn == 0 ? 1 : 2);
        assert_int_equal(s.info.source_rate_hz, turn == 0 ? 16000 : 22050);
        assert_int_equal(s.rc, LFM2_EOF);
        const double seconds = turn == 0 ? 2 * 1.584 + 1.567 : 1.584 + 2 * 1.567;
        assert_true(fabs((double)s.n / 16000 - seconds) < 0.15); /* a frame at each joint may be lost */
        for (int32_t c = 0; c < s.info.n_channels; c++) { /* there is speech in each third of each channel */
            for (int third = 0; third < 3; third++) {
                const float *p = sound_plane(&s, c) + s.n / 3 * third;
                double sum = 0;
                for (int64_t i = 0; i < s.n / 3; i++) sum += (double)p[i] * (double)p[i];
                assert_true(sum / (double)(s.n / 3) > 0.005);
            }
        }
        sound_free(&s);
        free(all.data);
    }
    free(a);
    free(b);
}

/* --- damage --- */

/* What cutting does to it. */
enum { SILENT, MARKED, ALL_OR_NOTHING }; /* nobody can tell; it announced its length, so that is said; index last, one block */

static const struct {
    const char *file;
    int kind;
} damaged[] = {
    {"s16.w64", MARKED}, {"s16.aiff", MARKED}, {"mulaw.au", MARKED}, {"rf64.wav", MARKED}, {"f32.wav", MARKED},
    {"alaw.wav", MARKED}, {"gsm.wav", MARKED}, {"flac.flac", MARKED}, {"flac.mkv", MARKED}, {"mp3.mp3", MARKED},
    {"mp3-plain.mp3", SILENT}, {"opus.ogg", SILENT}, {"opus.webm", MARKED}, {"vorbis.ogg", SILENT}, {"aac.m4a", MARKED},
    {"aac-index-last.m4a", ALL_OR_NOTHING}, {"aac-fragments.mp4", SILENT}, {"s16.mov", ALL_OR_NOTHING}, {"aac.aac", SILENT},
    {"aac.ts", SILENT}, {"mp3.flv", SILENT}, {"mp3.avi", MARKED}, {"wma.wma", SILENT}, {"ac3.ac3", SILENT}, {"mp2.mpg", SILENT},
    {"wavpack.wv", ALL_OR_NOTHING}, {"tta.tta", MARKED}, {"gsm.gsm", SILENT}, {"amr.amr", SILENT}, {"film.mp4", ALL_OR_NOTHING},
    {"film.mkv", SILENT}, {"s16.caf", SILENT}, {"ima.wav", MARKED}, {"alac.m4a", MARKED},
};

static int is_refusal(int rc)
{
    return rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_UNSUPPORTED || rc == LFM2_ERR_LIMIT;
}

/* Cut at each hundredth: an error, or the beginning of the whole and, where the file announced more, a mark. */
static void cut_everywhere(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    for (size_t f = 0; f < LFM2__COUNT_OF(damaged); f++) {
        char path[1024];
        size_t n;
        sound whole, part;
        int n_read = 0;
        (void)snprintf(path, sizeof path, SOUNDS "/%s", damaged[f].file);
        char *data = read_file(path, &n);
        assert_int_equal(sound_read_memory(x->rt, data, n, NULL, &whole), 0);
        for (size_t percent = 0; percent < 100; percent++) {
            const size_t n_part = n * percent / 100;
            char *copy = malloc(n_part + 1); /* of this size, so that a read behind the end is seen */
            memcpy(copy, data, n_part);
            const int rc = sound_read_memory(x->rt, copy, n_part, NULL, &part);
            free(copy);
            if (rc < 0 && !is_refusal(rc)) fail_msg("%s, %zu %%: %s", damaged[f].file, percent, lfm2_err_name(rc));
            if (rc < 0) continue;
            if (part.rc != LFM2_EOF && !is_refusal(part.rc)) {
                fail_msg("%s, %zu %%: %s", damaged[f].file, percent, lfm2_err_name(part.rc));
            }
            if (part.n > whole.n + 4000) fail_msg("%s, %zu %%: %lld samples", damaged[f].file, percent, (long long)part.n);
            const int is_short = part.n < whole.n - 3200;
            if (damaged[f].kind == MARKED && is_short && part.rc == LFM2_EOF && !part.damage.truncated) {
                fail_msg("%s, %zu %%: %lld of %lld samples, not marked", damaged[f].file, percent, (long long)part.n,
                         (long long)whole.n);
            }
            n_read += part.n > 0;
            sound_free(&part);
        }
        if (damaged[f].kind == ALL_OR_NOTHING ? n_read > 3 : n_read < 20) fail_msg("%s: %d of 100 read", damaged[f].file, n_read);
        sound_free(&whole);
        free(data);
    }
    assert_true(x->heap.peak_bytes < MOST_BYTES);
}

/* One byte of each KB is another. */
static void spoiled(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    for (size_t f = 0; f < LFM2__COUNT_OF(damaged); f++) {
        char path[1024];
        size_t n;
        sound whole, part;
        (void)snprintf(path, sizeof path, SOUNDS "/%s", damaged[f].file);
        char *data = read_file(path, &n);
        assert_int_equal(sound_read_memory(x->rt, data, n, NULL, &whole), 0);
        for (unsigned seed = 1; seed <= 10; seed++) {
            char *copy = malloc(n);
            unsigned random = seed * 2654435761u;
            memcpy(copy, data, n);
            for (size_t at = 0; at < n; at += 1024) {
                random = random * 1664525u + 1013904223u;
                if (at + (random >> 16) % 1024 < n) copy[at + (random >> 16) % 1024] ^= (char)(1 + (random >> 8) % 255);
            }
            lfm2_audio_params params = lfm2_audio_params_default();
            params.max_gap_us = 10000000;
            params.max_duration_us = 60000000;
            const int rc = sound_read_memory(x->rt, copy, n, &params, &part);
            free(copy);
            if (rc < 0 && !is_refusal(rc)) fail_msg("%s, %u: %s", damaged[f].file, seed, lfm2_err_name(rc));
            if (rc < 0) continue;
            if (part.rc != LFM2_EOF && !is_refusal(part.rc)) {
                fail_msg("%s, %u: %s", damaged[f].file, seed, lfm2_err_name(part.rc));
            }
            for (int32_t c = 0; c < part.info.n_channels; c++) {
                for (int64_t i = 0; i < part.n; i++) assert_true(fabsf(sound_plane(&part, c)[i]) <= 1);
            }
            sound_free(&part);
        }
        sound_free(&whole);
        free(data);
    }
}

/* Packets that do not decode are silence of their length: FLAC knows by its checksums. */
static void lost_packets(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    size_t n;
    sound whole, part;
    char *data = read_file(SOUNDS "/flac.mkv", &n);
    assert_int_equal(sound_read_memory(x->rt, data, n, NULL, &whole), 0);
    data[n / 2] ^= 0x55;
    assert_int_equal(sound_read_memory(x->rt, data, n, NULL, &part), 0);
    assert_int_equal(part.n, whole.n);
    assert_int_equal(part.damage.n_bad_packets + part.damage.n_gaps, 1);
    int64_t first = 0, last = part.n - 1;
    while (part.samples[first] == whole.samples[first]) first++;
    while (part.samples[last] == whole.samples[last]) last--;
    assert_true(first > part.n / 4 && last < part.n * 3 / 4 && last - first < 2000);
    for (int64_t i = first; i <= last; i++) assert_true(part.samples[i] == 0);
    sound_free(&part);
    sound_free(&whole);
    free(data);
}

/* --- what is none --- */

static void refused(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"", LFM2_ERR_FORMAT},
        {"R", LFM2_ERR_UNSUPPORTED},
        {"This is a text about nothing in particular, and it goes on for a while.\n", LFM2_ERR_UNSUPPORTED},
        {"#!/bin/sh\necho hello\n", LFM2_ERR_UNSUPPORTED},
        {"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", LFM2_ERR_UNSUPPORTED},
        {"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nhttp://127.0.0.1:1/a.ts\n", LFM2_ERR_UNSUPPORTED},
        {"ffconcat version 1.0\nfile /etc/passwd\nfile http://127.0.0.1:1/a.wav\n", LFM2_ERR_UNSUPPORTED},
        {"<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\"></MPD>\n", LFM2_ERR_UNSUPPORTED},
        {"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n", LFM2_ERR_UNSUPPORTED},
        {"[playlist]\nFile1=http://127.0.0.1:1/a.mp3\nNumberOfEntries=1\nVersion=2\n", LFM2_ERR_UNSUPPORTED},
        {";FFMETADATA1\ntitle=x\n", LFM2_ERR_UNSUPPORTED},
        {"1\n00:00:00,000 --> 00:00:01,000\nx\n\n", LFM2_ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        sound s;
        const int rc = sound_read_memory(x->rt, cases[i].text, strlen(cases[i].text), NULL, &s);
        if (rc != cases[i].status) fail_msg("case %zu: %s", i, lfm2_err_name(rc));
        assert_non_null(strstr(x->log.line, "memory: "));
    }
}

/* What a name looks like opens nothing. */
static void names_are_names(void **state)
{
    watched *x = *state;
    static const char *const names[] = {"http://127.0.0.1:1/a.wav", "concat:a.wav|b.wav", "data:audio/wav;base64,UklGRg==",
                                        "subfile,,start,0,end,9,,:/etc/passwd", "file:/etc/passwd", "pipe:0", "tcp://127.0.0.1:1",
                                        "crypto:a.wav", "cache:http://127.0.0.1:1/", "async:a.wav", "lavfi:sine", "hls+file:a"};
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        lfm2_audio_source *a;
        assert_int_equal(lfm2_audio_open(x->rt, names[i], NULL, &a), LFM2_ERR_NOT_FOUND);
    }
}

static void other_media(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const char *const names[] = {"/oracle/images/rgb.jpg", "/oracle/images/png-2-8.png", "/oracle/images/animated.gif",
                                        "/oracle/golden/audio/model.safetensors", "/oracle/golden/audio/mmproj-bf16.gguf"};
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        char path[1024];
        lfm2_audio_source *a;
        (void)snprintf(path, sizeof path, LFM2_TEST_DIR "%s", names[i]);
        const int rc = lfm2_audio_open(x->rt, path, NULL, &a);
        if (rc != LFM2_ERR_UNSUPPORTED) fail_msg("%s: %s", names[i], lfm2_err_name(rc));
    }
}

static void without_memory(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const char *const names[] = {"opus.ogg", "mulaw.wav", "film-late.mkv"};
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, SOUNDS "/%s", names[i]);
        for (long k = 0; test_fail_next(&x->heap, &k);) {
            lfm2_audio_source *a;
            const int rc = lfm2_audio_open(x->rt, path, NULL, &a);
            assert_int_equal(rc, test_has_failed(&x->heap) ? LFM2_ERR_NOMEM : 0);
            if (rc == 0) lfm2_audio_close(a);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(few_samples, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(rates, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(channels, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(wav_sizes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(wav_chunks, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(wild_samples, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(time_stamps, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(changing, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(cut_everywhere, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(spoiled, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(lost_packets, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(refused, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(names_are_names, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(other_media, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(without_memory, watch_setup, watch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
