/* SPDX-License-Identifier: Apache-2.0
 * lfm2-see: describe images, read them, answer questions about them. The option table and main(). */
#include <stdlib.h>

#include "tools/options.h"
#include "tools/see.h"

#define MAX_PIXELS 2147483647.0
#define MAX_MIB (1 << 20)

static const cli_option options[] = {
    {"task", 0, CLI_ENUM, "TASK", 0, 0, "caption ocr ask", NULL, NULL, 0, 0,
     "Describe, read, or answer; caption, or ask if there is a question, when not given."},
    {"prompt", 'p', CLI_TEXT, "TEXT", 0, 0, NULL, NULL, NULL, 0, 0,
     "The question, or what to say in place of the task's own words; - reads it from standard input."},
    {"prompts", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, 0,
     "Questions, one a line, in one conversation about the same images, which are looked at once: a result for each."},
    {"each", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, 0, "Ask about each image by itself; all together when not given."},
    {"caption", 0, CLI_ENUM, "KIND", 0, 0, "short long alt", "short", NULL, 0, 0, "What kind of caption."},
    {"layout", 0, CLI_ENUM, "HOW", 0, 0, "page lines", NULL, NULL, 0, 0,
     "Read a page as a whole, or find its lines and read each; lines with hocr, alto and tsv, otherwise page, when not given."},
    TOOL_OPTION_SYSTEM(0),
    {"max-tokens", 'n', CLI_INT, "N", 1, MAX_CONTEXT, NULL, NULL, NULL, 0, 0,
     "Most tokens to write; 512, for ocr 2048 a page or 256 a line, when not given."},
    TOOL_OPTIONS_SAMPLING(0),
    {"context", 0, CLI_INT, "N", 1, MAX_CONTEXT, NULL, NULL, NULL, 0, 0,
     "Tokens that prompt and answer can hold together; 4096, or less if the model holds less, when not given."},
    TOOL_OPTION_DEADLINE(0),
    {"image-min-tokens", 0, CLI_INT, "N", 1, 4096, NULL, NULL, NULL, 0, 0,
     "Least tokens of every image; the checkpoint's when not given. An image that cannot have them is refused."},
    {"image-max-tokens", 0, CLI_INT, "N", 1, 4096, NULL, NULL, NULL, 0, 0,
     "Most tokens of every image, its tiles together. Without it the checkpoint's holds, to which tiles are added."},
    {"max-tiles", 0, CLI_INT, "N", 1, 64, NULL, NULL, NULL, 0, 0,
     "Most tiles of an image; 1: none; the checkpoint's when not given."},
    {"letterbox", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, 0,
     "Keep the shape of tiled images, with black bars, as llama.cpp does, instead of stretching them."},
    {"alpha", 0, CLI_ENUM, "HOW", 0, 0, "white drop", "white", NULL, 0, 0,
     "Transparent images lie on white, or show their hidden colours, as the reference implementation has it."},
    {"slots", 0, CLI_INT, "N", 1, 64, NULL, "8", NULL, 0, 0, "Lines of a page that are read at the same time."},
    {"min-line-px", 0, CLI_INT, "N", 1, 10000, NULL, "5", NULL, 0, 0, "Lower lines are dirt."},
    {"max-lines", 0, CLI_INT, "N", 1, 1000000, NULL, "5000", NULL, 0, 0, "A page with more lines is refused."},
    {"max-skew", 0, CLI_REAL, "DEGREES", 0, 45, NULL, "10", NULL, 0, 0, "How far a page may be turned and is still set straight."},
    {"every", 0, CLI_REAL, "SECONDS", 0, 1e9, NULL, NULL, NULL, CLI_ABOVE_LO, 0,
     "A frame of a video or animation so often; each second of a video, the first picture of an animation, when not given."},
    {"scene", 0, CLI_REAL, "SHARE", 0, 1, NULL, NULL, NULL, CLI_ABOVE_LO, 0,
     "A frame whenever the picture has changed by this share."},
    {"camera", 0, CLI_TEXT, "DEVICE", 0, 0, NULL, NULL, NULL, 0, 0, "Frames of a device (/dev/video0, :0.0) in place of files."},
    {"camera-format", 0, CLI_TEXT, "NAME", 0, 0, NULL, NULL, NULL, 0, 0,
     "What kind of device: v4l2, x11grab, lavfi, ...; told by its name when not given."},
    {"cache-mib", 0, CLI_INT, "N", 0, MAX_MIB, NULL, "256", NULL, 0, 0,
     "Memory for what has been looked at: equal tiles of later images and frames are not looked at again."},
    {"max-pixels", 0, CLI_INT, "N", 1, MAX_PIXELS, NULL, "178956970", NULL, 0, 0, "Larger images are refused."},
    {"max-side", 0, CLI_INT, "N", 1, 1 << 30, NULL, "1000000", NULL, 0, 0, "Longer images are refused."},
    {"max-scans", 0, CLI_INT, "N", 1, 1 << 30, NULL, "500", NULL, 0, 0, "A JPEG file with more scans is refused."},
    {"max-bytes", 0, CLI_INT, "N", 1, 1099511627776.0, NULL, "268435456", NULL, 0, 0,
     "An image file with more is refused. Videos are not held in memory, and are no longer than --max-seconds."},
    {"max-frames", 0, CLI_INT, "N", 1, 1e15, NULL, "10000", NULL, 0, 0, "Most pages or frames of a file or camera."},
    {"max-seconds", 0, CLI_REAL, "SECONDS", 0, 1e9, NULL, "86400", NULL, CLI_ABOVE_LO, 0,
     "Frames of a video later than that are not seen."},
    TOOL_OPTIONS_BATCH(0, "text json jsonl md hocr alto tsv"),
    TOOL_OPTION_PROGRESS(0),
    TOOL_OPTION_MODEL(0, "A checkpoint folder, or a .gguf with the encoder's file beside it."),
    TOOL_OPTION_MMPROJ(0),
    TOOL_OPTION_CHECK_MODEL(0),
    TOOL_OPTIONS_PROCESS,
};

static const cli_spec spec = {
    "lfm2-see",
    "Describe images, read them, or answer questions about them. An image is a file of any common format, told by its content, a "
    "page of a TIFF file, a frame of a video, a folder (all images in and below it), or - for standard input.",
    NULL,
    0,
    options,
    sizeof options / sizeof options[0],
    "Sampling not given as an option is greedy for ocr, otherwise the model card's advice. What a picture says is written down, "
    "never obeyed. A file that fails does not stop the others.\n" TOOL_NOTES_SETTINGS
    "Exit codes: 0 done; 1 usage; 2 model missing or invalid; 3 input missing or unreadable; 4 input malformed or over a limit; "
    "5 output cannot be written; 6 out of memory; 7 some files failed; 8 deadline passed; 10 schema cannot be honoured; 130 and "
    "143 interrupted and terminated.",
    "IMAGE...",
};

static int check_arguments(tool *t)
{
    const cli *c = &t->cli;
    int rc = tool_refuse_unbuilt(t);

    if (rc) return rc;
    if (cli_text(c, "camera") && c->n_args > 0) return tool_fail(t, TOOL_USAGE, "--camera and files exclude each other");
    if (cli_text(c, "camera-format") && !cli_text(c, "camera")) {
        return tool_fail(t, TOOL_USAGE, "--camera-format needs --camera");
    }
    if (!cli_text(c, "camera") && c->n_args == 0) {
        return tool_fail(t, TOOL_USAGE, "no image: give files, folders, - or --camera DEVICE");
    }
    return 0;
}

static int load(see_job *j)
{
    tool *t = j->t;
    const cli *c = &t->cli;
    const int64_t start_us = tool_now_us();
    lfm2_see_params p = lfm2_see_params_default();
    const char *model_path;
    char *path = NULL;
    int rc = tool_open_model(t, NULL);

    if (rc == 0) rc = tool_model_path(t, &model_path);
    if (rc == 0) rc = tool_encoder_path(t, model_path, &path);
    if (rc == 0) {
        rc = lfm2_vision_load(t->rt, path, &j->vision);
        if (rc < 0) rc = tool_fail_status(t, rc, TOOL_AT_MODEL, path);
    }
    free(path);
    if (rc) return rc;
    if (cli_is_set(c, "image-min-tokens")) p.min_image_tok = (int32_t)cli_int(c, "image-min-tokens");
    if (cli_is_set(c, "image-max-tokens")) p.max_image_tok = (int32_t)cli_int(c, "image-max-tokens");
    if (cli_is_set(c, "max-tiles")) p.max_tiles = (int32_t)cli_int(c, "max-tiles");
    p.letterbox = cli_flag(c, "letterbox");
    p.n_slots = (int32_t)cli_int(c, "slots");
    p.cache_bytes = (uint64_t)cli_int(c, "cache-mib") << 20;
    if (cli_is_set(c, "context")) p.cap_tok = (int32_t)cli_int(c, "context");
    rc = lfm2_see_create(t->model, t->tok, j->vision, &p, &j->see);
    if (rc == LFM2_ERR_ARG) return tool_fail_status(t, rc, TOOL_AT_SETUP, "options");
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, model_path);
    j->request.sampler = tool_sampling(t, j->request.task == LFM2_SEE_OCR);
    t->load_ms = (double)(tool_now_us() - start_us) / 1e3;
    if (!lfm2_see_is_calibrated(j->see)) tool_note(t, 1, "confidences are not calibrated: means of token probabilities");
    return 0;
}

static int look(see_job *j, tool_batch *b)
{
    tool *t = j->t;
    tool_input camera = {.path = (char *)cli_text(&t->cli, "camera"), .name = "camera"};
    int64_t n_encoded, n_cached;
    int rc, kept = 1, closed;

    if (camera.path) {
        j->n_inputs = 1;
        rc = see_input(j, &camera);
    } else {
        j->n_inputs = b->n;
        rc = b->n ? tool_batch_run(t, b, see_input, j) : tool_fail(t, TOOL_INPUT, "no files in the given folders");
    }
    if (j->together && rc == 0) rc = see_ask_together(j);
    if (tool_signal() || (j->together && rc && rc != TOOL_DEADLINE)) kept = 0;
    if (rc && rc != TOOL_SOME && rc != TOOL_DEADLINE && j->out.n == 0) kept = 0; /* nothing to show */
    closed = see_output_close(&j->out, kept);
    lfm2_see_counts(j->see, &n_encoded, &n_cached);
    tool_note(t, 1, "inputs of the encoder: %lld encoded, %lld seen before", (long long)n_encoded, (long long)n_cached);
    return rc ? rc : closed;
}

static int run(tool *t)
{
    see_job j = {.t = t};
    tool_batch batch = {0};
    int rc = check_arguments(t);

    tool_start_deadline(t);
    if (rc == 0) rc = see_prepare(&j);
    if (rc == 0) rc = tool_batch_expand(t, cli_text(&t->cli, "output") != NULL && !j.together, &batch);
    if (rc == 0) rc = load(&j);
    if (rc == 0) rc = see_output_open(&j.out, t, j.request.task == LFM2_SEE_OCR);
    if (rc == 0) {
        tool_progress_start(&j.progress, t, "images");
        rc = look(&j, &batch);
        tool_progress_end(&j.progress);
    }
    see_job_fini(&j);
    tool_batch_fini(&batch);
    return rc;
}

int main(int argc, char **argv)
{
    return tool_main(argc, argv, &spec, run);
}
