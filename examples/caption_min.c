/* SPDX-License-Identifier: Apache-2.0
 * Describe an image: the first lines of an application that sees.
 *
 * usage: example_caption CHECKPOINT IMAGE */
#include <lfm2/lfm2.h>
#include <stdio.h>

static void print_log(void *ctx, lfm2_log_level level, const char *line)
{
    (void)ctx;
    if (level <= LFM2_LOG_WARN) fprintf(stderr, "%s\n", line);
}

static int print_text(void *ctx, const char *text, size_t n)
{
    (void)ctx;
    return fwrite(text, 1, n, stdout) != n; /* piece by piece, as it is written; non-zero would stop it */
}

int main(int argc, char **argv)
{
    lfm2_runtime_params how = lfm2_runtime_params_default();
    lfm2_see_request request = lfm2_see_request_default(); /* a short caption */
    lfm2_runtime *rt = NULL;
    lfm2_model *model = NULL;
    lfm2_tokenizer *tok = NULL;
    lfm2_vision *vision = NULL;
    lfm2_see *see = NULL;
    lfm2_see_result *result = NULL;
    lfm2_image image = {0};
    int rc;

    if (argc != 3) {
        fprintf(stderr, "usage: %s CHECKPOINT IMAGE\n", argv[0]);
        return 1;
    }
    how.log = print_log;
    if ((rc = lfm2_runtime_create(&how, &rt)) < 0) goto end;
    if ((rc = lfm2_model_load(rt, argv[1], &model)) < 0) goto end;
    if ((rc = lfm2_tokenizer_load(rt, lfm2_model_weights(model), &tok)) < 0) goto end;
    if ((rc = lfm2_vision_load(rt, argv[1], &vision)) < 0) goto end; /* with GGUF: the mmproj file */
    if ((rc = lfm2_see_create(model, tok, vision, NULL, &see)) < 0) goto end;

    if ((rc = lfm2_image_decode_file(rt, argv[2], NULL, &image)) < 0) goto end;
    request.generate.max_tok = 48;
    request.on_text = print_text;
    if ((rc = lfm2_see_run(see, &image, 1, &request, &result)) < 0) goto end;
    printf("\n[%d image tokens, confidence %.2f, stopped by %s]\n", (int)result->n_image_tok, (double)result->confidence,
           lfm2_stop_name(result->stop)); /* anything but eos is not the whole answer */
end:
    if (rc < 0) fprintf(stderr, "%s: %s\n", argv[0], lfm2_strerror(rc));
    lfm2_see_result_destroy(result);
    lfm2_image_fini(&image);
    lfm2_see_destroy(see);
    lfm2_vision_unload(vision);
    lfm2_tokenizer_unload(tok);
    lfm2_model_unload(model);
    lfm2_runtime_destroy(rt);
    return rc < 0;
}
