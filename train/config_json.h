/*
 * config_json - reading the members of a JSON object by a table.
 *
 * Model.   Private to train/config_*.c.  A row says a member's name, how its
 *          value is read and where it goes; a name may come once.  A member
 *          of kind MEMBER_FIXED must have one of the values in `fixed`, which
 *          are JSON texts separated by '|'; numbers compare as numbers.
 * Fails.   With "PLACE: OBJECT.MEMBER ...": -E_FORMAT, -E_RANGE, -E_UNSUPPORTED
 *          for a fixed member with another value, and for a name that no row
 *          has unless `others` lets it pass.
 * Threads. Any.
 */
#ifndef TRAIN_CONFIG_JSON_H
#define TRAIN_CONFIG_JSON_H

#include "base/json.h"
#include "train/config.h"

enum member_kind {
    MEMBER_INT,
    MEMBER_DOUBLE,
    MEMBER_BOOL,
    MEMBER_CALL,  /* read() */
    MEMBER_FIXED, /* one of `fixed` */
    MEMBER_LEFT   /* any value, left alone */
};

struct members;

struct member {
    const char *name;
    enum member_kind kind;
    size_t at;         /* offset in the struct that is filled */
    const char *fixed; /* MEMBER_FIXED */
    void (*read)(struct members *m, struct json *j);
};

struct members {
    const struct member *list; /* at most 64 */
    size_t n;
    const char *object; /* "vision_cfg." in messages, "" for the top */
    const char *place;  /* the file */
    bool others;        /* names that no row has may stand there */
    void *to;           /* the struct that is filled */
    uint64_t seen;      /* bit i: list[i] was there */
    int rc;             /* sticky */
    struct err *e;
};

/* Read the object that comes next.  Result: m->rc. */
int members_read(struct members *m, struct json *j);

/* The failure of member `name`, sticky; "PLACE: OBJECT.NAME " is put before. */
void members_fail(struct members *m, int code, const char *name,
                  const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The object preprocess_cfg that comes next, into *p; and written, with its
 * name. */
int config_pictures_read(struct config_pictures *p, struct json *j,
                         const char *place, struct err *e);
void config_pictures_put(const struct config_pictures *p, struct json_out *o);

bool config_pictures_equal(const struct config_pictures *a,
                           const struct config_pictures *b);
int config_pictures_check(const struct config_pictures *p, struct err *e);

/* transformers' config.json, whose top-level object comes next. */
int config_transformers_read(struct clip_config *c, struct json *j,
                             const char *place, struct err *e);

#endif
