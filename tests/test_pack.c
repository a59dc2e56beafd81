/* pack_run: what lies in the shards, and that threads, parts and kills do not
 * change a byte of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "filter/dedup.h"
#include "shards/index.h"
#include "shards/pack.h"
#include "shards/sample.h"
#include "tests/corpus_fixture.h"
#include "tests/pack_tables.h"

static bool get_query(void *ctx, uint64_t i, struct pack_query *q)
{
    (void)ctx;
    *q = (struct pack_query){
        .id = i, .text = STR("olive oil"), .c = 7 * i, .t = 5};
    return i != 2; /* an entry without a group */
}

static const struct pack_counts counts = {.n = 4, .get = get_query};

static void dedup(const struct corpus *c, unsigned radius, bool redo)
{
    struct dedup_config config = {.stage = {.threads = 1, .redo = redo},
                                  .radius = radius};
    struct dedup_summary sum;
    struct err e = ERR_INIT;

    if (dedup_run(c, &config, &dedup_table, NULL, &sum, &e))
        fail_msg("%s", e.message);
    tally_release(&sum.counts);
    tally_release(&sum.drops);
}

static int pack(const struct corpus *c, uint64_t samples, uint64_t threads,
                struct part part, bool redo, struct pack_summary *sum,
                struct err *e)
{
    struct pack_config config = {
        .stage = {.threads = threads, .part = part, .redo = redo},
        .samples = samples};
    struct pack_summary own;
    int rc = pack_run(c, &config, &pack_table, &counts, sum ? sum : &own, e);

    tally_release(sum ? &sum->counts : &own.counts);
    return rc;
}

static void pack_well(const struct corpus *c, uint64_t samples,
                      uint64_t threads)
{
    struct err e = ERR_INIT;

    if (pack(c, samples, threads, (struct part){0, 0}, false, NULL, &e))
        fail_msg("%s", e.message);
}

/* One hash over every file in shards/ but the sidecars, names included. */
static void hash_shards(const char *dir, char out[SHA256_HEX])
{
    struct io_list names;
    struct sha256 h;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX + 64], hex[SHA256_HEX];

    sha256_init(&h);
    snprintf(path, sizeof path, "%s/shards", dir);
    assert_int_equal(io_list(path, &names, &e), 0);
    for (size_t i = 0; i < names.n; i++) {
        assert_null(strstr(names.names[i], ".tmp"));
        if (strstr(names.names[i], ".meta.json"))
            continue;
        snprintf(path, sizeof path, "%s/shards/%s", dir, names.names[i]);
        assert_int_equal(io_sha256_file(path, hex, &e), 0);
        sha256_add(&h, str_of(names.names[i]));
        sha256_add(&h, str_of(hex));
    }
    io_list_release(&names);
    sha256_final_hex(&h, out);
}

static void test_key__digits(void **state)
{
    static const struct {
        uint64_t samples, shard, i;
        const char *key;
    } cases[] = {{10000, 1, 5, "000010005"},    {10000, 0, 9999, "000009999"},
                 {10001, 1, 5, "0000100005"},   {1, 7, 0, "00007"},
                 {2, 7, 1, "000071"},           {10, 7, 9, "000079"},
                 {1000, 123456, 1, "123456001"}};
    char key[SAMPLE_KEY_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sample_key(cases[i].shard, cases[i].i, sample_digits(cases[i].samples),
                   key);
        assert_string_equal(key, cases[i].key);
    }
}

/* ---- what is in a sample ---- */

static void test_sample__json(void **state)
{
    static const uint32_t q[] = {3, 9}, keep[] = {9};
    struct survivor s = {.url = STR("http://a.test/\xc3\xa4.jpg"),
                         .image = {.width = 100,
                                   .height = 90,
                                   .original_width = 200,
                                   .original_height = 180,
                                   .phash = 0xabc,
                                   .exif = STR("{\"Make\":\"x\"}")},
                         .texts_total = 2};
    struct pair p = {.uid = {1, 2},
                     .url = s.url,
                     .text = STR("A \"dog\""),
                     .page = STR("http://a.test/"),
                     .q = q,
                     .n_q = 2,
                     .s = 4,
                     .keep = keep,
                     .n_keep = 1};
    struct buf b;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    sample_begin(&s, &p, "000000000", &b);
    assert_true(sample_text(&p, &b));
    p.uid[0] = 9;
    p.n_keep = 0;
    p.text = STR("B");
    assert_true(sample_text(&p, &b));
    sample_end(&b);
    assert_string_equal(
        b.p,
        "{\"caption\":\"A \\\"dog\\\"\",\"url\":\"http://a.test/\xc3\xa4.jpg\","
        "\"key\":\"000000000\",\"status\":\"success\","
        "\"error_message\":null,\"width\":100,\"height\":90,"
        "\"original_width\":200,\"original_height\":180,"
        "\"exif\":\"{\\\"Make\\\":\\\"x\\\"}\",\"sha256\":\""
        "0000000000000000000000000000000000000000000000000000000000000000\","
        "\"uid\":\"01020000000000000000000000000000\",\"q\":[3,9],"
        "\"phash\":\"0000000000000abc\",\"consent\":{},"
        "\"page\":\"http://a.test/\",\"texts_total\":2,\"texts\":["
        "{\"uid\":\"01020000000000000000000000000000\","
        "\"text\":\"A \\\"dog\\\"\",\"s\":4,\"keep\":[9]},"
        "{\"uid\":\"09020000000000000000000000000000\",\"text\":\"B\","
        "\"s\":4,\"keep\":[]}]}");
    buf_release(&b);
}

/* The ceiling holds to the byte, whatever fills it. */
static void test_sample__stays_under_its_ceiling(void **state)
{
    uint32_t *ids = xcalloc(PAIR_MATCHES_MAX, sizeof *ids);
    char *text = xmalloc(PAIR_TEXT_MAX);
    struct survivor s = {.url = STR("http://a.test/x.jpg"),
                         .texts_total = 1000};
    struct pair p = {.url = s.url, .q = ids, .n_q = PAIR_MATCHES_MAX};
    struct buf b;
    size_t n = 0;

    (void)state;
    for (uint32_t i = 0; i < PAIR_MATCHES_MAX; i++)
        ids[i] = 400000 + i;
    memset(text, '"', PAIR_TEXT_MAX);
    p.text = str_make(text, PAIR_TEXT_MAX);
    buf_init(&b, BUF_NO_LIMIT);
    sample_begin(&s, &p, "000000000", &b);
    assert_non_null(strstr(b.p, "\"q_total\":65536"));
    while (sample_text(&p, &b))
        n++;
    sample_end(&b);
    assert_true(b.n <= SAMPLE_META_MAX && b.n > SAMPLE_META_MAX - 9000);
    assert_true(n > 20);
    assert_true(str_ends(buf_str(&b), STR("]}]}")));
    buf_release(&b);
    free(ids);
    free(text);
}

/* ---- what is in a shard ---- */

static const char reader[] =
    "import sys,tarfile,json,hashlib,os\n"
    "d,per=sys.argv[1],int(sys.argv[2])\n"
    "sizes=json.load(open(d+'/sizes.json'))\n"
    "k=len(str(per-1)); total=0\n"
    "for name,n in sizes.items():\n"
    "  K=int(name[:5]); t=tarfile.open(d+'/'+name); m=t.getmembers()\n"
    "  assert len(m)==3*n and (n==per or K==len(sizes)-1), (name,n)\n"
    "  st=json.load(open(d+'/'+name[:5]+'_stats.json'))\n"
    "  assert st['count']==st['successes']==n and st['duration']==0\n"
    "  idx=open(d+'/'+name[:5]+'.idx','rb').read()\n"
    "  raw=open(d+'/'+name,'rb').read()\n"
    "  assert raw[-1024:]==b'\\0'*1024\n"
    "  for i in range(n):\n"
    "    key=str(K*10**k+i).zfill(k+5)\n"
    "    assert [x.name for x in m[3*i:3*i+3]]==[key+e for e in "
    "('.jpg','.json','.txt')]\n"
    "    jpg,js,txt=(t.extractfile(x).read() for x in m[3*i:3*i+3])\n"
    "    j=json.loads(js); assert list(j)[:11]==['caption','url','key',"
    "'status','error_message','width','height','original_width',"
    "'original_height','exif','sha256']\n"
    "    assert j['caption']==txt.decode()==j['texts'][0]['text']\n"
    "    assert j['key']==key and len(j['texts'])==j['texts_total']\n"
    "    assert j['uid']==hashlib.md5(txt+j['url'].encode()).hexdigest()\n"
    "    o=64+64*i\n"
    "    at=[int.from_bytes(idx[o+16+8*x:o+24+8*x],'little') for x in "
    "range(3)]\n"
    "    sz=[int.from_bytes(idx[o+40+4*x:o+44+4*x],'little') for x in "
    "range(3)]\n"
    "    assert [raw[a:a+s] for a,s in zip(at,sz)]==[jpg,js,txt]\n"
    "    assert idx[o:o+16].hex()==j['uid']\n"
    "    print(j['url'],hashlib.sha256(jpg).hexdigest(),j['phash'],"
    "len(j['texts']))\n"
    "    total+=1\n";

/* Python reads every shard; urls come in order, and each image is the one
 * that the fixture put under its URL. */
static void check_shards(const struct fixture *f, const char *dir, unsigned per)
{
    char command[300], path[IO_PATH_MAX + 64], line[512];
    size_t at = 0, n = 0;
    FILE *in;

    snprintf(path, sizeof path, "%s/reader.py", dir);
    assert_int_equal(io_write_file(path, str_of(reader), NULL), 0);
    snprintf(command, sizeof command,
             "python3 %.100s/reader.py %.100s/shards "
             "%u",
             dir, dir, per);
    in = popen(command, "r");
    assert_non_null(in);
    while (fgets(line, sizeof line, in)) {
        char url[128], sha[80], mine[SHA256_HEX];
        unsigned long long phash;
        size_t texts;
        uint8_t raw[SHA256_SIZE];

        assert_int_equal(
            sscanf(line, "%127s %79s %llx %zu", url, sha, &phash, &texts), 4);
        while (at < f->n && strcmp(f->urls[at].url, url))
            at++;
        assert_true(at < f->n); /* in order, so never behind */
        hash_sha256(str_make(f->urls[at].jpeg, f->urls[at].jpeg_bytes), raw);
        hash_hex(raw, sizeof raw, mine);
        assert_string_equal(sha, mine);
        assert_int_equal(phash, f->urls[at].ledger.phash);
        assert_int_equal(texts, f->urls[at].n_pairs);
        n++;
    }
    assert_int_equal(pclose(in), 0);
    assert_true(n > f->n / 2);
}

static void test_pack__read_back_by_python(void **state)
{
    struct fixture f;
    struct buf tsv;

    (void)state;
    if (system("python3 -c '' 2>/dev/null")) {
        print_message("skipped: no python3\n");
        return;
    }
    fixture_make(&f, 500, 3, 2, 2);
    dedup(&f.corpus, 4, false);
    pack_well(&f.corpus, 70, 2);
    check_shards(&f, f.dir, 70);
    buf_init(&tsv, 4096);
    fixture_content(f.dir, "shards/counts.tsv", &tsv);
    assert_string_equal(tsv.p, "0\tolive oil\t0\t5\n1\tolive oil\t7\t5\n"
                               "3\tolive oil\t21\t5\n");
    buf_release(&tsv);
    fixture_remove(&f);
}

/* ---- the same bytes ---- */

static void test_pack__threads_and_parts(void **state)
{
    struct fixture f;
    char first[SHA256_HEX], again[SHA256_HEX];

    (void)state;
    fixture_make(&f, 400, 2, 1, 2);
    dedup(&f.corpus, 4, false);
    for (unsigned run = 0; run < 6; run++) {
        static const uint64_t threads[] = {1, 2, 4, 1, 2, 3};
        struct corpus c;
        struct err e = ERR_INIT;
        char dir[64];
        uint32_t parts = run < 3 ? 1 : 3;

        fixture_copy(&f, &c, dir);
        for (uint32_t i = parts; i-- > 0;) {
            struct part part = {i, run < 3 ? 0 : parts};

            if (pack(&c, 23, threads[run], part, false, NULL, &e))
                fail_msg("%s", e.message);
        }
        hash_shards(dir, run ? again : first);
        if (run)
            assert_string_equal(first, again);
        fixture_remove_dir(dir);
    }
    fixture_remove(&f);
}

/* Outputs that a kill left: a tar without sidecar, a .tmp; then a run. */
static void test_pack__continues(void **state)
{
    struct fixture f;
    char first[SHA256_HEX], again[SHA256_HEX], path[128];
    struct pack_summary sum;
    struct err e = ERR_INIT;

    (void)state;
    fixture_make(&f, 300, 2, 1, 1);
    dedup(&f.corpus, 4, false);
    pack_well(&f.corpus, 40, 2);
    hash_shards(f.dir, first);
    snprintf(path, sizeof path, "%s/shards/00002.meta.json", f.dir);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/shards/00002.tar", f.dir);
    assert_int_equal(truncate(path, 1000), 0);
    snprintf(path, sizeof path, "%s/shards/sizes.meta.json", f.dir);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/shards/00002.tar.tmp", f.dir);
    assert_int_equal(io_write_file(path, STR("half"), &e), 0);
    assert_int_equal(
        pack(&f.corpus, 40, 2, (struct part){0, 0}, false, &sum, &e), 0);
    assert_int_equal(sum.made, 1);
    assert_true(sum.shards > 3);
    hash_shards(f.dir, again);
    assert_string_equal(first, again);
    fixture_remove(&f);
}

/* Other survivors: stale is refused; --redo makes all anew and removes what
 * lies past the end. */
static void test_pack__stale_and_pruned(void **state)
{
    struct fixture f;
    struct pack_summary sum;
    struct err e = ERR_INIT;
    struct part whole = {0, 0};
    char path[128];
    uint64_t before;

    (void)state;
    fixture_make(&f, 300, 2, 1, 1);
    dedup(&f.corpus, 0, false);
    assert_int_equal(pack(&f.corpus, 20, 2, whole, false, &sum, &e), 0);
    before = sum.shards;
    dedup(&f.corpus, 16, true);
    assert_int_equal(pack(&f.corpus, 20, 2, whole, false, &sum, &e), -E_STALE);
    assert_non_null(strstr(e.message, "--redo"));
    e = (struct err)ERR_INIT;
    assert_int_equal(pack(&f.corpus, 20, 2, whole, true, &sum, &e), 0);
    assert_true(sum.shards < before);
    for (uint64_t k = 0; k < before; k++) {
        snprintf(path, sizeof path, "%s/shards/%05u.tar", f.dir, (unsigned)k);
        assert_int_equal(io_exists(path), k < sum.shards);
        snprintf(path, sizeof path, "%s/shards/%05u.meta.json", f.dir,
                 (unsigned)k);
        assert_int_equal(io_exists(path), k < sum.shards);
    }
    fixture_remove(&f);
}

static void test_pack__empty_corpus(void **state)
{
    struct fixture f;
    struct buf sizes;
    struct pack_summary sum;
    struct err e = ERR_INIT;

    (void)state;
    fixture_make(&f, 1, 1, 1, 1);
    f.urls[0].selected = false;
    /* Nothing selected: made again with an empty selected/. */
    {
        struct fixture_options options = {.exact = false};
        struct stage balance;

        stage_init(&balance, &f.corpus, "balance", 2, fixture_table(), &options,
                   true);
        for (uint32_t k = 0; k < 2; k++)
            fixture_selected(&f, &balance, 0, k);
        stage_release(&balance);
    }
    dedup(&f.corpus, 4, false);
    assert_int_equal(
        pack(&f.corpus, 10, 1, (struct part){0, 0}, false, &sum, &e), 0);
    assert_int_equal(sum.shards, 0);
    buf_init(&sizes, 4096);
    fixture_content(f.dir, "shards/sizes.json", &sizes);
    assert_string_equal(sizes.p, "{}\n");
    buf_release(&sizes);
    fixture_remove(&f);
}

/* An image that is not where its survivor says: named, nothing half. */
static void test_pack__damaged_image(void **state)
{
    struct fixture f;
    struct err e = ERR_INIT;
    struct io_list names;
    char path[IO_PATH_MAX + 64];

    (void)state;
    fixture_make(&f, 60, 1, 1, 1);
    dedup(&f.corpus, 4, false);
    snprintf(path, sizeof path, "%s/images", f.dir);
    assert_int_equal(io_list(path, &names, &e), 0);
    for (size_t i = 0; i < names.n; i++)
        if (strstr(names.names[i], ".tar")) {
            snprintf(path, sizeof path, "%s/images/%s", f.dir, names.names[i]);
            assert_int_equal(truncate(path, 700), 0);
        }
    io_list_release(&names);
    assert_true(pack(&f.corpus, 20, 2, (struct part){0, 0}, false, NULL, &e) <
                0);
    assert_non_null(strstr(e.message, "images/"));
    snprintf(path, sizeof path, "%s/shards/00000.tar", f.dir);
    assert_false(io_exists(path));
    snprintf(path, sizeof path, "%s/shards/00000.tar.tmp", f.dir);
    assert_false(io_exists(path));
    fixture_remove(&f);
}

/* A file-size limit that grows by a step: until all fits, each run says what
 * failed, leaves no .tmp and no file without its sidecar's promise, and the
 * last ends with the bytes of an undisturbed run. */
static void test_pack__full_disk(void **state)
{
    struct fixture f;
    struct corpus c;
    struct rlimit old, tight;
    struct err e = ERR_INIT;
    char first[SHA256_HEX], again[SHA256_HEX], dir[64];
    unsigned failures = 0;
    int rc;

    (void)state;
    fixture_make(&f, 120, 1, 1, 1);
    dedup(&f.corpus, 4, false);
    fixture_copy(&f, &c, dir);
    pack_well(&c, 20, 1);
    hash_shards(dir, first);
    fixture_remove_dir(dir);
    fixture_copy(&f, &c, dir);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 100;
    do {
        e = (struct err)ERR_INIT;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        rc = pack(&c, 20, 2, (struct part){0, 0}, false, NULL, &e);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        hash_shards(dir, again); /* no .tmp is there */
        if (rc) {
            assert_int_equal(rc, -E_IO);
            assert_non_null(strstr(e.message, "shards/"));
            failures++;
        }
        tight.rlim_cur += tight.rlim_cur / 2;
    } while (rc);
    assert_true(failures > 8);
    assert_string_equal(first, again);
    fixture_remove_dir(dir);
    fixture_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key__digits),
        cmocka_unit_test(test_sample__json),
        cmocka_unit_test(test_sample__stays_under_its_ceiling),
        cmocka_unit_test(test_pack__read_back_by_python),
        cmocka_unit_test(test_pack__threads_and_parts),
        cmocka_unit_test(test_pack__continues),
        cmocka_unit_test(test_pack__stale_and_pruned),
        cmocka_unit_test(test_pack__empty_corpus),
        cmocka_unit_test(test_pack__damaged_image),
        cmocka_unit_test(test_pack__full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
