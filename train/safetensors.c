#include "train/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"

#define LENGTH_BYTES 8   /* in front of the header, u64 little-endian */
#define PRINTED      200 /* bytes of a name in a message */

static const struct {
    const char *name;
    size_t size; /* bytes of a number */
} dtypes[] = {
    [ST_BOOL] = {"BOOL", 1},       [ST_U8] = {"U8", 1},
    [ST_I8] = {"I8", 1},           [ST_F8_E5M2] = {"F8_E5M2", 1},
    [ST_F8_E4M3] = {"F8_E4M3", 1}, [ST_I16] = {"I16", 2},
    [ST_U16] = {"U16", 2},         [ST_F16] = {"F16", 2},
    [ST_BF16] = {"BF16", 2},       [ST_I32] = {"I32", 4},
    [ST_U32] = {"U32", 4},         [ST_F32] = {"F32", 4},
    [ST_F64] = {"F64", 8},         [ST_I64] = {"I64", 8},
    [ST_U64] = {"U64", 8},
};

#define DTYPES (sizeof dtypes / sizeof *dtypes)

size_t safetensors_dtype_size(enum safetensors_dtype t)
{
    return dtypes[t].size;
}

const char *safetensors_dtype_name(enum safetensors_dtype t)
{
    return dtypes[t].name;
}

/* A file being read. */
struct reading {
    struct safetensors *s;
    const char *place;
    struct str data; /* behind the header */
    struct json j;
    struct str name;      /* of the tensor in hand */
    size_t cap, meta_cap; /* tensors; strings */
    bool has_meta;
    int rc; /* sticky */
    struct err *e;
};

/* Bytes of a name that a message shows. */
static int shown(struct str s)
{
    return s.n < PRINTED ? (int)s.n : PRINTED;
}

/* "PLACE: tensor NAME: ...", sticky. */
static void bad_tensor(struct reading *r, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void bad_tensor(struct reading *r, int code, const char *format, ...)
{
    char text[512];
    va_list ap;

    if (r->rc)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    r->rc = err_set(r->e, code, "%s: tensor %.*s: %s", r->place, shown(r->name),
                    r->name.p ? r->name.p : "", text);
}

/* ---- one tensor of the header ---- */

static void read_dtype(struct reading *r, struct safetensor *t)
{
    struct str s = json_string(&r->j);

    if (r->j.rc)
        return;
    for (size_t i = 0; i < DTYPES; i++)
        if (str_eq(s, str_of(dtypes[i].name))) {
            t->dtype = (enum safetensors_dtype)i;
            return;
        }
    bad_tensor(r, E_FORMAT, "dtype \"%.*s\" is not known", shown(s), s.p);
}

static void read_shape(struct reading *r, struct safetensor *t)
{
    json_array(&r->j);
    while (!r->rc && json_element(&r->j)) {
        uint64_t side = json_u64(&r->j);

        if (t->rank == SAFETENSORS_RANK_MAX)
            bad_tensor(r, E_TOOBIG, "shape has more than %d numbers",
                       SAFETENSORS_RANK_MAX);
        else
            t->shape[t->rank++] = side;
    }
}

/* [begin, end) in the data; kept as pointer and size once both are sound. */
static void read_offsets(struct reading *r, struct safetensor *t)
{
    uint64_t at[2] = {0, 0};
    int n = 0;

    json_array(&r->j);
    while (json_element(&r->j)) {
        uint64_t v = json_u64(&r->j);

        if (n < 2)
            at[n] = v;
        n++;
    }
    if (r->j.rc || r->rc)
        return;
    if (n != 2)
        bad_tensor(r, E_FORMAT, "data_offsets has %d numbers, not 2", n);
    else if (at[0] > at[1])
        bad_tensor(r, E_FORMAT,
                   "data_offsets [%llu, %llu] end before they begin",
                   (unsigned long long)at[0], (unsigned long long)at[1]);
    else if (at[1] > r->data.n)
        bad_tensor(
            r, E_FORMAT,
            "data_offsets [%llu, %llu] pass the end of the file, which has "
            "%zu bytes of data",
            (unsigned long long)at[0], (unsigned long long)at[1], r->data.n);
    else {
        t->data = (const uint8_t *)r->data.p + at[0];
        t->size = at[1] - at[0];
    }
}

/* Numbers by the shape, bytes by the numbers: as many as the offsets say. */
static void check_size(struct reading *r, struct safetensor *t)
{
    uint64_t bytes;

    t->count = 1;
    for (int i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(t->count, t->shape[i], &t->count)) {
            bad_tensor(r, E_FORMAT, "shape has more than 2^64 numbers");
            return;
        }
    if (__builtin_mul_overflow(t->count, (uint64_t)dtypes[t->dtype].size,
                               &bytes))
        bad_tensor(r, E_FORMAT, "shape has more than 2^64 bytes");
    else if (bytes != t->size)
        bad_tensor(r, E_FORMAT,
                   "%llu bytes of data, but its shape and dtype %s make %llu",
                   (unsigned long long)t->size, dtypes[t->dtype].name,
                   (unsigned long long)bytes);
}

static void read_tensor(struct reading *r, struct safetensor *t)
{
    static const struct {
        const char *name;
        void (*read)(struct reading *r, struct safetensor *t);
    } members[] = {{"dtype", read_dtype},
                   {"shape", read_shape},
                   {"data_offsets", read_offsets}};
    unsigned seen = 0;
    struct str name;

    *t = (struct safetensor){.name = r->name};
    json_object(&r->j);
    while (!r->rc && json_member(&r->j, &name)) {
        size_t i = 0;

        while (i < 3 && !str_eq(name, str_of(members[i].name)))
            i++;
        if (i == 3) {
            bad_tensor(r, E_FORMAT, "a member that is not known: %.*s",
                       shown(name), name.p);
        } else if (seen >> i & 1) {
            bad_tensor(r, E_FORMAT, "%s stands there twice", members[i].name);
        } else {
            seen |= 1u << i;
            members[i].read(r, t);
            if (r->j.rc)
                bad_tensor(r, E_FORMAT, "%s is not as it should be: %s",
                           members[i].name, err_name(r->j.rc));
        }
    }
    for (size_t i = 0; i < 3 && !r->j.rc; i++)
        if (!(seen >> i & 1))
            bad_tensor(r, E_FORMAT, "%s is missing", members[i].name);
    if (!r->rc && !r->j.rc)
        check_size(r, t);
}

/* ---- the header ---- */

/* Room for one more element; the ceilings are checked by the caller. */
static void *grow(struct reading *r, void *p, size_t *cap, size_t n,
                  size_t size)
{
    size_t wanted = *cap ? 2 * *cap : 64;
    void *more;

    if (n < *cap)
        return p;
    more = realloc(p, wanted * size);
    if (more)
        *cap = wanted;
    else if (!r->rc)
        r->rc = err_set(r->e, E_NOMEM, "%s: no room for its table", r->place);
    return more ? more : p;
}

static void add_tensor(struct reading *r)
{
    struct safetensors *s = r->s;

    if (r->name.n > SAFETENSORS_NAME_MAX)
        bad_tensor(r, E_TOOBIG, "a name of %zu bytes; %d are the most",
                   r->name.n, SAFETENSORS_NAME_MAX);
    if (s->n == SAFETENSORS_TENSORS_MAX)
        bad_tensor(r, E_TOOBIG, "one more than %d tensors",
                   SAFETENSORS_TENSORS_MAX);
    if (r->rc)
        return;
    s->list = grow(r, s->list, &r->cap, s->n, sizeof *s->list);
    if (r->rc)
        return;
    read_tensor(r, &s->list[s->n]);
    s->n++;
}

static void add_meta(struct reading *r)
{
    struct safetensors *s = r->s;
    struct str key;

    if (r->has_meta) {
        r->rc = err_set(r->e, E_FORMAT, "%s: __metadata__ stands there twice",
                        r->place);
        return;
    }
    r->has_meta = true;
    json_object(&r->j);
    while (!r->rc && json_member(&r->j, &key)) {
        struct str value = json_string(&r->j);

        if (r->j.rc) {
            r->rc = err_set(r->e, E_FORMAT,
                            "%s: __metadata__ %.*s is not as it should be, a "
                            "string: %s",
                            r->place, shown(key), key.p, err_name(r->j.rc));
            break;
        }
        if (s->meta_n == SAFETENSORS_META_MAX) {
            r->rc = err_set(r->e, E_TOOBIG, "%s: more than %d metadata pairs",
                            r->place, SAFETENSORS_META_MAX);
            break;
        }
        s->meta =
            grow(r, s->meta, &r->meta_cap, s->meta_n, 2 * sizeof *s->meta);
        if (r->rc)
            break;
        s->meta[2 * s->meta_n] = key;
        s->meta[2 * s->meta_n + 1] = value;
        s->meta_n++;
    }
}

static void read_header(struct reading *r, struct str header)
{
    size_t end;

    json_open(&r->j, header, &r->s->arena);
    json_object(&r->j);
    while (!r->rc && json_member(&r->j, &r->name)) {
        if (str_eq(r->name, STR("__metadata__")))
            add_meta(r);
        else
            add_tensor(r);
    }
    if (r->rc)
        return;
    end = r->j.at;
    r->rc = json_close(&r->j, r->e);
    if (r->rc) {
        err_wrap(r->e, r->rc, "%s: header", r->place);
        return;
    }
    for (; end < header.n; end++)
        if (header.p[end] != ' ') {
            r->rc = err_set(r->e, E_FORMAT,
                            "%s: byte %zu behind the header's JSON is no "
                            "space",
                            r->place, LENGTH_BYTES + end);
            return;
        }
}

/* ---- the whole of it ---- */

static int by_place(const void *a, const void *b)
{
    const struct safetensor *x = a, *y = b;

    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return str_cmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    const struct safetensor *const *x = a, *const *y = b;

    return str_cmp((*x)->name, (*y)->name);
}

static int by_key(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Each tensor begins where the one before it ends, the last one at the end. */
static void check_cover(struct reading *r)
{
    const char *at = r->data.p;
    struct safetensors *s = r->s;

    if (s->n)
        qsort(s->list, s->n, sizeof *s->list, by_place);
    for (size_t i = 0; i < s->n; i++) {
        const char *begin = (const char *)s->list[i].data;

        r->name = s->list[i].name;
        if (begin != at)
            bad_tensor(r, E_FORMAT, "begins at byte %zu of the data, %s %zu",
                       (size_t)(begin - r->data.p),
                       begin < at ? "but the one before it reaches to"
                                  : "but nothing covers it from",
                       (size_t)(at - r->data.p));
        at = begin + s->list[i].size;
    }
    if (!r->rc && at != r->data.p + r->data.n)
        r->rc = err_set(r->e, E_FORMAT,
                        "%s: %zu bytes behind the last tensor belong to none",
                        r->place, (size_t)(r->data.p + r->data.n - at));
}

static void check_names(struct reading *r)
{
    struct safetensors *s = r->s;

    s->by_name = malloc((s->n + 1) * sizeof *s->by_name);
    if (!s->by_name) {
        r->rc = err_set(r->e, E_NOMEM, "%s: no room for its table", r->place);
        return;
    }
    for (size_t i = 0; i < s->n; i++)
        s->by_name[i] = &s->list[i];
    qsort(s->by_name, s->n, sizeof *s->by_name, by_name);
    for (size_t i = 1; i < s->n; i++) {
        r->name = s->by_name[i]->name;
        if (str_eq(r->name, s->by_name[i - 1]->name))
            bad_tensor(r, E_FORMAT, "stands there twice");
    }
    if (s->meta_n)
        qsort(s->meta, s->meta_n, 2 * sizeof *s->meta, by_key);
    for (size_t i = 1; i < s->meta_n && !r->rc; i++) {
        struct str key = s->meta[2 * i];

        if (str_eq(key, s->meta[2 * i - 2]))
            r->rc = err_set(r->e, E_FORMAT,
                            "%s: __metadata__ %.*s stands there twice",
                            r->place, shown(key), key.p);
    }
}

/* Header and data of the bytes. */
static int split(struct str bytes, const char *place, struct str *header,
                 struct str *data, struct err *e)
{
    uint64_t n = 0;

    if (bytes.n < LENGTH_BYTES)
        return err_set(e, E_FORMAT,
                       "%s: %zu bytes; the length of a header takes %d", place,
                       bytes.n, LENGTH_BYTES);
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        n = n << 8 | (unsigned char)bytes.p[i];
    if (n > SAFETENSORS_HEADER_MAX)
        return err_set(e, E_TOOBIG,
                       "%s: a header of %llu bytes; %u are the "
                       "most (is it a safetensors file?)",
                       place, (unsigned long long)n, SAFETENSORS_HEADER_MAX);
    if (n > bytes.n - LENGTH_BYTES)
        return err_set(e, E_FORMAT,
                       "%s: a header of %llu bytes is said, %zu are there",
                       place, (unsigned long long)n, bytes.n - LENGTH_BYTES);
    *header = str_slice(bytes, LENGTH_BYTES, LENGTH_BYTES + (size_t)n);
    *data = str_slice(bytes, LENGTH_BYTES + (size_t)n, bytes.n);
    if (n == 0 || header->p[0] != '{')
        return err_set(e, E_FORMAT, "%s: the header does not begin with {",
                       place);
    return 0;
}

int safetensors_parse(struct safetensors *s, struct str bytes,
                      const char *place, struct err *e)
{
    struct reading r = {.s = s, .place = place, .e = e};
    struct str header;

    *s = (struct safetensors){.list = NULL};
    /* Decoded strings are no longer than the header that they stand in. */
    arena_init(&s->arena,
               4 * (bytes.n < SAFETENSORS_HEADER_MAX ? bytes.n
                                                     : SAFETENSORS_HEADER_MAX) +
                   (1u << 20));
    r.rc = split(bytes, place, &header, &r.data, e);
    if (!r.rc)
        read_header(&r, header);
    if (!r.rc)
        check_cover(&r);
    if (!r.rc)
        check_names(&r);
    if (r.rc)
        safetensors_close(s);
    return r.rc;
}

int safetensors_open(struct safetensors *s, const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
    void *map = NULL;
    struct stat st;
    size_t size;

    *s = (struct safetensors){.list = NULL};
    if (fd < 0)
        return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "open", path);
    if (fstat(fd, &st)) {
        rc = err_errno(e, E_IO, "stat", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = err_set(e, E_IO, "%s: not a regular file", path);
        goto out;
    }
    size = (size_t)st.st_size;
    if (size) {
        map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            rc = err_errno(e, E_IO, "map", path);
            goto out;
        }
    }
    rc = safetensors_parse(s, str_make(map, size), path, e);
    if (rc && map)
        munmap(map, size);
    else if (!rc) {
        s->map = map;
        s->map_size = size;
    }
out:
    close(fd);
    return rc;
}

void safetensors_close(struct safetensors *s)
{
    free(s->list);
    free(s->by_name);
    free(s->meta);
    arena_release(&s->arena);
    if (s->map)
        munmap(s->map, s->map_size);
    *s = (struct safetensors){.list = NULL};
}

/* ---- asking ---- */

const struct safetensor *safetensors_find(const struct safetensors *s,
                                          struct str name)
{
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = str_cmp(s->by_name[mid]->name, name);

        if (order == 0)
            return s->by_name[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

bool safetensors_meta(const struct safetensors *s, struct str key,
                      struct str *value)
{
    for (size_t i = 0; i < s->meta_n; i++)
        if (str_eq(s->meta[2 * i], key)) {
            *value = s->meta[2 * i + 1];
            return true;
        }
    return false;
}
