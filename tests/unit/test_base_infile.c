/* SPDX-License-Identifier: Apache-2.0
 * Files read piece by piece: regular, FIFO, standard input, memory; what is refused; a reader that waits can be aborted. */
#include "base_testing.h"
#include "file_testing.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/infile.h"

/* Read to the end, in pieces of up to n_piece bytes. */
static size_t read_all(lfm2__infile *in, char *out, size_t cap, size_t n_piece)
{
    size_t n = 0;
    for (;;) {
        size_t n_got = 0;
        const int rc = lfm2__infile_read(in, out + n, n_piece < cap - n ? n_piece : cap - n, &n_got);
        if (rc == LFM2_EOF) return n;
        assert_int_equal(rc, 0);
        assert_in_range(n_got, 1, n_piece);
        n += n_got;
        assert_true(n < cap);
    }
}

static void read_and_seek(lfm2__infile *in)
{
    char text[32];
    size_t n_got;
    assert_int_equal(read_all(in, text, sizeof text, 3), 10);
    assert_memory_equal(text, "0123456789", 10);
    assert_int_equal(lfm2__infile_bytes(in), 10);
    assert_int_equal(lfm2__infile_tell(in), 10);
    assert_int_equal(lfm2__infile_seek(in, 7), 0);
    assert_int_equal(read_all(in, text, sizeof text, 30), 3);
    assert_memory_equal(text, "789", 3);
    assert_int_equal(lfm2__infile_seek(in, 10), 0);
    assert_int_equal(lfm2__infile_read(in, text, 1, &n_got), LFM2_EOF);
    assert_int_equal(lfm2__infile_seek(in, -1), LFM2_ERR_IO);
    assert_int_equal(lfm2__infile_seek(in, 11), LFM2_ERR_IO);
    assert_int_equal(lfm2__infile_tell(in), 10);
    assert_int_equal(lfm2__infile_status(in), 0);
}

static void regular(void **state)
{
    file_fixture *f = *state;
    lfm2__infile *in;
    write_file(f->path, "0123456789", 10);
    assert_int_equal(lfm2__infile_open(f->x.rt, f->path, &in), 0);
    assert_string_equal(lfm2__infile_name(in), f->path);
    read_and_seek(in);
    lfm2__infile_close(in);
    lfm2__infile_close(NULL);
}

static void memory(void **state)
{
    file_fixture *f = *state;
    lfm2__infile *in;
    char byte;
    size_t n_got;
    assert_int_equal(lfm2__infile_open_memory(f->x.rt, "0123456789", 10, "digits", &in), 0);
    assert_string_equal(lfm2__infile_name(in), "digits");
    read_and_seek(in);
    lfm2__infile_close(in);
    assert_int_equal(lfm2__infile_open_memory(f->x.rt, NULL, 0, "nothing", &in), 0);
    assert_int_equal(lfm2__infile_bytes(in), 0);
    assert_int_equal(lfm2__infile_read(in, &byte, 1, &n_got), LFM2_EOF);
    lfm2__infile_close(in);
}

/* Standard input that is a file, of which a part was read already, can be sought in; a pipe cannot. */
static void standard_input(void **state)
{
    file_fixture *f = *state;
    lfm2__infile *in;
    char text[32];
    int ends[2];
    const int before = dup(STDIN_FILENO);
    write_file(f->path, "xx0123456789", 12);
    const int fd = open(f->path, O_RDONLY);
    assert_true(fd >= 0 && lseek(fd, 2, SEEK_SET) == 2 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    close(fd);
    assert_int_equal(lfm2__infile_open(f->x.rt, "-", &in), 0);
    assert_string_equal(lfm2__infile_name(in), "standard input");
    read_and_seek(in);
    lfm2__infile_close(in);

    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO && write(ends[1], "0123456789", 10) == 10);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(lfm2__infile_open(f->x.rt, "-", &in), 0);
    assert_int_equal(lfm2__infile_bytes(in), -1);
    assert_int_equal(lfm2__infile_seek(in, 0), LFM2_ERR_IO);
    assert_int_equal(read_all(in, text, sizeof text, 4), 10);
    assert_memory_equal(text, "0123456789", 10);
    assert_int_equal(lfm2__infile_tell(in), 10);
    lfm2__infile_close(in);
    if (before >= 0) {
        assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
        close(before);
    }
}

/* A FIFO without a writer is opened at once and waited for when it is read; the wait ends with an abort. */
static void fifo(void **state)
{
    file_fixture *f = *state;
    lfm2__infile *in;
    char text[32];
    size_t n_got;
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(lfm2__infile_open(f->x.rt, f->path, &in), 0);
    const pid_t writer = fork();
    if (writer == 0) {
        const int fd = open(f->path, O_WRONLY);
        const int ok = fd >= 0 && write(fd, "01234", 5) == 5 && usleep(10000) == 0 && write(fd, "56789", 5) == 5;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(read_all(in, text, sizeof text, 30), 10);
    assert_memory_equal(text, "0123456789", 10);
    int status;
    assert_true(waitpid(writer, &status, 0) == writer && status == 0);
    lfm2__infile_close(in);

    assert_int_equal(lfm2__infile_open(f->x.rt, f->path, &in), 0);
    lfm2_runtime_abort(f->x.rt);
    assert_int_equal(lfm2__infile_read(in, text, 1, &n_got), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(f->x.rt);
    assert_int_equal(lfm2__infile_status(in), 0);
    lfm2__infile_close(in);
}

static void refused(void **state)
{
    file_fixture *f = *state;
    lfm2__infile *in;
    assert_int_equal(lfm2__infile_open(f->x.rt, f->path, &in), LFM2_ERR_NOT_FOUND);
    assert_non_null(strstr(f->x.log.line, f->path));
    assert_int_equal(lfm2__infile_open(f->x.rt, f->dir, &in), LFM2_ERR_IO);
    assert_non_null(strstr(f->x.log.line, "is a folder"));
}

/* An error stays. */
static void failing(void **state)
{
    file_fixture *f = *state;
    lfm2__infile *in;
    char byte;
    size_t n_got;
    const int before = dup(STDIN_FILENO);
    const int fd = open("/dev/null", O_WRONLY); /* that cannot be read */
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    assert_int_equal(lfm2__infile_open(f->x.rt, "-", &in), 0);
    assert_int_equal(lfm2__infile_read(in, &byte, 1, &n_got), LFM2_ERR_IO);
    assert_int_equal(lfm2__infile_status(in), LFM2_ERR_IO);
    assert_int_equal(lfm2__infile_read(in, &byte, 1, &n_got), LFM2_ERR_IO);
    lfm2__infile_close(in);
    if (before >= 0) {
        assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
        close(before);
    }
}

static void without_memory(void **state)
{
    file_fixture *f = *state;
    write_file(f->path, "0123456789", 10);
    for (long k = 0; test_fail_next(&f->x.heap, &k);) {
        lfm2__infile *in;
        const int rc = lfm2__infile_open(f->x.rt, f->path, &in);
        assert_int_equal(rc, test_has_failed(&f->x.heap) ? LFM2_ERR_NOMEM : 0);
        if (rc == 0) lfm2__infile_close(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(regular, file_set_up, file_tear_down),
        cmocka_unit_test_setup_teardown(memory, file_set_up, file_tear_down),
        cmocka_unit_test_setup_teardown(standard_input, file_set_up, file_tear_down),
        cmocka_unit_test_setup_teardown(fifo, file_set_up, file_tear_down),
        cmocka_unit_test_setup_teardown(refused, file_set_up, file_tear_down),
        cmocka_unit_test_setup_teardown(failing, file_set_up, file_tear_down),
        cmocka_unit_test_setup_teardown(without_memory, file_set_up, file_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
