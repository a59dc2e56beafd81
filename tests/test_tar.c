/* tar_write, tar_read, samples, index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/io.h"
#include "shards/index.h"
#include "shards/tar_read.h"
#include "shards/tar_write.h"

static char dir[64];

static char *in_dir(const char *name)
{
    static char path[8][128];
    static unsigned next;
    char *p = path[next++ % 8];

    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/witmill-tar-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* Members of the golden tar: sizes at and beside the edges of a block. */
static const struct {
    const char *name;
    size_t size;
} golden[] = {{"000000000.jpg", 700}, {"000000000.json", 512},
              {"000000000.txt", 5},   {"000000001.jpg", 1},
              {"000000001.json", 0},  {"000000001.txt", 1023}};
#define N_GOLDEN (sizeof golden / sizeof *golden)

static struct str content(size_t i, char *to)
{
    for (size_t k = 0; k < golden[i].size; k++)
        to[k] = (char)(i * 31 + k * 7);
    return str_make(to, golden[i].size);
}

static void write_golden(const char *path, uint64_t *offsets)
{
    struct tar_writer w;
    struct err e = ERR_INIT;
    char data[2048];

    assert_int_equal(tar_writer_open(&w, path, &e), 0);
    for (size_t i = 0; i < N_GOLDEN; i++)
        assert_int_equal(tar_writer_add(&w, str_of(golden[i].name),
                                        content(i, data), &offsets[i], &e),
                         0);
    assert_int_equal(tar_writer_publish(&w, &e), 0);
}

static void read_whole(const char *path, struct buf *b)
{
    struct err e = ERR_INIT;

    buf_init(b, BUF_NO_LIMIT);
    assert_int_equal(io_read_file(path, b, &e), 0);
}

static void test_tar__golden_bytes(void **state)
{
    uint64_t offsets[N_GOLDEN];
    struct buf made, kept;

    (void)state;
    write_golden(in_dir("g.tar"), offsets);
    read_whole(in_dir("g.tar"), &made);
    read_whole("tests/golden/tar-v1.tar", &kept);
    assert_int_equal(made.n, kept.n);
    assert_memory_equal(made.p, kept.p, made.n);
    buf_release(&made);
    buf_release(&kept);
}

static void test_tar__offsets_and_round_trip(void **state)
{
    uint64_t offsets[N_GOLDEN];
    struct tar_reader r;
    struct tar_member m;
    struct err e = ERR_INIT;
    struct buf all, one;
    char data[2048];
    bool more;

    (void)state;
    write_golden(in_dir("r.tar"), offsets);
    read_whole(in_dir("r.tar"), &all);
    assert_int_equal(all.n % TAR_BLOCK, 0);
    buf_init(&one, 4096);
    assert_int_equal(tar_reader_open(&r, in_dir("r.tar"), 4096, &e), 0);
    for (size_t i = 0; i < N_GOLDEN; i++) {
        struct str want = content(i, data);

        assert_int_equal(tar_reader_next(&r, &m, &more, &e), 0);
        assert_true(more);
        assert_true(str_eq(m.name, str_of(golden[i].name)));
        assert_int_equal(m.offset, offsets[i]);
        assert_int_equal(m.size, want.n);
        assert_memory_equal(all.p + m.offset, want.p, want.n);
        buf_clear(&one);
        assert_int_equal(tar_reader_data(&r, &one, &e), 0);
        assert_true(str_eq(buf_str(&one), want));
    }
    assert_int_equal(tar_reader_next(&r, &m, &more, &e), 0);
    assert_false(more);
    tar_reader_close(&r);
    buf_release(&one);
    buf_release(&all);
}

static void test_tar__python_reads_it(void **state)
{
    static const char script[] =
        "import sys,tarfile\n"
        "t=tarfile.open(sys.argv[1])\n"
        "for m in t:\n"
        "  assert m.isreg() and m.mode==0o444 and m.uid==m.gid==0, m\n"
        "  assert m.mtime==0 and m.uname==m.gname=='' and not m.pax_headers\n"
        "  d=t.extractfile(m).read()\n"
        "  print(m.name,m.size,m.offset_data,sum(d))\n";
    uint64_t offsets[N_GOLDEN];
    char command[256], line[256], want[256], data[2048];
    FILE *in;

    (void)state;
    write_golden(in_dir("p.tar"), offsets);
    if (system("python3 -c '' 2>/dev/null")) {
        print_message("skipped: no python3\n");
        return;
    }
    assert_int_equal(io_write_file(in_dir("p.py"), str_of(script), NULL), 0);
    snprintf(command, sizeof command, "python3 %s/p.py %s/p.tar", dir, dir);
    in = popen(command, "r");
    assert_non_null(in);
    for (size_t i = 0; i < N_GOLDEN; i++) {
        struct str s = content(i, data);
        unsigned sum = 0;

        for (size_t k = 0; k < s.n; k++)
            sum += (unsigned char)s.p[k];
        snprintf(want, sizeof want, "%s %zu %llu %u\n", golden[i].name, s.n,
                 (unsigned long long)offsets[i], sum);
        assert_non_null(fgets(line, sizeof line, in));
        assert_string_equal(line, want);
    }
    assert_null(fgets(line, sizeof line, in));
    assert_int_equal(pclose(in), 0);
}

static void test_tar__names_refused(void **state)
{
    static const char *const bad[] = {"",     ".jpg", "a/b.jpg",
                                      "../x", "a b",  "\xc3\xa4.jpg"};
    char longest[TAR_NAME_MAX + 2];
    struct tar_writer w;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(tar_writer_open(&w, in_dir("n.tar"), &e), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(
            tar_writer_add(&w, str_of(bad[i]), STR("x"), NULL, NULL), -E_RANGE);
    memset(longest, 'n', sizeof longest);
    assert_int_equal(tar_writer_add(&w, str_make(longest, TAR_NAME_MAX + 1),
                                    STR("x"), NULL, NULL),
                     -E_RANGE);
    assert_int_equal(
        tar_writer_add(&w, str_make(longest, TAR_NAME_MAX), STR("x"), NULL, &e),
        0);
    assert_int_equal(tar_writer_publish(&w, &e), 0);
}

/* A file-size limit at every 700 bytes of a tar: each time an error that
 * sticks, no tar and no .tmp; then, without it, the same bytes. */
static void test_tar__full_disk(void **state)
{
    uint64_t offsets[N_GOLDEN];
    struct rlimit old, tight;
    struct buf whole, again;
    char *path;

    (void)state;
    write_golden(in_dir("f.tar"), offsets);
    read_whole(in_dir("f.tar"), &whole);
    path = in_dir("limit.tar");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (size_t limit = 0; limit < whole.n; limit += 700) {
        struct tar_writer w;
        struct err e = ERR_INIT;
        char data[2048];

        assert_int_equal(tar_writer_open(&w, path, &e), 0);
        tight = old;
        tight.rlim_cur = limit;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        for (size_t i = 0; i < N_GOLDEN; i++)
            tar_writer_add(&w, str_of(golden[i].name), content(i, data), NULL,
                           &e);
        assert_int_equal(tar_writer_publish(&w, &e), -E_IO);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_non_null(strstr(e.message, "limit.tar"));
        assert_false(io_exists(path));
        assert_false(io_exists(in_dir("limit.tar.tmp")));
    }
    write_golden(path, offsets);
    read_whole(path, &again);
    assert_int_equal(again.n, whole.n);
    assert_memory_equal(again.p, whole.p, whole.n);
    buf_release(&whole);
    buf_release(&again);
}

static void test_tar__abandon_leaves_nothing(void **state)
{
    struct tar_writer w;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(tar_writer_open(&w, in_dir("a.tar"), &e), 0);
    assert_int_equal(tar_writer_add(&w, STR("a.txt"), STR("x"), NULL, &e), 0);
    assert_true(io_exists(in_dir("a.tar.tmp")));
    tar_writer_abandon(&w);
    tar_writer_abandon(&w);
    assert_false(io_exists(in_dir("a.tar.tmp")));
    assert_false(io_exists(in_dir("a.tar")));
    assert_int_equal(tar_writer_open(&w, "/nowhere/at/all.tar", &e), -E_IO);
    tar_writer_abandon(&w);
}

/* ---- reading ---- */

static void test_split__first_dot(void **state)
{
    static const struct {
        const char *name, *key, *ext; /* key NULL: no sample */
    } cases[] = {{"000.jpg", "000", "jpg"},
                 {"a/b.c/000.seg.PNG", "a/b.c/000", "seg.PNG"},
                 {"compressed/0001.txt.gz", "compressed/0001", "txt.gz"},
                 {"x.", "x", ""},
                 {"noext", NULL, NULL},
                 {".hidden", NULL, NULL},
                 {"dir/.hidden", NULL, NULL},
                 {"dir.d/noext", NULL, NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str key, ext;

        assert_int_equal(tar_split_name(str_of(cases[i].name), &key, &ext),
                         cases[i].key != NULL);
        if (!cases[i].key)
            continue;
        assert_true(str_eq(key, str_of(cases[i].key)));
        assert_true(str_eq(ext, str_of(cases[i].ext)));
    }
}

/* Samples of a tar as "key:ext,ext key:ext ", and how it ended. */
static int list_samples(const char *path, struct buf *out,
                        struct tally *skipped, struct err *e)
{
    const struct tar_sample *sample;
    struct tar_samples s;
    struct tar_reader r;
    bool more;
    int rc = tar_reader_open(&r, path, 1 << 20, e);

    buf_clear(out);
    if (rc)
        return rc;
    tar_samples_init(&s, &r, NULL, 0);
    while (!(rc = tar_samples_next(&s, &sample, &more, e)) && more) {
        buf_add(out, sample->key);
        for (unsigned i = 0; i < sample->n; i++)
            buf_addf(out, "%c%s", i ? ',' : ':', sample->v[i].ext);
        buf_add_char(out, ' ');
    }
    tally_add_all(skipped, &r.skipped);
    tar_samples_release(&s);
    tar_reader_close(&r);
    return rc;
}

/* Tars of every dialect, made by Python; "skipped" counts of what is left
 * out. */
static const char foreign_script[] =
    "import sys,io,tarfile\n"
    "d=sys.argv[1]\n"
    "F={'pax':tarfile.PAX_FORMAT,'gnu':tarfile.GNU_FORMAT,"
    "'ustar':tarfile.USTAR_FORMAT}\n"
    "def add(t,name,data=b'hello',**kw):\n"
    "  i=tarfile.TarInfo(name); i.size=len(data); i.mtime=kw.pop('mtime',1)\n"
    "  for k,v in kw.items(): setattr(i,k,v)\n"
    "  t.addfile(i,io.BytesIO(data))\n"
    "for n,f in F.items():\n"
    "  t=tarfile.open(f'{d}/{n}.tar','w',format=f,"
    "pax_headers={'comment':'global'} if n=='pax' else None)\n"
    "  for k in ('a','b'):\n"
    "    for e in ('jpg','json','TXT'):\n"
    "      add(t,f'{k}.{e}',mtime=1.5 if n=='pax' else 1)\n"
    "  if n!='ustar': add(t,'x'*150+'.txt')\n"
    "  t.close()\n"
    "w=open(f'{d}/ustar.tar','rb').read()\n"
    "r=w.rstrip(b'\\0'); r+=b'\\0'*(-len(r)%512)\n"
    "open(f'{d}/no-end.tar','wb').write(r)\n"
    "open(f'{d}/one-block.tar','wb').write(r+b'\\0'*512)\n"
    "open(f'{d}/cut.tar','wb').write(r[:-600])\n"
    "c=bytearray(w); c[150]^=1; open(f'{d}/checksum.tar','wb').write(c)\n"
    "open(f'{d}/html.tar','wb').write(b'<html>'+b' '*2000)\n"
    "open(f'{d}/empty.tar','wb').write(b'\\0'*1024)\n"
    "t=tarfile.open(f'{d}/hostile.tar','w')\n"
    "add(t,'ok.jpg'); add(t,'ok.txt')\n"
    "add(t,'/etc/passwd.txt'); add(t,'a/../../b.txt')\n"
    "add(t,'link.txt',b'',type=tarfile.SYMTYPE,linkname='/etc/passwd')\n"
    "add(t,'dev.txt',b'',type=tarfile.CHRTYPE)\n"
    "add(t,'dir',b'',type=tarfile.DIRTYPE)\n"
    "add(t,'big.txt',b'x'*(1<<20)+b'x')\n"
    "add(t,'readme'); add(t,'__meta.json__')\n"
    "add(t,'two.jpg'); add(t,'two.txt'); add(t,'two.JPG')\n"
    "add(t,'last.txt')\n"
    "t.close()\n";

static void test_read__foreign_dialects(void **state)
{
    static const struct {
        const char *name;
        int rc;
        const char *samples;
    } cases[] = {
        {"ustar.tar", 0, "a:jpg,json,txt b:jpg,json,txt "},
        {"no-end.tar", -E_FORMAT, "a:jpg,json,txt b:jpg,json,txt "},
        {"one-block.tar", -E_FORMAT, "a:jpg,json,txt b:jpg,json,txt "},
        {"cut.tar", -E_FORMAT, "a:jpg,json,txt "},
        {"checksum.tar", -E_FORMAT, ""},
        {"html.tar", -E_FORMAT, ""},
        {"empty.tar", 0, ""},
        {"hostile.tar", 0, "ok:jpg,txt last:txt "},
    };
    char command[160];
    struct buf out;
    struct tally skipped;

    (void)state;
    buf_init(&out, 1 << 20);
    tally_init(&skipped);
    if (system("python3 -c '' 2>/dev/null")) {
        print_message("skipped: no python3\n");
        return;
    }
    assert_int_equal(
        io_write_file(in_dir("m.py"), str_of(foreign_script), NULL), 0);
    snprintf(command, sizeof command, "python3 %s/m.py %s", dir, dir);
    assert_int_equal(system(command), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;

        tally_clear(&skipped);
        assert_int_equal(
            list_samples(in_dir(cases[i].name), &out, &skipped, &e),
            cases[i].rc);
        assert_true(str_eq(buf_str(&out), str_of(cases[i].samples)));
        assert_true(!cases[i].rc || strstr(e.message, cases[i].name));
    }
    assert_int_equal(tally_get(&skipped, "not-regular"), 3);
    assert_int_equal(tally_get(&skipped, "name"), 2);
    assert_int_equal(tally_get(&skipped, "too-large"), 1);
    assert_int_equal(tally_get(&skipped, "no-extension"), 1);
    assert_int_equal(tally_get(&skipped, "reserved"), 1);
    assert_int_equal(tally_get(&skipped, "repeated-extension"), 1);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(list_samples(in_dir(k ? "gnu.tar" : "pax.tar"), &out,
                                      &skipped, NULL),
                         0);
        assert_true(str_starts(buf_str(&out),
                               STR("a:jpg,json,txt b:jpg,json,txt xxxxxx")));
        assert_int_equal(out.n, 30 + 150 + 5);
    }
    buf_release(&out);
    tally_release(&skipped);
}

static void test_read__webdataset_shards(void **state)
{
    static const struct {
        const char *name;
        size_t samples;
        const char *first;
    } cases[] = {{"webdataset-compressed.tar", 0, "compressed/0001:txt.gz "},
                 {"webdataset-mpdata.tar", 100, "000000:mp 000001:mp "},
                 {"webdataset-sample.tgz", 90, "10:cls,png 11:cls,png "}};
    const char *shared = getenv("WITMILL_SHARED");
    struct buf out;
    struct tally skipped;

    (void)state;
    buf_init(&out, 1 << 20);
    tally_init(&skipped);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        char path[512];
        size_t n = 0;

        snprintf(path, sizeof path, "%s/data/shards/%s",
                 shared ? shared : "../shared", cases[i].name);
        if (!io_exists(path)) {
            print_message("skipped: %s is not here\n", path);
            continue;
        }
        assert_int_equal(list_samples(path, &out, &skipped, &e), 0);
        assert_true(str_starts(buf_str(&out), str_of(cases[i].first)));
        for (size_t k = 0; k < out.n; k++)
            n += out.p[k] == ' ';
        if (cases[i].samples)
            assert_int_equal(n, cases[i].samples);
    }
    buf_release(&out);
    tally_release(&skipped);
}

/* ---- index ---- */

static void test_index__of_a_tar(void **state)
{
    static const char meta[] =
        "{\"caption\":\"x\",\"uid\":\"000102030405060708090a0b0c0d0e0f\"}";
    struct tar_writer w;
    struct index x;
    struct index_entry entry;
    struct tally skipped;
    struct buf out, bytes;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(tar_writer_open(&w, in_dir("x.tar"), &e), 0);
    tar_writer_add(&w, STR("k1.jpg"), STR("JPEG"), NULL, &e);
    tar_writer_add(&w, STR("k1.json"), str_of(meta), NULL, &e);
    tar_writer_add(&w, STR("k1.txt"), STR("one"), NULL, &e);
    tar_writer_add(&w, STR("k2.jpg"), STR("no text"), NULL, &e);
    tar_writer_add(&w, STR("k3.json"), STR("not json"), NULL, &e);
    tar_writer_add(&w, STR("k3.txt"), STR(""), NULL, &e);
    tar_writer_add(&w, STR("k3.webp"), STR("WEBP!"), NULL, &e);
    assert_int_equal(tar_writer_publish(&w, &e), 0);

    tally_init(&skipped);
    buf_init(&out, 1 << 20);
    assert_int_equal(
        index_of_tar(in_dir("x.tar"), INDEX_TXT, &out, &skipped, &e), 0);
    assert_int_equal(tally_get(&skipped, "no-text"), 1);
    assert_int_equal(tally_sum(&skipped), 1);
    read_whole(in_dir("x.tar"), &bytes);
    assert_int_equal(index_parse(&x, &out, "x", &e), 0);
    assert_int_equal(x.n, 2);
    assert_int_equal(x.tar_size, bytes.n);
    index_get(&x, 0, &entry);
    assert_true(str_eq(entry.key, STR("k1")));
    assert_int_equal(entry.uid[15], 15);
    assert_memory_equal(bytes.p + entry.image_offset, "JPEG", 4);
    assert_memory_equal(bytes.p + entry.json_offset, meta, entry.json_size);
    assert_int_equal(entry.text_size, 3);
    index_get(&x, 1, &entry);
    assert_true(str_eq(entry.key, STR("k3")));
    assert_int_equal(entry.image, INDEX_WEBP);
    assert_memory_equal(bytes.p + entry.image_offset, "WEBP!", 5);
    assert_int_equal(entry.uid[15], 0);
    index_release(&x);
    buf_release(&bytes);
    tally_release(&skipped);
}

/* Every flipped byte is noticed: by the magic, the version, a size that does
 * not add up, or the checksum; tar_size and the zeros by their ranges or by
 * nobody, which changes no entry. */
static void test_index__flipped_bytes(void **state)
{
    struct index_writer w;
    struct index_entry entry = {.image_offset = 512,
                                .image_size = 10,
                                .json_offset = 1536,
                                .json_size = 2,
                                .text_offset = 2560,
                                .text_size = 3,
                                .key = STR("key")};
    struct err e = ERR_INIT;
    struct buf out, copy;
    struct index x;

    (void)state;
    index_writer_init(&w);
    buf_init(&out, 1 << 20);
    assert_int_equal(index_writer_add(&w, &entry, &e), 0);
    assert_int_equal(index_writer_finish(&w, 4096, &out, &e), 0);
    index_writer_release(&w);
    assert_int_equal(out.n, INDEX_HEADER_SIZE + INDEX_ENTRY_SIZE + 3);
    for (size_t i = 0; i < out.n; i++) {
        int rc;

        buf_init(&copy, 1 << 20);
        buf_add(&copy, buf_str(&out));
        copy.p[i] ^= 0x55;
        rc = index_parse(&x, &copy, "x", NULL);
        if (i < 12 || (i >= 16 && i < 24) || (i >= 32 && i < 48) || i >= 64)
            assert_int_not_equal(rc, 0);
        if (!rc)
            index_release(&x);
    }
    for (size_t n = 0; n < out.n; n++) {
        buf_init(&copy, 1 << 20);
        buf_add(&copy, str_slice(buf_str(&out), 0, n));
        assert_int_not_equal(index_parse(&x, &copy, "x", NULL), 0);
    }
    buf_release(&out);
}

static void test_index__compressed_tar_refused(void **state)
{
    uint64_t offsets[N_GOLDEN];
    struct tally skipped;
    struct err e = ERR_INIT;
    struct buf out;
    char command[160];

    (void)state;
    write_golden(in_dir("z.tar"), offsets);
    snprintf(command, sizeof command, "gzip -k %s/z.tar", dir);
    assert_int_equal(system(command), 0);
    tally_init(&skipped);
    buf_init(&out, 1 << 20);
    assert_int_equal(
        index_of_tar(in_dir("z.tar.gz"), INDEX_TXT, &out, &skipped, &e),
        -E_FORMAT);
    assert_non_null(strstr(e.message, "compressed"));
    tally_release(&skipped);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tar__golden_bytes),
        cmocka_unit_test(test_tar__offsets_and_round_trip),
        cmocka_unit_test(test_tar__python_reads_it),
        cmocka_unit_test(test_tar__names_refused),
        cmocka_unit_test(test_tar__full_disk),
        cmocka_unit_test(test_tar__abandon_leaves_nothing),
        cmocka_unit_test(test_split__first_dot),
        cmocka_unit_test(test_read__foreign_dialects),
        cmocka_unit_test(test_read__webdataset_shards),
        cmocka_unit_test(test_index__of_a_tar),
        cmocka_unit_test(test_index__flipped_bytes),
        cmocka_unit_test(test_index__compressed_tar_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
