/* SPDX-License-Identifier: Apache-2.0
 * Allocation failure in a command: its main() is run in a child process once for every k with request number k failing, and once
 * more with all requests from k on failing. Every such run must end with exit code 6, say so in one line on standard error, and
 * leave no file; a run that succeeds all the same (PCRE2 without memory for machine code) must print the same as ever.
 *
 * usage: alloc_fail_tool FOLDER ARGUMENT...
 *   FOLDER     its own, made if it is not there: standard streams and results go there
 *   ARGUMENT   of lfm2-model */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc_wrap.h"

#define EXIT_NOMEM 6
#define MAX_SURVIVED 30
#define MAX_TEXT 65536

int lfm2_model_main(int argc, char **argv);
#define main lfm2_model_main
#include "tools/lfm2-model.c"
#undef main

typedef struct ending {
    int wait_status;
    long n_requests;
    size_t out_n, err_n;
    char out[MAX_TEXT], err[MAX_TEXT];
} ending;

static int redirect(const char *name, int fd)
{
    const int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || dup2(file, fd) < 0) return -1;
    return close(file);
}

static size_t slurp(const char *name, char *text)
{
    FILE *f = fopen(name, "rb");
    if (f == NULL) return 0;
    const size_t n = fread(text, 1, MAX_TEXT - 1, f);
    fclose(f);
    text[n] = '\0';
    return n;
}

/* Run the command in a child. Returns 0, or -1 if that could not be done. */
static int run_tool(char **args, int n_args, long from, long to, ending *e)
{
    (void)unlink("requests");
    (void)unlink("out.gguf");
    const pid_t pid = fork();
    if (pid < 0) return -1;
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        if (setrlimit(RLIMIT_CORE, &no_core) != 0 || redirect("stdout", 1) != 0 || redirect("stderr", 2) != 0) _exit(99);
        alloc_wrap_start(from, to);
        const int code = lfm2_model_main(n_args, args);
        const long n = alloc_wrap_stop();
        FILE *f = fopen("requests", "w");
        if (f != NULL) {
            fprintf(f, "%ld", n);
            fclose(f);
        }
        exit(code); /* with the leak check of a sanitizer */
    }
    if (waitpid(pid, &e->wait_status, 0) != pid) return -1;
    e->out_n = slurp("requests", e->out);
    e->n_requests = e->out_n > 0 ? atol(e->out) : 0;
    e->out_n = slurp("stdout", e->out);
    e->err_n = slurp("stderr", e->err);
    return 0;
}

/* What is wrong with a run in which memory was refused, or NULL. */
static const char *problem_of(const ending *e, const ending *clean, int *n_survived)
{
    const char *line_end = strchr(e->err, '\n');
    if (!WIFEXITED(e->wait_status)) return "died of a signal";
    if (WEXITSTATUS(e->wait_status) == 0) {
        if (++*n_survived > MAX_SURVIVED) return "succeeded";
        return e->out_n == clean->out_n && memcmp(e->out, clean->out, e->out_n) == 0 ? NULL : "succeeded with another result";
    }
    if (WEXITSTATUS(e->wait_status) != EXIT_NOMEM) return "another exit code";
    if (line_end == NULL) return "said nothing";
    if (access("out.gguf", F_OK) == 0) return "left a file";
    return NULL;
}

int main(int argc, char **argv)
{
    static ending clean, e;
    int n_faults = 0, n_survived = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: alloc_fail_tool FOLDER ARGUMENT...\n");
        return 2;
    }
    if ((mkdir(argv[1], 0700) != 0 && errno != EEXIST) || chdir(argv[1]) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 2;
    }
    argv[1] = (char[]){"lfm2-model"};
    if (run_tool(argv + 1, argc - 1, 0, 0, &clean) < 0) return 2;
    if (!WIFEXITED(clean.wait_status) || WEXITSTATUS(clean.wait_status) != 0 || clean.n_requests == 0) {
        fprintf(stderr, "without failures: wait status %x\n%s", (unsigned)clean.wait_status, clean.err);
        return 1;
    }
    for (long k = 1; k <= clean.n_requests && n_faults < 20; k++) {
        for (int persistent = 0; persistent <= 1; persistent++) {
            if (run_tool(argv + 1, argc - 1, k, persistent ? LONG_MAX : k, &e) < 0) return 2;
            const char *problem = problem_of(&e, &clean, &n_survived);
            if (problem == NULL) continue;
            n_faults++;
            fprintf(stderr, "request %ld%s: %s (wait status %x)\n%s", k, persistent ? " and all later ones" : "", problem,
                    (unsigned)e.wait_status, e.err);
        }
    }
    printf("%ld requests, %d made good, %d faults\n", clean.n_requests, n_survived, n_faults);
    return n_faults > 0;
}
