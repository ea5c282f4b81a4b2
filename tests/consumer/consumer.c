/* SPDX-License-Identifier: Apache-2.0
 * What a program outside the tree does with the installed library; compiled as C and as C++. */
#include <stdio.h>
#include <string.h>

#include <lfm2/lfm2.h>

static void log_line(void *ctx, lfm2_log_level level, const char *line)
{
    (void)level;
    if (strstr(line, "no-such-model")) *(int *)ctx = 1;
}

int main(void)
{
    lfm2_runtime *rt = NULL;
    lfm2_weights *w = NULL;
    int named = 0;
    lfm2_runtime_params p = lfm2_runtime_params_default();
    p.log = log_line;
    p.log_ctx = &named;
    p.n_threads = 2;
    if (lfm2_runtime_create(&p, &rt) < 0) return 1;
    int rc = lfm2_weights_open(rt, "no-such-model.gguf", &w);
    printf("lfm2 %s, %d threads: %s\n", lfm2_version(), (int)lfm2_runtime_n_threads(rt), lfm2_err_name(rc));
    lfm2_runtime_destroy(rt);
    return rc == LFM2_ERR_NOT_FOUND && w == NULL && named ? 0 : 1;
}
