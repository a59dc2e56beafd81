/* train/safetensors: what is written is read, and each way in which a file can
 * be wrong is refused with the tensor's name and what was expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "train/safetensors.h"

static char folder[] = "/tmp/witmill-safetensors-XXXXXX";

static const char *at(const char *name)
{
    static char path[2][IO_PATH_MAX];
    static int turn;
    char *to = path[turn++ % 2];

    snprintf(to, IO_PATH_MAX, "%s/%s", folder, name);
    return to;
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* A file of this header and so many bytes of data, 0, 1, 2 ... */
static void build(struct buf *b, struct str header, size_t data)
{
    buf_clear(b);
    buf_add_u64le(b, header.n);
    buf_add(b, header);
    for (size_t i = 0; i < data; i++)
        buf_add_char(b, (char)i);
}

#define ONE(dtype, shape, offsets)                                             \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_safetensors__reads(void **state)
{
    static const char header[] =
        "{\"__metadata__\":{\"z\":\"\",\"format\":\"pt\",\"a\\u0000b\":\"q\"},"
        "\"second\":" ONE(
            "F32", "[2,3]",
            "[4,28]") ","
                      "\"none\":" ONE(
                          "U8", "[3,0]",
                          "[4,4]") ","
                                   "\"f\\u0069rst\":" ONE(
                                       "I16", "[2]",
                                       "[0,4]") ","
                                                "\"last\":{\"data_offsets\":["
                                                "28,36],\"shape\":[],\"dtype\":"
                                                "\"I64\"},"
                                                "\"\":" ONE("F8_E4M3",
                                                            "[1,1,1,1,1,1,1,1]",
                                                            "[36,37]") "}    ";
    static const struct {
        const char *name;
        enum safetensors_dtype dtype;
        int rank;
        uint64_t count, size, begin;
    } rows[] = {{"first", ST_I16, 1, 2, 4, 0},
                {"none", ST_U8, 2, 0, 0, 4},
                {"second", ST_F32, 2, 6, 24, 4},
                {"last", ST_I64, 0, 1, 8, 28},
                {"", ST_F8_E4M3, 8, 1, 1, 36}};
    struct safetensors s;
    struct err e = ERR_INIT;
    struct str value;
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    build(&b, STR(header), 37);
    if (safetensors_parse(&s, buf_str(&b), "x", &e))
        fail_msg("%s", e.message);
    assert_int_equal(s.n, 5);
    for (size_t i = 0; i < 5; i++) {
        const struct safetensor *t = &s.list[i];

        assert_true(str_eq(t->name, str_of(rows[i].name)));
        assert_int_equal(t->dtype, rows[i].dtype);
        assert_int_equal(t->rank, rows[i].rank);
        assert_int_equal(t->count, rows[i].count);
        assert_int_equal(t->size, rows[i].size);
        if (t->size)
            assert_int_equal(t->data[0], rows[i].begin);
        assert_ptr_equal(safetensors_find(&s, t->name), t);
    }
    assert_int_equal(s.list[2].shape[0], 2);
    assert_int_equal(s.list[2].shape[1], 3);
    assert_null(safetensors_find(&s, STR("thir")));
    assert_null(safetensors_find(&s, STR("zzz")));
    assert_int_equal(s.meta_n, 3);
    assert_true(safetensors_meta(&s, STR("format"), &value));
    assert_true(str_eq(value, STR("pt")));
    assert_true(safetensors_meta(&s, STR("a\0b"), &value));
    assert_true(safetensors_meta(&s, STR("z"), &value) && value.n == 0);
    assert_false(safetensors_meta(&s, STR("a"), &value));
    safetensors_close(&s);
    safetensors_close(&s); /* twice is once */

    build(&b, STR("{}"), 0);
    assert_int_equal(safetensors_parse(&s, buf_str(&b), "x", NULL), 0);
    assert_int_equal(s.n, 0);
    assert_null(safetensors_find(&s, STR("")));
    safetensors_close(&s);
    buf_release(&b);
}

#define A4 "{\"a\":" ONE("F32", "[1]", "[0,4]")

static void test_safetensors__refused(void **state)
{
    static const struct {
        const char *header;
        size_t data;
        int rc;
        const char *words;
    } rows[] = {
        /* the JSON itself */
        {"", 0, -E_FORMAT, "x: the header does not begin with {"},
        {" {}", 0, -E_FORMAT, "does not begin with {"},
        {"[]", 0, -E_FORMAT, "does not begin with {"},
        {"{", 0, -E_FORMAT, "x: header: JSON: malformed input at byte 1"},
        {"{}{}", 0, -E_FORMAT, "x: header: JSON"},
        {"{}\n", 0, -E_FORMAT, "x: byte 10 behind the header's JSON is no sp"},
        {"{} \t", 0, -E_FORMAT, "is no space"},
        {"{\"\xff\":1}", 0, -E_FORMAT, "header: JSON"},
        {"{\"a\\ud800\":1}", 0, -E_FORMAT, "header: JSON"},
        {"{\"a\":1}", 4, -E_FORMAT, "x: header: JSON"},
        {"{\"a\":null}", 4, -E_FORMAT, "x: header: JSON"},
        /* a tensor's members */
        {"{\"a\":{}}", 0, -E_FORMAT, "x: tensor a: dtype is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, -E_FORMAT,
         "tensor a: shape is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, -E_FORMAT,
         "tensor a: data_offsets is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[0,4]}}",
         4, -E_FORMAT, "tensor a: dtype stands there twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],"
         "\"stride\":[1]}}",
         4, -E_FORMAT, "tensor a: a member that is not known: stride"},
        {"{\"a\":" ONE("f32", "[1]", "[0,4]") "}", 4, -E_FORMAT,
         "tensor a: dtype \"f32\" is not known"},
        {"{\"a\":" ONE("F4", "[1]", "[0,4]") "}", 4, -E_FORMAT,
         "dtype \"F4\" is not known"},
        {"{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         -E_FORMAT, "tensor a: dtype is not as it should be"},
        {"{\"a\":" ONE("F32", "1", "[0,4]") "}", 4, -E_FORMAT,
         "tensor a: shape is not as it should be"},
        {"{\"a\":" ONE("F32", "[-1]", "[0,4]") "}", 4, -E_FORMAT,
         "tensor a: shape is not as it should be"},
        {"{\"a\":" ONE("F32", "[1.0]", "[0,4]") "}", 4, -E_FORMAT,
         "tensor a: shape is not as it should be"},
        {"{\"a\":" ONE("F32", "[18446744073709551617]", "[0,4]") "}", 4,
         -E_FORMAT, "tensor a: shape is not as it should be"},
        {"{\"a\":" ONE("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, -E_TOOBIG,
         "tensor a: shape has more than 8 numbers"},
        {"{\"a\":" ONE("F32", "[4294967296,4294967296]", "[0,4]") "}", 4,
         -E_FORMAT, "tensor a: shape has more than 2^64 numbers"},
        {"{\"a\":" ONE("F32", "[4294967296,4294967296,0]", "[0,0]") "}", 0,
         -E_FORMAT, "shape has more than 2^64 numbers"},
        {"{\"a\":" ONE("F64", "[4294967296,1073741824]", "[0,4]") "}", 4,
         -E_FORMAT, "tensor a: shape has more than 2^64 bytes"},
        /* offsets */
        {"{\"a\":" ONE("F32", "[1]", "[0]") "}", 4, -E_FORMAT,
         "tensor a: data_offsets has 1 numbers, not 2"},
        {"{\"a\":" ONE("F32", "[1]", "[0,4,8]") "}", 8, -E_FORMAT,
         "data_offsets has 3 numbers"},
        {"{\"a\":" ONE("F32", "[1]", "[4,0]") "}", 4, -E_FORMAT,
         "tensor a: data_offsets [4, 0] end before they begin"},
        {"{\"a\":" ONE("F32", "[1]", "[-4,0]") "}", 4, -E_FORMAT,
         "tensor a: data_offsets is not as it should be"},
        {"{\"a\":" ONE("F32", "[2]", "[0,8]") "}", 7, -E_FORMAT,
         "tensor a: data_offsets [0, 8] pass the end of the file, which has 7"},
        {"{\"a\":" ONE("F32", "[1]",
                       "[18446744073709551612,"
                       "18446744073709551615]") "}",
         4, -E_FORMAT, "pass the end"},
        {"{\"a\":" ONE("F32", "[2]", "[0,4]") "}", 4, -E_FORMAT,
         "tensor a: 4 bytes of data, but its shape and dtype F32 make 8"},
        {"{\"a\":" ONE("BF16", "[]", "[0,4]") "}", 4, -E_FORMAT,
         "4 bytes of data, but its shape and dtype BF16 make 2"},
        {"{\"a\":" ONE("F32", "[0]", "[0,4]") "}", 4, -E_FORMAT,
         "4 bytes of data, but its shape and dtype F32 make 0"},
        /* cover */
        {A4 "}", 5, -E_FORMAT, "x: 1 bytes behind the last tensor"},
        {"{}", 1, -E_FORMAT, "x: 1 bytes behind the last tensor"},
        {A4 ",\"b\":" ONE("F32", "[1]", "[8,12]") "}", 12, -E_FORMAT,
         "x: tensor b: begins at byte 8 of the data, but nothing covers it "
         "from 4"},
        {A4 ",\"b\":" ONE("U8", "[3]", "[2,5]") "}", 5, -E_FORMAT,
         "x: tensor b: begins at byte 2 of the data, but the one before it "
         "reaches to 4"},
        {A4 ",\"b\":" ONE("F32", "[1]", "[0,4]") "}", 4, -E_FORMAT,
         "x: tensor b: begins at byte 0"},
        {"{\"b\":" ONE("F32", "[1]", "[4,8]") "}", 8, -E_FORMAT,
         "tensor b: begins at byte 4 of the data, but nothing covers it from "
         "0"},
        {A4 ",\"b\":" ONE("F32", "[0]", "[2,2]") "}", 4, -E_FORMAT,
         "x: tensor b: begins at byte 2"},
        /* names */
        {A4 ",\"a\":" ONE("F32", "[1]", "[4,8]") "}", 8, -E_FORMAT,
         "x: tensor a: stands there twice"},
        {A4 ",\"\\u0061\":" ONE("F32", "[1]", "[4,8]") "}", 8, -E_FORMAT,
         "x: tensor a: stands there twice"},
        /* metadata */
        {"{\"__metadata__\":{\"a\":1}}", 0, -E_FORMAT,
         "x: __metadata__ a is not as it should be, a string"},
        {"{\"__metadata__\":{\"a\":null}}", 0, -E_FORMAT, "a string"},
        {"{\"__metadata__\":null}", 0, -E_FORMAT, "x: header: JSON"},
        {"{\"__metadata__\":[]}", 0, -E_FORMAT, "x: header: JSON"},
        {"{\"__metadata__\":{\"k\":\"1\",\"l\":\"\",\"\\u006b\":\"1\"}}", 0,
         -E_FORMAT, "x: __metadata__ k stands there twice"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, -E_FORMAT,
         "x: __metadata__ stands there twice"},
    };
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct safetensors s;
        struct err e = ERR_INIT;
        int rc;

        build(&b, str_of(rows[i].header), rows[i].data);
        rc = safetensors_parse(&s, buf_str(&b), "x", &e);
        if (rc != rows[i].rc || !strstr(e.message, rows[i].words))
            fail_msg("row %zu, %s: %d \"%s\", not %d \"%s\"", i, rows[i].header,
                     rc, e.message, rows[i].rc, rows[i].words);
        assert_null(s.list);
    }
    buf_release(&b);
}

/* The length in front, and files cut at every byte. */
static void test_safetensors__lengths(void **state)
{
    static const char sound[] = A4 "}";
    static const struct {
        uint64_t said;
        int rc;
        const char *words;
    } rows[] = {
        {0, -E_FORMAT, "does not begin with {"},
        {sizeof sound - 2, -E_FORMAT, "header: JSON"},
        {sizeof sound, -E_FORMAT, "which has 3 bytes of data"},
        {sizeof sound + 4, -E_FORMAT, "of 59 bytes is said, 58 are there"},
        {SAFETENSORS_HEADER_MAX, -E_FORMAT, "104857600 bytes is said"},
        {SAFETENSORS_HEADER_MAX + 1, -E_TOOBIG, "104857600 are the most"},
        {UINT64_MAX, -E_TOOBIG, "a header of 18446744073709551615 bytes"},
    };
    struct safetensors s;
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    build(&b, STR(sound), 4);
    assert_int_equal(sizeof sound - 1 + 4, 58);
    assert_int_equal(safetensors_parse(&s, buf_str(&b), "x", NULL), 0);
    safetensors_close(&s);
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(safetensors_parse(&s, str_make(b.p, n), "x", NULL),
                         -E_FORMAT);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;

        for (int k = 0; k < 8; k++)
            b.p[k] = (char)(rows[i].said >> 8 * k & 0xff);
        assert_int_equal(safetensors_parse(&s, buf_str(&b), "x", &e),
                         rows[i].rc);
        if (!strstr(e.message, rows[i].words))
            fail_msg("%s, not %s", e.message, rows[i].words);
    }
    buf_release(&b);
}

/* Ceilings that a table of short rows does not reach. */
static void test_safetensors__ceilings(void **state)
{
    struct safetensors s;
    struct err e = ERR_INIT;
    struct buf h, b;

    (void)state;
    buf_init(&h, SAFETENSORS_HEADER_MAX);
    buf_init(&b, SAFETENSORS_HEADER_MAX);
    for (int more = 0; more < 2; more++) { /* a name of 1024, of 1025 bytes */
        buf_clear(&h);
        buf_add(&h, STR("{\""));
        for (int i = 0; i < SAFETENSORS_NAME_MAX + more; i++)
            buf_add_char(&h, 'n');
        buf_add(&h, STR("\":" ONE("U8", "[1]", "[0,1]") "}"));
        build(&b, buf_str(&h), 1);
        assert_int_equal(safetensors_parse(&s, buf_str(&b), "x", &e),
                         more ? -E_TOOBIG : 0);
        safetensors_close(&s);
    }
    assert_non_null(strstr(e.message, "a name of 1025 bytes"));
    for (int more = 0; more < 2; more++) { /* 100,000 tensors, one more */
        e = (struct err)ERR_INIT;
        buf_clear(&h);
        for (int i = 0; i < SAFETENSORS_TENSORS_MAX + more; i++)
            buf_addf(&h, "%c\"%d\":" ONE("U8", "[0]", "[0,0]"), i ? ',' : '{',
                     i);
        buf_add_char(&h, '}');
        build(&b, buf_str(&h), 0);
        assert_int_equal(safetensors_parse(&s, buf_str(&b), "x", &e),
                         more ? -E_TOOBIG : 0);
        if (!more)
            assert_non_null(safetensors_find(&s, STR("99999")));
        safetensors_close(&s);
    }
    assert_non_null(strstr(e.message, "tensor 100000: one more than 100000"));
    buf_clear(&h);
    buf_add(&h, STR("{\"a\":{\"dtype\":"));
    for (int i = 0; i < 100; i++)
        buf_add_char(&h, '[');
    build(&b, buf_str(&h), 0);
    assert_int_equal(safetensors_parse(&s, buf_str(&b), "x", NULL), -E_FORMAT);
    buf_release(&h);
    buf_release(&b);
}

static struct safetensor make(const char *name, enum safetensors_dtype dtype,
                              int rank, uint64_t a, uint64_t c)
{
    return (struct safetensor){
        .name = str_of(name), .dtype = dtype, .rank = rank, .shape = {a, c}};
}

/* A name is a slice: nothing behind it is read, not even for the message. */
static void test_safetensors__a_long_name_is_not_written(void **state)
{
    struct safetensors_out o;
    struct err e = ERR_INIT;
    char path[64], *name = malloc(2);
    struct safetensor big = {
        .dtype = ST_F32, .rank = 2, .shape = {UINT64_MAX, UINT64_MAX}};

    (void)state;
    assert_non_null(name);
    memcpy(name, "xy", 2);
    big.name = str_make(name, 2);
    snprintf(path, sizeof path, "%s/big", folder);
    assert_int_equal(safetensors_create(&o, path, &big, 1, NULL, 0, &e),
                     -E_TOOBIG);
    assert_non_null(strstr(e.message, "tensor xy is too big"));
    free(name);
}

/* Byte for byte what the format's own library writes for these tensors (its
 * version 0.8.0 gave the header below): widest dtype first, then by name. */
static void test_safetensors__writes(void **state)
{
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
        "\"a.w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[8,16]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[16,16]},"
        "\"\xc3\xa9\":{\"dtype\":\"F32\",\"shape\":[1],"
        "\"data_offsets\":[16,20]},"
        "\"h\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[20,22]},"
        "\"q\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[22,23]}}";
    static const struct str meta[] = {{"format", 6}, {"pt", 2}};
    static const char data[] = "nnnnnnnnaaaawwwweeeehhq";
    struct safetensor list[] = {
        make("\xc3\xa9", ST_F32, 1, 1, 0), make("q", ST_BOOL, 1, 1, 0),
        make("h", ST_F16, 1, 1, 0),        make("n", ST_I64, 0, 0, 0),
        make("b", ST_F32, 1, 0, 0),        make("a.w", ST_F32, 2, 1, 2)};
    static const size_t sizes[] = {8, 8, 0, 4, 2, 1};
    struct safetensors_out o;
    struct safetensors s;
    struct err e = ERR_INIT;
    struct buf b;
    size_t from = 0, pad;

    (void)state;
    safetensors_sort(list, 6);
    assert_int_equal(safetensors_create(&o, at("w"), list, 6, meta, 1, &e), 0);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(
            safetensors_write(&o, str_make(data + from, sizes[i]), &e), 0);
        from += sizes[i];
    }
    assert_false(io_exists(at("w")));
    assert_int_equal(safetensors_publish(&o, &e), 0);
    buf_init(&b, 4096);
    assert_int_equal(io_read_file(at("w"), &b, &e), 0);
    pad = (8 - (sizeof header - 1) % 8) % 8;
    assert_int_equal(b.n, 8 + sizeof header - 1 + pad + 23);
    assert_int_equal(b.p[0] | b.p[1] << 8, sizeof header - 1 + pad);
    assert_memory_equal(b.p + 8, header, sizeof header - 1);
    for (size_t i = 0; i < pad; i++)
        assert_int_equal(b.p[8 + sizeof header - 1 + i], ' ');
    assert_memory_equal(b.p + b.n - 23, data, 23);
    buf_release(&b);

    assert_int_equal(safetensors_open(&s, at("w"), &e), 0);
    assert_int_equal(s.n, 6);
    assert_memory_equal(safetensors_find(&s, STR("a.w"))->data, "aaaawwww", 8);
    assert_int_equal(s.meta_n, 1);
    safetensors_close(&s);
}

/* Nothing unfinished looks finished. */
static void test_safetensors__writes_whole_or_none(void **state)
{
    struct safetensor list[] = {make("a", ST_U8, 1, 2, 0),
                                make("b", ST_U8, 1, 2, 0)};
    struct safetensor twice[] = {
        make("big", ST_F64, 2, UINT64_C(1) << 40, UINT64_C(1) << 40)};
    struct safetensors_out o;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(safetensors_create(&o, at("n"), list, 2, NULL, 0, &e), 0);
    assert_int_equal(safetensors_write(&o, STR("xx"), &e), 0);
    assert_int_equal(safetensors_publish(&o, &e), -E_RANGE);
    assert_non_null(strstr(e.message, "1 of 2 tensors were written"));
    assert_false(io_exists(at("n")) || io_exists(at("n.tmp")));

    e = (struct err)ERR_INIT;
    assert_int_equal(safetensors_create(&o, at("n"), list, 2, NULL, 0, &e), 0);
    assert_int_equal(safetensors_write(&o, STR("xxx"), &e), -E_RANGE);
    assert_non_null(strstr(e.message, "tensor a has 2 bytes, not 3"));
    assert_int_equal(safetensors_write(&o, STR("xx"), &e), -E_RANGE);
    assert_int_equal(safetensors_publish(&o, &e), -E_RANGE);
    assert_false(io_exists(at("n")) || io_exists(at("n.tmp")));

    assert_int_equal(safetensors_create(&o, at("n"), list, 2, NULL, 0, &e), 0);
    safetensors_abandon(&o);
    safetensors_abandon(&o);
    assert_false(io_exists(at("n")) || io_exists(at("n.tmp")));

    e = (struct err)ERR_INIT;
    assert_int_equal(safetensors_create(&o, at("n"), twice, 1, NULL, 0, &e),
                     -E_TOOBIG);
    assert_non_null(strstr(e.message, "tensor big is too big"));
    safetensors_abandon(&o);
    assert_int_equal(
        safetensors_create(&o, at("none/n"), list, 2, NULL, 0, NULL), -E_IO);
    safetensors_abandon(&o);
}

/* In parts of any size the same file; more than a tensor has is refused. */
static void test_safetensors__writes_parts(void **state)
{
    const struct safetensor list[] = {
        {.name = STR("a"), .dtype = ST_U8, .rank = 1, .shape = {5}},
        {.name = STR("b"), .dtype = ST_U8, .rank = 1, .shape = {2}}};
    struct safetensors_out o;
    struct err e = ERR_INIT;
    struct buf whole, parts;

    (void)state;
    assert_int_equal(safetensors_create(&o, at("p"), list, 2, NULL, 0, &e), 0);
    assert_int_equal(safetensors_write(&o, STR("abcde"), &e), 0);
    assert_int_equal(safetensors_write(&o, STR("fg"), &e), 0);
    assert_int_equal(safetensors_publish(&o, &e), 0);
    buf_init(&whole, 4096);
    assert_int_equal(io_read_file(at("p"), &whole, &e), 0);
    assert_int_equal(safetensors_create(&o, at("p"), list, 2, NULL, 0, &e), 0);
    assert_int_equal(safetensors_write_part(&o, STR("ab"), &e), 0);
    assert_int_equal(safetensors_write_part(&o, STR("cde"), &e), 0);
    assert_int_equal(safetensors_write_part(&o, STR("f"), &e), 0);
    assert_int_equal(safetensors_write_part(&o, STR("g"), &e), 0);
    assert_int_equal(safetensors_publish(&o, &e), 0);
    buf_init(&parts, 4096);
    assert_int_equal(io_read_file(at("p"), &parts, &e), 0);
    assert_true(str_eq(buf_str(&whole), buf_str(&parts)));
    buf_release(&whole);
    buf_release(&parts);
    assert_int_equal(safetensors_create(&o, at("q"), list, 2, NULL, 0, &e), 0);
    assert_int_equal(safetensors_write_part(&o, STR("abc"), &e), 0);
    assert_int_equal(safetensors_write_part(&o, STR("def"), &e), -E_RANGE);
    assert_non_null(strstr(e.message, "tensor a has 5 bytes, not 6"));
    assert_int_equal(safetensors_write_part(&o, STR("de"), &e), -E_RANGE);
    safetensors_abandon(&o);
    e = (struct err)ERR_INIT;
    assert_int_equal(safetensors_create(&o, at("q"), list, 2, NULL, 0, &e), 0);
    assert_int_equal(safetensors_write_part(&o, STR("abcde"), &e), 0);
    assert_int_equal(safetensors_write_part(&o, STR("f"), &e), 0);
    assert_int_equal(safetensors_publish(&o, &e), -E_RANGE);
    assert_false(io_exists(at("q")));
}

static void test_safetensors__files(void **state)
{
    struct safetensors s;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(safetensors_open(&s, at("absent"), &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "absent"));
    safetensors_close(&s);
    e = (struct err)ERR_INIT;
    assert_int_equal(safetensors_open(&s, folder, &e), -E_IO);
    assert_non_null(strstr(e.message, "not a regular file"));
    e = (struct err)ERR_INIT;
    assert_int_equal(io_write_file(at("empty"), STR_NONE, &e), 0);
    assert_int_equal(safetensors_open(&s, at("empty"), &e), -E_FORMAT);
    assert_non_null(strstr(e.message, "0 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors__reads),
        cmocka_unit_test(test_safetensors__refused),
        cmocka_unit_test(test_safetensors__lengths),
        cmocka_unit_test(test_safetensors__ceilings),
        cmocka_unit_test(test_safetensors__a_long_name_is_not_written),
        cmocka_unit_test(test_safetensors__writes),
        cmocka_unit_test(test_safetensors__writes_whole_or_none),
        cmocka_unit_test(test_safetensors__writes_parts),
        cmocka_unit_test(test_safetensors__files),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
