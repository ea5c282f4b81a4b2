/* SPDX-License-Identifier: Apache-2.0
 * Status names and texts, version, size arithmetic. */
#include "base_testing.h"

#include <limits.h>

#include "base/mathsafe.h"
#include "lfm2/lfm2.h"

static void names_and_texts(void **state)
{
    (void)state;
#define CHECK(name, value, text)                                  \
    assert_int_equal(LFM2_##name, value);                         \
    assert_string_equal(lfm2_err_name(value), "LFM2_" #name);     \
    assert_string_equal(lfm2_strerror(value), text);
    LFM2_STATUS_MAP(CHECK)
#undef CHECK
    assert_string_equal(lfm2_err_name(-2), "LFM2_ERR_NOMEM");
}

static void unknown_values(void **state)
{
    (void)state;
    static const int values[] = {3, -14, 1000, INT_MAX, INT_MIN};
    for (size_t i = 0; i < LFM2__COUNT_OF(values); i++) {
        assert_string_equal(lfm2_strerror(values[i]), "unknown status");
        assert_string_equal(lfm2_err_name(values[i]), "LFM2_UNKNOWN");
    }
}

static void sign_tells_the_kind(void **state)
{
    (void)state;
#define CHECK(name, value, text)                                               \
    if (strncmp(#name, "ERR_", 4) == 0) {                                      \
        assert_true((value) < 0);                                              \
    } else {                                                                   \
        assert_true((value) >= 0);                                             \
    }
    LFM2_STATUS_MAP(CHECK)
#undef CHECK
}

static void version_is_one(void **state)
{
    (void)state;
    assert_string_equal(lfm2_version(), LFM2_TEST_PROJECT_VERSION); /* of the build files */
}

static void multiply(void **state)
{
    (void)state;
    size_t out = 77;
    assert_int_equal(lfm2__mul_size(6, 7, &out), 0);
    assert_int_equal(out, 42);
    assert_int_equal(lfm2__mul_size(0, SIZE_MAX, &out), 0);
    assert_int_equal(out, 0);
    assert_int_equal(lfm2__mul_size(SIZE_MAX, 0, &out), 0);
    assert_int_equal(out, 0);
    assert_int_equal(lfm2__mul_size(SIZE_MAX, 1, &out), 0);
    assert_true(out == SIZE_MAX);
    out = 77;
    assert_int_equal(lfm2__mul_size(SIZE_MAX / 2 + 1, 2, &out), -1);
    assert_int_equal(lfm2__mul_size(2, SIZE_MAX / 2 + 1, &out), -1);
    assert_int_equal(out, 77);
}

static void add(void **state)
{
    (void)state;
    size_t out = 77;
    assert_int_equal(lfm2__add_size(SIZE_MAX - 1, 1, &out), 0);
    assert_true(out == SIZE_MAX);
    out = 77;
    assert_int_equal(lfm2__add_size(SIZE_MAX, 1, &out), -1);
    assert_int_equal(lfm2__add_size(1, SIZE_MAX, &out), -1);
    assert_int_equal(out, 77);
}

static void align(void **state)
{
    (void)state;
    size_t out = 77;
    assert_int_equal(lfm2__align_size(0, 64, &out), 0);
    assert_int_equal(out, 0);
    assert_int_equal(lfm2__align_size(1, 64, &out), 0);
    assert_int_equal(out, 64);
    assert_int_equal(lfm2__align_size(64, 64, &out), 0);
    assert_int_equal(out, 64);
    assert_int_equal(lfm2__align_size(SIZE_MAX - 63, 64, &out), 0);
    assert_true(out == SIZE_MAX - 63);
    out = 77;
    assert_int_equal(lfm2__align_size(SIZE_MAX - 62, 64, &out), -1);
    assert_int_equal(lfm2__align_size(SIZE_MAX, 64, &out), -1);
    assert_int_equal(out, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_texts), cmocka_unit_test(unknown_values), cmocka_unit_test(sign_tells_the_kind),
        cmocka_unit_test(version_is_one),  cmocka_unit_test(multiply),       cmocka_unit_test(add),
        cmocka_unit_test(align),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
