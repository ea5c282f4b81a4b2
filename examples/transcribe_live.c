/* SPDX-License-Identifier: Apache-2.0
 * Write down what is being said: transcribe_live CHECKPOINT [RECORDING]
 * From the system's microphone until it is unplugged, or from a recording as if it were being spoken just now. Text that may still
 * change stands in brackets. */
#include <stdio.h>

#include <lfm2/lfm2.h>

enum { CAP = 16000 };

static void log_line(void *ctx, lfm2_log_level level, const char *line)
{
    (void)ctx;
    if (level <= LFM2_LOG_WARN) fprintf(stderr, "%s\n", line);
}

/* Print all segments that are finished. Returns LFM2_AGAIN, LFM2_EOF or an error. */
static int print_segments(lfm2_hear *hear)
{
    lfm2_segment *s = NULL;
    int rc;
    while ((rc = lfm2_hear_pull(hear, &s)) == 0) {
        printf("%7.2f - %7.2f  %s\n", (double)s->start_us / 1e6, (double)s->end_us / 1e6, s->text);
        lfm2_segment_destroy(s);
    }
    fflush(stdout);
    return rc;
}

/* samples NULL: the sound is over. */
static int push(lfm2_hear *hear, const float *samples, int32_t n)
{
    const float *planes[] = { samples };
    int rc;
    while ((rc = lfm2_hear_push(hear, samples ? planes : NULL, n)) == LFM2_AGAIN) {
        if ((rc = print_segments(hear)) < 0) break;
    }
    return rc < 0 ? rc : print_segments(hear);
}

static int listen_to(lfm2_mic *mic, lfm2_hear *hear)
{
    static float samples[CAP];
    float *planes[] = { samples };
    for (;;) {
        const char *confirmed = "", *tail = "";
        int32_t n = 0;
        int rc = lfm2_mic_read(mic, planes, CAP, 200000, &n);
        if (rc == LFM2_AGAIN) continue;
        if (rc != 0) { /* the end of the recording, or the device is gone: what was said by then is finished */
            const int last = push(hear, NULL, 0);
            return rc < 0 ? rc : last < 0 ? last : 0;
        }
        if ((rc = push(hear, samples, n)) < 0) return rc;
        if ((rc = lfm2_hear_partial(hear, 0, 1000000, &confirmed, &tail)) < 0) return rc;
        if (confirmed[0] || tail[0]) printf("                   %s [%s]\r", confirmed, tail);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    lfm2_runtime *rt = NULL;
    lfm2_model *model = NULL;
    lfm2_tokenizer *tok = NULL;
    lfm2_audio_encoder *enc = NULL;
    lfm2_hear *hear = NULL;
    lfm2_mic *mic = NULL;
    int rc;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: transcribe_live CHECKPOINT [RECORDING]\n");
        return 1;
    }
    lfm2_runtime_params how = lfm2_runtime_params_default();
    how.log = log_line;
    if ((rc = lfm2_runtime_create(&how, &rt)) < 0) goto end;
    if ((rc = lfm2_model_load(rt, argv[1], &model)) < 0) goto end;
    if ((rc = lfm2_tokenizer_load(rt, lfm2_model_weights(model), &tok)) < 0) goto end;
    if ((rc = lfm2_audio_encoder_load(rt, argv[1], &enc)) < 0) goto end;

    lfm2_hear_params live = lfm2_hear_params_default();
    live.n_slots = 1; /* nobody waits for a second segment */
    if ((rc = lfm2_hear_create(model, tok, enc, &live, &hear)) < 0) goto end;

    const lfm2_mic_params from = lfm2_mic_params_default();
    rc = argc == 3 ? lfm2_mic_open_replay(rt, argv[2], &from, &mic) : lfm2_mic_open(rt, &from, &mic);
    if (rc < 0) goto end;
    rc = listen_to(mic, hear);
    printf("[%.2f s heard, %lld samples lost]\n", (double)lfm2_mic_position_us(mic) / 1e6, (long long)lfm2_mic_n_lost(mic));

end:
    if (rc < 0) fprintf(stderr, "transcribe_live: %s\n", lfm2_strerror(rc));
    lfm2_mic_close(mic);
    lfm2_hear_destroy(hear);
    lfm2_audio_encoder_unload(enc);
    lfm2_tokenizer_unload(tok);
    lfm2_model_unload(model);
    lfm2_runtime_destroy(rt);
    return rc < 0;
}
