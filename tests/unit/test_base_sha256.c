/* SPDX-License-Identifier: Apache-2.0
 * SHA-256: published vectors, in pieces of several sizes. */
#include "base_testing.h"

#include "lfm2/sha256.h"

static void expect_hash(const char *data, size_t n, size_t piece, const char *hex)
{
    lfm2_sha256 s;
    unsigned char digest[LFM2_SHA256_BYTES];
    char got[LFM2_SHA256_HEX_BYTES];
    size_t i;

    assert_int_equal(lfm2_sha256_init(&s), 0);
    for (i = 0; i < n; i += piece) assert_int_equal(lfm2_sha256_add(&s, data + i, n - i < piece ? n - i : piece), 0);
    assert_int_equal(lfm2_sha256_finish(&s, digest), 0);
    assert_null(s.context);
    lfm2_sha256_hex(digest, got);
    assert_string_equal(got, hex);
}

static void test_sha256(void **state)
{
    static char million[1000000];
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    (void)state;

    memset(million, 'a', sizeof million);
    expect_hash("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_hash("abc", 3, 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_hash(two, 56, 56, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect_hash(two, 56, 5, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect_hash(million, sizeof million, 1000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    expect_hash(million, sizeof million, 77, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sha256)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
