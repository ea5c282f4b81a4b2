/* SPDX-License-Identifier: Apache-2.0
 * Reads a sound file to its end and says what it was: for tests that watch the process from outside. What it prints before and
 * behind tells them where reading begins and ends.
 *
 * usage: read_sound FILE [PCM_RATE_HZ]   with a rate, the file is 16 bit mono samples */
#include <stdio.h>
#include <stdlib.h>

#include "lfm2/audio.h"

enum { CAP_SAMPLES = 16000 };

static void on_log(void *ctx, lfm2_log_level level, const char *line)
{
    (void)ctx, (void)level;
    fprintf(stderr, "%s\n", line);
}

/* Peak memory in KB, as the kernel tells. */
static long peak_kb(void)
{
    char line[256];
    long kb = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "VmHWM: %ld", &kb) == 1) break;
    }
    if (f != NULL) fclose(f);
    return kb;
}

static int read_all(lfm2_audio_source *a, long long *n_samples)
{
    static float samples[LFM2_AUDIO_MAX_CHANNELS][CAP_SAMPLES];
    float *planes[LFM2_AUDIO_MAX_CHANNELS];
    int rc;
    for (int c = 0; c < LFM2_AUDIO_MAX_CHANNELS; c++) planes[c] = samples[c];
    for (int32_t n = 0; (rc = lfm2_audio_read(a, planes, CAP_SAMPLES, &n)) == 0;) *n_samples += n;
    return rc;
}

int main(int argc, char **argv)
{
    lfm2_runtime_params runtime_params = lfm2_runtime_params_default();
    lfm2_audio_params params = lfm2_audio_params_default();
    lfm2_runtime *rt;
    lfm2_audio_source *a = NULL;
    long long n_samples = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: read_sound FILE [PCM_RATE_HZ]\n");
        return 1;
    }
    if (argc > 2) {
        params.pcm = LFM2_PCM_S16LE;
        params.pcm_rate_hz = atoi(argv[2]);
        params.pcm_channels = 1;
    }
    runtime_params.n_threads = 1;
    runtime_params.log = on_log;
    if (lfm2_runtime_create(&runtime_params, &rt) != 0) return 1;
    fprintf(stderr, "begin\n");
    int rc = lfm2_audio_open(rt, argv[1], &params, &a);
    if (rc == 0) rc = read_all(a, &n_samples);
    lfm2_audio_close(a);
    lfm2_runtime_destroy(rt);
    fprintf(stderr, "end\n");
    printf("%s %lld %ld\n", lfm2_err_name(rc), n_samples, peak_kb());
    return 0;
}
