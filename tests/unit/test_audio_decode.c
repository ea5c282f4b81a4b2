/* SPDX-License-Identifier: Apache-2.0
 * Sound files of every kind: what they are, how long, and that the speech in them is where it should be. */
#include "sound_testing.h"

#define N_SPEECH 24000 /* samples of it in each file, 1.5 s at 16 kHz */

static float *speech_of(lfm2_runtime *rt, int64_t n)
{
    sound s;
    assert_int_equal(sound_read(rt, SPEECH, NULL, &s), 0);
    assert_undamaged(&s);
    assert_int_equal(s.n, 176000);
    assert_true(n <= s.n);
    return s.samples;
}

/* lag: what a codec puts before the sound and nobody takes away, as its container has no field for it or that is empty. */
static const struct {
    const char *file, *container, *codec;
    int32_t rate_hz;
    int64_t n, lag;
    double least; /* correlation with the speech */
} files[] = {
    {"s16.w64", "w64", "pcm_s16le", 8000, N_SPEECH, 0, 0.999},
    {"s16.aiff", "aiff", "pcm_s16be", 8000, N_SPEECH, 0, 0.999},
    {"mulaw.au", "au", "pcm_mulaw", 8000, N_SPEECH, 0, 0.999},
    {"s16.caf", "caf", "pcm_s16le", 8000, N_SPEECH, 0, 0.999},
    {"rf64.wav", "wav", "pcm_s16le", 8000, N_SPEECH, 0, 0.999},
    {"u8.wav", "wav", "pcm_u8", 8000, N_SPEECH, 0, 0.999},
    {"s24.wav", "wav", "pcm_s24le", 8000, N_SPEECH, 0, 0.999},
    {"s32.wav", "wav", "pcm_s32le", 8000, N_SPEECH, 0, 0.999},
    {"f32.wav", "wav", "pcm_f32le", 8000, N_SPEECH, 0, 0.999},
    {"f64.wav", "wav", "pcm_f64le", 8000, N_SPEECH, 0, 0.999},
    {"mulaw.wav", "wav", "pcm_mulaw", 8000, N_SPEECH, 0, 0.999},
    {"alaw.wav", "wav", "pcm_alaw", 8000, N_SPEECH, 0, 0.999},
    {"gsm.wav", "wav", "gsm_ms", 8000, 24320, 0, 0.95},
    {"gsm.gsm", "gsm", "gsm", 8000, N_SPEECH, 0, 0.95},
    {"ima.wav", "wav", "adpcm_ima_wav", 8000, 24492, 0, 0.99},
    {"ms.wav", "wav", "adpcm_ms", 8000, 24432, 0, 0.99},
    {"g722.wav", "wav", "adpcm_g722", 16000, N_SPEECH, 22, 0.99},
    {"flac.flac", "flac", "flac", 16000, N_SPEECH, 0, 1},
    {"flac.mkv", "matroska", "flac", 16000, N_SPEECH, 0, 1},
    {"mp3.mp3", "mp3", "mp3", 16000, N_SPEECH, 0, 0.99},
    {"mp3-plain.mp3", "mp3", "mp3", 16000, 25344, 1105, 0.99},
    {"opus.ogg", "ogg", "opus", 48000, N_SPEECH, 0, 0.99},
    {"opus.webm", "matroska", "opus", 48000, N_SPEECH, 0, 0.99},
    {"vorbis.ogg", "ogg", "vorbis", 16000, N_SPEECH, 0, 0.99},
    {"speex.ogg", "ogg", "speex", 16000, N_SPEECH, 222, 0.95},
    {"aac.m4a", "mp4", "aac", 16000, 24576, 0, 0.99},
    {"aac-index-last.m4a", "mp4", "aac", 16000, 24576, 0, 0.99},
    {"aac-fragments.mp4", "mp4", "aac", 16000, 25600, 1024, 0.99},
    {"alac.m4a", "mp4", "alac", 16000, N_SPEECH, 0, 1},
    {"s16.mov", "mp4", "pcm_s16le", 8000, N_SPEECH, 0, 0.999},
    {"aac.aac", "aac", "aac", 16000, 25600, 1024, 0.99},
    {"aac.ts", "mpegts", "aac", 16000, 25600, 1024, 0.99},
    {"mp3.flv", "flv", "mp3", 22050, 25078, 802, 0.99},
    {"mp3.avi", "avi", "mp3", 22050, 25078, 802, 0.99},
    {"wma.wma", "asf", "wmav2", 16000, 23552, -512, 0.98},
    {"ac3.ac3", "ac3", "ac3", 32000, 24576, 128, 0.99},
    {"mp2.mpg", "mpeg", "mp2", 32000, 24192, 240, 0.96},
    {"wavpack.wv", "wavpack", "wavpack", 8000, N_SPEECH, 0, 0.999},
    {"tta.tta", "tta", "tta", 8000, N_SPEECH, 0, 0.999},
    {"film.mp4", "mp4", "aac", 16000, 24576, 0, 0.99},
    {"film.mkv", "matroska", "aac", 16000, 25600, 1024, 0.99},
    {"two-streams.mkv", "matroska", "flac", 16000, N_SPEECH, 0, 1},
};

static void every_kind(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    float *speech = speech_of(x->rt, N_SPEECH);
    for (size_t i = 0; i < LFM2__COUNT_OF(files); i++) {
        char path[1024];
        sound s;
        (void)snprintf(path, sizeof path, SOUNDS "/%s", files[i].file);
        if (sound_read(x->rt, path, NULL, &s) != 0) fail_msg("%s: %s", files[i].file, x->log.line);
        assert_string_equal(s.info.container, files[i].container);
        assert_string_equal(s.info.codec, files[i].codec);
        assert_int_equal(s.info.source_rate_hz, files[i].rate_hz);
        assert_int_equal(s.info.rate_hz, 16000);
        assert_int_equal(s.info.n_channels, 1);
        assert_undamaged(&s);
        const int64_t lag = best_lag(s.samples, s.n, speech, N_SPEECH, files[i].lag, 20);
        const double c = correlation(s.samples, s.n, speech, N_SPEECH, lag);
        if (s.n != files[i].n || llabs((long long)(lag - files[i].lag)) > 1 || c < files[i].least) {
            fail_msg("%s: %lld samples, lag %lld, correlation %f", files[i].file, (long long)s.n, (long long)lag, c);
        }
        if (files[i].least == 1) assert_memory_equal(s.samples, speech, N_SPEECH * sizeof(float));
        sound_free(&s);
    }
    free(speech);
}

/* Frames of random bits: their number is what counts. */
static void amr(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    sound s;
    assert_int_equal(sound_read(x->rt, SOUNDS "/amr.amr", NULL, &s), 0);
    assert_string_equal(s.info.codec, "amr_nb");
    assert_int_equal(s.n, N_SPEECH);
    assert_undamaged(&s);
    sound_free(&s);
}

/* A film's time begins with its picture. */
static void late_sound(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    sound s;
    float *speech = speech_of(x->rt, N_SPEECH);
    assert_int_equal(sound_read(x->rt, SOUNDS "/film-late.mkv", NULL, &s), 0);
    assert_undamaged(&s);
    assert_int_equal(s.n, N_SPEECH + 11200);
    for (int i = 0; i < 11200; i++) assert_true(s.samples[i] == 0);
    assert_memory_equal(s.samples + 11200, speech, N_SPEECH * sizeof(float));
    sound_free(&s);
    free(speech);
}

/* What the container says of its length is right where it says something. */
static void announced_length(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const char *const names[] = {"flac.flac", "opus.ogg", "aac.m4a", "rf64.wav", "film.mp4", "opus.webm", "mp3.mp3"};
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        char path[1024];
        lfm2_audio_source *a;
        lfm2_audio_info info;
        (void)snprintf(path, sizeof path, SOUNDS "/%s", names[i]);
        assert_int_equal(lfm2_audio_open(x->rt, path, NULL, &a), 0);
        lfm2_audio_get_info(a, &info);
        assert_in_range(info.duration_us, 1500000, 1600000);
        lfm2_audio_close(a);
    }
}

/* --- parameters --- */

/* Start and length are exact to the sample, whatever the codec, and however it is read. */
static void parts(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const char *const names[] = {"flac.flac", "opus.ogg", "mp3.mp3", "mulaw.wav", "film-late.mkv"};
    static const int64_t times[][2] = {{0, 500000}, {1, 1}, {250000, -1}, {700031, 300094}, {1499999, 100000},
                                       {0, 0}, {3000000, -1}};
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        char path[1024];
        sound all, part;
        (void)snprintf(path, sizeof path, SOUNDS "/%s", names[i]);
        assert_int_equal(sound_read(x->rt, path, NULL, &all), 0);
        for (size_t t = 0; t < LFM2__COUNT_OF(times); t++) {
            lfm2_audio_params params = lfm2_audio_params_default();
            params.start_us = times[t][0];
            params.duration_us = times[t][1];
            const int64_t from = (times[t][0] * 16 + 500) / 1000;
            int64_t to = times[t][1] < 0 ? all.n : ((times[t][0] + times[t][1]) * 16 + 500) / 1000;
            if (to > all.n) to = all.n;
            lfm2_audio_source *a;
            assert_int_equal(lfm2_audio_open(x->rt, path, &params, &a), 0);
            sound_take(a, t % 2 ? 37 : 100000, &part);
            assert_int_equal(part.rc, LFM2_EOF);
            assert_int_equal(part.n, from < to ? to - from : 0);
            if (part.n > 0) assert_memory_equal(part.samples, all.samples + from, (size_t)part.n * sizeof(float));
            sound_free(&part);
        }
        sound_free(&all);
    }
}

static void own_rate(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    lfm2_audio_params params = lfm2_audio_params_default();
    sound s;
    params.rate_hz = 0;
    assert_int_equal(sound_read(x->rt, SOUNDS "/f32.wav", &params, &s), 0);
    assert_int_equal(s.info.rate_hz, 8000);
    assert_int_equal(s.n, N_SPEECH / 2);
    sound_free(&s);
    params.rate_hz = 44100;
    assert_int_equal(sound_read(x->rt, SOUNDS "/f32.wav", &params, &s), 0);
    assert_int_equal(s.info.rate_hz, 44100);
    assert_int_equal(s.n, 66150);
    sound_free(&s);
}

static void too_long(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    lfm2_audio_params params = lfm2_audio_params_default();
    sound s;
    params.max_duration_us = 1000000;
    assert_int_equal(sound_read(x->rt, SOUNDS "/flac.flac", &params, &s), 0);
    assert_int_equal(s.rc, LFM2_ERR_LIMIT);
    assert_int_equal(s.n, 16000);
    assert_non_null(strstr(x->log.line, "longer than the limit"));
    sound_free(&s);
    params.duration_us = 1000000; /* no more is wanted */
    assert_int_equal(sound_read(x->rt, SOUNDS "/flac.flac", &params, &s), 0);
    assert_int_equal(s.rc, LFM2_EOF);
    assert_int_equal(s.n, 16000);
    sound_free(&s);
    params.duration_us = -1;
    params.max_duration_us = 1500000; /* exactly */
    assert_int_equal(sound_read(x->rt, SOUNDS "/flac.flac", &params, &s), 0);
    assert_int_equal(s.rc, LFM2_EOF);
    assert_int_equal(s.n, N_SPEECH);
    sound_free(&s);
}

static void arguments(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    lfm2_audio_source *a = NULL;
    float sample, *plane = &sample, *none = NULL;
    int32_t n;
    const lfm2_audio_params good = lfm2_audio_params_default();
    lfm2_audio_params bad[12];
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) bad[i] = good;
    bad[0].rate_hz = 999;
    bad[1].rate_hz = 384001;
    bad[2].start_us = -1;
    bad[3].duration_us = -2;
    bad[4].max_duration_us = 0;
    bad[5].max_gap_us = -1;
    bad[6].pcm = (lfm2_pcm_format)5;
    bad[7].pcm = LFM2_PCM_S16LE; /* with a rate of 0 */
    bad[8].pcm = LFM2_PCM_S16LE, bad[8].pcm_rate_hz = 8000; /* without channels */
    bad[9].pcm = LFM2_PCM_ALAW, bad[9].pcm_rate_hz = 8000, bad[9].pcm_channels = 65;
    bad[10].pcm = LFM2_PCM_ALAW, bad[10].pcm_rate_hz = 400000, bad[10].pcm_channels = 1;
    bad[11].rate_hz = -1;
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        assert_int_equal(lfm2_audio_open(x->rt, SPEECH, &bad[i], &a), LFM2_ERR_ARG);
        assert_non_null(strstr(x->log.line, "out of range"));
    }
    assert_int_equal(lfm2_audio_open(NULL, SPEECH, NULL, &a), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_open(x->rt, NULL, NULL, &a), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_open(x->rt, SPEECH, NULL, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_open(x->rt, SOUNDS "/none.wav", NULL, &a), LFM2_ERR_NOT_FOUND);
    assert_int_equal(lfm2_audio_open(x->rt, SOUNDS, NULL, &a), LFM2_ERR_IO);
    lfm2_audio_close(NULL);
    assert_null(a);
    assert_int_equal(lfm2_audio_open(x->rt, SPEECH, NULL, &a), 0);
    assert_int_equal(lfm2_audio_read(NULL, &plane, 1, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_read(a, NULL, 1, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_read(a, &none, 1, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_read(a, &plane, 0, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_read(a, &plane, 1, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_read(a, &plane, 1, &n), 0);
    lfm2_runtime_abort(x->rt);
    assert_int_equal(lfm2_audio_read(a, &plane, 1, &n), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(x->rt);
    assert_int_equal(lfm2_audio_read(a, &plane, 1, &n), 0);
    lfm2_audio_close(a);
}

/* --- raw samples --- */

static void raw(void **state)
{
    watched *x = *state;
    static const struct {
        lfm2_pcm_format pcm;
        const char *codec;
        size_t frame_bytes;
        unsigned char data[16];
        float want[2][2];
    } cases[] = {
        {LFM2_PCM_S16LE, "pcm_s16le", 4, {0x00, 0x80, 0xff, 0x7f, 0x00, 0x40, 0x00, 0x00}, {{-1, 0.5f}, {32767.0f / 32768, 0}}},
        {LFM2_PCM_F32LE, "pcm_f32le", 8, {0, 0, 0, 0x3f, 0, 0, 0x80, 0xbf, 0, 0, 0xc0, 0x7f, 0, 0, 0x80, 0xff},
         {{0.5f, 0}, {-1, -1}}},
        {LFM2_PCM_MULAW, "pcm_mulaw", 2, {0xff, 0x80, 0x00, 0x7f}, {{0, -32124.0f / 32768}, {32124.0f / 32768, 0}}},
        {LFM2_PCM_ALAW, "pcm_alaw", 2, {0xd5, 0xaa, 0x2a, 0x55},
         {{8.0f / 32768, -32256.0f / 32768}, {32256.0f / 32768, -8.0f / 32768}}},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        lfm2_audio_params params = lfm2_audio_params_default();
        sound s;
        params.pcm = cases[i].pcm;
        params.pcm_rate_hz = 16000;
        params.pcm_channels = 2;
        assert_int_equal(sound_read_memory(x->rt, cases[i].data, 2 * cases[i].frame_bytes, &params, &s), 0);
        assert_string_equal(s.info.container, "raw");
        assert_string_equal(s.info.codec, cases[i].codec);
        assert_int_equal(s.info.duration_us, 125);
        assert_int_equal(s.n, 2);
        for (int32_t c = 0; c < 2; c++) {
            for (int k = 0; k < 2; k++) assert_true(sound_plane(&s, c)[k] == cases[i].want[c][k]);
        }
        assert_int_equal(s.damage.n_bad_samples, cases[i].pcm == LFM2_PCM_F32LE ? 2 : 0);
        assert_int_equal(s.damage.truncated, 0);
        sound_free(&s);
        assert_int_equal(sound_read_memory(x->rt, cases[i].data, 2 * cases[i].frame_bytes - 1, &params, &s), 0);
        assert_int_equal(s.n, 1);
        assert_int_equal(s.damage.truncated, 1);
        sound_free(&s);
        assert_int_equal(sound_read_memory(x->rt, NULL, 0, &params, &s), 0);
        assert_int_equal(s.n, 0);
        assert_undamaged(&s);
        sound_free(&s);
    }
}

/* The bytes of G.711 that libav's decoder has decoded are decoded alike without it. */
static void raw_as_in_container(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const char *const names[] = {SOUNDS "/mulaw.wav", SOUNDS "/alaw.wav"};
    for (int i = 0; i < 2; i++) {
        lfm2_audio_params params = lfm2_audio_params_default();
        sound boxed, plain;
        size_t n;
        char *data = read_file(names[i], &n);
        assert_int_equal(sound_read(x->rt, names[i], &params, &boxed), 0);
        params.pcm = i == 0 ? LFM2_PCM_MULAW : LFM2_PCM_ALAW;
        params.pcm_rate_hz = 8000;
        params.pcm_channels = 1;
        assert_int_equal(sound_read_memory(x->rt, data + n - 12000, 12000, &params, &plain), 0);
        assert_int_equal(plain.n, boxed.n);
        assert_memory_equal(plain.samples, boxed.samples, (size_t)plain.n * sizeof(float));
        sound_free(&plain);
        sound_free(&boxed);
        free(data);
    }
}

/* --- channels --- */

static void many_channels(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const int counts[] = {1, 2, 3, 6, 8, 9, 17, 63, 64};
    for (size_t i = 0; i < LFM2__COUNT_OF(counts); i++) {
        const int n_channels = counts[i];
        for (int rate_hz = 8000; rate_hz <= 16000; rate_hz += 8000) {
            bytes b = {0};
            sound s;
            put_wav_header(&b, WAV_PCM, n_channels, rate_hz, 16, (uint64_t)n_channels * 2 * 1000);
            for (int k = 0; k < 1000; k++) {
                for (int c = 0; c < n_channels; c++) put_le(&b, (uint64_t)(c + 1) * 256, 2);
            }
            assert_int_equal(sound_read_memory(x->rt, b.data, b.n, NULL, &s), 0);
            assert_int_equal(s.info.n_channels, n_channels);
            assert_int_equal(s.n, 1000 * 16000 / rate_hz);
            for (int32_t c = 0; c < n_channels; c++) { /* a constant stays one, each channel its own */
                assert_float_equal(sound_plane(&s, c)[s.n / 2], (c + 1) / 128.0f, 1e-5);
            }
            sound_free(&s);
            free(b.data);
        }
    }
}

/* --- resampling --- */

/* Amplitude of a tone in x, and, if asked, the share of everything else. */
static double tone_level(const float *x, int64_t n, double f_hz, double rate_hz, double *rest)
{
    double ss = 0, sc = 0, cc = 0, xs = 0, xc = 0, xx = 0;
    for (int64_t i = 0; i < n; i++) {
        const double p = 2 * 3.14159265358979323846 * f_hz * (double)i / rate_hz, s = sin(p), c = cos(p), v = (double)x[i];
        ss += s * s, sc += s * c, cc += c * c, xs += v * s, xc += v * c, xx += v * v;
    }
    const double det = ss * cc - sc * sc, a = (xs * cc - xc * sc) / det, b = (xc * ss - xs * sc) / det;
    if (rest != NULL) *rest = sqrt(fmax(xx - a * xs - b * xc, 0) / (double)n);
    return sqrt(a * a + b * b);
}

static void resample_tone(lfm2_runtime *rt, int from_hz, int to_hz, double f_hz, double *level, double *rest)
{
    bytes b = {0};
    sound s;
    put_wav_header(&b, WAV_FLOAT, 1, from_hz, 32, (uint64_t)from_hz * 4);
    for (int i = 0; i < from_hz; i++) put_f32(&b, (float)(0.5 * sin(2 * 3.14159265358979323846 * f_hz * i / from_hz)));
    lfm2_audio_params params = lfm2_audio_params_default();
    params.rate_hz = to_hz;
    assert_int_equal(sound_read_memory(rt, b.data, b.n, &params, &s), 0);
    assert_int_equal(s.n, to_hz);
    *level = tone_level(s.samples + to_hz / 4, to_hz / 2, f_hz, to_hz, rest) / 0.5;
    *rest /= 0.5;
    sound_free(&s);
    free(b.data);
}

/* Telephony: 300 to 3,400 Hz, and beyond down to 50 and up to 3,600, come through within 0.01 dB, their images are 90 dB down. From
 * higher rates what would fall back into the band is 90 dB down from 8.4 kHz on. */
static void passband_and_stopband(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const int pass[][3] = {{8000, 16000, 50}, {8000, 16000, 300}, {8000, 16000, 3400}, {8000, 16000, 3600},
                                  {11025, 16000, 4500}, {44100, 16000, 100}, {44100, 16000, 6800}, {48000, 16000, 6800},
                                  {37999, 16000, 6800}, {384000, 16000, 1000}, {16000, 48000, 7000}, {1000, 16000, 440}};
    static const int stop[][3] = {{44100, 16000, 8400}, {44100, 16000, 12000}, {48000, 16000, 8400}, {48000, 16000, 15000},
                                  {96000, 16000, 40000}, {22050, 8000, 4200}, {384000, 16000, 100000}};
    double level, rest;
    for (size_t i = 0; i < LFM2__COUNT_OF(pass); i++) {
        resample_tone(x->rt, pass[i][0], pass[i][1], pass[i][2], &level, &rest);
        if (fabs(20 * log10(level)) > 0.01 || 20 * log10(rest) > -90) {
            fail_msg("%d to %d Hz, %d Hz: %f dB, rest %f dB", pass[i][0], pass[i][1], pass[i][2], 20 * log10(level),
                     20 * log10(rest));
        }
    }
    for (size_t i = 0; i < LFM2__COUNT_OF(stop); i++) {
        resample_tone(x->rt, stop[i][0], stop[i][1], stop[i][2], &level, &rest);
        if (20 * log10(rest) > -85) {
            fail_msg("%d to %d Hz, %d Hz: %f dB left", stop[i][0], stop[i][1], stop[i][2], 20 * log10(rest));
        }
    }
}

/* A click stays where it is. */
static void no_delay(void **state)
{
    if (!HAS_LIBAV) skip();
    watched *x = *state;
    static const int rates[] = {8000, 11025, 22050, 32000, 44100, 48000, 96000, 15999};
    for (size_t r = 0; r < LFM2__COUNT_OF(rates); r++) {
        bytes b = {0};
        sound s;
        put_wav_header(&b, WAV_FLOAT, 1, rates[r], 32, (uint64_t)rates[r] * 4);
        for (int i = 0; i < rates[r]; i++) { /* a smooth one at 0.3 s, 2 ms wide */
            const double t = ((double)i / rates[r] - 0.3) / 0.001;
            put_f32(&b, (float)(0.9 * exp(-t * t)));
        }
        assert_int_equal(sound_read_memory(x->rt, b.data, b.n, NULL, &s), 0);
        double sum = 0, at = 0;
        for (int64_t i = 0; i < s.n; i++) {
            sum += (double)s.samples[i];
            at += (double)s.samples[i] * (double)i;
        }
        assert_int_equal(s.n, 16000);
        assert_true(fabs(at / sum - 4800) < 0.01);
        sound_free(&s);
        free(b.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(raw, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(every_kind, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(amr, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(late_sound, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(announced_length, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(parts, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(own_rate, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(too_long, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(arguments, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(raw_as_in_container, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(many_channels, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(passband_and_stopband, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(no_delay, watch_setup, watch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
