/* checkpoint.json: what is read, what is refused, its bytes, and what is said
 * of two that differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "train/checkpoint.h"

#define HEAD  "{\"format\":\"witmill checkpoint\",\"version\":1"
#define SUM   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define FILES ",\"files\":{\"a\":{\"bytes\":1,\"sha256\":\"" SUM "\"}}"

static void test_checkpoint_meta__cases(void **unused)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {HEAD FILES "}", 0},
        {HEAD FILES ",\"later\":[1,{}],\"step\":5,\"applied\":5}", 0},
        {"", -E_FORMAT},
        {"[]", -E_FORMAT},
        {HEAD "}", -E_FORMAT},
        {HEAD FILES, -E_FORMAT},
        {"{\"format\":\"another\",\"version\":1" FILES "}", -E_FORMAT},
        {"{\"version\":1" FILES "}", -E_FORMAT},
        {"{\"format\":\"witmill checkpoint\"" FILES "}", -E_FORMAT},
        {"{\"format\":\"witmill checkpoint\",\"version\":3" FILES "}",
         -E_VERSION},
        {HEAD FILES ",\"step\":4,\"applied\":5}", -E_RANGE},
        {HEAD FILES ",\"step\":-4}", -E_RANGE},
        {HEAD FILES ",\"step\":\"4\"}", -E_FORMAT},
        {HEAD FILES ",\"metric\":null}", -E_FORMAT},
        {HEAD FILES ",\"made\":[]}", -E_FORMAT},
        {HEAD FILES ",\"agree\":\"x\"}", -E_FORMAT},
        {HEAD FILES ",\"alarms\":{\"norms\":[1]}}", -E_RANGE},
        {HEAD ",\"files\":{\"../a\":{\"bytes\":1,\"sha256\":\"" SUM "\"}}}",
         -E_FORMAT},
        {HEAD ",\"files\":{\".a\":{\"bytes\":1,\"sha256\":\"" SUM "\"}}}",
         -E_FORMAT},
        {HEAD ",\"files\":{\"\":{\"bytes\":1,\"sha256\":\"" SUM "\"}}}",
         -E_FORMAT},
        {HEAD ",\"files\":{\"checkpoint.json\":{\"bytes\":1,\"sha256\":\"" SUM
              "\"}}}",
         -E_FORMAT},
        {HEAD ",\"files\":{\"a\":{\"bytes\":1,\"sha256\":\"" SUM "\"},"
              "\"\\u0061\":{\"bytes\":1,\"sha256\":\"" SUM "\"}}}",
         -E_FORMAT},
        {HEAD ",\"files\":{\"a\":{\"bytes\":1,\"sha256\":\"12\"}}}", -E_FORMAT},
        {HEAD ",\"files\":{\"a\":{\"bytes\":1}}}", -E_FORMAT},
        {HEAD ",\"files\":{\"a\":{\"bytes\":99999999999999999999}}}", -E_RANGE},
        {HEAD ",\"files\":{\"a\":7}}", -E_FORMAT},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct checkpoint_meta m;
        struct err e = ERR_INIT;
        int rc =
            checkpoint_meta_parse(&m, str_of(cases[i].text), "here", false, &e);

        if (rc != cases[i].rc)
            fail_msg("%s: %s (%d), not %s", cases[i].text, err_name(rc), rc,
                     err_name(cases[i].rc));
        if (rc)
            assert_non_null(strstr(e.message, "here"));
        checkpoint_meta_release(&m);
        /* without its checksum it is no whole file either */
        assert_int_equal(checkpoint_meta_parse(&m, str_of(cases[i].text),
                                               "here", true, NULL),
                         -E_DAMAGED);
        checkpoint_meta_release(&m);
    }
}

/* The bytes of version 1. */
static void test_checkpoint_meta__golden(void **unused)
{
    struct checkpoint_meta m = {.state = {.step = 5,
                                          .samples = 320,
                                          .seed = UINT64_MAX,
                                          .applied = 4,
                                          .log_bytes = 5000},
                                .agree = STR("{\"batch\":64}"),
                                .made = STR("{\"device\":\"x\"}"),
                                .n = 1};
    struct checkpoint_meta again;
    struct buf text, golden;
    int rc;

    (void)unused;
    m.state.alarms.norms_n = 2;
    m.state.alarms.norms[0] = 0.1;
    m.state.alarms.norms[1] = 3;
    m.state.has_metric = true;
    m.state.metric = 1.0 / 3;
    m.files[0] = (struct checkpoint_file){"model.safetensors", 99, SUM};
    buf_init(&text, 1 << 16);
    checkpoint_meta_write(&m, &text);
    buf_init(&golden, 1 << 16);
    rc = io_read_file("tests/golden/checkpoint-v1.json", &golden, NULL);
    if (rc || golden.n != text.n || memcmp(golden.p, text.p, text.n))
        fail_msg("tests/golden/checkpoint-v1.json is not %s", text.p);
    assert_int_equal(
        checkpoint_meta_parse(&again, buf_str(&golden), "golden", true, NULL),
        0);
    assert_memory_equal(&again.state, &m.state, sizeof m.state);
    assert_memory_equal(again.files, m.files, sizeof m.files);
    checkpoint_meta_release(&again);
    buf_release(&text);
    buf_release(&golden);
}

static void test_checkpoint_meta__too_many(void **unused)
{
    struct checkpoint_meta m;
    struct buf b;
    char *big;

    (void)unused;
    buf_init(&b, 1 << 20);
    buf_add(&b, STR(HEAD ",\"files\":{"));
    for (int i = 0; i <= CHECKPOINT_FILES_MAX; i++)
        buf_addf(&b, "%s\"f%d\":{\"bytes\":1,\"sha256\":\"" SUM "\"}",
                 i ? "," : "", i);
    buf_add(&b, STR("}}"));
    assert_int_equal(checkpoint_meta_parse(&m, buf_str(&b), "x", false, NULL),
                     -E_TOOBIG);
    checkpoint_meta_release(&m);
    buf_release(&b);
    big = xmalloc(CHECKPOINT_META_MAX + 1);
    memset(big, ' ', CHECKPOINT_META_MAX + 1);
    assert_int_equal(
        checkpoint_meta_parse(&m, str_make(big, CHECKPOINT_META_MAX + 1), "x",
                              false, NULL),
        -E_TOOBIG);
    checkpoint_meta_release(&m);
    free(big);
}

static void test_checkpoint_meta__differs(void **unused)
{
    static const struct {
        const char *then, *now, *text;
        unsigned n;
        enum checkpoint_part part;
    } cases[] = {
        {"{\"a\":1,\"b\":\"x\"}", "{\"b\":\"x\",\"a\":1}", "", 0, CHECKPOINT_SETTINGS},
        {"{\"batch\":64}", "{\"batch\":32}", "--batch 64, now 32", 1, CHECKPOINT_SETTINGS},
        {"{\"a\":1}", "{}", "--a 1, now nothing", 1, CHECKPOINT_SETTINGS},
        {"{}", "{\"a\":[1]}", "--a nothing, now [1]", 1, CHECKPOINT_SETTINGS},
        {"{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5}",
         "{\"a\":0,\"b\":2,\"c\":0,\"d\":0,\"f\":0}",
         "--a 1, now 0, --c 3, now 0, --d 4, now 0, and more", 5, CHECKPOINT_SETTINGS},
        {"{\"model\":\"m.json\"}", "{\"model\":\"./m.json\"}",
         "--model \"m.json\", now \"./m.json\"", 1, CHECKPOINT_SETTINGS},
        {"{\"model\":\"m.json\"}", "{\"model\":\"./m.json\"}", "", 0,
         CHECKPOINT_AGREE},
        {"{\"model\":\"RN50\"}", "{\"model\":\"m.json\"}",
         "--model \"RN50\", now \"m.json\"", 1, CHECKPOINT_AGREE},
        {"{\"init\":\"a\",\"lr\":1}", "{\"init\":\"b\",\"lr\":1}", "", 0,
         CHECKPOINT_AGREE},
        {"{\"init\":\"a\"}", "{}", "", 0, CHECKPOINT_AGREE},
        {"{}", "{\"init\":\"a\"}", "", 0, CHECKPOINT_AGREE},
        {"{\"shards\":\"9 samples\"}", "{\"shards\":\"8 samples\"}",
         "--data and --vocabulary that hold \"9 samples\", now \"8 samples\"",
         1, CHECKPOINT_AGREE},
        {"{\"ranks\":1}", "{\"ranks\":2}", "ranks 1, now 2", 1,
         CHECKPOINT_MADE},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b;

        buf_init(&b, 4096);
        assert_int_equal(checkpoint_differs(cases[i].part,
                                            str_of(cases[i].then),
                                            str_of(cases[i].now), &b),
                         cases[i].n);
        assert_string_equal(b.p ? b.p : "", cases[i].text);
        buf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint_meta__cases),
        cmocka_unit_test(test_checkpoint_meta__golden),
        cmocka_unit_test(test_checkpoint_meta__too_many),
        cmocka_unit_test(test_checkpoint_meta__differs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
