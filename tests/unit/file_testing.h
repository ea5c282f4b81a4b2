/* SPDX-License-Identifier: Apache-2.0
 * For tests with files: temporary folders, whole files written and read. */
#ifndef FILE_TESTING_H
#define FILE_TESTING_H

#include "base_testing.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

/* A new empty folder; its path takes up to 32 bytes. */
static inline void make_folder(char *path, size_t cap)
{
    assert_in_range(snprintf(path, cap, "/tmp/lfm2-test-XXXXXX"), 1, cap - 1);
    assert_non_null(mkdtemp(path));
}

/* Removes all files and empty folders in it. */
static inline void empty_folder(const char *path)
{
    char file[1024];
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        assert_int_equal(remove(file), 0);
    }
    closedir(dir);
}

static inline void remove_folder(const char *path)
{
    empty_folder(path);
    assert_int_equal(rmdir(path), 0);
}

/* Files and folders in it. */
static inline size_t count_files(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) n++;
    closedir(dir);
    return n - 2;
}

static inline void write_file(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void write_file_in(const char *folder, const char *name, const void *data, size_t n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_file(path, data, n);
}

/* A whole file in memory of the C library, NUL behind it. */
static inline char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    const long size = ftell(f);
    assert_true(size >= 0);
    rewind(f);
    char *data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, f), (size_t)size);
    fclose(f);
    data[size] = '\0';
    *n = (size_t)size;
    return data;
}

/* A folder of its own for each test, a path in it, and a runtime that is watched. */
typedef struct file_fixture {
    char dir[64];
    char path[128];
    watched x;
} file_fixture;

static inline int file_set_up(void **state)
{
    file_fixture *f = test_malloc(sizeof *f);
    make_folder(f->dir, sizeof f->dir);
    (void)snprintf(f->path, sizeof f->path, "%s/file", f->dir);
    watch_begin(&f->x);
    *state = f;
    return 0;
}

static inline int file_tear_down(void **state)
{
    file_fixture *f = *state;
    watch_end(&f->x);
    remove_folder(f->dir);
    test_free(f);
    return 0;
}

#endif
