/* SPDX-License-Identifier: Apache-2.0
 * Runs a fuzz target over the files it is given, or all files of the folders it is given: the corpus replayed without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t n_run;

static int run_file(const char *path, size_t n)
{
    uint8_t *data = malloc(n > 0 ? n : 1); /* of exactly this size, so that a read behind the end is seen */
    FILE *f = fopen(path, "rb");
    int rc = -1;

    if (data && f && fread(data, 1, n, f) == n) {
        (void)LLVMFuzzerTestOneInput(data, n);
        n_run++;
        rc = 0;
    } else {
        fprintf(stderr, "%s: cannot read\n", path);
    }
    if (f) fclose(f);
    free(data);
    return rc;
}

static int run_path(const char *path, int depth)
{
    struct stat st;
    int rc = 0;

    if (stat(path, &st) < 0) {
        fprintf(stderr, "%s: not found\n", path);
        return -1;
    }
    if (S_ISREG(st.st_mode)) return run_file(path, (size_t)st.st_size);
    DIR *dir = depth < 4 ? opendir(path) : NULL;
    if (!dir) return -1;
    for (const struct dirent *e = readdir(dir); e && rc == 0; e = readdir(dir)) {
        char child[4096];
        if (e->d_name[0] == '.') continue;
        const int n = snprintf(child, sizeof child, "%s/%s", path, e->d_name);
        rc = n > 0 && (size_t)n < sizeof child ? run_path(child, depth + 1) : -1;
    }
    closedir(dir);
    return rc;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (run_path(argv[i], 0) < 0) return 1;
    printf("%zu inputs\n", n_run);
    return n_run > 0 ? 0 : 1;
}
