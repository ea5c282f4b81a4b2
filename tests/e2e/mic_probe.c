/* SPDX-License-Identifier: Apache-2.0
 * What PortAudio has to offer here, as JSON lines: mic_probe list | mic_probe read DEVICE RATE CHANNELS SAMPLES
 * DEVICE "-" = the system's. For test_mic_devices.py, which has no other way to see the samples. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lfm2/live.h"

enum { CAP = 4096 };

static void list_device(void *ctx, int32_t index, const char *name, int32_t n_channels, int32_t rate_hz)
{
    (void)ctx;
    printf("{\"index\": %d, \"name\": \"%s\", \"channels\": %d, \"rate\": %d}\n", (int)index, name, (int)n_channels, (int)rate_hz);
}

static int read_some(lfm2_runtime *rt, char **argv)
{
    static float planes[2][CAP];
    float *const to[] = { planes[0], planes[1] };
    lfm2_mic_params p = lfm2_mic_params_default();
    lfm2_mic *m = NULL;
    const long n_wanted = strtol(argv[3], NULL, 10);
    long n_all = 0, n_odd = 0;
    double squares = 0, most = 0;
    p.device = strcmp(argv[0], "-") == 0 ? NULL : argv[0];
    p.rate_hz = (int32_t)strtol(argv[1], NULL, 10);
    p.n_channels = (int32_t)strtol(argv[2], NULL, 10);
    p.buffer_us = 100000;
    int rc = lfm2_mic_open(rt, &p, &m);
    while (rc == 0 && n_all < n_wanted) {
        int32_t n = 0;
        rc = lfm2_mic_read(m, to, CAP, 3000000, &n);
        for (int32_t i = 0; rc == 0 && i < n; i++) {
            const double v = (double)planes[0][i];
            n_odd += !isfinite(v);
            squares += v * v;
            most = fabs(v) > most ? fabs(v) : most;
        }
        n_all += n;
    }
    printf("{\"status\": \"%s\", \"samples\": %ld, \"not_finite\": %ld, \"rms\": %g, \"peak\": %g, "
           "\"lost\": %lld, \"position_us\": %lld}\n", lfm2_err_name(rc), n_all, n_odd,
           n_all > 0 ? sqrt(squares / (double)n_all) : 0, most, (long long)lfm2_mic_n_lost(m), (long long)lfm2_mic_position_us(m));
    lfm2_mic_close(m);
    return 0;
}

int main(int argc, char **argv)
{
    lfm2_runtime *rt = NULL;
    if (lfm2_runtime_create(NULL, &rt) < 0) return 1;
    int rc = 1;
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        rc = lfm2_mic_list(rt, list_device, NULL);
        printf("{\"status\": \"%s\"}\n", lfm2_err_name(rc));
        rc = 0;
    } else if (argc == 6 && strcmp(argv[1], "read") == 0) {
        rc = read_some(rt, argv + 2);
    }
    lfm2_runtime_destroy(rt);
    return rc;
}
