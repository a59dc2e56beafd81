#include "querylist/site.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/fold.h"
#include "base/hash.h"
#include "base/utf8.h"

/* Folded names may be half as long again (U+023A: two bytes, then three). */
#define FOLDED_MAX (SITE_NAME_MAX + SITE_NAME_MAX / 2 + UTF8_MAX)

/* What MediaWiki knows on a wiki of any language. */
static const struct {
    const char *name;
    int32_t number;
} english[] = {
    {"Media", SITE_MEDIA},
    {"Special", SITE_SPECIAL},
    {"Talk", SITE_TALK},
    {"User", SITE_USER},
    {"User talk", SITE_USER + 1},
    {"Project", SITE_PROJECT},
    {"Project talk", SITE_PROJECT + 1},
    {"File", SITE_FILE},
    {"File talk", SITE_FILE + 1},
    {"Image", SITE_FILE},
    {"Image talk", SITE_FILE + 1},
    {"MediaWiki", SITE_MEDIAWIKI},
    {"MediaWiki talk", SITE_MEDIAWIKI + 1},
    {"Template", SITE_TEMPLATE},
    {"Template talk", SITE_TEMPLATE + 1},
    {"Help", SITE_HELP},
    {"Help talk", SITE_HELP + 1},
    {"Category", SITE_CATEGORY},
    {"Category talk", SITE_CATEGORY + 1},
};

/* Prefixes of Wikipedias, closed ones and old spellings included; ascending. */
static const char *const languages[] = {
    "aa",       "ab",     "ace",     "ady",          "af",    "ak",
    "als",      "alt",    "am",      "ami",          "an",    "ang",
    "ann",      "anp",    "ar",      "arc",          "ary",   "arz",
    "as",       "ast",    "atj",     "av",           "avk",   "awa",
    "ay",       "az",     "azb",     "ba",           "ban",   "bar",
    "bat-smg",  "bbc",    "bcl",     "bdr",          "be",    "be-tarask",
    "be-x-old", "bew",    "bg",      "bh",           "bho",   "bi",
    "bjn",      "blk",    "bm",      "bn",           "bo",    "bpy",
    "br",       "bs",     "btm",     "bug",          "bxr",   "ca",
    "cbk-zam",  "cdo",    "ce",      "ceb",          "ch",    "cho",
    "chr",      "chy",    "ckb",     "co",           "cr",    "crh",
    "cs",       "csb",    "cu",      "cv",           "cy",    "da",
    "dag",      "de",     "dga",     "din",          "diq",   "dsb",
    "dtp",      "dty",    "dv",      "dz",           "ee",    "el",
    "eml",      "en",     "eo",      "es",           "et",    "eu",
    "ext",      "fa",     "fat",     "ff",           "fi",    "fiu-vro",
    "fj",       "fo",     "fon",     "fr",           "frp",   "frr",
    "fur",      "fy",     "ga",      "gag",          "gan",   "gcr",
    "gd",       "gl",     "glk",     "gn",           "gom",   "gor",
    "got",      "gpe",    "gsw",     "gu",           "guc",   "gur",
    "guw",      "gv",     "ha",      "hak",          "haw",   "he",
    "hi",       "hif",    "ho",      "hr",           "hsb",   "ht",
    "hu",       "hy",     "hyw",     "hz",           "ia",    "iba",
    "id",       "ie",     "ig",      "igl",          "ii",    "ik",
    "ilo",      "inh",    "io",      "is",           "it",    "iu",
    "ja",       "jam",    "jbo",     "jv",           "ka",    "kaa",
    "kab",      "kbd",    "kbp",     "kcg",          "kg",    "kge",
    "ki",       "kj",     "kk",      "kl",           "km",    "kn",
    "knc",      "ko",     "koi",     "kr",           "krc",   "ks",
    "ksh",      "ku",     "kus",     "kv",           "kw",    "ky",
    "la",       "lad",    "lb",      "lbe",          "lez",   "lfn",
    "lg",       "li",     "lij",     "lld",          "lmo",   "ln",
    "lo",       "lrc",    "lt",      "ltg",          "lv",    "lzh",
    "mad",      "mai",    "map-bms", "mdf",          "mg",    "mh",
    "mhr",      "mi",     "min",     "mk",           "ml",    "mn",
    "mni",      "mnw",    "mo",      "mos",          "mr",    "mrj",
    "ms",       "mt",     "mus",     "mwl",          "my",    "myv",
    "mzn",      "na",     "nah",     "nan",          "nap",   "nds",
    "nds-nl",   "ne",     "new",     "ng",           "nia",   "nl",
    "nn",       "no",     "nov",     "nqo",          "nr",    "nrm",
    "nso",      "nv",     "ny",      "oc",           "olo",   "om",
    "or",       "os",     "pa",      "pag",          "pam",   "pap",
    "pcd",      "pcm",    "pdc",     "pdt",          "pfl",   "pi",
    "pih",      "pl",     "pms",     "pnb",          "pnt",   "ps",
    "pt",       "pwn",    "qu",      "rki",          "rm",    "rmy",
    "rn",       "ro",     "roa-rup", "roa-tara",     "ru",    "rue",
    "rup",      "rw",     "sa",      "sah",          "sat",   "sc",
    "scn",      "sco",    "sd",      "se",           "sg",    "sgs",
    "sh",       "shi",    "shn",     "shy",          "si",    "simple",
    "sk",       "skr",    "sl",      "sm",           "smn",   "sn",
    "so",       "sq",     "sr",      "srn",          "ss",    "st",
    "stq",      "su",     "sv",      "sw",           "syl",   "szl",
    "szy",      "ta",     "tay",     "tcy",          "tdd",   "te",
    "tet",      "tg",     "th",      "ti",           "tig",   "tk",
    "tl",       "tly",    "tn",      "to",           "tpi",   "tr",
    "trv",      "ts",     "tt",      "tum",          "tw",    "ty",
    "tyv",      "udm",    "ug",      "uk",           "ur",    "uz",
    "ve",       "vec",    "vep",     "vi",           "vls",   "vo",
    "vro",      "wa",     "war",     "wo",           "wuu",   "xal",
    "xh",       "xmf",    "yi",      "yo",           "yue",   "za",
    "zea",      "zgh",    "zh",      "zh-classical", "zh-cn", "zh-min-nan",
    "zh-tw",    "zh-yue", "zu",
};

/* Spaces and marks of direction, which names are compared without. */
static bool is_blank(uint32_t cp)
{
    return cp == '_' || utf8_is_white_space(cp);
}

static bool is_direction(uint32_t cp)
{
    return cp == 0x200e || cp == 0x200f || (cp >= 0x202a && cp <= 0x202e);
}

/* The form in which names compare; its bytes, or SIZE_MAX for no name. */
static size_t fold_name(char to[FOLDED_MAX], struct str name)
{
    size_t at = 0, n = 0;
    bool blank = false;

    if (name.n > SITE_NAME_MAX)
        return SIZE_MAX;
    while (at < name.n) {
        uint32_t cp = utf8_next(name, &at);

        if (cp == UTF8_BAD)
            return SIZE_MAX;
        if (is_direction(cp))
            continue;
        if (is_blank(cp)) {
            blank = n > 0;
            continue;
        }
        if (blank)
            to[n++] = ' ';
        blank = false;
        n += utf8_put(to + n, fold_lower(cp));
    }
    return n;
}

/* The slot of a folded name: its own, or the empty one it would take. */
static size_t slot_of(const struct dump_site *s, struct str folded)
{
    size_t at = (size_t)hash_xxh3(folded) & (SITE_SLOTS - 1);

    for (; s->slot[at]; at = (at + 1) & (SITE_SLOTS - 1)) {
        const struct site_name *have = &s->names[s->slot[at] - 1];

        if (str_eq(str_make(s->bytes + have->at, have->n), folded))
            break;
    }
    return at;
}

int site_add(struct dump_site *s, struct str name, int32_t number)
{
    char folded[FOLDED_MAX];
    size_t n = fold_name(folded, name), at;

    if (n == SIZE_MAX)
        return name.n > SITE_NAME_MAX ? -E_TOOBIG : -E_FORMAT;
    if (n == 0)
        return 0; /* the main namespace has no name */
    at = slot_of(s, str_make(folded, n));
    if (s->slot[at]) {
        s->names[s->slot[at] - 1].number = number;
        return 0;
    }
    if (s->n_names == SITE_NAMES_MAX || n > SITE_BYTES_MAX - s->n_bytes)
        return -E_TOOBIG;
    memcpy(s->bytes + s->n_bytes, folded, n);
    s->names[s->n_names] = (struct site_name){s->n_bytes, (uint32_t)n, number};
    s->n_bytes += (uint32_t)n;
    s->slot[at] = (uint16_t)++s->n_names;
    return 0;
}

void site_init(struct dump_site *s)
{
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < sizeof english / sizeof *english; i++)
        site_add(s, str_of(english[i].name), english[i].number);
}

int32_t site_find(const struct dump_site *s, struct str name)
{
    char folded[FOLDED_MAX];
    size_t n = fold_name(folded, name), at;

    if (n == SIZE_MAX || n == 0)
        return SITE_NONE;
    at = slot_of(s, str_make(folded, n));
    return s->slot[at] ? s->names[s->slot[at] - 1].number : SITE_NONE;
}

void site_hash(const struct dump_site *s, struct sha256 *h)
{
    for (uint32_t i = 0; i < s->n_names; i++) {
        const struct site_name *name = &s->names[i];
        const uint32_t head[] = {name->n, (uint32_t)name->number};

        sha256_add(h, str_make((const char *)head, sizeof head));
        sha256_add(h, str_make(s->bytes + name->at, name->n));
    }
}

void site_set(char *field, size_t size, struct str s)
{
    size_t n = s.n < size ? s.n : size - 1;

    while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    if (n)
        memcpy(field, s.p, n);
    field[n] = 0;
}

static int compare_language(const void *key, const void *member)
{
    return strcmp(key, *(const char *const *)member);
}

bool site_is_language(struct str prefix)
{
    char lower[16];

    prefix = str_trim(prefix);
    if (prefix.n < 2 || prefix.n >= sizeof lower)
        return false;
    for (size_t i = 0; i < prefix.n; i++)
        lower[i] = str_lower_char(prefix.p[i]);
    lower[prefix.n] = 0;
    return bsearch(lower, languages, sizeof languages / sizeof *languages,
                   sizeof *languages, compare_language) != NULL;
}
