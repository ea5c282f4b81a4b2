/* SPDX-License-Identifier: Apache-2.0
 * What lfm2-see does with its inputs: images of files, frames and cameras, one by one or all in one question. */
#include <stdlib.h>
#include <string.h>

#include "tools/see.h"

#define MAX_QUESTIONS_BYTES ((size_t)16 << 20)

enum { CAPTION, OCR, ASK }; /* order of the choices of --task */

static int no_memory(tool *t)
{
    return tool_fail(t, TOOL_NOMEM, "images: %s", lfm2_strerror(LFM2_ERR_NOMEM));
}

/* --- what is asked for --- */

/* Lines of --prompts that are not empty. */
static int read_questions(see_job *j)
{
    const char *path = cli_text(&j->t->cli, "prompts");
    size_t n, cap = 1;
    char *line, *p;
    int rc;

    if (!path) return 0;
    rc = tool_read(j->t, path, MAX_QUESTIONS_BYTES, &j->question_text, &n);
    if (rc) return rc;
    if (!tool_is_utf8(j->question_text, n)) return tool_fail(j->t, TOOL_MALFORMED, "--prompts: %s", lfm2_strerror(LFM2_ERR_UTF8));
    if (strlen(j->question_text) != n) return tool_fail(j->t, TOOL_MALFORMED, "--prompts: holds a NUL byte");
    for (p = j->question_text; *p; p++) cap += *p == '\n';
    j->questions = calloc(cap, sizeof *j->questions);
    if (!j->questions) return no_memory(j->t);
    for (line = j->question_text; line; line = p) {
        p = strchr(line, '\n');
        if (p) *p++ = '\0';
        line[strcspn(line, "\r")] = '\0';
        if (*line) j->questions[j->n_questions++] = line;
    }
    return j->n_questions ? 0 : tool_fail(j->t, TOOL_MALFORMED, "--prompts: no line with a question");
}

static int set_task(see_job *j)
{
    const cli *c = &j->t->cli;
    const int has_prompt = cli_text(c, "prompt") || cli_text(c, "prompts");
    const int task = cli_text(c, "task") ? (int)cli_int(c, "task") : has_prompt ? ASK : CAPTION;
    const int64_t boxed = 1 << LFM2_SEE_FORMAT_HOCR | 1 << LFM2_SEE_FORMAT_ALTO | 1 << LFM2_SEE_FORMAT_TSV;

    if (cli_text(c, "prompt") && cli_text(c, "prompts")) {
        return tool_fail(j->t, TOOL_USAGE, "--prompt and --prompts exclude each other");
    }
    if (task == ASK && !has_prompt) return tool_fail(j->t, TOOL_USAGE, "--task ask: no question; give -p TEXT or --prompts FILE");
    if (task != ASK && cli_text(c, "prompts")) return tool_fail(j->t, TOOL_USAGE, "--prompts: questions need --task ask");
    if (task != CAPTION && cli_is_set(c, "caption")) return tool_fail(j->t, TOOL_USAGE, "--caption needs --task caption");
    if (task != OCR && cli_text(c, "layout")) return tool_fail(j->t, TOOL_USAGE, "--layout needs --task ocr");
    if (task != ASK && cli_flag(c, "each")) {
        return tool_fail(j->t, TOOL_USAGE, "--each needs --task ask; other tasks take each image by itself anyway");
    }
    j->request.task = (lfm2_see_task)task;
    j->request.caption = (lfm2_see_caption)cli_int(c, "caption");
    if (task == OCR) {
        const int lines = cli_text(c, "layout") ? (int)cli_int(c, "layout") : (cli_int(c, "format") & boxed) != 0;
        j->request.layout = lines ? LFM2_SEE_LINES : LFM2_SEE_PAGE;
    }
    j->together = task == ASK && !cli_flag(c, "each");
    return 0;
}

static void set_limits(see_job *j)
{
    const cli *c = &j->t->cli;
    lfm2_frames_params *f = &j->frames;
    lfm2_layout_params *l = &j->request.layout_params;

    *f = lfm2_frames_params_default();
    f->image.max_pixels = cli_int(c, "max-pixels");
    f->image.max_side = (int32_t)cli_int(c, "max-side");
    f->image.max_scans = (int32_t)cli_int(c, "max-scans");
    f->image.max_bytes = (uint64_t)cli_int(c, "max-bytes");
    f->image.alpha = (lfm2_alpha)cli_int(c, "alpha");
    f->max_frames = cli_int(c, "max-frames");
    f->max_duration_us = (int64_t)(cli_real(c, "max-seconds") * 1e6);
    if (f->max_duration_us < 1) f->max_duration_us = 1;
    if (cli_is_set(c, "every")) f->every_us = (int64_t)(cli_real(c, "every") * 1e6);
    if (cli_is_set(c, "scene")) f->scene_change = cli_real(c, "scene");
    l->min_line_px = (int32_t)cli_int(c, "min-line-px");
    l->max_lines = (int32_t)cli_int(c, "max-lines");
    l->max_skew_deg = cli_real(c, "max-skew");
}

int see_prepare(see_job *j)
{
    const cli *c = &j->t->cli;
    size_t n;
    int rc;

    j->request = lfm2_see_request_default();
    rc = set_task(j);
    if (rc == 0 && cli_text(c, "prompt")) rc = tool_read_prompt(j->t, &j->prompt, &n);
    if (rc == 0) rc = read_questions(j);
    if (rc) return rc;
    if (j->prompt && strlen(j->prompt) != n) return tool_fail(j->t, TOOL_MALFORMED, "prompt: holds a NUL byte");
    set_limits(j);
    j->request.prompt = j->prompt;
    j->request.system = cli_text(c, "system");
    if (j->request.system && !tool_is_utf8(j->request.system, strlen(j->request.system))) {
        return tool_fail(j->t, TOOL_MALFORMED, "--system: %s", lfm2_strerror(LFM2_ERR_UTF8));
    }
    j->request.generate.max_tok = j->request.task == LFM2_SEE_OCR ? (j->request.layout == LFM2_SEE_LINES ? 256 : 2048) : 512;
    if (cli_is_set(c, "max-tokens")) j->request.generate.max_tok = (int32_t)cli_int(c, "max-tokens");
    return 0;
}

void see_job_fini(see_job *j)
{
    size_t i;

    see_output_fini(&j->out);
    for (i = 0; i < j->n_images; i++) lfm2_image_fini(&j->images[i]);
    free(j->images);
    free(j->names);
    free(j->questions);
    free(j->question_text);
    free(j->prompt);
    lfm2_see_destroy(j->see);
    lfm2_vision_unload(j->vision);
}

/* --- one turn --- */

static void note_images(const see_job *j, const char *file, const lfm2_see_result *r)
{
    int32_t i;

    for (i = 0; i < r->n_images; i++) {
        const lfm2_see_image_info *m = &r->images[i];
        tool_note(j->t, 1, "%s: %d x %d pixels, %d x %d tiles, %d tokens, %d of %d inputs seen before", file, (int)m->width,
                  (int)m->height, (int)m->tile_cols, (int)m->tile_rows, (int)m->n_tok, (int)m->n_cached, (int)m->n_inputs);
        if (m->partial) tool_note(j->t, 0, "%s: cut short or damaged: read as far as it goes", file);
    }
    tool_note(j->t, 1, "%s: tokens: %d of images, %d prompt, %d output; stop: %s", file, (int)r->n_image_tok, (int)r->n_prompt_tok,
              (int)r->n_output_tok, lfm2_stop_name(r->stop));
    if (r->blank) tool_note(j->t, 0, "%s: blank: no text found", file);
    else if (r->stop != LFM2_STOP_EOS) tool_note(j->t, 0, "%s: incomplete: stopped by %s", file, lfm2_stop_name(r->stop));
}

/* Ask, and hand the result on. */
static int run_turn(see_job *j, const lfm2_image *images, size_t n, const lfm2_see_item *item, int keep)
{
    tool *t = j->t;
    lfm2_see_result *result = NULL;
    char shown[256];
    int rc, late;

    j->request.keep = keep;
    j->request.generate.deadline_us = tool_deadline_left_us(t);
    rc = lfm2_see_run(j->see, images, (int32_t)n, &j->request, &result);
    cli_printable(item->file, shown, sizeof shown);
    if (rc == LFM2_ERR_ABORTED && tool_deadline_passed()) rc = LFM2_ERR_DEADLINE;
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_RUN, shown);
    if (result->stop == LFM2_STOP_ABORT && tool_deadline_passed()) result->stop = LFM2_STOP_DEADLINE;
    late = result->stop == LFM2_STOP_DEADLINE;
    note_images(j, shown, result);
    rc = see_output_add(&j->out, item, result);
    if (rc == 0 && late) rc = tool_fail(t, TOOL_DEADLINE, "%s: %s", shown, lfm2_strerror(LFM2_ERR_DEADLINE));
    return rc;
}

/* Every question about the same images: they are looked at for the first one. */
static int run_questions(see_job *j, const lfm2_image *images, size_t n, lfm2_see_item *item)
{
    size_t i;
    int rc = 0;

    item->load_us = (int64_t)(j->t->load_ms * 1e3);
    if (j->n_questions == 0) return run_turn(j, images, n, item, 0);
    for (i = 0; rc == 0 && i < j->n_questions; i++) {
        j->request.prompt = j->questions[i];
        rc = run_turn(j, i == 0 ? images : NULL, i == 0 ? n : 0, item, i > 0);
    }
    return rc;
}

/* --- all images in one turn --- */

static int keep_image(see_job *j, lfm2_image *image, const char *file)
{
    if (j->n_images == j->cap_images) {
        const size_t cap = j->cap_images ? 2 * j->cap_images : 8;
        lfm2_image *grown = realloc(j->images, cap * sizeof *grown);
        if (!grown) return no_memory(j->t);
        j->images = grown;
        j->cap_images = cap;
    }
    if (!j->names || strcmp(j->names, file) != 0) { /* "a.png, b.png" */
        const size_t had = j->names ? strlen(j->names) : 0;
        char *names = realloc(j->names, had + strlen(file) + 3);
        if (!names) return no_memory(j->t);
        memcpy(names + had, had ? ", " : "", had ? 3 : 1);
        strcat(names, file);
        j->names = names;
    }
    j->images[j->n_images++] = *image;
    memset(image, 0, sizeof *image);
    return 0;
}

int see_ask_together(see_job *j)
{
    lfm2_see_item item = {.file = j->names, .page = -1, .pts_us = -1, .decode_us = j->decode_us};
    int rc;

    if (j->n_images == 0) return tool_fail(j->t, TOOL_INPUT, "no images");
    rc = see_output_begin(&j->out, "answer");
    if (rc == 0) rc = run_questions(j, j->images, j->n_images, &item);
    if (rc == 0 || rc == TOOL_DEADLINE) {
        const int ended = see_output_end(&j->out, 1);
        if (rc == 0) rc = ended;
    }
    return rc;
}

/* --- inputs --- */

static int open_frames(see_job *j, const tool_input *in, lfm2_frames **frames)
{
    tool *t = j->t;
    const char *format = cli_text(&t->cli, "camera-format");
    char shown[256];
    int rc;

    cli_printable(in->path, shown, sizeof shown);
    if (cli_text(&t->cli, "camera")) {
        rc = lfm2_frames_open_device(t->rt, format, in->path, &j->frames, frames);
        return rc < 0 ? tool_fail_status(t, rc, TOOL_AT_INPUT, shown) : 0;
    }
    if (in->depth > 0) tool_hold_errors(t);
    rc = lfm2_frames_open(t->rt, in->path, &j->frames, frames);
    if (in->depth > 0) tool_release_errors(t, rc != LFM2_ERR_UNSUPPORTED);
    if (rc == LFM2_ERR_UNSUPPORTED && in->depth > 0) {
        tool_note(t, 0, "%s: skipped: no image", shown);
        return TOOL_SKIP;
    }
    if (rc == LFM2_ERR_ABORTED && tool_deadline_passed()) rc = LFM2_ERR_DEADLINE;
    return rc < 0 ? tool_fail_status(t, rc, TOOL_AT_INPUT, strcmp(in->path, "-") == 0 ? "standard input" : shown) : 0;
}

static int take_frame(see_job *j, const tool_input *in, lfm2_frame *frame, int is_only, int64_t decode_us)
{
    lfm2_see_item item = {.file = in->path, .page = is_only ? -1 : frame->page, .pts_us = frame->is_timed ? frame->pts_us : -1,
                          .decode_us = decode_us};

    if (j->together) {
        j->decode_us += decode_us;
        return keep_image(j, &frame->image, in->path);
    }
    return run_questions(j, &frame->image, 1, &item);
}

/* All frames of an input. A frame is known to be the only one when none follows. */
static int take_frames(see_job *j, const tool_input *in, lfm2_frames *frames, int64_t start_us, int *n_taken)
{
    lfm2_frame frame, next;
    char shown[256];
    int rc = lfm2_frames_next(frames, &frame), status;

    *n_taken = 0;
    cli_printable(in->path, shown, sizeof shown);
    status = rc;
    while (status == 0) {
        const int64_t decode_us = tool_now_us() - start_us;
        int following = LFM2_EOF;
        if (!frame.is_timed) following = lfm2_frames_next(frames, &next);
        rc = take_frame(j, in, &frame, *n_taken == 0 && !frame.is_timed && following != 0, decode_us);
        lfm2_image_fini(&frame.image);
        ++*n_taken;
        if (rc) {
            if (following == 0) lfm2_image_fini(&next.image);
            return rc;
        }
        start_us = tool_now_us();
        status = frame.is_timed ? lfm2_frames_next(frames, &frame) : following;
        if (status == 0 && !frame.is_timed && following == 0) frame = next;
    }
    if (status == LFM2_EOF) return *n_taken ? 0 : tool_fail(j->t, TOOL_MALFORMED, "%s: no frames", shown);
    if (status == LFM2_ERR_ABORTED && tool_deadline_passed()) status = LFM2_ERR_DEADLINE;
    return tool_fail_status(j->t, status, TOOL_AT_INPUT, shown);
}

int see_input(void *job, const tool_input *in)
{
    see_job *j = job;
    lfm2_frames *frames = NULL;
    const int64_t start_us = tool_now_us();
    int n_taken = 0, rc = open_frames(j, in, &frames), ended;

    if (rc == 0) {
        if (!j->together) rc = see_output_begin(&j->out, in->name);
        if (rc == 0) rc = take_frames(j, in, frames, start_us, &n_taken);
        lfm2_frames_close(frames);
        if (!j->together) {
            ended = see_output_end(&j->out, n_taken > 0 && (rc == 0 || j->out.n > 0) && !tool_signal());
            if (rc == 0) rc = ended;
        }
    }
    j->n_done++;
    if (j->n_inputs > 1) tool_progress_show(&j->progress, (double)j->n_done / (double)j->n_inputs);
    return rc;
}
