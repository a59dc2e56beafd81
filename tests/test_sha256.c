/* SHA-256, of libcrypto or (make train-only) of our own: FIPS 180-4's examples,
 * and that it does not matter how the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

static const struct {
    const char *text;
    size_t times;
    const char *hex;
} cases[] = {
    {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", 1,
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"a", 1000000,
     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};

static void test_sha256__examples(void **state)
{
    char hex[SHA256_HEX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sha256 h;

        sha256_init(&h);
        for (size_t k = 0; k < cases[i].times; k++)
            sha256_add(&h, str_of(cases[i].text));
        sha256_final_hex(&h, hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

static void test_sha256__any_cut(void **state)
{
    enum { N = 300 };
    char bytes[N];

    (void)state;
    for (int i = 0; i < N; i++)
        bytes[i] = (char)(i * 7);
    for (size_t n = 0; n <= N; n++) {
        uint8_t whole[SHA256_SIZE], parts[SHA256_SIZE];
        size_t cut = n * 5 / 13;
        struct sha256 h;

        hash_sha256(str_make(bytes, n), whole);
        sha256_init(&h);
        sha256_add(&h, str_make(bytes, cut));
        sha256_add(&h, str_make(bytes + cut, n - cut));
        sha256_final(&h, parts);
        assert_memory_equal(whole, parts, sizeof whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256__examples),
        cmocka_unit_test(test_sha256__any_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
