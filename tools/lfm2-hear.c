/* SPDX-License-Identifier: Apache-2.0
 * lfm2-hear: transcribe recordings and what a microphone hears. The option table and main(). */
#include <stdlib.h>
#include <string.h>

#include "tools/hear_tool.h"
#include "tools/options.h"

#define SEC 1000000.0
#define MAX_SECONDS 31536000.0 /* a year */

static const cli_option options[] = {
    {"prompt", 'p', CLI_TEXT, "TEXT", 0, 0, NULL, NULL, NULL, 0, 0, "Text behind the sound; - reads it from standard input."},
    {"system", 0, CLI_TEXT, "TEXT", 0, 0, NULL, "Perform ASR.", NULL, 0, 0, "System message before the sound."},
    {"channels", 0, CLI_ENUM, "HOW", 0, 0, "mix split auto", "auto", NULL, 0, 0,
     "Mix channels, read each by itself, or decide: two that differ are two speakers, the same sound twice is read once, more than "
     "two are mixed. It is decided in the first minute, as soon as there was a second of sound."},
    {"language", 0, CLI_TEXT, "CODE", 0, 0, NULL, "en", NULL, 0, 0, "What is spoken. The models of this family hear English: en."},
    {"glossary", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, 0, "Names and terms to expect, one a line."},
    {"glossary-weight", 0, CLI_REAL, "W", 0, 20, NULL, "3", NULL, 0, 0, "How much more likely they are: added to their logits."},
    {"vad", 0, CLI_ENUM, "ON", 0, 0, "on off", "on", NULL, 0, 0,
     "Look for speech and read only that; off reads everything, cut every --max-segment."},
    {"vad-threshold", 0, CLI_REAL, "P", 0, 1, NULL, "0.5", NULL, 0, 0, "How much like speech a sound must be; higher finds less."},
    {"vad-min-level", 0, CLI_REAL, "DB", -120, 0, NULL, "-55", NULL, 0, 0, "What is quieter is no speech; dB of full scale."},
    {"vad-min-speech", 0, CLI_REAL, "SECONDS", 0, 5, NULL, "0.1", NULL, 0, 0, "What is shorter is no speech."},
    {"vad-min-silence", 0, CLI_REAL, "SECONDS", 0.1, 10, NULL, "0.5", NULL, 0, 0, "A pause that ends a segment."},
    {"vad-pad", 0, CLI_REAL, "SECONDS", 0, 1, NULL, "0.15", NULL, 0, 0, "Kept before and behind what was found."},
    {"max-segment", 0, CLI_REAL, "SECONDS", 1, 60, NULL, "30", NULL, 0, 0, "Longer speech is cut at its best pause."},
    {"timestamps", 0, CLI_ENUM, "WHAT", 0, 0, "segment word", "word", NULL, 0, 0,
     "Times of segments, or of words where they can be placed reliably."},
    {"start", 0, CLI_REAL, "SECONDS", 0, MAX_SECONDS, NULL, "0", NULL, 0, 0, "Leave out the beginning."},
    {"duration", 0, CLI_REAL, "SECONDS", 0, MAX_SECONDS, NULL, NULL, NULL, CLI_ABOVE_LO, 0, "Then hear so much."},
    {"max-duration", 0, CLI_REAL, "SECONDS", 0, MAX_SECONDS, NULL, "604800", NULL, CLI_ABOVE_LO, 0, "Refuse longer recordings."},
    {"pcm", 0, CLI_ENUM, "FORMAT", 0, 0, "s16le f32le mulaw alaw", NULL, NULL, 0, 0, "The input is raw samples, no container."},
    {"rate", 0, CLI_INT, "HZ", 1000, 384000, NULL, "16000", NULL, 0, 0, "Of raw samples."},
    {"pcm-channels", 0, CLI_INT, "N", 1, LFM2_AUDIO_MAX_CHANNELS, NULL, "1", NULL, 0, 0, "Of raw samples."},
    {"mic", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, 0,
     "Hear the microphone: the system's, or the one that the argument names by name, part of it, or index."},
    {"list-devices", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, CLI_NO_ENV, 0, "Print the microphones there are."},
    {"replay", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, 0, "With --mic: a recording as a microphone, by the clock."},
    {"max-tokens", 'n', CLI_INT, "N", 1, 4096, NULL, NULL, NULL, 0, 0,
     "Most tokens of a segment; 16 and 12 for each second, when not given."},
    {"slots", 0, CLI_INT, "N", 1, 64, NULL, "8", NULL, 0, 0, "Segments that are decoded together."},
    TOOL_OPTIONS_SAMPLING(0),
    TOOL_OPTION_DEADLINE(0),
    TOOL_OPTION_PROGRESS(0),
    TOOL_OPTIONS_BATCH(0, HEAR_FORMATS),
    TOOL_OPTION_MODEL(0, "A checkpoint folder, or a .gguf file with its mmproj beside it."),
    TOOL_OPTION_MMPROJ(0),
    TOOL_OPTION_CHECK_MODEL(0),
    TOOL_OPTIONS_PROCESS,
};

static const cli_spec spec = {
    .tool = "lfm2-hear",
    .summary = "Transcribe recordings of any length and container, and what a microphone hears.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .notes = "AUDIO is a file, a folder, or - for standard input (a container, or raw samples with --pcm). " TOOL_NOTES_SETTINGS
             "Exit codes: 0 done; 1 usage; 2 model missing or invalid; 3 input missing or unreadable; 4 input malformed or over a "
             "limit; 5 output cannot be written; 6 out of memory; 7 some files of a batch failed; 8 deadline passed; 10 schema "
             "cannot be honoured; 130 and 143 interrupted and terminated.",
    .args = "AUDIO...",
};

static int64_t us_of(const cli *c, const char *name)
{
    return (int64_t)(cli_real(c, name) * SEC + 0.5);
}

/* ---- settings ---- */

static int set_sound(hear_tool *ht)
{
    const cli *c = &ht->t->cli;
    lfm2_audio_params *a = &ht->audio;

    *a = lfm2_audio_params_default();
    ht->channels = (lfm2_channels)cli_int(c, "channels");
    a->start_us = us_of(c, "start");
    if (cli_is_set(c, "duration")) a->duration_us = us_of(c, "duration");
    a->max_duration_us = us_of(c, "max-duration");
    if (a->max_duration_us < 1) a->max_duration_us = 1;
    if (cli_is_set(c, "pcm")) {
        a->pcm = (lfm2_pcm_format)(cli_int(c, "pcm") + LFM2_PCM_S16LE);
        a->pcm_rate_hz = (int32_t)cli_int(c, "rate");
        a->pcm_channels = (int32_t)cli_int(c, "pcm-channels");
        return 0;
    }
    const char *only = cli_is_set(c, "rate") ? "rate" : cli_is_set(c, "pcm-channels") ? "pcm-channels" : NULL;
    return only ? tool_fail(ht->t, TOOL_USAGE, "--%s is for raw samples: give --pcm FORMAT, too", only) : 0;
}

static int set_segments(hear_tool *ht)
{
    const cli *c = &ht->t->cli;
    lfm2_hear_params *p = &ht->params;

    p->use_vad = cli_int(c, "vad") == 0;
    p->vad.threshold = cli_real(c, "vad-threshold");
    p->vad.min_level_db = cli_real(c, "vad-min-level");
    p->vad.min_speech_us = us_of(c, "vad-min-speech");
    p->vad.min_silence_us = us_of(c, "vad-min-silence");
    p->vad.pad_us = us_of(c, "vad-pad");
    p->vad.max_segment_us = us_of(c, "max-segment");
    p->times = (lfm2_times)cli_int(c, "timestamps");
    p->n_slots = (int32_t)cli_int(c, "slots");
    if (cli_is_set(c, "max-tokens")) p->max_tok = (int32_t)cli_int(c, "max-tokens");
    if (p->vad.pad_us * 4 <= p->vad.max_segment_us) return 0;
    return tool_fail(ht->t, TOOL_USAGE, "--vad-pad is more than a quarter of --max-segment");
}

static int set_texts(hear_tool *ht, char **prompt)
{
    const cli *c = &ht->t->cli;
    lfm2_hear_params *p = &ht->params;
    const char *glossary = cli_text(c, "glossary");
    size_t n = 0;
    int rc = 0;

    ht->language = cli_text(c, "language");
    if (strcmp(ht->language, "en") != 0) {
        return tool_fail(ht->t, TOOL_USAGE, "--language: only en is known; the models of this family hear English");
    }
    p->system = cli_text(c, "system");
    if (!tool_is_utf8(p->system, strlen(p->system))) return tool_fail(ht->t, TOOL_USAGE, "--system: not valid UTF-8");
    if (cli_text(c, "prompt")) rc = tool_read_prompt(ht->t, prompt, &n);
    p->prompt = *prompt;
    p->glossary_weight = cli_real(c, "glossary-weight");
    if (rc || !glossary) return rc;
    rc = tool_read(ht->t, glossary, (size_t)16 << 20, &ht->glossary, &n);
    if (rc) return rc;
    if (strlen(ht->glossary) != n || !tool_is_utf8(ht->glossary, n)) {
        return tool_fail(ht->t, TOOL_MALFORMED, "%s: not valid UTF-8, or with a NUL in it", glossary);
    }
    p->glossary = ht->glossary;
    return 0;
}

static int open_encoder(hear_tool *ht)
{
    tool *t = ht->t;
    const int64_t start_us = tool_now_us();
    const char *path = NULL;
    char *encoder = NULL;

    int rc = tool_model_path(t, &path);
    if (rc == 0) rc = tool_open_model(t, path);
    if (rc == 0) rc = tool_encoder_path(t, path, &encoder);
    if (rc == 0) {
        const int status = lfm2_audio_encoder_load(t->rt, encoder, &ht->enc);
        if (status < 0) rc = tool_fail_status(t, status, TOOL_AT_MODEL, encoder);
    }
    free(encoder);
    ht->load_us = tool_now_us() - start_us;
    return rc;
}

/* ---- run ---- */

static int check_arguments(tool *t)
{
    const cli *c = &t->cli;
    const int live = cli_flag(c, "mic");

    if (live && c->n_args > 1) return tool_fail(t, TOOL_USAGE, "--mic takes one device");
    if (!live && cli_text(c, "replay")) return tool_fail(t, TOOL_USAGE, "--replay is for --mic");
    if (live && cli_int(c, "vad") == 1) return tool_fail(t, TOOL_USAGE, "--mic needs --vad on");
    if (!live && c->n_args == 0) return tool_fail(t, TOOL_USAGE, "no input: name recordings, or give --mic");
    return 0;
}

static int hear_files(hear_tool *ht)
{
    tool_batch batch = {0};
    int rc = tool_batch_expand(ht->t, ht->kind == TOOL_TO_FOLDER, &batch);

    if (rc == 0 && batch.n > 1 && ht->kind == TOOL_TO_FILE) {
        rc = tool_fail(ht->t, TOOL_USAGE, "--output: several recordings need a folder");
    }
    if (rc == 0) rc = open_encoder(ht);
    if (rc == 0) {
        ht->params.sampler = tool_sampling(ht->t, 1);
        rc = tool_batch_run(ht->t, &batch, hear_file, ht);
    }
    tool_batch_fini(&batch);
    return rc;
}

static int hear_live(hear_tool *ht)
{
    const int rc = open_encoder(ht);
    if (rc) return rc;
    ht->params.sampler = tool_sampling(ht->t, 1);
    return hear_mic(ht);
}

static int run(tool *t)
{
    hear_tool ht;
    char *prompt = NULL;

    memset(&ht, 0, sizeof ht);
    ht.t = t;
    ht.params = lfm2_hear_params_default();
    if (cli_flag(&t->cli, "list-devices")) return hear_list_devices(t);
    tool_start_deadline(t);
    ht.formats = cli_int(&t->cli, "format");
    int rc = tool_refuse_unbuilt(t);
    if (rc == 0) rc = check_arguments(t);
    if (rc == 0) rc = set_sound(&ht);
    if (rc == 0) rc = set_segments(&ht);
    if (rc == 0) rc = set_texts(&ht, &prompt);
    if (rc == 0) rc = tool_output_kind_of(t, ht.formats, &ht.kind);
    if (rc == 0) rc = cli_flag(&t->cli, "mic") ? hear_live(&ht) : hear_files(&ht);
    lfm2_audio_encoder_unload(ht.enc);
    free(prompt);
    free(ht.glossary);
    return rc;
}

int main(int argc, char **argv)
{
    return tool_main(argc, argv, &spec, run);
}
